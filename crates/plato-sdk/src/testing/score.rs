//! Testcases, and scoring by them.

use serde_json::{Map, Value, json};

use super::control::unknown;
use super::reply::Reply;
use super::server::Asked;
use super::world::World;

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
    mutations: Vec<(String, String)>,
    output: Option<Value>,
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

pub(super) fn link(world: &mut World, session: &str, asked: &Asked) -> Reply {
    let id = asked.body["testcase_id"].as_str().unwrap_or_default();
    if !world.testcases.iter().any(|testcase| testcase.id == id) {
        return Reply::detail(404, format!("Testcase {id} not found"));
    }
    let Some(own) = world.sessions.get_mut(session) else { return unknown() };
    own.testcase = Some(id.to_owned());
    Reply::json(&json!({"session_id": session, "testcase_id": id, "success": true}))
}

pub(super) fn evaluate(world: &World, session: &str, asked: &Asked) -> Reply {
    let value = asked.body.get("value").filter(|value| !value.is_null());
    if value.is_some_and(|value| !value.is_object()) {
        let problem = json!([{"loc": ["body", "value"], "msg": "Input should be a valid dictionary"}]);
        return Reply::detail(422, problem);
    }
    let Some(own) = world.sessions.get(session) else { return unknown() };
    let testcase = own.testcase.as_ref().and_then(|id| world.testcases.iter().find(|case| case.id == *id));
    let Some(testcase) = testcase else {
        return Reply::json(&json!({"success": true, "session_id": session, "correct": null, "score": null,
            "reason": "the session has no testcase"}));
    };
    if !own.was_reset {
        return Reply::json(&json!({"success": true, "session_id": session, "correct": null, "score": null,
            "reason": "the session was not reset: there is no record of changes"}));
    }
    let mut scores = Vec::new();
    let mut sims = Map::new();
    if !testcase.mutations.is_empty() {
        let jobs: Vec<_> = own.jobs.iter().filter_map(|job| world.jobs.get(job)).collect();
        let records: Vec<_> = jobs.iter().flat_map(|job| &job.mutations).collect();
        let is_there = |(table, action): &&(String, String)| {
            let says = |record: &Value, names: [&str; 2], word: &str| {
                names.iter().any(|name| record[*name] == *word)
            };
            records.iter().any(|record| {
                says(record, ["table_name", "table"], table) && says(record, ["action", "operation"], action)
            })
        };
        let found = testcase.mutations.iter().filter(is_there).count();
        let score = found as f64 / testcase.mutations.len() as f64;
        scores.push(score);
        let name = testcase.simulators.first().cloned().unwrap_or_default();
        let reason = format!("{found} of {} expected mutations", testcase.mutations.len());
        sims.insert(
            name.clone(),
            json!({"simulator_name": name, "correct": score >= 1.0, "score": score, "reason": reason}),
        );
    }
    let output = testcase.output.as_ref().map(|expected| {
        let is_right = value == Some(expected);
        scores.push(f64::from(u8::from(is_right)));
        json!({"correct": is_right, "score": u8::from(is_right)})
    });
    let correct = scores.iter().all(|score| *score >= 1.0);
    let score = scores.iter().sum::<f64>() / scores.len().max(1) as f64;
    let reason = if correct { "all as expected" } else { "not all as expected" };
    Reply::json(&json!({"success": true, "session_id": session, "correct": correct, "score": score,
        "reason": reason, "sim_results": sims, "output_result": output}))
}
