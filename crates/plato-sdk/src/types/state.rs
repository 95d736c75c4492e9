//! The state of an environment, with its mutations (plato-api §5.4).

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::open::or_default;
use crate::secrets::JobId;

/// The state of one environment. What stands in it is the simulator's own affair; the places where the mutations of
/// today's simulators are found are known to [`mutations`](Self::mutations).
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct State {
    /// Whether it could be read.
    #[serde(default, deserialize_with = "or_default")]
    pub success: bool,
    /// The state as it came.
    #[serde(default)]
    pub state: Value,
    /// Where these mutations end: with it, only later ones are asked for.
    #[serde(default)]
    pub mutations_cursor: Option<String>,
}

/// One change of an environment's data.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Mutation {
    /// The table, if it says one.
    pub table: Option<String>,
    /// The operation, such as `INSERT`, if given.
    pub action: Option<String>,
    /// All of it as it came.
    pub record: Value,
}

#[derive(Debug, Deserialize)]
pub(crate) struct States {
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) results: BTreeMap<JobId, State>,
}

impl State {
    /// The changes since the last reset, or since the cursor that was given.
    ///
    /// ```
    /// # use plato_sdk::State;
    /// # let state: State = serde_json::from_str(
    /// #     r#"{"success": true, "state": {"db": {"mutations": [{"table": "leads", "operation": "INSERT"}]}}}"#)?;
    /// let mutations = state.mutations();
    /// assert_eq!(mutations[0].table.as_deref(), Some("leads"));
    /// assert_eq!(mutations[0].action.as_deref(), Some("INSERT"));
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    pub fn mutations(&self) -> Vec<Mutation> {
        let found = ["/mutations", "/db/mutations"]
            .iter()
            .find_map(|place| self.state.pointer(place).and_then(Value::as_array));
        let text = |record: &Value, names: [&str; 2]| {
            names.iter().find_map(|name| record.get(name)?.as_str()).map(str::to_owned)
        };
        found
            .into_iter()
            .flatten()
            .map(|record| Mutation {
                table: text(record, ["table_name", "table"]),
                action: text(record, ["action", "operation"]),
                record: record.clone(),
            })
            .collect()
    }

    /// The error, if the environment reports one.
    pub fn error(&self) -> Option<&str> {
        self.state.get("error")?.as_str()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn mutations_are_found_in_both_places_and_a_state_of_another_form_has_none() {
        let state = |state: Value| State { success: true, state, mutations_cursor: None };
        let direct = state(json!({"mutations": [{"table_name": "t", "action": "UPDATE", "x": 1}, 7]}));
        let mutations = direct.mutations();
        assert_eq!(
            (mutations[0].table.as_deref(), mutations[0].action.as_deref()),
            (Some("t"), Some("UPDATE"))
        );
        assert_eq!((&mutations[1].table, &mutations[1].record), (&None, &json!(7)));
        for other in [json!(null), json!([]), json!({"mutations": "none"}), json!({"error": "no database"})] {
            assert!(state(other).mutations().is_empty());
        }
        assert_eq!(state(json!({"error": "no database"})).error(), Some("no database"));
    }
}
