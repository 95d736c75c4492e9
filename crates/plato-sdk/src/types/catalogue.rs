//! Artifacts and testcases (plato-api §5.9).

use serde::Deserialize;
use serde_json::{Map, Value};

use super::ScoringType;
use super::open::{open_enum, or_default};

open_enum! {
    /// Whether an artifact can be used.
    ArtifactStatus {
        /// It is being made.
        Creating = "creating",
        /// It can.
        Ready = "ready",
        /// It never will.
        Failed = "failed",
    }
}

/// A snapshot of a machine.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct Artifact {
    /// Its id.
    pub artifact_id: String,
    /// The simulator that it is of.
    #[serde(default)]
    pub simulator_name: Option<String>,
    /// The data in it.
    #[serde(default)]
    pub dataset: Option<String>,
    /// Whether it can be used.
    #[serde(default)]
    pub status: Option<ArtifactStatus>,
    /// The origin.
    #[serde(default)]
    pub parent_artifact_id: Option<String>,
    /// The description.
    #[serde(default)]
    pub description: Option<String>,
    /// All else.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// The artifacts of a simulator, newest first.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct SimulatorArtifacts {
    /// The simulator.
    #[serde(default, deserialize_with = "or_default")]
    pub simulator_name: String,
    /// Its artifacts.
    #[serde(default, deserialize_with = "or_default")]
    pub artifacts: Vec<ArtifactRef>,
}

/// An artifact in a list.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct ArtifactRef {
    /// Its id.
    pub artifact_id: String,
}

/// Which testcases are listed.
///
/// ```
/// use plato_sdk::{ScoringType, TestcaseFilter};
///
/// let filter = TestcaseFilter {
///     simulator_ids: vec!["espocrm".into()],
///     scoring_config_type: Some(ScoringType::Mutation),
///     ..TestcaseFilter::default()
/// };
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestcaseFilter {
    /// Only testcases of these simulators.
    pub simulator_ids: Vec<String>,
    /// With this in their name.
    pub name: Option<String>,
    /// With this in their prompt.
    pub prompt: Option<String>,
    /// With these tags.
    pub tags: Vec<String>,
    /// With a scoring, or without.
    pub has_scoring_config: Option<bool>,
    /// Scored by this.
    pub scoring_config_type: Option<ScoringType>,
    /// In these states.
    pub testcase_statuses: Vec<String>,
    /// Only testcases of this work order.
    pub work_order_item_id: Option<String>,
    /// In this state of the work order.
    pub status: Option<String>,
    /// From 1.
    pub page: u32,
    /// How many a page has.
    pub page_size: u32,
}

impl Default for TestcaseFilter {
    fn default() -> Self {
        Self {
            simulator_ids: Vec::new(),
            name: None,
            prompt: None,
            tags: Vec::new(),
            has_scoring_config: None,
            scoring_config_type: None,
            testcase_statuses: Vec::new(),
            work_order_item_id: None,
            status: None,
            page: 1,
            page_size: 250,
        }
    }
}

/// One page of testcases.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct TestcasePage {
    /// The testcases.
    #[serde(default, deserialize_with = "or_default")]
    pub testcases: Vec<Testcase>,
    /// Where the page is.
    #[serde(default, deserialize_with = "or_default")]
    pub pagination: Pagination,
}

/// Where a page is among all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Pagination {
    /// From 1.
    #[serde(default, deserialize_with = "or_default")]
    pub page: u32,
    /// How many a page has.
    #[serde(default, deserialize_with = "or_default")]
    pub page_size: u32,
    /// How many there are.
    #[serde(default, deserialize_with = "or_default")]
    pub total_count: u64,
    /// How many pages there are.
    #[serde(default, deserialize_with = "or_default")]
    pub total_pages: u32,
}

/// A task with its environments and how it is scored.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Testcase {
    /// The id that a session is started with, such as `tc_abc123`.
    pub public_id: String,
    /// Its name.
    #[serde(default, deserialize_with = "or_default")]
    pub name: String,
    /// The prompt for the agent.
    #[serde(default, deserialize_with = "or_default")]
    pub prompt: String,
    /// Where the agent starts.
    #[serde(default)]
    pub start_url: Option<String>,
    /// The kinds of scoring: `output`, `mutations`, `pex`, or one that is newer than this crate.
    #[serde(default, deserialize_with = "or_default")]
    pub scoring_types: Vec<String>,
    /// All else.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}
