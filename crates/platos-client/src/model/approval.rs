//! What agents may not do before somebody agrees.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Extra, open_enum, text};

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
    /// What was decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolution: Option<ApprovalResolution>,
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    approve: bool,
    reason: Option<String>,
}

impl Decision {
    /// It may be done.
    pub fn approve() -> Self {
        Self { approve: true, reason: None }
    }

    /// It may not be done.
    pub fn reject() -> Self {
        Self { approve: false, reason: None }
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

    /// The value on the wire.
    pub(crate) fn response(&self) -> &'static str {
        if self.approve { "approve" } else { "reject" }
    }
}
