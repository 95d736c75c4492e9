//! The control plane: jobs (plato-api §4.2).

use std::time::Duration;

use serde_json::{Value, json};

use super::record::{Asked, seconds};
use super::reply::{Reply, gone};
use super::shell;
use super::world::{Job, Shared, World};

pub(super) fn answer(world: &mut World, asked: &Asked, id: &str, path: &[&str]) -> Reply {
    let base = world.base.clone();
    let Some(job) = world.jobs.get_mut(id) else { return Reply::detail(404, "Job not found") };
    let ended = world.sessions.get(&job.session).is_none_or(|session| session.end.is_some());
    match (asked.method.as_str(), path) {
        ("POST", ["close"]) => {
            job.is_closed = true;
            Reply::json(&json!({"success": true, "message": "closed"}))
        }
        _ if ended || job.is_closed => gone(),
        ("GET", ["wait_for_ready"]) => {
            let (ready, status, error) = job.look();
            let provider = job.provider();
            Reply::json(&json!({"ready": ready, "job_id": id, "status": status, "error": error,
                "provider": provider, "mesh_ip": "10.0.0.9"}))
        }
        ("GET", ["info"]) => {
            Reply::json(&json!({"job_id": id, "session_id": job.session, "alias": job.alias,
            "status": "running", "provider": job.provider(), "mesh_ip": "10.0.0.9", "vcpu_count": 1}))
        }
        ("POST", ["reset"]) => {
            let outcome = world.reset(id);
            Reply::json(&outcome)
        }
        ("GET", ["state"]) => Reply::json(&state(job, asked.query("since"))),
        ("POST", ["set_date" | "setup_sandbox"]) => Reply::json(&json!({"success": true, "stdout": ""})),
        ("GET", [kind @ ("public_url" | "connect_url" | "mcp_url" | "rdp_url")]) => {
            let url = url(&base, id, kind, asked.query("port"));
            Reply::json(&json!({"success": true, "job_id": id, "url": url}))
        }
        ("GET", ["flows"]) => match world.flows.get(&job.simulator) {
            Some(flows) => Reply::json(flows),
            None => Reply::detail(404, "No flows"),
        },
        ("POST", ["add_ssh_key"]) => Reply::json(&json!({"success": true, "output": "added"})),
        ("GET", ["connect_routing_info"]) => {
            Reply::json(&json!({"ready": true, "worker_private_ip": "10.1.0.1", "vm_private_ip": "10.0.0.9",
                "vm_port": "8080", "job_public_id": id, "status": "running"}))
        }
        ("POST", ["heartbeat"]) => Reply::json(&json!({"success": true, "gone": false})),
        ("POST", ["snapshot" | "snapshot_store" | "disk_snapshot" | "checkpoint"]) => {
            Reply::json(&snapshot(world, id))
        }
        _ => Reply::detail(404, "Not Found"),
    }
}

/// The state of one environment, or what came after a cursor.
pub(super) fn state(job: &mut Job, since: Option<&str>) -> Value {
    job.flush();
    let from = since.and_then(|cursor| cursor.parse().ok()).unwrap_or(0).min(job.mutations.len());
    let mutations = &job.mutations[from..];
    let cursor = job.mutations.len().to_string();
    json!({"success": true, "state": {"mutations": mutations}, "mutations_cursor": cursor})
}

pub(super) fn url(base: &str, job: &str, kind: &str, port: Option<&str>) -> String {
    match kind {
        "public_url" => format!("{base}/_app/{job}/"),
        "mcp_url" => format!("{base}/_app/{job}/mcp"),
        "rdp_url" => format!("{base}/_desktop/{job}/6080/"),
        _ => format!("{base}/_desktop/{job}/{}", port.unwrap_or("8080")),
    }
}

pub(super) fn snapshot(world: &mut World, job: &str) -> Value {
    let Some(simulator) = world.jobs.get(job).map(|job| job.simulator.clone()) else {
        return json!({"success": false, "error": "no such job"});
    };
    let id = format!("snap-{:04}", world.snapshots.len() + 1);
    world.snapshots.push((id.clone(), simulator));
    json!({"success": true, "artifact_id": id})
}

/// Runs a command; `None` if the job is not up.
pub(super) async fn execute(shared: &Shared, asked: &Asked, id: &str) -> Option<Value> {
    let command = asked.body["command"].as_str().unwrap_or_default();
    let timeout = seconds(&asked.body, "timeout", Duration::from_secs(30));
    let shell::Ran { reply, timed_out } = shell::run(shared, id, command, timeout).await?;
    let success = reply.exit == 0 && !timed_out;
    Some(json!({"success": success, "stdout": reply.stdout, "stderr": reply.stderr, "exit_code": reply.exit,
        "timed_out": timed_out}))
}
