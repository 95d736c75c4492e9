//! Testcases of the double.

use serde_json::{Value, json};

/// A testcase of the double: its environments, and what is expected to be changed and answered.
///
/// ```
/// use plato_sdk::testing::FakeTestcase;
/// use serde_json::json;
///
/// let testcase = FakeTestcase::new("tc_notes", "Write `milk` and save.")
///     .simulator("ubuntu-vm")
///     .expects_mutation("notes", "INSERT")
///     .expects_output(json!({"saved": true}));
/// # let _ = testcase;
/// ```
#[derive(Debug, Clone)]
pub struct FakeTestcase {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) prompt: String,
    pub(super) simulators: Vec<String>,
    pub(super) mutations: Vec<(String, String)>,
    pub(super) output: Option<Value>,
}

impl FakeTestcase {
    /// A testcase by its public id, with what the agent is told.
    pub fn new(id: impl Into<String>, prompt: impl Into<String>) -> Self {
        let (id, prompt) = (id.into(), prompt.into());
        let (simulators, mutations) = (Vec::new(), Vec::new());
        Self { name: id.clone(), id, prompt, simulators, mutations, output: None }
    }

    /// With an environment of this simulator; a desktop is called `desktop`, any other after its simulator.
    pub fn simulator(mut self, name: impl Into<String>) -> Self {
        self.simulators.push(name.into());
        self
    }

    /// A change of a table in any environment is expected, such as `INSERT` into `notes`.
    pub fn expects_mutation(mut self, table: impl Into<String>, action: impl Into<String>) -> Self {
        self.mutations.push((table.into(), action.into()));
        self
    }

    /// This is expected as the answer.
    pub fn expects_output(mut self, output: Value) -> Self {
        self.output = Some(output);
        self
    }

    pub(super) fn scoring_types(&self) -> Vec<&'static str> {
        let mut types = Vec::new();
        if !self.mutations.is_empty() {
            types.push("mutations");
        }
        if self.output.is_some() {
            types.push("output");
        }
        types
    }

    pub(super) fn envs(&self) -> Vec<Value> {
        let alias = |name: &String| if name.ends_with("-vm") { "desktop".to_owned() } else { name.clone() };
        let env = |name: &String| json!({"type": "simulator", "simulator": name, "alias": alias(name)});
        self.simulators.iter().map(env).collect()
    }
}
