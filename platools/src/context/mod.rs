//! Who is calling, and what the host shares with its handlers.
//!
//! A door (the socket, MCP, the command line, a test) describes each call in a [`CallScope`]; handlers
//! take out of it what they ask for by type: [`CallContext`], [`State`], [`Progress`], a cancellation token. This room
//! must not know how calls arrive or run.

mod ambient;
mod call_context;
mod identity;
mod progress;
mod scope;
mod state;

pub(crate) use self::ambient::CURRENT;
pub use self::ambient::{
    current_agent_id, current_call_id, current_context, current_entity_id, current_entity_token,
    current_identity, current_scope, current_thread_id, current_user_id, current_user_token,
};
pub use self::call_context::{CallContext, CallContextBuilder};
#[cfg(feature = "mcp")]
pub(crate) use self::progress::{Listen, Report};
pub use self::progress::{LogLevel, Progress};
pub(crate) use self::scope::{CallScope, Surroundings};
pub use self::state::State;
pub(crate) use self::state::States;
