//! Approvals.

use serde_json::json;

use super::query;
use crate::client::PlatosClient;
use crate::error::Error;
use crate::http::{Call, id};
use crate::model::{Approval, ApprovalStatus, Decision};

/// Calls about approvals; from [`PlatosClient::approvals`].
#[derive(Debug, Clone, Copy)]
pub struct Approvals<'a> {
    pub(crate) client: &'a PlatosClient,
}

query! {
    /// Which approvals to list.
    ///
    /// ```
    /// use platos_client::{ApprovalStatus, ApprovalsQuery};
    ///
    /// let open = ApprovalsQuery::new().status(ApprovalStatus::Pending).limit(20_u32);
    /// # let _ = open;
    /// ```
    pub struct ApprovalsQuery {
        /// In this state.
        status: ApprovalStatus = "status",
        /// Of one agent.
        agent: String = "agentId",
        /// Of one thread.
        thread: String = "threadId",
        /// How many at most.
        limit: u32 = "limit",
    }
}

const PATH: [&str; 2] = ["monitoring", "approvals"];

impl Approvals<'_> {
    /// The approvals of the scope.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn list(&self, query: ApprovalsQuery) -> Result<Vec<Approval>, Error> {
        self.client.send(query.apply(Call::get(&PATH))).await?.list("approvals")
    }

    /// One approval, or `None` where there is none of that id.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn get(&self, approval_id: &str) -> Result<Option<Approval>, Error> {
        self.client.find(Call::get(&[PATH[0], PATH[1], id("approval id", approval_id)?])).await
    }

    /// Decides. Gives back the approval as it stands then, where the platform sends it.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn resolve(&self, approval_id: &str, decision: Decision) -> Result<Option<Approval>, Error> {
        let mut body = json!({"response": decision.response()});
        if let Some(reason) = decision.reason() {
            body["reason"] = reason.into();
        }
        // A decision that was applied and whose answer got lost must not fail when it is sent again.
        let call = Call::create(&[PATH[0], PATH[1], id("approval id", approval_id)?, "resolve"], None)?;
        self.client.perhaps(call.body(body)).await
    }
}
