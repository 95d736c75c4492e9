//! The control plane: sessions (plato-api §4.1). Only requests with the API key come further than here.

use std::time::Instant;

use serde_json::{Map, Value, json};

use super::record::Asked;
use super::reply::{Reply, gone, unknown};
use super::world::{Job, NOW, SessionEnd, Shared, World};
use super::{catalogue, jobs, make, score};

pub(super) async fn answer(shared: &Shared, asked: &Asked, path: &[&str]) -> Reply {
    // How a job is reached is asked by gateways, which have no key.
    let open = matches!(path, ["jobs", _, "connect_routing_info"]);
    if !open && shared.with(|world| asked.key.as_deref() != Some(&world.key)) {
        return Reply::detail(401, "Invalid API key");
    }
    match (asked.method.as_str(), path) {
        ("POST", ["sessions", "make"]) => shared.with(|world| make::session(world, &asked.body)),
        ("GET", ["artifacts" | "testcases" | "simulators", ..]) => {
            shared.with(|world| catalogue::answer(world, asked, path))
        }
        ("POST", ["sessions", session, "execute"]) => {
            let jobs = shared.with(|world| world.sessions.get(*session).map(|session| session.jobs.clone()));
            let Some(jobs) = jobs else { return unknown() };
            let mut results = Map::new();
            for job in jobs {
                if let Some(output) = jobs::execute(shared, asked, &job).await {
                    results.insert(job, output);
                }
            }
            Reply::json(&json!({"results": results}))
        }
        ("POST", ["jobs", job, "execute"]) => match jobs::execute(shared, asked, job).await {
            Some(output) => Reply::json(&output),
            None => gone(),
        },
        (_, ["sessions", session, rest @ ..]) => {
            shared.with(|world| with_session(world, asked, session, rest))
        }
        (_, ["jobs", job, rest @ ..]) => shared.with(|world| jobs::answer(world, asked, job, rest)),
        _ => Reply::detail(404, "Not Found"),
    }
}

fn with_session(world: &mut World, asked: &Asked, id: &str, path: &[&str]) -> Reply {
    let Some(session) = world.sessions.get_mut(id) else { return unknown() };
    let ended = session.end.is_some();
    let (jobs, testcase) = (session.jobs.clone(), session.testcase.clone());
    match (asked.method.as_str(), path) {
        ("POST", ["close"]) => {
            session.end.get_or_insert(SessionEnd::Closed);
            let results: Map<_, _> = jobs.into_iter().map(|job| (job, json!({"success": true}))).collect();
            Reply::json(&json!({"success": true, "message": "closed", "results": results}))
        }
        ("POST", ["heartbeat"]) => heartbeat(world, id),
        ("GET", []) => {
            let mutations: Map<_, _> = jobs
                .iter()
                .filter_map(|job| world.jobs.get(job))
                .map(|job| (job.alias.clone(), json!(job.mutations)))
                .collect();
            Reply::json(&json!({"session_id": id, "created_at": NOW, "state_mutations": mutations}))
        }
        _ if ended => gone(),
        ("GET", ["wait_for_ready"]) => ready(world, id, &jobs, testcase.as_deref()),
        ("POST", ["connect_network"]) => {
            make::introduce(world, &jobs);
            let results: Map<_, _> = jobs.into_iter().map(|job| (job, json!(true))).collect();
            let subnet = "10.0.0.0/24";
            Reply::json(&json!({"success": true, "session_id": id, "subnet": subnet, "results": results}))
        }
        ("POST", ["reset"]) => {
            session.was_reset = true;
            let results: Map<_, _> = jobs.iter().map(|job| (job.clone(), world.reset(job))).collect();
            let success = results.values().all(|outcome| outcome["success"] == true);
            Reply::json(&json!({"success": success, "session_id": id, "results": results}))
        }
        ("GET", ["state"]) => {
            let results = each(world, &jobs, |job| jobs::state(job, None));
            Reply::json(&json!({"session_id": id, "results": results}))
        }
        ("POST", ["link-testcase"]) => score::link(world, id, asked),
        ("POST", ["evaluate"]) => score::evaluate(world, id, asked),
        ("POST", ["set_date" | "setup_sandbox"]) => {
            let results = each(world, &jobs, |_| json!({"success": true, "stdout": "", "stderr": ""}));
            Reply::json(&json!({"results": results}))
        }
        ("GET", [kind @ ("public_url" | "connect_url" | "mcp_url" | "rdp_url")]) => {
            let base = world.base.clone();
            let results = each(world, &jobs, |_| Value::Null);
            let results: Map<_, _> = results
                .into_iter()
                .map(|(job, _)| {
                    let url = jobs::url(&base, &job, kind, asked.query("port"));
                    let result = json!({"success": true, "job_id": job, "url": url});
                    (job, result)
                })
                .collect();
            Reply::json(&json!({"session_id": id, "results": results}))
        }
        ("POST", ["jobs"]) => make::add(world, id, &asked.body),
        ("GET", ["jobs"]) => {
            let jobs: Vec<_> = jobs
                .iter()
                .filter_map(|id| Some((id, world.jobs.get(id)?)))
                .map(|(id, job)| {
                    let status = if job.is_up() { "running" } else { "queued" };
                    json!({"job_id": id, "alias": job.alias, "simulator": job.simulator, "status": status})
                })
                .collect();
            Reply::json(&json!({"session_id": id, "jobs": jobs}))
        }
        ("POST", ["remove-job"]) => {
            let job = asked.body["job_id"].as_str().unwrap_or_default().to_owned();
            let known = jobs.contains(&job);
            if let Some(session) = world.sessions.get_mut(id) {
                session.jobs.retain(|own| *own != job);
            }
            world.jobs.remove(&job);
            let message = if known { "removed" } else { "no such job" };
            Reply::json(&json!({"session_id": id, "job_id": job, "success": known, "message": message}))
        }
        ("POST", ["add_ssh_key"]) => {
            let results = each(world, &jobs, |_| json!({"success": true}));
            Reply::json(&json!({"success": true, "session_id": id, "results": results}))
        }
        ("POST", ["snapshot" | "snapshot_store" | "disk_snapshot" | "checkpoint"]) => {
            let results: Map<_, _> =
                jobs.iter().map(|job| (job.clone(), jobs::snapshot(world, job))).collect();
            Reply::json(&json!({"results": results}))
        }
        ("GET", ["jobs", job, "logs"]) => Reply::json(&json!({"logs": [{"job_id": job, "line": "booted"}]})),
        _ => Reply::detail(404, "Not Found"),
    }
}

