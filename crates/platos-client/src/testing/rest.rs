//! The agent API: what each path does to the store.

use http::request::Parts;
use serde_json::{Map, Value, json};

use super::double::API_KEY;
use super::store::{NOW, Store};

/// A status and a body; `null` is no body.
pub(super) type Answer = (u16, Value);

fn no(status: u16, message: &str) -> Answer {
    (status, json!({"message": message}))
}

/// Who may ask, as a platform checks it.
pub(super) fn authorize(parts: &Parts, store: &Store) -> Result<(), Answer> {
    let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(token) = header("x-platos-session-token") {
        let known = store.tokens.contains(token);
        return if known { Ok(()) } else { Err(no(401, "Invalid or expired session token.")) };
    }
    if header("authorization") != Some(&format!("Bearer {API_KEY}")) {
        return Err(no(401, "Missing auth"));
    }
    let scope = ["x-platos-organization-id", "x-platos-project-id", "x-platos-environment-id"];
    if scope.iter().any(|name| header(name).is_none_or(str::is_empty)) {
        return Err(no(401, "Missing scope headers"));
    }
    Ok(())
}

/// Answers one request.
pub(super) fn answer(parts: &Parts, body: &Value, store: &mut Store) -> Answer {
    if let Err(refused) = authorize(parts, store) {
        return refused;
    }
    let key = parts.headers.get("idempotency-key").and_then(|key| key.to_str().ok());
    let key = key.map(|key| format!("{} {key}", parts.uri.path()));
    if let Some(earlier) = key.as_ref().and_then(|key| store.keys.get(key)) {
        return earlier.clone();
    }
    let path = parts.uri.path().trim_start_matches('/');
    let Some(path) = path.strip_prefix("api/v1/agent/") else { return no(404, "Cannot find that path") };
    let segments: Vec<String> = path.split('/').map(decoded).collect();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let query = parts.uri.query().unwrap_or_default();
    let answer = route(parts.method.as_str(), &segments, query, body, store);
    if let Some(key) = key.filter(|_| answer.0 < 300) {
        store.keys.insert(key, answer.clone());
    }
    answer
}

fn decoded(segment: &str) -> String {
    let pair = format!("x={}", segment.replace('+', "%2B"));
    url::form_urlencoded::parse(pair.as_bytes())
        .next()
        .map(|(_, value)| value.into_owned())
        .unwrap_or_default()
}

fn route(method: &str, path: &[&str], query: &str, body: &Value, store: &mut Store) -> Answer {
    match (method, path) {
        ("GET", ["agents"]) => list(store, "agents", query),
        ("GET", ["agents", id]) => one(store, "agents", id),
        ("GET", ["agents", id, "versions"]) => part(store, "agents", id, "agentId", "versions"),
        ("GET", ["threads"]) => list(store, "threads", query),
        ("POST", ["threads"]) => create_thread(body, store),
        ("GET", ["threads", id]) => one(store, "threads", id),
        ("GET", ["threads", id, list @ ("messages" | "artifacts")]) => {
            part(store, "threads", id, "threadId", list)
        }
        ("POST", ["threads", id, "archive"]) => set(store, "threads", id, "status", json!("archived"), true),
        ("POST", ["threads", id, "unarchive"]) => set(store, "threads", id, "status", json!("active"), true),
        ("DELETE", ["threads", id]) => delete(store, "threads", id),
        ("GET", ["monitoring", "approvals"]) => list(store, "approvals", query),
        ("GET", ["monitoring", "approvals", id]) => one(store, "approvals", id),
        ("POST", ["monitoring", "approvals", id, "resolve"]) => resolve(id, body, store),
        ("GET", ["monitoring", "budget", "caps"]) => list(store, "caps", query),
        ("GET", ["monitoring", "budget", "status"]) => named(store, "budget status", "caps", ""),
        ("GET", ["monitoring", "runs"]) => named(store, "monitoring runs", "runs", query),
        ("GET", ["monitoring", "traces", id]) => named(store, "spans", "spans", &format!("traceId={id}")),
        ("GET", ["monitoring", "cost", "by-agent"]) => named(store, "cost by agent", "rollup", query),
        ("GET", ["monitoring", "cost", "by-scope"]) => named(store, "cost by scope", "rollup", ""),
        ("GET", ["trigger", "tasks"]) => list(store, "tasks", query),
        ("POST", ["trigger", "tasks", id, "trigger"]) => trigger(id, body, store),
        ("GET", ["trigger", "runs"]) => list(store, "runs", query),
        ("GET", ["trigger", "runs", id]) => one(store, "runs", id),
        ("POST", ["trigger", "runs", id, "cancel"]) => {
            set(store, "runs", id, "status", json!("CANCELED"), false)
        }
        ("POST", ["trigger", "runs", id, "replay"]) => {
            let run = store.find("runs", id).map(|run| run["taskId"].clone());
            run.and_then(|task| task.as_str().map(|task| trigger(task, body, store)))
                .unwrap_or_else(|| no(404, "run not found"))
        }
        ("GET", ["trigger", "schedules"]) => list(store, "schedules", query),
        ("POST", ["trigger", "schedules"]) => create_schedule(body, store),
        ("POST", ["trigger", "schedules", id, "activate"]) => {
            set(store, "schedules", id, "active", json!(true), false)
        }
        ("POST", ["trigger", "schedules", id, "deactivate"]) => {
            set(store, "schedules", id, "active", json!(false), false)
        }
        ("DELETE", ["trigger", "schedules", id]) => delete(store, "schedules", id),
        ("POST", ["trigger", "batches", task]) => create_batch(task, body, store),
        ("GET", ["trigger", "batches", id]) => one(store, "batches", id),
        _ => no(404, "Cannot find that path"),
    }
}

