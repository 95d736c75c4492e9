//! A tool host for Platos: typed Rust functions become tools that agents call.
//!
//! A *connected entity* is a backend that dials out to the Platos platform over one authenticated WebSocket,
//! declares its tools, and answers calls. Write functions, mark them [`#[tool]`](macro@tool), and
//! [`run`](Platools::run):
//!
//! ```no_run
//! use platools::prelude::*;
//!
//! /// Add two whole numbers.
//! #[tool]
//! async fn add(a: i64, b: i64) -> i64 {
//!     a + b
//! }
//!
//! #[tokio::main]
//! async fn main() -> platools::Result<()> {
//!     # #[cfg(feature = "logging")]
//!     platools::logging::init(); // feature `logging`; or a `tracing` subscriber of your own
//!     Platools::from_env()?.run().await
//! }
//! ```
//!
//! Your own types can be arguments if they derive `serde::Deserialize` and `schemars::JsonSchema`, and results if they
//! derive `serde::Serialize` and `schemars::JsonSchema`. These derives need `serde` and `schemars` (version 1) as
//! dependencies.
//!
//! # A tour
//!
//! * **Tools.** [`#[tool]`](macro@tool) turns a function into a tool, [`#[toolset]`](macro@toolset) the methods of an
//!   `impl` block. Arguments implement `Deserialize` and [`JsonSchema`](schemars::JsonSchema); results are `Serialize`,
//!   [`Media`], or a `Result` of either. [`Tool::new`] creates a tool whose schema is known only at run time.
//! * **Errors.** The model reads the text of a [`ToolError::user`], a `String`, or a type marked [`UserFacingError`].
//!   Every other error is internal: the model reads `internal error (call …)`, the log shows the whole error chain.
//! * **The caller.** Parameters injected by type: [`CallContext`] describes the caller, [`State`] is a value shared by
//!   the host, and a [`CancellationToken`] is cancelled shortly before the call's future is dropped, at its timeout or
//!   at the end of a shutdown's grace period. [`current_user_id`](caller::current_user_id) and its siblings return the
//!   caller anywhere inside a call.
//! * **Access control.** The platform's statements about the user are not signed. An [`Authenticator`] verifies the
//!   user's token: a closure, or `caller::JwtAuthenticator` (feature `jwt`). With one, the `auth` and `roles` of the
//!   tools are enforced, and a tool can take the verified [`Identity`].
//! * **The host.** [`Platools`] builds it from [`HostConfig`], [`Host::run`] keeps it connected, [`HostHandle`] watches
//!   and stops it. [`Limits`] bounds concurrent calls.
//! * **MCP.** The crate `platools-mcp` serves the same tools to MCP clients, on standard input and output or over HTTP;
//!   handlers report their progress to them with [`Progress`].
//! * **Calls over HTTP.** `fallback::HttpFallback` (feature `http`) is a router that accepts signed calls as requests.
//! * **Frontends.** `SessionTokens` (feature `jwt`) mints the short-lived tokens with which a frontend calls the
//!   platform; with `remote-mint`, the platform mints them. `session_token::session_token_router` (feature `http`)
//!   serves them behind the backend's own login.
//! * **Checks.** The crate `platools-toolkit` finds problems that keep agents from choosing or calling a tool, runs
//!   test cases from a YAML file, and adds a command line to the backend's program.
//! * **Building blocks.** [`wire`] has the types of the wire, [`verify`] verifies calls; both can be used alone.
//!
//! # Registration
//!
//! Every `#[tool]` function that is linked into the program registers itself. A crate that the program does not refer
//! to is **not** linked, and its tools are missing without an error: refer to the crate (`use orders as _;` is enough),
//! or list the tools with [`tools!`]. A host with an explicit list has exactly those tools.
//!
//! # Secrets in logs
//!
//! At `trace`, the WebSocket library logs headers and frames, which contain the service secret and users' tokens.
//! Cap `tungstenite`, `tokio_tungstenite`, `hyper`, `reqwest`, `rmcp` and `rustls` at `info` in your subscriber, or use
//! `logging::init` (feature `logging`), which does so. This crate logs neither secrets nor tokens at any level.
//!
//! # Observability
//!
//! [`HostHandle`] reports the state and the events of a connection. Each call runs in a `tracing` span called `call`,
//! at level `info`, with `tool`, `call_id`, `user_id`, `agent_id`, `thread_id`, `subject` (of the verified identity),
//! `traceparent`, and at its end `outcome` and `latency_ms`; never with arguments, tokens or results. A successful call
//! is a line at level `debug`. With the feature `metrics`, the recorder that the program installs gets the metrics below.
//! All but the first also have the label `entity`: the entity of the host, since one process may run several. A host
//! that has no entity of its own, such as a [`LocalHost`], leaves the label out.
//!
//! | name | kind | labels | meaning |
//! | --- | --- | --- | --- |
//! | `platools_build_info` | gauge | `version` | 1 |
//! | `platools_calls_total` | counter | `tool`, `outcome` | answered calls; the outcome is `ok` or the kind of the error |
//! | `platools_call_duration_seconds` | histogram | `tool` | from a call's admission to its answer, waiting included |
//! | `platools_calls_in_flight` | gauge | | running and waiting calls |
//! | `platools_calls_waiting` | gauge | | waiting calls |
//! | `platools_calls_refused_total` | counter | `reason` | calls answered without running a handler; the reason of the verification, or the kind of the error |
//! | `platools_arguments_decoded_total` | counter | | arguments accepted because JSON texts in place of arrays, objects or numbers were decoded |
//! | `platools_frames_malformed_total` | counter | | malformed frames |
//! | `platools_connections_total` | counter | | connections that the platform welcomed |
//! | `platools_disconnects_total` | counter | | connections that ended or failed |
//! | `platools_hosts` | gauge | `state` | hosts of this process in that state, such as `active`; 1 or 0 for an entity with one host |
//! | `platools_registrations_rejected_total` | counter | | declarations of tools that the platform refused |
//! | `platools_answers_redelivered_total` | counter | | answers resent on another connection |
//! | `platools_answers_lost_total` | counter | | answers that could not be delivered in time |
//! | `platools_answers_replaced_total` | counter | | results that had no room among the unsent ones, answered with an error |
//!
//! The heartbeat reports the health of each tool for which it changed: the moving average of the latency, the number of
//! errors in the last hour, the text of the last error, and a status. `down` means at least 5 calls in the last hour of
//! which half or more failed, `degraded` that at least a tenth failed. Errors are failures of the handler (an `Err`, a
//! panic, a timeout); rejections before the handler do not count.
//!
//! # Features
//!
//! | feature | adds |
//! | --- | --- |
//! | `logging` | `logging::init`, a subscriber for programs that keeps secrets out of the log |
//! | `metrics` | metrics of calls and connections, through the `metrics` facade |
//! | `jwt` | `session_token`: session tokens for frontends, minted and verified; `caller::JwtAuthenticator`: authenticates users by JSON Web Tokens |
//! | `jwks` | `caller::JwtAuthenticator` with keys published at a URL (JWKS) |
//! | `remote-mint` | `session_token::RemoteMint`: session tokens minted by the platform |
//! | `http` | `session_token::session_token_router`: an axum endpoint that serves session tokens; `fallback::HttpFallback`: calls over HTTP |

