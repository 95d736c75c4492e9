//! The agent on a desktop (plato-api §8).

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

use super::control::{gone, seconds};
use super::machine::{Done, Machine};
use super::plato::Shared;
use super::reply::Reply;
use super::server::Asked;

pub(super) async fn answer(shared: &Shared, asked: &Asked, job: &str, path: &[&str]) -> Reply {
    match (asked.method.as_str(), path) {
        ("GET", ["status"]) => machine(shared, job, |machine| {
            let resolution = json!({"width": machine.size.width, "height": machine.size.height});
            json!({"status": "ready", "display": ":0", "resolution": resolution})
        })
        .map_or_else(gone, |status| Reply::json(&status)),
        ("POST", ["computer"]) => computer(shared, asked, job).await,
        ("POST", ["bash"]) => {
            let command = asked.body["command"].as_str().map(str::to_owned);
            let Some(command) = command else { return missing("command") };
            let restart = asked.body["restart"] == true;
            let timeout = seconds(&asked.body, "timeout", Duration::from_secs(120));
            let ran = machine(shared, job, |machine| {
                if restart {
                    machine.restart_shell();
                }
                machine.bash(&command, timeout)
            });
            let Some(ran) = ran else { return gone() };
            tokio::time::sleep(ran.took).await;
            let error = if ran.timed_out {
                format!("{}timed out after {} s", ran.stderr, timeout.as_secs())
            } else {
                ran.stderr
            };
            Reply::json(
                &json!({"output": ran.stdout, "error": if error.is_empty() { None } else { Some(error) }}),
            )
        }
        ("POST", ["edit"]) => match machine(shared, job, |machine| machine.edit(&asked.body)) {
            None => gone(),
            Some(Ok(output)) => Reply::json(&json!({"output": output})),
            Some(Err(error)) => Reply::json(&json!({"error": error})),
        },
        _ => Reply::detail(404, "Not Found"),
    }
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
            tokio::time::sleep(done.took).await;
            // Drawing takes long, and is not done while everyone else waits.
            let frame = machine(shared, job, |machine| machine.frame());
            let image = frame.map(|frame| BASE64.encode(frame.png()));
            Reply::json(&json!({"output": done.output, "base64_image": image}))
        }
    }
}

fn machine<T>(shared: &Shared, job: &str, work: impl FnOnce(&mut Machine) -> T) -> Option<T> {
    shared.with(|world| world.running(job).map(|job| work(&mut job.machine)))
}

fn missing(field: &str) -> Reply {
    let problem: Value = json!([{"loc": ["body", field], "msg": "Field required"}]);
    Reply::detail(422, problem)
}