fn heartbeat(world: &mut World, id: &str) -> Reply {
    let Some(session) = world.sessions.get_mut(id) else { return unknown() };
    let gone = session.end.is_some();
    if !gone {
        session.heard = Instant::now();
        session.beats += 1;
    }
    let results: Map<_, _> = session
        .jobs
        .iter()
        .map(|job| {
            let gone = gone || world.jobs.get(job).is_none_or(|job| job.is_closed);
            (job.clone(), json!({"success": !gone, "gone": gone}))
        })
        .collect();
    Reply::json(&json!({"success": !gone, "session_id": id, "timestamp": NOW, "results": results}))
}

fn ready(world: &mut World, id: &str, jobs: &[String], testcase: Option<&str>) -> Reply {
    let mut all = true;
    let mut failed = false;
    let mut results = Map::new();
    let mut envs = Vec::new();
    for (index, job_id) in jobs.iter().enumerate() {
        let Some(job) = world.jobs.get_mut(job_id) else { continue };
        let (ready, status, error) = job.look();
        all &= ready;
        failed |= status == "failed";
        results.insert(
            job_id.clone(),
            json!({"ready": ready, "job_id": job_id, "status": status, "error": error,
                "mesh_ip": format!("10.0.0.{}", index + 2), "provider": job.provider()}),
        );
        envs.push(json!({"job_id": job_id, "alias": job.alias, "artifact_id": job.artifact,
            "simulator": job.simulator, "is_desktop": job.is_desktop(), "provider": job.provider()}));
    }
    let status = if all {
        "ready"
    } else if failed {
        "failed"
    } else {
        "pending"
    };
    let context = all.then(|| json!({"session_id": id, "envs": envs, "task_public_id": testcase}));
    Reply::json(
        &json!({"session_id": id, "ready": all, "status": status, "results": results, "context": context}),
    )
}

fn each(world: &mut World, jobs: &[String], mut work: impl FnMut(&mut Job) -> Value) -> Map<String, Value> {
    jobs.iter().filter_map(|id| Some((id.clone(), work(world.jobs.get_mut(id)?)))).collect()
}
