//! Platos as a consumer: agents, threads, streamed turns, approvals, budgets, monitoring, jobs, tools and entities.
//!
//! # A turn
//!
//! ```no_run
//! use platos_client::{AgentEvent, NewThread, PlatosClient};
//!
//! #[tokio::main]
//! async fn main() -> Result<(), platos_client::Error> {
//!     // PLATOS_API_URL and PLATOS_SESSION_TOKEN, or an API key with a scope.
//!     let client = PlatosClient::from_env()?;
//!     let thread = client.threads().create(NewThread::with_agent("agt_support")).await?;
//!     let mut turn = client.threads().send(&thread.id, "Where is order ord-1042?");
//!     while let Some(event) = turn.next().await {
//!         match event? {
//!             AgentEvent::Token(token) => print!("{}", token.text),
//!             AgentEvent::ToolCall(call) => eprintln!("[{}]", call.name),
//!             _ => {}
//!         }
//!     }
//!     Ok(())
//! }
//! ```
//!
//! Who only wants the answer writes `turn.text().await?`; [`TurnStream::collect`] gives tool calls, artifacts and usage
//! too.
//!
//! # Who is asking
//!
//! One of two modes, and the builder's type knows which one it is:
//!
//! | mode | what is sent | for |
//! | --- | --- | --- |
//! | [`session_token`](ClientBuilder::session_token) | a session token, which has the user and the scope in it | one user: a frontend, or a backend on a user's behalf |
//! | [`api_key`](ClientBuilder::api_key) | an API key, and a [`Scope`] with a user with every call | trusted servers that reach the platform without a proxy between |
//!
//! A token that is refused (401, 403) is replaced through [`on_token_refresh`](ClientBuilder::on_token_refresh), once for
//! all who were refused with it; with the feature `session-tokens`, `platools::session_token::SessionTokens` mint the first one and all
//! that follow. [`with_scope`](PlatosClient::with_scope) is the same client for another scope, for one call or for many.
//!
//! # What streams promise
//!
//! The message goes out once, under an idempotency key. After a break the stream reconnects and looks for the reply among
//! the thread's messages: it ends with [`AgentEvent::Recovered`] and what was not heard, or with [`Error::TurnLost`] and
//! what is known. Events come in order, and those with an id once, see [`TurnStream`]. Turns come by Socket.IO, SSE or one
//! request, as [`Transport`] says.
//! A reader who takes their time holds the platform back instead of filling memory, a connection that has gone silent is
//! noticed by its missing pings, and a turn that is never done ends with an error after
//! [`StreamLimits::idle_timeout`]. Dropping the stream stops the turn, on the platform too.
//!
//! What a platform sends that this version does not know is kept: fields in `extra`, values and events in `Other`.
//!
//! # Approvals
//!
//! [`TurnStream::run`] asks a callback about everything that the agent may not do by itself:
//!
//! ```
//! # async fn example(client: platos_client::PlatosClient) -> Result<(), platos_client::Error> {
//! use platos_client::{Approval, Decision};
//!
//! async fn decide(approval: Approval) -> Decision {
//!     match approval.wish() {
//!         Some(wish) if wish.starts_with("read ") => Decision::approve(),
//!         _ => Decision::reject().because("only reading is allowed at night"),
//!     }
//! }
//!
//! let turn = client.threads().send("thr_1", "Clean up the old orders.").run(decide).await?;
//! println!("{} ({} tool calls)", turn.text, turn.tool_calls.len());
//! # Ok(())
//! # }
//! ```
//!
//! # Routes
//!
//! Platforms of several generations are spoken to, by the routes that their servers have. Where a route has another name
//! on older ones, it is tried when the newer one is not there. Much is for operators only: an end user's session token is
//! refused with [`codes::OPERATOR_ONLY`], and a fresh one would be, too.
//!
//! | call | route under `/api/v1/agent` | on older platforms |
//! | --- | --- | --- |
//! | [`agents().list`](Agents::list), `get` | `agents`, `agents/{id}` | the same |
//! | [`threads()`](PlatosClient::threads) | `threads`, `threads/{id}` and what is under it | the same |
//! | [`threads().send`](Threads::send) | Socket.IO `/agent`; `threads/{id}/stream`; `threads/{id}/messages` | the same |
//! | [`messages()`](PlatosClient::messages) | `threads/{id}/messages/{id}/replies`, `messages/{id}/rating` | none known |
//! | [`tools()`](PlatosClient::tools) | `tools`, `tools/search`, `tools/execute` | none known |
//! | [`entities()`](PlatosClient::entities) | `entities`, `entities/{id}` and what is under it | the same |
//! | [`agents().list_versions`](Agents::list_versions), `version`, `roll_back` | `agent-versions` | `agents/{id}/versions` |
//! | [`approvals().list`](Approvals::list), `get` | `monitoring/approvals` | the same |
//! | [`approvals().resolve`](Approvals::resolve) | `approvals/{id}/resolve` | the same |
//! | [`TurnStream::resolve`], [`run`](TurnStream::run) | the turn's socket, or `approvals/{id}/resolve` | the same |
//! | [`budgets()`](PlatosClient::budgets) | `budgets`, `budgets/status` | the same |
//! | [`monitoring().trace`](Monitoring::trace) | `monitoring/trace/{thread}` | the same |
//! | [`monitoring().cost_by_agent`](Monitoring::cost_by_agent), `cost_by_model`, `cost_by_user` | `monitoring/cost-by-…` | the same |
//! | [`monitoring().cost_by_scope`](Monitoring::cost_by_scope) | `monitoring/cost`, once a day | the same |
//! | [`monitoring().cost_of_user`](Monitoring::cost_of_user), [`cost_of_thread`](Monitoring::cost_of_thread) | `monitoring/cost/user/{id}`, `monitoring/cost/thread/{id}` | of a user none |
//! | [`tool_calls()`](PlatosClient::tool_calls) | `tool-calls` | `monitoring/tool-audit` |
//! | [`jobs()`](PlatosClient::jobs), `bgo().tasks()` | `jobs`, `jobs/{id}/dispatch` | `platos-tasks`, `platos-tasks/{id}/run` |
//! | `bgo().schedules()` | fields of `jobs/{id}` | fields of `platos-tasks/{id}` |
//! | [`attachments()`](PlatosClient::attachments) | `attachments/presigned` | none |
//! | [`guests()`](PlatosClient::guests), [`guest_token`](ClientBuilder::guest_token) without credentials | `/api/v1/public/guest-token` | the same |
//! | [`monitoring().runs`](Monitoring::runs), `bgo().runs()`, `bgo().batches()` | none known; what published clients call | none |
//!
//! Lists that take no query are read to their end. Those that do are one page: 25 unless the query has a `limit`.
//!
//! Memory, evals and the rest are reached by [`raw`](PlatosClient::raw).
//!
//! # When something fails
//!
//! One [`Error`], by what there is to do about it, with the status, the [code](Error::code) and the body where there was
//! an answer. A success that says that it failed, as older platforms answer, is an error like any other. Requests are
//! tried again as [`RetryPolicy`] says, on 429 as late as `Retry-After` says. Platforms know keys of messages alone: what creates something
//! else, or runs it, is sent again only when nothing of it was done. A message's key is the same for all its attempts; give
//! one of your own with [`NewMessage::idempotency_key`] to cover a crash of your program too. No error, `Debug` or log line of this crate holds a credential; what a platform
//! repeats of one is masked.
//!
//! # Testing against it
//!
//! The feature `testing` has `PlatosDouble`: an agent API with its Socket.IO side on this machine, scripted, with drops,
//! duplicates, refusals and pauses. This crate's own tests run against it, and so does the real Python client in its
//! repository.
//!
//! # Features
//!
//! | feature | what it adds |
//! | --- | --- |
//! | `session-tokens` | session tokens minted by `platools::session_token::SessionTokens` |
//! | `testing` | the module `testing`, with `PlatosDouble` |
//!
//! None is on by default.
//!
//! # To know
//!
//! * TLS is rustls with the system's roots, and [`ca_file`](ClientBuilder::ca_file) adds others. Plain `http://` to anything
//!   but this machine is refused unless it is allowed.
//! * Requests and streams go through the proxies that `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` name, or
//!   [`proxy`](ClientBuilder::proxy); loopback never does.
//! * This crate logs through `tracing`, below `info`. At `trace` the libraries under it print headers and frames, with
//!   the credentials in them: cap `tungstenite`, `tokio_tungstenite`, `hyper`, `reqwest` and `rustls` at `info`.