fn list(store: &Store, name: &'static str, query: &str) -> Answer {
    named(store, name, name, query)
}

/// The things of a list that the query asks for, under a key.
fn named(store: &Store, name: &str, key: &str, query: &str) -> Answer {
    let mut things = store.things.get(name).cloned().unwrap_or_default();
    for (field, wanted) in url::form_urlencoded::parse(query.as_bytes()) {
        match &*field {
            "limit" => things.truncate(wanted.parse().unwrap_or(usize::MAX)),
            _ => things.retain(|thing| thing[&*field] == *wanted),
        }
    }
    (200, Value::Object(Map::from_iter([(key.to_owned(), Value::Array(things))])))
}

fn one(store: &Store, list: &str, id: &str) -> Answer {
    store.find(list, id).map_or_else(|| no(404, "not found in this scope"), |thing| (200, thing.clone()))
}

/// What belongs to one thing.
fn part(store: &Store, of: &str, id: &str, field: &str, list: &str) -> Answer {
    match store.find(of, id) {
        Some(_) => named(store, list, list, &format!("{field}={id}")),
        None => no(404, "not found in this scope"),
    }
}

fn set(store: &mut Store, list: &str, id: &str, field: &str, value: Value, silent: bool) -> Answer {
    let Some(thing) = store.find_mut(list, id) else { return no(404, "not found in this scope") };
    thing[field] = value;
    if silent { (204, Value::Null) } else { (200, thing.clone()) }
}

fn delete(store: &mut Store, list: &'static str, id: &str) -> Answer {
    let things = store.things.entry(list).or_default();
    let before = things.len();
    things.retain(|thing| thing["id"] != id);
    if things.len() < before { (204, Value::Null) } else { no(404, "not found in this scope") }
}

fn created(store: &mut Store, list: &'static str, thing: Value) -> Answer {
    store.add(list, thing.clone());
    (201, thing)
}

fn create_thread(body: &Value, store: &mut Store) -> Answer {
    let Some(agent_id) = body["agentId"].as_str().filter(|id| !id.is_empty()) else {
        let errors = json!(["agentId should not be empty"]);
        return (400, json!({"message": "Validation failed", "validationErrors": errors}));
    };
    if agent_id != "default" && store.find("agents", agent_id).is_none() {
        let errors = json!([format!("agentId: there is no agent {agent_id}")]);
        return (422, json!({"message": "Validation failed", "validationErrors": errors}));
    }
    let thread = json!({
        "id": store.id("thr"), "agentId": agent_id, "title": body["title"], "status": "active",
        "createdAt": NOW, "updatedAt": NOW,
    });
    created(store, "threads", thread)
}

fn resolve(id: &str, body: &Value, store: &mut Store) -> Answer {
    let status = match body["response"].as_str() {
        Some("approve") => "approved",
        Some("reject") => "rejected",
        _ => return no(400, "response must be approve or reject"),
    };
    let Some(approval) = store.find_mut("approvals", id) else { return no(404, "approval not found") };
    if approval["status"] != "pending" {
        return no(409, "the approval is resolved already");
    }
    approval["status"] = status.into();
    approval["resolvedAt"] = NOW.into();
    approval["resolution"] = body.clone();
    (200, approval.clone())
}

fn trigger(task: &str, body: &Value, store: &mut Store) -> Answer {
    if store.find("tasks", task).is_none() {
        return no(404, "there is no such task");
    }
    let id = store.id("run");
    let run = json!({
        "id": id, "taskId": task, "status": "QUEUED", "createdAt": NOW, "payload": body["payload"],
        "options": body["options"],
    });
    store.add("runs", run);
    (201, json!({"id": id}))
}

fn create_schedule(body: &Value, store: &mut Store) -> Answer {
    let mut schedule = json!({"id": store.id("sch"), "active": true});
    let (Some(fields), Some(schedule_fields)) = (body.as_object(), schedule.as_object_mut()) else {
        return no(400, "a schedule is an object");
    };
    schedule_fields.extend(fields.clone());
    created(store, "schedules", schedule)
}

fn create_batch(task: &str, body: &Value, store: &mut Store) -> Answer {
    let payloads = body["payloads"].as_array().cloned().unwrap_or_default();
    let mut runs = Vec::new();
    for payload in payloads {
        let (status, run) = trigger(task, &json!({"payload": payload, "options": body["options"]}), store);
        if status != 201 {
            return (status, run);
        }
        runs.push(run["id"].clone());
    }
    let id = store.id("batch");
    store.add("batches", json!({"id": id, "status": "PENDING", "runIds": runs}));
    (201, json!({"batchId": id, "runIds": runs}))
}
