//! The bodies of requests and answers (plato-api §5): plain values, tolerant of unknown fields and words.
//!
//! Only the fields without which nothing can be done are required (§12.1); a `null` is an absent value, a word that
//! nobody knew when this was written is kept as it came. This room must not know requests or sessions.

mod catalogue;
mod create;
mod env;
mod evaluation;
mod flow;
mod open;
mod outcome;
mod ready;
mod snapshot;
mod state;

pub use self::catalogue::{
    Artifact, ArtifactRef, ArtifactStatus, Pagination, SimulatorArtifacts, Testcase, TestcaseFilter,
    TestcasePage,
};
pub use self::create::EnvInfo;
pub(crate) use self::create::{AddJob, AddedJob, CreateSession, Created};
pub use self::env::{Compute, Env, Provider, Resources};
pub use self::evaluation::{Evaluation, ScoringType, SimResult};
pub use self::flow::{Flow, Step, StepKind};
pub(crate) use self::outcome::{
    Closed, JobList, Network, Outcomes, Removed, ResetRequest, Results, UrlResult, Urls,
};
pub use self::outcome::{
    CommandOutput, DateOutput, Heartbeat, JobHeartbeat, JobInfo, JobSummary, KeyAdded, Outcome, RoutingInfo,
    SessionDetails,
};
pub use self::ready::SessionStatus;
pub(crate) use self::ready::{EnvContext, Waiting};
pub use self::ready::{JobStatus, Readiness};
pub use self::snapshot::{Snapshot, SnapshotKind, SnapshotOptions};
pub(crate) use self::state::States;
pub use self::state::{Mutation, State};
