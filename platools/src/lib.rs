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
//! Types of your own are arguments and results once they derive `serde::Deserialize` or `serde::Serialize` and
//! `schemars::JsonSchema`; for those derives `serde` and `schemars` (version 1) have to be dependencies too.
//!
//! # A tour
//!
//! * **Tools.** [`#[tool]`](macro@tool) makes a tool of a function, [`#[toolset]`](macro@toolset) of the methods of an
//!   `impl` block. Arguments are whatever is `Deserialize` and [`JsonSchema`](schemars::JsonSchema); results are
//!   whatever is `Serialize`, [`Media`], or a `Result` of it. A [`Tool`] whose shape is known only at run time is made
//!   by hand.
//! * **Errors.** The model reads the text of a [`ToolError::user`], a `String`, or a type marked [`UserFacingError`].
//!   Every other error is internal: the model reads `internal error (call …)`, the log has the whole chain.
//! * **The caller.** [`CallContext`] is who is calling, [`State`] is what the host shares, a [`CancellationToken`]
//!   says when the call has to end, at its timeout or at the end of a shutdown's grace period, a moment before its
//!   future is dropped; all are parameters taken by type. [`current_user_id`] and its siblings reach the
//!   same from anywhere inside a call.
//! * **Who may call.** What the platform says about the user is not signed. An [`Authenticator`] verifies the user's
//!   token: a closure, or `caller::JwtAuthenticator` (feature `jwt`). From then on the `auth` and `roles` of the tools
//!   are enforced, and a tool can take the verified [`Identity`].
//! * **The host.** [`Platools`] builds it from [`HostConfig`], [`Host::run`] keeps it connected, [`HostHandle`] watches
//!   and stops it. [`Limits`] bounds what runs at the same time.
//! * **MCP.** The crate `platools-mcp` serves the same tools to MCP clients, on standard input and output or over HTTP;
//!   handlers report their progress to them with [`Progress`].
//! * **Calls over HTTP.** `fallback::HttpFallback` (feature `http`) is a router that takes signed calls as requests.
//! * **Frontends.** `SessionTokens` (feature `jwt`) mints the short-lived tokens with which a frontend talks to the
//!   platform, here or, with `remote-mint`, at the platform; `session_token::session_token_router` (feature `http`)
//!   hands them out behind the backend's own login.
//! * **Before agents see them.** The crate `platools-toolkit` finds what keeps agents from choosing or calling a tool,
//!   runs cases of a YAML file against the tools, and is a command line for the backend's own program.
//! * **Beneath.** [`wire`] is the wire, [`verify`] verifies calls; both are usable by themselves.
//!
//! # Registration
//!
//! Every `#[tool]` function that is linked into the program registers itself. A crate that nothing refers to is **not**
//! linked, and its tools are missing without a word: name something of that crate (`use orders as _;` is enough), or
//! give the list with [`tools!`]. A host with an explicit list has exactly those tools.
//!
//! # Secrets in logs
//!
//! At `trace`, the WebSocket library prints headers and frames, and with them the service secret and users' tokens.
//! Cap `tungstenite`, `tokio_tungstenite`, `hyper`, `reqwest`, `rmcp` and `rustls` at `info` in your subscriber, or use
//! `logging::init` (feature `logging`), which does. This crate logs neither at any level.
//!
//! # What can be observed
//!
//! [`HostHandle`] tells the state and the events of a connection. Each call runs in a `tracing` span called `call`,
//! at level `info`, with `tool`, `call_id`, `user_id`, `agent_id`, `thread_id`, `subject` (of the verified identity),
//! `traceparent`, and at its end `outcome` and
//! `latency_ms`; never with arguments, tokens or results. A call that succeeds logs no line. With the feature
//! `metrics`, these figures go to whatever recorder the program installs:
//!
//! | name | kind | labels | meaning |
//! | --- | --- | --- | --- |
//! | `platools_calls_total` | counter | `tool`, `outcome` | calls that have their answer; the outcome is `ok` or the kind of the error |
//! | `platools_call_duration_seconds` | histogram | `tool` | from a call's admission to its answer, waiting included |
//! | `platools_calls_in_flight` | gauge | | calls that run or wait |
//! | `platools_calls_waiting` | gauge | | calls among them that wait for their place |
//! | `platools_calls_refused_total` | counter | `reason` | calls answered without running a handler: the verification's reason, or the kind of the error |
//! | `platools_frames_malformed_total` | counter | | frames that could not be read |
//! | `platools_connections_total` | counter | | connections that the platform welcomed |
//! | `platools_disconnects_total` | counter | | connections that ended, or could not be made |
//! | `platools_hosts` | gauge | `state` | hosts of this process that are in that state, such as `active` |
//! | `platools_answers_redelivered_total` | counter | | answers sent again on another connection |
//! | `platools_answers_lost_total` | counter | | answers that could not be delivered in time |
//!
//! The heartbeat tells the platform how each tool is doing, for the tools where that changed: the moving average of
//! its latency, the errors of the last hour, the text of the last one, and a word. `down` means at least 5 calls in
//! the last hour of which half or more failed, `degraded` that at least a tenth failed. Only what a handler ends with
//! is an error (an `Err`, a panic, a timeout); refusals before the handler are not.
//!
//! # Features
//!
//! | feature | what it adds |
//! | --- | --- |
//! | `logging` | `logging::init`, a subscriber for programs that keeps secrets out of the log |
//! | `metrics` | figures about calls and connections, through the `metrics` facade |
//! | `jwt` | `session_token`: session tokens for frontends, minted and verified; `caller::JwtAuthenticator`: users known by a JSON Web Token |
//! | `jwks` | the same with keys that are published at a URL |
//! | `remote-mint` | `session_token::RemoteMint`: session tokens that the platform signs |
//! | `http` | `session_token::session_token_router`: the endpoint that hands them out, for axum; `fallback::HttpFallback`: calls over HTTP |

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

/// What most programs use: `use platools::prelude::*`.
pub mod prelude {
    pub use schemars::JsonSchema;
    pub use serde::{Deserialize, Serialize};

    pub use platools_macros::{tool, toolset};

    pub use crate::{
        CallContext, CancellationToken, Identity, Media, Platools, Progress, State, ToolError, ToolOutput,
        UserFacingError, tools,
    };
}

/// The tools made of the named `#[tool]` functions, as a list. Where the compiler says "expected type, found
/// function", the function lacks its `#[tool]`.
///
/// For two hosts in one process, for tests, and wherever automatic registration is not wanted:
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

/// Compiles the examples of the pages as documentation tests.
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
