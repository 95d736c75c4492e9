//! What the API talks about, as types. Fields that they do not name are kept in `extra`, values that they do not
//! know in an `Other`, and what is missing is `None`: a newer platform breaks nothing.
//!
//! This room must not know requests. Times are texts as the platform writes them, RFC 3339.

mod agent;
mod approval;
mod bgo;
mod budget;
mod entity;
mod job;
mod lenient;
mod message;
mod monitoring;
mod open;
mod thread;

pub use agent::{Agent, AgentVersion};
pub use approval::{Approval, ApprovalStatus, Decision, Resolved};
pub use bgo::{Batch, BgoRun, Schedule, Task, TaskHandle};
pub use budget::{BudgetCap, BudgetPeriod, BudgetScopeType, BudgetStatus};
pub use entity::{Entity, EntitySecret, Tool, ToolCallRecord, ToolRun};
pub use job::Job;
pub(crate) use lenient::{flag, lenient, list, number, text, whole};
pub use message::{GuestToken, PresignedUpload, Rating, RatingCounts, Ratings};
pub use monitoring::{Cost, Run, Span, Trace, TraceTotals};
pub(crate) use open::open_enum;
pub use thread::{Artifact, Message, Role, Thread};

/// Fields that a type does not name, as they came.
pub type Extra = serde_json::Map<String, serde_json::Value>;
