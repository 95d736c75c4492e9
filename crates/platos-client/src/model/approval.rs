//! What agents may not do before somebody agrees.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Extra, flag, open_enum, text};

open_enum! {
    /// Where an approval stands.
    pub enum ApprovalStatus {
        /// Nobody has decided.
        Pending = "pending",
        /// Somebody agreed.
        Approved = "approved",
        /// Somebody refused.
        Rejected = "rejected",
        /// Nobody decided in time.
        TimedOut = "timed_out",
    }
}

/// The scope that an approval is in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ApprovalScope {
    /// The organization's id.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub organization_id: Option<String>,
    /// The project's id.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub project_id: Option<String>,
    /// The environment's id.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub environment_id: Option<String>,
    /// All other fields.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A question that an agent waits for the answer to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Approval {
    /// Its id.
    pub id: String,
    /// The scope it is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<ApprovalScope>,
    /// The agent that asks.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<String>,
    /// The thread that it asks in.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub thread_id: Option<String>,
    /// The run that waits.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub run_id: Option<String>,
    /// What it wants to do.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub question: Option<String>,
    /// What there is to know about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<Value>,
    /// Where it stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<ApprovalStatus>,
    /// When it was created.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub created_at: Option<String>,
    /// When somebody decided.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub resolved_at: Option<String>,
    /// Until when somebody has to decide.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub timeout_at: Option<String>,
    /// What it is resolved by, where that is not its id; see [`key`](Self::key).
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub approval_id: Option<String>,
    /// What it wants to do, as servers call it; see [`wish`](Self::wish).
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// What there is to know about it, as servers call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<Value>,
    /// Until when somebody has to decide, as servers call it.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub deadline_at: Option<String>,
    /// Who decided.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub responded_by: Option<String>,
    /// Why.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// What was decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolution: Option<ApprovalResolution>,
    /// All other fields.
    #[serde(flatten)]
    pub extra: Extra,
}

impl Approval {
    /// What it is resolved by.
    pub fn key(&self) -> &str {
        self.approval_id.as_deref().unwrap_or(&self.id)
    }

    /// What the agent wants to do, whichever name the platform gives it.
    pub fn wish(&self) -> Option<&str> {
        self.question.as_deref().or(self.action.as_deref())
    }
}

/// What came of resolving an approval.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Resolved {
    /// What it was resolved by.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub approval_id: Option<String>,
    /// Whether it may be done, also when somebody else had decided before.
    #[serde(default, deserialize_with = "flag", skip_serializing_if = "Option::is_none")]
    pub approved: Option<bool>,
    /// Where it stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<ApprovalStatus>,
    /// Whether the arguments of the decision took the place of the agent's.
    #[serde(default, deserialize_with = "flag", skip_serializing_if = "Option::is_none")]
    pub edited_args_applied: Option<bool>,
    /// All other fields.
    #[serde(flatten)]
    pub extra: Extra,
}

/// What somebody decided.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ApprovalResolution {
    /// `approve` or `reject`.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub response: Option<String>,
    /// Why.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Who decided.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub resolved_by_user_id: Option<String>,
    /// All other fields.
    #[serde(flatten)]
    pub extra: Extra,
}

/// What to answer to an approval.
///
/// ```
/// use platos_client::Decision;
///
/// let yes = Decision::approve();
/// let no = Decision::reject().because("over the limit");
/// assert_eq!((yes.is_approval(), no.reason()), (true, Some("over the limit")));
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    approve: bool,
    reason: Option<String>,
    arguments: Option<Value>,
}

impl Decision {
    /// It may be done.
    pub fn approve() -> Self {
        Self { approve: true, reason: None, arguments: None }
    }

    /// It may not be done.
    pub fn reject() -> Self {
        Self { approve: false, reason: None, arguments: None }
    }

    /// The same, with a reason.
    pub fn because(mut self, reason: impl Into<String>) -> Self {
        self.reason = Some(reason.into());
        self
    }

    /// Whether it may be done.
    pub fn is_approval(&self) -> bool {
        self.approve
    }

    /// The reason.
    pub fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }

    /// The same with other arguments for the tool, an object, in the place of the agent's.
    pub fn edited_args(mut self, arguments: impl Into<Value>) -> Self {
        self.arguments = Some(arguments.into());
        self
    }

    /// The arguments in the place of the agent's.
    pub fn arguments(&self) -> Option<&Value> {
        self.arguments.as_ref()
    }
}
