//! How well a session did (plato-api §5.5).

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::open::{open_enum, or_default};

open_enum! {
    /// The kind of scoring of a testcase.
    ScoringType {
        /// The mutations of the data.
        Mutation = "MUTATION",
        /// The answer.
        Output = "OUTPUT",
    }
}

/// The score of a session.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct Evaluation {
    /// Whether there was a scoring at all.
    #[serde(default, deserialize_with = "or_default")]
    pub success: bool,
    /// Whether everything is right.
    #[serde(default)]
    pub correct: Option<bool>,
    /// The mean of the parts, 0 to 1.
    #[serde(default)]
    pub score: Option<f64>,
    /// Why.
    #[serde(default)]
    pub reason: Option<String>,
    /// By simulator: whether its data was changed as it should.
    #[serde(default, deserialize_with = "or_default")]
    pub sim_results: BTreeMap<String, SimResult>,
    /// How the answer was scored.
    #[serde(default)]
    pub output_result: Option<Value>,
    /// Further fields, such as kinds of scoring that are newer than this crate.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// Whether one simulator's data was changed as it should.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct SimResult {
    /// Whether it was.
    #[serde(default)]
    pub correct: Option<bool>,
    /// How far, 0 to 1.
    #[serde(default)]
    pub score: Option<f64>,
    /// Why.
    #[serde(default)]
    pub reason: Option<String>,
}

impl Evaluation {
    /// The kinds of scoring that have a result, those that this version does not know under their own names, such
    /// as `pex`.
    ///
    /// ```
    /// # use plato_sdk::{Evaluation, ScoringType};
    /// let evaluation: Evaluation = serde_json::from_str(
    ///     r#"{"success": true, "sim_results": {"espocrm": {"score": 1}}, "pex_result": {"score": 0.5}}"#,
    /// )?;
    /// assert_eq!(evaluation.scored_by(), [ScoringType::Mutation, ScoringType::Other("pex".to_owned())]);
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    pub fn scored_by(&self) -> Vec<ScoringType> {
        let mut kinds = Vec::new();
        if !self.sim_results.is_empty() {
            kinds.push(ScoringType::Mutation);
        }
        if self.output_result.is_some() {
            kinds.push(ScoringType::Output);
        }
        let others = self.other.iter().filter(|(_, value)| !value.is_null());
        kinds.extend(
            others
                .filter_map(|(name, _)| name.strip_suffix("_result"))
                .map(|name| ScoringType::Other(name.to_owned())),
        );
        kinds
    }
}