// Generated code says `::platools`, also in this crate's own tests.
#[allow(unused_extern_crates, reason = "used by the macro")]
extern crate self as platools;

#[doc(hidden)]
pub mod __private;
#[cfg(feature = "__bench")]
#[doc(hidden)]
pub mod bench;
pub mod caller;
mod error;
#[cfg(feature = "http")]
pub mod fallback;
pub mod host;
pub mod intake;
#[cfg(feature = "jwt")]
mod jwt;
#[cfg(feature = "logging")]
pub mod logging;
mod observe;
pub mod run;
#[cfg(feature = "jwt")]
pub mod session_token;
mod sync;
pub mod tool;
pub mod verify;
pub mod wire;

pub use platools_macros::{tool, toolset};
pub use schemars;
pub use tokio_util::sync::CancellationToken;

pub use crate::caller::{Authenticator, CallContext, Identity, Progress, State};
pub use crate::error::{Error, Result};
pub use crate::host::{Host, HostConfig, HostHandle, LocalHost, Platools};
pub use crate::run::Limits;
pub use crate::tool::{
    Arguments, FromCall, Media, Tool, ToolCall, ToolError, ToolOutput, ToolResult, ToolSpec, UserFacingError,
};
pub use crate::verify::SecretSource;

/// The items that most programs need: `use platools::prelude::*`.
pub mod prelude {
    pub use schemars::JsonSchema;
    pub use serde::{Deserialize, Serialize};

    pub use platools_macros::{tool, toolset};

    pub use crate::{
        CallContext, CancellationToken, Identity, Media, Platools, Progress, State, ToolError, ToolOutput,
        UserFacingError, tools,
    };
}

/// Lists the tools of the named `#[tool]` functions. The compiler error "expected type, found function" means that a
/// function lacks `#[tool]`.
///
/// For several hosts in one process, for tests, and in place of automatic registration:
///
/// ```
/// use platools::{tool, tools};
///
/// mod orders {
///     /// Cancel an order.
///     #[platools::tool(register = false)]
///     pub async fn cancel(order_id: String) {}
/// }
///
/// /// Look up one order by id.
/// #[tool(register = false)]
/// async fn lookup_order(order_id: String) -> String {
///     order_id
/// }
///
/// let tools = tools![lookup_order, orders::cancel];
/// assert_eq!(tools[1].name(), "cancel");
/// ```
#[macro_export]
macro_rules! tools {
    ($($tool:path),* $(,)?) => {
        ::std::vec![$(<$tool as $crate::__private::ToolDefinition>::tool()),*] as ::std::vec::Vec<$crate::Tool>
    };
}

/// Compiles the examples in the Markdown pages as documentation tests.
#[cfg(doctest)]
mod pages {
    #[doc = include_str!("../../README.md")]
    struct Readme;

    #[doc = include_str!("../README.md")]
    struct CrateReadme;

    #[cfg(feature = "logging")]
    #[doc = include_str!("../../docs/getting-started.md")]
    struct GettingStarted;

    #[cfg(feature = "jwks")]
    #[doc = include_str!("../../docs/security.md")]
    struct Security;
}
