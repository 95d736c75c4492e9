//! Budgets, which can only be read.

use serde_json::Value;

use super::query;
use crate::client::PlatosClient;
use crate::error::Error;
use crate::http::Call;
use crate::model::{BudgetCap, BudgetStatus};

/// Calls about budgets; from [`PlatosClient::budgets`].
#[derive(Debug, Clone, Copy)]
pub struct Budgets<'a> {
    pub(crate) client: &'a PlatosClient,
}

query! {
    /// Whose budgets to look at.
    pub struct BudgetQuery {
        /// Of one agent.
        agent: String = "agentId",
        /// Of one user.
        user: String = "userId",
    }
}

impl Budgets<'_> {
    /// The caps of the scope.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn list(&self) -> Result<Vec<BudgetCap>, Error> {
        self.client.send(Call::get(&["monitoring", "budget", "caps"])).await?.list("caps")
    }

    /// What was spent of each cap.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn status(&self, query: BudgetQuery) -> Result<Vec<BudgetStatus>, Error> {
        let answer = self.client.send(query.apply(Call::get(&["monitoring", "budget", "status"]))).await?;
        // Of one cap, a platform may send the status by itself.
        match answer.value()? {
            Value::Object(body) if body.contains_key("cap") => Ok(vec![answer.one()?]),
            _ => answer.list("caps"),
        }
    }
}
