//! What may be spent, and what was.

use serde::{Deserialize, Serialize};

use super::{Extra, flag, lenient, list, number, open_enum, text, whole};

open_enum! {
    /// Whom a cap holds for.
    pub enum BudgetScopeType {
        /// Everybody in the scope.
        Scope = "scope",
        /// One agent.
        Agent = "agent",
        /// One user.
        User = "user",
    }
}

open_enum! {
    /// The window in which a cap counts.
    pub enum BudgetPeriod {
        /// A day.
        Day = "day",
        /// A week.
        Week = "week",
        /// A month.
        Month = "month",
    }
}

/// What may be spent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct BudgetCap {
    /// Its id.
    pub id: String,
    /// Whom it holds for.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub scope_type: Option<BudgetScopeType>,
    /// The agent or user it holds for.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub target_id: Option<String>,
    /// The window in which it counts.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub period: Option<BudgetPeriod>,
    /// The most that may be spent in a window, in cents.
    #[serde(default, deserialize_with = "number", skip_serializing_if = "Option::is_none")]
    pub limit_cents: Option<f64>,
    /// The most runs in a window; see [`turns_limit`](Self::turns_limit).
    #[serde(default, deserialize_with = "whole", skip_serializing_if = "Option::is_none")]
    pub runs_limit: Option<u64>,
    /// At which parts of the limit somebody is told.
    #[serde(default, deserialize_with = "list")]
    pub alert_thresholds: Vec<f64>,
    /// All other fields.
    #[serde(flatten)]
    pub extra: Extra,
}

impl BudgetCap {
    /// The most turns in a window, whichever name the platform gives it.
    pub fn turns_limit(&self) -> Option<u64> {
        self.runs_limit.or_else(|| self.extra.get("turnsLimit")?.as_u64())
    }
}

/// What was spent of a cap.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct BudgetStatus {
    /// The cap.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub cap: Option<BudgetCap>,
    /// What was spent in this window, in cents.
    #[serde(default, deserialize_with = "number", skip_serializing_if = "Option::is_none")]
    pub spent_cents: Option<f64>,
    /// How much of it that is, in percent.
    #[serde(default, deserialize_with = "number", skip_serializing_if = "Option::is_none")]
    pub percent: Option<f64>,
    /// Whether turns are refused because of it.
    #[serde(default, deserialize_with = "flag", skip_serializing_if = "Option::is_none")]
    pub blocked: Option<bool>,
    /// Whether everything is let through for now; see [`Budgets::override_for`](crate::Budgets::override_for).
    #[serde(default, deserialize_with = "flag", skip_serializing_if = "Option::is_none")]
    pub override_active: Option<bool>,
    /// How many runs there were.
    #[serde(default, deserialize_with = "whole", skip_serializing_if = "Option::is_none")]
    pub runs: Option<u64>,
    /// The window, such as `2026-11-21`.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub window_key: Option<String>,
    /// All other fields.
    #[serde(flatten)]
    pub extra: Extra,
}
