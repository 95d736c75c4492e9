//! Approvals.

use serde_json::json;

use super::query;
use crate::client::PlatosClient;
use crate::error::Error;
use crate::http::{Call, id};
use crate::model::{Approval, ApprovalStatus, Decision, Resolved};

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
        /// Asked for by this: `request_approval`, `cancel_run` or `mcp_tool_call`.
        source: String = "source",
        /// Of so many last days.
        days: u32 = "sinceDays",
        /// With this in them.
        search: String = "search",
        /// From this one on.
        offset: u32 = "offset",
        /// How many at most.
        limit: u32 = "limit",
    }
}

const PATH: [&str; 2] = ["monitoring", "approvals"];

impl Approvals<'_> {
    /// The approvals of the scope: one page, of 25 unless [`limit`](ApprovalsQuery::limit) says otherwise, 200 at most.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn list(&self, query: ApprovalsQuery) -> Result<Vec<Approval>, Error> {
        self.client.send(query.apply(Call::get(&PATH))).await?.list_of(&["rows", "items", "approvals"])
    }

    /// One approval, or `None` where there is none of that id.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn get(&self, approval_id: &str) -> Result<Option<Approval>, Error> {
        self.client.find(Call::get(&[PATH[0], PATH[1], id("approval id", approval_id)?])).await
    }

    /// Decides, by the approval's [key](Approval::key). One that is decided already stays as it is, and what was
    /// decided comes back.
    ///
    /// ```
    /// # async fn example(client: platos_client::PlatosClient) -> Result<(), platos_client::Error> {
    /// use platos_client::Decision;
    /// use serde_json::json;
    ///
    /// let smaller = Decision::approve().edited_args(json!({"limit": 10}));
    /// let resolved = client.approvals().resolve("apr_1", smaller).await?;
    /// println!("{:?}", resolved.edited_args_applied);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn resolve(&self, approval_id: &str, decision: Decision) -> Result<Resolved, Error> {
        let mut body = json!({"approved": decision.is_approval()});
        if let Some(reason) = decision.reason() {
            body["comment"] = reason.into();
        }
        if let Some(arguments) = decision.arguments() {
            body["editedArgs"] = arguments.clone();
        }
        // A second time changes nothing: the platform answers with what was decided.
        let call = Call::change(&["approvals", id("approval id", approval_id)?, "resolve"]).body(body);
        let answer = self.client.send(call).await?;
        answer.done("resolved")?;
        answer.one()
    }
}
