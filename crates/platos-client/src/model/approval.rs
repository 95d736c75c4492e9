//! What agents may not do before somebody agrees.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Extra, flag, lenient, open_enum, text};

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

/// A question that an agent waits for the answer to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Approval {
    /// The id of its record. What it is resolved by is its [`key`](Self::key).
    pub id: String,
    /// What it is resolved by, where that is not its id.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub approval_id: Option<String>,
    /// What asks: `request_approval`, `cancel_run` or `mcp_tool_call`.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The agent that asks.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<String>,
    /// The thread that it asks in.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub thread_id: Option<String>,
    /// The user whose turn it is.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub requested_by: Option<String>,
    /// What it wants to do; see [`wish`](Self::wish).
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// What there is to know about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<Value>,
    /// The tool that it wants to call.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub tool_name: Option<String>,
    /// The arguments for the tool, which [`Decision::edited_args`] replaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub args: Option<Value>,
    /// Where it stands.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub status: Option<ApprovalStatus>,
    /// When it was created.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub created_at: Option<String>,
    /// Until when somebody has to decide.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub deadline_at: Option<String>,
    /// When somebody decided.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub resolved_at: Option<String>,
    /// Who decided.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub responded_by: Option<String>,
    /// Why.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// All other fields.
    #[serde(flatten)]
    pub extra: Extra,
}

impl Approval {
    /// What it is resolved by.
    pub fn key(&self) -> &str {
        self.approval_id.as_deref().unwrap_or(&self.id)
    }

    /// What the agent wants to do: the action, or the `question` that published clients know.
    pub fn wish(&self) -> Option<&str> {
        self.action.as_deref().or_else(|| self.extra.get("question")?.as_str())
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
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub status: Option<ApprovalStatus>,
    /// Whether the arguments of the decision took the place of the agent's.
    #[serde(default, deserialize_with = "flag", skip_serializing_if = "Option::is_none")]
    pub edited_args_applied: Option<bool>,
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
