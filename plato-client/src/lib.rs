//! Plato.

mod api;
mod browser;
mod client;
mod config;
mod desktop;
mod error;
mod http;
mod secrets;
mod session;
#[cfg(feature = "testing")]
pub mod testing;
#[cfg(feature = "tools")]
pub mod tools;
mod types;

pub use self::browser::{Flow, Login, LoginOptions, Step, StepKind};
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
    Heartbeat, JobHeartbeat, JobInfo, JobStatus, JobSummary, KeyAdded, Mutation, Outcome, Pagination,
    Provider, Readiness, Resources, RoutingInfo, ScoringType, SessionDetails, SessionStatus, SimResult,
    SimulatorArtifacts, Snapshot, SnapshotKind, SnapshotOptions, State, Testcase, TestcaseFilter,
    TestcasePage,
};
