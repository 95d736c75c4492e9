//! Runs, traces and costs.

use super::query;
use crate::client::PlatosClient;
use crate::error::Error;
use crate::http::{Call, id};
use crate::model::{AgentCost, Run, ScopeCost, Span};

/// Calls about what happened; from [`PlatosClient::monitoring`].
#[derive(Debug, Clone, Copy)]
pub struct Monitoring<'a> {
    pub(crate) client: &'a PlatosClient,
}

query! {
    /// Which runs to list.
    pub struct RunsQuery {
        /// Of one agent.
        agent: String = "agentId",
        /// Of one thread.
        thread: String = "threadId",
        /// In this state.
        status: String = "status",
        /// How many at most.
        limit: u32 = "limit",
    }
}

impl Monitoring<'_> {
    /// The runs of the scope.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn runs(&self, query: RunsQuery) -> Result<Vec<Run>, Error> {
        self.client.send(query.apply(Call::get(&["monitoring", "runs"]))).await?.list("runs")
    }

    /// The steps of a trace.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn trace(&self, trace_id: &str) -> Result<Vec<Span>, Error> {
        let call = Call::get(&["monitoring", "traces", id("trace id", trace_id)?]);
        self.client.send(call).await?.list("spans")
    }

    /// What each agent cost, on a day such as `2026-11-21`, or today.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn cost_by_agent(&self, day: Option<&str>) -> Result<Vec<AgentCost>, Error> {
        let call = Call::get(&["monitoring", "cost", "by-agent"]).query("day", day);
        self.client.send(call).await?.list("rollup")
    }

    /// What the scope cost, on each of the last days.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn cost_by_scope(&self, days_back: Option<u32>) -> Result<Vec<ScopeCost>, Error> {
        let call = Call::get(&["monitoring", "cost", "by-scope"]).query("daysBack", days_back);
        self.client.send(call).await?.list("rollup")
    }
}
