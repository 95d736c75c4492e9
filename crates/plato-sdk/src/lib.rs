//! [Plato](https://docs.plato.so) from Rust: sessions of simulated environments, and desktops that a model works on.
//!
//! ```no_run
//! use plato_sdk::{Action, Env, Plato, Point};
//!
//! #[tokio::main]
//! async fn main() -> plato_sdk::Result<()> {
//!     let plato = Plato::from_env()?; // PLATO_API_KEY
//!     let session = plato.session().env(Env::simulator("ubuntu-vm").alias("desktop")).start().await?;
//!     session.reset().await?; // from here on, changes are noted
//!
//!     let desktop = session.desktop()?;
//!     let before = desktop.screenshot().await?;
//!     println!("a screen of {}", before.size());
//!     desktop.perform(Action::LeftClick { at: Some(Point::new(640, 360)) }).await?;
//!     desktop.perform(Action::Type { text: "hello\n".into() }).await?;
//!     println!("{}", desktop.bash("ls ~; echo \"exit code $?\"").await?.text());
//!
//!     let scored = session.evaluate(None).await?;
//!     println!("{:?}", scored.score);
//!     session.close().await
//! }
//! ```
//!
//! # A tour
//!
//! * [`Plato`] is the client; it says how sessions come to their end, whatever ends the program. [`PlatoBuilder`] sets
//!   it up in code.
//! * [`SessionRequest`] starts a session from environments ([`Env`]), artifacts or a testcase, waits until it is ready
//!   and says how far it is; then it logs in to apps and does what you want to be prepared. [`Session`]
//!   resets, looks at states, scores, takes snapshots, adds and removes environments; [`Environment`] is one of them. [`Session::save`] and [`Plato::resume`] carry a session over to
//!   another process.
//! * [`Desktop`] is a screen, a mouse, a keyboard, a shell and files. [`Session::login`] opens the apps of a session in
//!   its browser, and logs in; [`Session::login_in`] does it in a [`Browser`] of your own, where there is no desktop.
//! * `tools` (feature `tools`) makes desktops into tools of a [platools](https://docs.rs/platools) host: one for each
//!   conversation, with pictures that fit into what a platform takes.
//! * `testing` (feature `testing`) is a Plato in your process, with a screen, files and scripted commands.
//! * [`Error`] says what to do next. Errors, logs and `Debug` show no API key, and of job ids, which open machines to
//!   whoever has them, four characters.
//!
//! # The life of a session
//!
//! | step | here |
//! | --- | --- |
//! | machines boot | [`SessionRequest::start`], or [`create`](SessionRequest::create) and [`Session::wait_until_ready`] |
//! | the record of changes begins | [`Session::reset`]; a testcase's session, and one that is logged in to, is reset by its start |
//! | apps are logged in to | [`SessionRequest::login`], within the start, so that the record has what it changes |
//! | data of your own | [`SessionRequest::prepare`], the last step of the start |
//! | the agent works | [`Desktop`], `tools`, or any other |
//! | it is looked at and scored | [`Session::state`], [`Session::evaluate`] |
//! | it ends | [`Session::close`], or whatever else ends its use |
//!
//! Requests that Plato reserves for an organization, such as [`Session::link_testcase`], are refused to
//! ordinary keys with status 403. Callbacks that Plato sends to you, uploads of recordings, networks by hand and ssh tunnels are not in here.
//!
//! # Next to the Python SDK
//!
//! The requests are those of `plato-sdk-v2` 2.187.0, which was recorded; the tests compare methods, paths, queries and
//! bodies. These are different on purpose:
//!
//! | where | the SDK | here |
//! | --- | --- | --- |
//! | a session whose start fails | stays open when the failure is one of HTTP | is closed, and so are those that are dropped, cancelled or panicked away |
//! | heartbeats | begin after the start, and in one half of the SDK with a beat at once; failures and `gone` are not looked at | every 30 s from the session's creation; [`Session::health`] says what they came to |
//! | waiting until it is ready | asks without a pause in its last second | pauses for a second, or for what is left |
//! | control plane, status 429 and 5xx | raised at once | `GET`, heartbeats and closing are sent again, the rest is not |
//! | a machine that could not be reset, connected or closed | stands in the answer | is an error, with the server's reason |
//! | two environments with one alias | the second hides the first | the second is `alias (2)` |
//! | a session that is waited for after its creation | is not reset, also a testcase's | is set up as one that is started |
//! | `Retry-After` | a date is a crash | both forms are heeded |
//! | `bash` and `edit` on a desktop | sent again after a failure, though they may have run | sent again only when no connection came about |
//! | connect errors of every request | raised by the control plane | tried again: nothing was sent |
//! | first request to a desktop | `GET /status`, and once more when it is a status that was asked for | once |
//! | redirects of the old sims gateway | followed, with cookies | an error; the connect gateway needs none |
//! | base URL on this machine | desktops are asked for at the production gateway | refused until a desktop URL is given |
//! | base URL `…/api/` | broken | the same as without |
//! | network of machines | skipped without a word outside of production | as [`SessionRequest::network`] says |
//! | a drag with a start, buttons at a point | the caller's to take apart | moved there first, then pressed |
//! | `evaluate` with no object | the server's to refuse | not sent |
//! | `User-Agent` | that of its HTTP library | `platools-rs/…` |

mod api;
mod browser;
mod client;
mod config;
mod desktop;
mod error;
mod http;
mod secrets;
mod session;
#[cfg(all(test, unix))]
mod stub_shell;
#[cfg(feature = "testing")]
pub mod testing;
#[cfg(feature = "tools")]
pub mod tools;
mod types;

pub use platools_net::{ProxyConfig, ProxyError};

pub use self::browser::{Browser, Login, LoginOptions};
pub use self::client::Plato;
pub use self::config::{ConfigError, PlatoBuilder, Retries};
pub use self::desktop::{
    Action, ActionRequest, BashOutput, BashRequest, Desktop, DesktopStatus, EditCommand, Performed,
    PictureError, Point, Scaling, Screenshot, ScrollDirection, Size,
};
pub use self::error::{ApiError, EnvFailure, Error, Result, TransportError, TransportErrorKind};
pub use self::secrets::{JobId, SecretUrl};
pub use self::session::{
    AddEnv, Environment, JobProgress, Progress, SavedEnvironment, SavedSession, Session, SessionHealth,
    SessionRequest,
};
pub use self::types::{
    Artifact, ArtifactRef, ArtifactStatus, CommandOutput, Compute, DateOutput, Env, EnvInfo, Evaluation,
    Flow, Heartbeat, JobHeartbeat, JobInfo, JobStatus, JobSummary, KeyAdded, Mutation, Outcome, Pagination,
    Provider, Readiness, Resources, RoutingInfo, ScoringType, SessionDetails, SessionStatus, SimResult,
    SimulatorArtifacts, Snapshot, SnapshotKind, SnapshotOptions, State, Step, StepKind, Testcase,
    TestcaseFilter, TestcasePage,
};

/// Compiles the examples of the pages as documentation tests.
#[cfg(doctest)]
mod pages {
    #[doc = include_str!("../README.md")]
    struct Readme;

    #[cfg(feature = "tools")]
    #[doc = include_str!("../../../docs/plato.md")]
    struct Desktops;
}