mod api;
mod client;
mod config;
mod error;
mod event;
#[cfg(feature = "__fuzz")]
#[doc(hidden)]
pub mod fuzz;
mod http;
mod model;
#[cfg(feature = "session-tokens")]
mod session_tokens;
mod socket;
#[cfg(feature = "testing")]
pub mod testing;
mod turn;

pub use platools_net::{ProxyConfig, ProxyError};
pub use tokio_util::sync::CancellationToken;

pub use crate::api::{
    Agents, Approvals, ApprovalsQuery, Attachments, Batches, Bgo, BgoRuns, BgoRunsQuery, BudgetQuery,
    Budgets, Entities, Guests, JobChange, Jobs, JobsQuery, Messages, Monitoring, NewAttachment, NewBudget,
    NewEntity, NewJob, NewSchedule, NewThread, RawAnswer, RawRequest, RunsQuery, Schedules, TaskOptions,
    Tasks, Threads, ThreadsQuery, ToolCalls, ToolCallsQuery, Tools,
};
pub use crate::client::PlatosClient;
pub use crate::config::{
    ClientBuilder, Direct, NoMode, ReconnectPolicy, RefreshRequest, RetryPolicy, Scope, Session, StreamLimits,
};
pub use crate::error::codes;
pub use crate::error::{
    BoxError, ConfigError, Error, ErrorResponse, NetworkError, NetworkErrorKind, ProtocolError,
    RefreshOutcome, Result, TurnLost, TurnState,
};
pub use crate::event::{
    AgentEvent, ApprovalNeeded, ApprovalResolved, ArtifactCommitted, ArtifactDelta, ArtifactError,
    ArtifactStart, Done, ErrorEvent, JobUpdate, MessageBoundary, MessagePersisted, Meta, Recovered,
    RunUpdate, SafetyFlags, Status, StructuredOutput, Thinking, ThreadArchived, ThreadRenamed,
    ThreadUnarchived, Token, ToolCall, ToolResult,
};
pub use crate::model::{
    Agent, AgentVersion, Approval, ApprovalStatus, Artifact, Batch, BgoRun, BudgetCap, BudgetPeriod,
    BudgetScopeType, BudgetStatus, Cost, Decision, Entity, EntitySecret, Extra, GuestToken, Job, Message,
    PresignedUpload, Rating, RatingCounts, Ratings, Resolved, Role, Run, Schedule, Span, Task, TaskHandle,
    Thread, Tool, ToolCallRecord, ToolRun, Trace, TraceTotals,
};
pub use crate::turn::{NewMessage, Transport, Turn, TurnStream};

/// Compiles the examples of the pages as documentation tests.
#[cfg(doctest)]
mod pages {
    #[doc = include_str!("../README.md")]
    struct Readme;

    #[doc = include_str!("../../../docs/consumer.md")]
    struct Consumer;
}
