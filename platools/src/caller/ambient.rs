//! The call that is running, reachable without a parameter.
//!
//! It follows the handler, on whatever thread, and nothing else: a task that the handler spawns starts
//! without it. Outside a call every accessor returns `None`.

use std::sync::Arc;

use super::call_context::scope_of;
use super::{CallContext, CallScope};
use crate::caller::Identity;
use crate::wire::{Envelope, Scope};

tokio::task_local! {
    /// The call that the running handler answers.
    pub(crate) static CURRENT: Arc<CallScope>;
}

fn with_scope<T>(read: impl FnOnce(&CallScope) -> Option<T>) -> Option<T> {
    CURRENT.try_with(|scope| read(scope)).ok().flatten()
}

fn member(read: impl FnOnce(&Envelope) -> &Option<String>) -> Option<String> {
    with_scope(|scope| read(scope.envelope()).clone())
}

/// The typed context of the running call, when the platform said all of it.
///
/// ```
/// assert!(platools::caller::current_context().is_none()); // no call is running here
/// ```
pub fn current_context() -> Option<CallContext> {
    with_scope(|scope| scope.context().ok())
}

/// The user of the running call, even when the rest of its context is incomplete.
pub fn current_user_id() -> Option<String> {
    member(|envelope| &envelope.user_id)
}

/// The verified identity behind the running call.
pub fn current_identity() -> Option<Identity> {
    with_scope(|scope| scope.identity().cloned())
}

/// The user's token of the running call. A secret: keep it out of logs.
pub fn current_user_token() -> Option<String> {
    member(|envelope| &envelope.user_token)
}

/// The entity's OIDC token of the running call. A secret: keep it out of logs.
pub fn current_entity_token() -> Option<String> {
    member(|envelope| &envelope.entity_token)
}

/// The thread of the running call; may be empty.
pub fn current_thread_id() -> Option<String> {
    member(|envelope| &envelope.thread_id)
}

/// The agent of the running call.
pub fn current_agent_id() -> Option<String> {
    member(|envelope| &envelope.agent_id)
}

/// The entity of the running call.
pub fn current_entity_id() -> Option<String> {
    member(|envelope| &envelope.entity_id)
}

/// The id of the running call.
pub fn current_call_id() -> Option<String> {
    with_scope(|scope| Some(scope.call_id().to_owned()))
}

/// The organization, project, environment and entity of the running call, as far as they are known.
pub fn current_scope() -> Option<Scope> {
    with_scope(|scope| Some(scope_of(scope.envelope())))
}
