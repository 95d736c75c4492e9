//! The control plane: what there is to run (plato-api §4.3).

use serde_json::{Value, json};

use super::record::Asked;
use super::reply::Reply;
use super::testcase::FakeTestcase;
use super::world::{NOW, World};

pub(super) fn answer(world: &World, asked: &Asked, path: &[&str]) -> Reply {
    match path {
        ["artifacts", id] => {
            if !id.starts_with("art-") && !world.snapshots.iter().any(|(own, _)| own == id) {
                return Reply::detail(404, "Artifact not found");
            }
            let mcp = json!({"enabled": false, "port": 0, "path": "/mcp"});
            let sources = json!({"enabled": "default", "port": "default", "path": "default"});
            Reply::json(
                &json!({"artifact_id": id, "simulator_name": world.simulator_of(id), "dataset": "base",
                "status": "ready", "archive_type": "snapshot", "ui_available": true, "mcp": mcp,
                "mcp_sources": sources}),
            )
        }
        ["testcases"] => testcases(world, asked),
        ["simulators", name, "artifacts"] => {
            let artifact = json!({"artifact_id": format!("art-{name}"), "simulator_name": name});
            Reply::json(&json!({"simulator_name": name, "artifacts": [artifact]}))
        }
        _ => Reply::detail(404, "Not Found"),
    }
}

fn testcases(world: &World, asked: &Asked) -> Reply {
    let number =
        |name: &str, default: usize| asked.query(name).and_then(|text| text.parse().ok()).unwrap_or(default);
    let (page, size) = (number("page", 1).max(1), number("page_size", 250).max(1));
    let is_wanted = |testcase: &&FakeTestcase| {
        let simulators = asked.query("simulator_ids").map(|list| list.split(',').collect::<Vec<_>>());
        let kind = asked.query("scoring_config_type");
        simulators.is_none_or(|list| testcase.simulators.iter().any(|own| list.contains(&own.as_str())))
            && asked.query("name").is_none_or(|name| testcase.name.contains(name))
            && asked.query("prompt").is_none_or(|text| testcase.prompt.contains(text))
            && asked
                .query("has_scoring_config")
                .is_none_or(|has| (has == "true") != testcase.scoring_types().is_empty())
            && kind.is_none_or(|kind| {
                let name = if kind == "MUTATION" { "mutations" } else { "output" };
                testcase.scoring_types().contains(&name)
            })
    };
    let found: Vec<_> = world.testcases.iter().filter(is_wanted).collect();
    let rows: Vec<Value> = found.iter().skip((page - 1) * size).take(size).enumerate().map(row).collect();
    let pagination = json!({"page": page, "page_size": size, "total_count": found.len(),
        "total_pages": found.len().div_ceil(size)});
    Reply::json(&json!({"success": true, "testcases": rows, "pagination": pagination}))
}

fn row((index, testcase): (usize, &&FakeTestcase)) -> Value {
    json!({"id": index + 1, "publicId": testcase.id, "name": testcase.name, "prompt": testcase.prompt,
        "createdAt": NOW, "updatedAt": NOW, "scoringTypes": testcase.scoring_types()})
}
