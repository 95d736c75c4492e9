//! What may be spent, and what was.

use serde::{Deserialize, Serialize};

use super::{Extra, list, number, open_enum, text, whole};

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
        /// An hour.
        Hour = "hour",
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope_type: Option<BudgetScopeType>,
    /// The agent or user it holds for.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub target_id: Option<String>,
    /// The window in which it counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub period: Option<BudgetPeriod>,
    /// The most that may be spent in a window, in cents.
    #[serde(default, deserialize_with = "number", skip_serializing_if = "Option::is_none")]
    pub limit_cents: Option<f64>,
    /// The most runs in a window.
    #[serde(default, deserialize_with = "whole", skip_serializing_if = "Option::is_none")]
    pub runs_limit: Option<u64>,
    /// At which parts of the limit somebody is told.
    #[serde(default, deserialize_with = "list")]
    pub alert_thresholds: Vec<f64>,
    /// All other fields.
    #[serde(flatten)]
    pub extra: Extra,
}

/// What was spent of a cap.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct BudgetStatus {
    /// The cap.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cap: Option<BudgetCap>,
    /// What was spent in this window, in cents.
    #[serde(default, deserialize_with = "number", skip_serializing_if = "Option::is_none")]
    pub spent_cents: Option<f64>,
    /// What running turns may still spend, in cents.
    #[serde(default, deserialize_with = "number", skip_serializing_if = "Option::is_none")]
    pub reserved_cents: Option<f64>,
    /// How many runs there were.
    #[serde(default, deserialize_with = "whole", skip_serializing_if = "Option::is_none")]
    pub runs: Option<u64>,
    /// The window, such as `2026-11-21`.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub window_key: Option<String>,
    /// The thresholds that were crossed.
    #[serde(default, deserialize_with = "list")]
    pub crossed_thresholds: Vec<f64>,
    /// All other fields.
    #[serde(flatten)]
    pub extra: Extra,
}
