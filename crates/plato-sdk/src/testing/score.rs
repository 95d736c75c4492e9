//! Scoring by testcases (plato-api §6.6).

use serde_json::{Map, Value, json};

use super::record::Asked;
use super::reply::{Reply, unknown};
use super::world::World;

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
