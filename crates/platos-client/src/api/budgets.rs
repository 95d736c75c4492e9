//! Budgets: what may be spent, and what was.

use serde_json::{Value, json};

use super::query;
use crate::client::PlatosClient;
use crate::error::Error;
use crate::http::{Call, id};
use crate::model::{BudgetCap, BudgetPeriod, BudgetScopeType, BudgetStatus, Extra};

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
        self.client.all(Call::get(&["budgets"]), None, &["caps"]).await
    }

    /// What was spent of each cap.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn status(&self, query: BudgetQuery) -> Result<Vec<BudgetStatus>, Error> {
        let answer = self.client.send(query.apply(Call::get(&["budgets", "status"]))).await?;
        // Of one cap, a platform may send the status by itself.
        match answer.value()? {
            Value::Object(body) if body.contains_key("cap") => Ok(vec![answer.one()?]),
            _ => answer.list("caps"),
        }
    }

    /// Sets a cap, in the place of one of the same scope, target and period.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn set(&self, budget: NewBudget) -> Result<BudgetCap, Error> {
        let call = Call::change(&["budgets"]).body(Value::Object(budget.fields));
        self.client.send(call).await?.part(&["cap"])
    }

    /// Lets everything through for some minutes.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn override_for(&self, cap_id: &str, minutes: u32) -> Result<BudgetCap, Error> {
        let call = Call::change(&["budgets", id("cap id", cap_id)?, "override"]);
        self.client.send(call.body(json!({"minutes": minutes}))).await?.part(&["cap"])
    }

    /// Takes a cap away.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn delete(&self, cap_id: &str) -> Result<(), Error> {
        self.client.send(Call::delete(&["budgets", id("cap id", cap_id)?])).await?.done("deleted")
    }
}

/// A cap to set.
///
/// ```
/// use platos_client::{BudgetPeriod, BudgetScopeType, NewBudget};
///
/// let cap = NewBudget::new(&BudgetScopeType::Agent, &BudgetPeriod::Day, 2_500.0).target("agt_1");
/// # let _ = cap;
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct NewBudget {
    fields: Extra,
}

impl NewBudget {
    /// So many cents in a period.
    pub fn new(scope: &BudgetScopeType, period: &BudgetPeriod, limit_cents: f64) -> Self {
        let fields =
            [("scopeType", json!(scope)), ("period", json!(period)), ("limitCents", json!(limit_cents))];
        Self { fields: fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect() }
    }

    /// The agent or user it holds for.
    pub fn target(self, id: impl Into<String>) -> Self {
        self.field("targetId", id.into())
    }

    /// Any other field, as the platform calls it, such as `runsLimit` or `alertThresholds`.
    pub fn field(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.fields.insert(name.into(), value.into());
        self
    }
}
