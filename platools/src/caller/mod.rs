//! The caller of a call: context from the platform, verified identity, and values that the host shares with handlers.
//!
//! The platform's signature does not cover the identities in a call's envelope (protocol §6). The backend's
//! [`Authenticator`] verifies the tokens that a call carries and returns an [`Identity`]. Each door describes a call
//! in a `CallScope`, from which handlers extract parameters by type: [`CallContext`], [`State`], [`Progress`],
//! [`Identity`], a cancellation token. This module must not know how calls arrive or run.

mod ambient;
mod authentication;
mod authenticator;
mod call_context;
mod credentials;
mod extract;
mod identity;
#[cfg(feature = "jwt")]
mod jwt;
mod progress;
mod scope;
mod state;

pub(crate) use self::ambient::CURRENT;
pub use self::ambient::{
    current_agent_id, current_call_id, current_context, current_entity_id, current_entity_token,
    current_identity, current_scope, current_thread_id, current_user_id, current_user_token,
};
pub(crate) use self::authentication::Authentication;
pub use self::authenticator::{AndThen, AuthenticationError, Authenticator, Or};
pub use self::call_context::{CallContext, CallContextBuilder};
pub use self::credentials::Credentials;
pub use self::identity::Identity;
#[cfg(feature = "jwt")]
pub use self::jwt::{JwtAlgorithm, JwtAuthenticator, JwtKeyError};
pub use self::progress::{LogLevel, Progress, Report, ReportSink, Reports};
pub(crate) use self::scope::{CallScope, Surroundings};
pub use self::state::State;
pub(crate) use self::state::States;
