//! Making sessions and jobs.

use std::time::Instant;

use serde_json::{Value, json};

use super::machine::Machine;
use super::record::seconds;
use super::reply::{Reply, missing};
use super::world::{Boot, Job, Made, Session, World};

pub(super) fn session(world: &mut World, body: &Value) -> Reply {
    if body["source"].as_str() != Some("SDK") || body["timeout"].as_u64().is_none_or(|time| time == 0) {
        return missing("timeout");
    }
    let (envs, testcase) = match body["type"].as_str() {
        Some("envs") => match body["envs"].as_array().filter(|envs| !envs.is_empty()) {
            Some(envs) => (envs.clone(), None),
            None => return missing("envs"),
        },
        Some("testcase") => {
            let id = body["testcase_id"].as_str().unwrap_or_default();
            let Some(testcase) = world.testcases.iter().find(|testcase| testcase.id == id) else {
                return Reply::detail(404, format!("Testcase {id} not found"));
            };
            (testcase.envs(), Some(id.to_owned()))
        }
        _ => return missing("type"),
    };
    let id = format!("sess-{:04}", world.sessions.len() + 1);
    let heartbeat_timeout = seconds(body, "heartbeat_timeout", world.heartbeat_timeout);
    let now = Instant::now();
    let session = Session {
        jobs: Vec::new(),
        testcase,
        end: None,
        heartbeat_timeout,
        heard: now,
        beats: 0,
        was_reset: false,
    };
    world.sessions.insert(id.clone(), session);
    let mut made = Vec::new();
    for env in envs {
        match job(world, &id, &env) {
            Ok(info) => made.push(info),
            Err(reply) => return reply,
        }
    }
    Reply::json(&json!({"session_id": id, "envs": made}))
}

pub(super) fn add(world: &mut World, session: &str, body: &Value) -> Reply {
    match job(world, session, &body["env"]) {
        Ok(env) => Reply::json(&json!({"session_id": session, "env": env})),
        Err(reply) => reply,
    }
}

/// Makes a job, and returns the server's description of it.
fn job(world: &mut World, session: &str, env: &Value) -> Result<Value, Reply> {
    let text = |name: &str| env[name].as_str().map(str::to_owned);
    let artifact = text("artifact_id");
    let simulator = match (env["type"].as_str(), text("simulator"), &artifact) {
        (Some("simulator" | "resource"), Some(simulator), _) => simulator,
        (Some("artifact"), _, Some(artifact)) => world.simulator_of(artifact),
        _ => return Err(missing("envs")),
    };
    // A simulator's name stands for an artifact.
    let by_name = env["type"] == "simulator";
    let artifact = if by_name { world.example(&simulator) } else { artifact };
    let alias = text("alias").unwrap_or_else(|| simulator.clone());
    let boot = world.boots.get(&simulator).cloned().unwrap_or(Boot::AtOnce);
    let refused = match &boot {
        Boot::Refused(error) => Some(error.clone()),
        _ if by_name && artifact.is_none() => Some(format!("{simulator} has no example artifact")),
        _ => None,
    };
    if let Some(error) = refused {
        return Ok(json!({"alias": alias, "job_id": null, "success": false, "error": error}));
    }
    let number = world.jobs.len() + 1;
    // Shaped like an id, and never twice.
    let id = format!("{:08x}-0000-4000-8000-{number:012x}", fastrand::u32(..));
    let made = Made { alias: alias.clone(), simulator: simulator.clone(), artifact: artifact.clone() };
    let job = Job::new(session, made, boot, Machine::new(world.screen, world.chrome_state));
    let info = json!({"alias": alias, "job_id": id, "artifact_id": artifact, "simulator": simulator,
        "is_desktop": job.is_desktop(), "success": true});
    world.jobs.insert(id.clone(), job);
    if let Some(session) = world.sessions.get_mut(session) {
        session.jobs.push(id);
    }
    Ok(info)
}

/// Writes the names of a session's machines into the `/etc/hosts` of each.
pub(super) fn introduce(world: &mut World, jobs: &[String]) {
    let lines: Vec<_> = jobs
        .iter()
        .enumerate()
        .filter_map(|(index, id)| {
            Some(format!("10.0.0.{} {}.plato.internal\n", index + 2, world.jobs.get(id)?.alias))
        })
        .collect();
    for id in jobs {
        if let Some(job) = world.jobs.get_mut(id) {
            job.machine.files.insert("/etc/hosts".to_owned(), lines.concat().into_bytes());
        }
    }
}
