//! The agent on a desktop (plato-api §8).

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::json;

use super::edit::edit;
use super::machine::{Done, Machine};
use super::record::{Asked, seconds};
use super::reply::{Reply, gone, missing};
use super::shell;
use super::world::Shared;

pub(super) async fn answer(shared: &Shared, asked: &Asked, job: &str, path: &[&str]) -> Reply {
    match (asked.method.as_str(), path) {
        ("GET", ["status"]) => machine(shared, job, |machine| {
            let resolution = json!({"width": machine.size.width, "height": machine.size.height});
            json!({"status": "ready", "display": ":0", "resolution": resolution})
        })
        .map_or_else(gone, |status| Reply::json(&status)),
        ("POST", ["computer"]) => computer(shared, asked, job).await,
        ("POST", ["bash"]) => bash(shared, asked, job).await,
        ("POST", ["edit"]) => match machine(shared, job, |machine| edit(machine, &asked.body)) {
            None => gone(),
            Some(Ok(output)) => Reply::json(&json!({"output": output})),
            Some(Err(error)) => Reply::json(&json!({"error": error})),
        },
        _ => Reply::detail(404, "Not Found"),
    }
}

async fn bash(shared: &Shared, asked: &Asked, job: &str) -> Reply {
    let Some(command) = asked.body["command"].as_str() else { return missing("command") };
    let timeout = seconds(&asked.body, "timeout", Duration::from_secs(120));
    let Some(shell::Ran { reply, timed_out }) = shell::run(shared, job, command, timeout).await else {
        return gone();
    };
    let error = if timed_out {
        format!("{}timed out after {} s", reply.stderr, timeout.as_secs())
    } else {
        reply.stderr
    };
    Reply::json(&json!({"output": reply.stdout, "error": (!error.is_empty()).then_some(error)}))
}

async fn computer(shared: &Shared, asked: &Asked, job: &str) -> Reply {
    let done = shared.with(|world| {
        let job = world.running(job)?;
        let done = job.machine.act(&asked.body);
        // Saving is what changes the data of a desktop.
        if let Ok(Done { saved: Some(text), .. }) = &done {
            let row = json!({"text": text});
            job.note(json!({"table": "notes", "operation": "INSERT", "row": row}));
        }
        Some(done)
    });
    match done {
        None => gone(),
        Some(Err(error)) if error.starts_with("unknown action") => {
            Reply::detail(422, json!([{"loc": ["body", "action"], "msg": error}]))
        }
        Some(Err(error)) => Reply::json(&json!({"error": error})),
        Some(Ok(done)) => {
            tokio::time::sleep(done.takes).await;
            let image = machine(shared, job, |machine| BASE64.encode(machine.screenshot()));
            Reply::json(&json!({"output": done.output, "base64_image": image}))
        }
    }
}

fn machine<T>(shared: &Shared, job: &str, work: impl FnOnce(&mut Machine) -> T) -> Option<T> {
    shared.with(|world| world.running(job).map(|job| work(&mut job.machine)))
}
