//! Runs, traces and costs.

use super::query;
use crate::client::PlatosClient;
use crate::error::Error;
use crate::http::{Call, id};
use crate::model::{Cost, Run, Trace};

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
        let call = query.apply(Call::get(&["monitoring", "runs"]));
        let nearest = "`tool_calls().list(…)` lists what tools did, and `monitoring().trace(thread_id)` what happened \
                       in a thread";
        self.client.send_rare(call, nearest).await?.list("runs")
    }

    /// What happened in a thread: the steps of all its turns, and what they came to. End users see their own threads.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn trace(&self, thread_id: &str) -> Result<Trace, Error> {
        self.client.send(Call::get(&["monitoring", "trace", id("thread id", thread_id)?])).await?.one()
    }

    /// What each agent cost in the last days, 30 unless it is said.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn cost_by_agent(&self, days: Option<u32>) -> Result<Vec<Cost>, Error> {
        self.costs("cost-by-agent", days).await
    }

    /// What each model cost in the last days, 30 unless it is said.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn cost_by_model(&self, days: Option<u32>) -> Result<Vec<Cost>, Error> {
        self.costs("cost-by-model", days).await
    }

    /// What each user cost in the last days, 30 unless it is said.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn cost_by_user(&self, days: Option<u32>) -> Result<Vec<Cost>, Error> {
        self.costs("cost-by-user", days).await
    }

    async fn costs(&self, route: &str, days: Option<u32>) -> Result<Vec<Cost>, Error> {
        let call = Call::get(&["monitoring", route]).query("days", days);
        self.client.all(call, None, &["rows", "items"]).await
    }

    /// What the scope cost on a day such as `2026-11-21`.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn cost_of_day(&self, day: &str) -> Result<Cost, Error> {
        self.day(Call::get(&["monitoring", "cost"]), day).await
    }

    /// What a user cost on a day such as `2026-11-21`. The oldest platforms do not say that.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn cost_of_user(&self, user_id: &str, day: &str) -> Result<Cost, Error> {
        self.day(Call::get(&["monitoring", "cost", "user", id("user id", user_id)?]), day).await
    }

    async fn day(&self, call: Call, day: &str) -> Result<Cost, Error> {
        let mut cost: Cost = self.client.send(call.query("date", Some(day))).await?.one()?;
        cost.day.get_or_insert_with(|| day.to_owned());
        Ok(cost)
    }

    /// What the scope cost on each of these days. Each is a request of its own, since platforms answer for one day
    /// at a time.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn cost_by_scope<D: AsRef<str>>(
        &self,
        days: impl IntoIterator<Item = D>,
    ) -> Result<Vec<Cost>, Error> {
        let mut costs = Vec::new();
        for day in days {
            costs.push(self.cost_of_day(day.as_ref()).await?);
        }
        Ok(costs)
    }

    /// What a thread of the caller's own cost.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn cost_of_thread(&self, thread_id: &str) -> Result<Cost, Error> {
        let call = Call::get(&["monitoring", "cost", "thread", id("thread id", thread_id)?]);
        self.client.send(call).await?.one()
    }
}
