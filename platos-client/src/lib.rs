//! Platos as a consumer.

mod api;
mod client;
mod config;
mod error;
mod event;
mod http;
mod model;
#[cfg(feature = "session-tokens")]
mod session_tokens;
mod socket;
#[cfg(feature = "testing")]
pub mod testing;
mod turn;

pub use reqwest;
pub use tokio_util::sync::CancellationToken;

pub use crate::api::{
    Agents, Approvals, ApprovalsQuery, Batches, Bgo, BgoRuns, BgoRunsQuery, BudgetQuery, Budgets, Monitoring,
    NewSchedule, NewThread, RawAnswer, RawRequest, RunsQuery, Schedules, TaskOptions, Tasks, Threads,
    ThreadsQuery,
};
pub use crate::client::PlatosClient;
pub use crate::config::{
    ClientBuilder, Direct, NoMode, ReconnectPolicy, RefreshRequest, RetryPolicy, Scope, Session, StreamLimits,
};
pub use crate::error::{
    BoxError, ConfigError, Error, ErrorResponse, NetworkError, NetworkErrorKind, ProtocolError,
    RefreshOutcome, Result,
};
pub use crate::event::{
    AgentEvent, ApprovalNeeded, ArtifactCommitted, ArtifactDelta, ArtifactError, ArtifactStart, Done,
    ErrorEvent, JobUpdate, MessageBoundary, MessagePersisted, Meta, SafetyFlags, Status, StructuredOutput,
    Thinking, Token, ToolCall, ToolResult,
};
pub use crate::model::{
    Agent, AgentCost, AgentVersion, Approval, ApprovalResolution, ApprovalScope, ApprovalStatus, Artifact,
    Batch, BgoRun, BudgetCap, BudgetPeriod, BudgetScopeType, BudgetStatus, Decision, Extra, Message, Role,
    Run, Schedule, ScopeCost, Span, Task, TaskHandle, Thread,
};
pub use crate::turn::{NewMessage, Turn, TurnStream};
