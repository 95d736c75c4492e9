//! Task-local access to the running call, without a parameter.
//!
//! Available inside the handler, on any thread, but not in tasks that the handler spawns. Outside a call every
//! accessor returns `None`.

use std::sync::Arc;

use super::call_context::scope_of;
use super::{CallContext, CallScope};
use crate::caller::Identity;
use crate::wire::{Envelope, Scope};

tokio::task_local! {
    /// The call of the running handler.
    pub(crate) static CURRENT: Arc<CallScope>;
}

fn with_scope<T>(read: impl FnOnce(&CallScope) -> Option<T>) -> Option<T> {
    CURRENT.try_with(|scope| read(scope)).ok().flatten()
}

fn member(read: impl FnOnce(&Envelope) -> &Option<String>) -> Option<String> {
    with_scope(|scope| read(scope.envelope()).clone())
}

/// Returns the typed context of the running call, if it is complete.
///
/// ```
/// assert!(platools::caller::current_context().is_none()); // no call is running here
/// ```
pub fn current_context() -> Option<CallContext> {
    with_scope(|scope| scope.context().ok())
}

/// Returns the user id of the running call, even if the rest of the context is incomplete. Not verified against the
/// user's token; see [`current_identity`].
pub fn current_user_id() -> Option<String> {
    member(|envelope| &envelope.user_id)
}

/// Returns the verified identity of the running call's caller.
pub fn current_identity() -> Option<Identity> {
    with_scope(|scope| scope.identity().cloned())
}

/// Returns the user's token of the running call. A secret: keep it out of logs.
pub fn current_user_token() -> Option<String> {
    member(|envelope| &envelope.user_token)
}

/// Returns the entity's OIDC token of the running call. A secret: keep it out of logs.
pub fn current_entity_token() -> Option<String> {
    member(|envelope| &envelope.entity_token)
}

/// Returns the thread id of the running call; may be empty.
pub fn current_thread_id() -> Option<String> {
    member(|envelope| &envelope.thread_id)
}

/// Returns the agent id of the running call.
pub fn current_agent_id() -> Option<String> {
    member(|envelope| &envelope.agent_id)
}

/// Returns the entity id of the running call.
pub fn current_entity_id() -> Option<String> {
    member(|envelope| &envelope.entity_id)
}

/// Returns the id of the running call.
pub fn current_call_id() -> Option<String> {
    with_scope(|scope| Some(scope.call_id().to_owned()))
}

/// Returns the organization, project, environment and entity ids of the running call, as far as known.
pub fn current_scope() -> Option<Scope> {
    with_scope(|scope| Some(scope_of(scope.envelope())))
}
