//! The agent API: what each path does to the store.

use http::request::Parts;
use serde_json::{Map, Value, json};

use super::double::{API_KEY, Generation};
use super::store::{NOW, Store};

/// A status and a body; `null` is no body.
pub(super) type Answer = (u16, Value);

/// A refusal as Nest writes it.
fn no(status: u16, message: &str) -> Answer {
    let error = http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
    (status, json!({"statusCode": status, "message": message, "error": error}))
}

/// What is not there. The oldest platforms say so in a success.
fn missing(store: &Store, what: &str) -> Answer {
    let message = format!("{what} not found");
    match store.generation {
        Generation::Newest => no(404, &message),
        Generation::Oldest => (200, json!({"error": message, "status": 404})),
    }
}

/// A path that nobody knows.
fn nowhere(method: &str, path: &str) -> Answer {
    no(404, &format!("Cannot {method} {path}"))
}

/// Who may ask, as a platform checks it.
pub(super) fn authorize(parts: &Parts, store: &Store) -> Result<(), Answer> {
    let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(token) = header("x-platos-session-token") {
        return if store.takes(token) { Ok(()) } else { Err(no(401, "Invalid or expired session token.")) };
    }
    if header("authorization") != Some(&format!("Bearer {API_KEY}")) {
        return Err(no(401, "Missing auth"));
    }
    if header("x-forwarded-for").is_some() {
        return Err(no(401, "External connections must provide a session token."));
    }
    let scope = ["organization", "project", "environment", "user"].map(|part| format!("x-platos-{part}-id"));
    if scope.iter().any(|name| header(name).is_none_or(str::is_empty)) {
        return Err(no(401, "Missing scope headers"));
    }
    Ok(())
}

/// What only operators may do, on the newest platforms.
fn is_for_operators(method: &str, path: &[&str]) -> bool {
    match path {
        ["monitoring", "trace", _] | ["monitoring", "cost", "thread", _] => false,
        ["agents" | "agent-versions" | "budgets" | "jobs" | "tool-calls" | "monitoring", ..]
        | ["tools", "execute"] => true,
        ["entities", ..] => method == "POST",
        ["tools", ..] => method == "PATCH",
        _ => false,
    }
}

/// Answers one request.
pub(super) fn answer(parts: &Parts, body: &Value, store: &mut Store) -> Answer {
    let (method, path) = (parts.method.as_str(), parts.uri.path());
    let segments: Vec<String> = path.trim_start_matches('/').split('/').map(decoded).collect();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let length = parts.headers.get("content-length").and_then(|length| length.to_str().ok());
    match segments[..] {
        ["_upload", id] if method == "PUT" => {
            let file = json!({"id": id, "bytes": length, "type": header(parts, "content-type")});
            store.add("uploads", file);
            return (200, Value::Null);
        }
        ["api", "v1", "public", "guest-token"] => return guest(body, store),
        _ => {}
    }
    if let Err(refused) = authorize(parts, store) {
        return refused;
    }
    let ["api", "v1", "agent", segments @ ..] = &segments[..] else { return nowhere(method, path) };
    let is_end_user =
        header(parts, "x-platos-session-token").is_some_and(|token| store.end_users.contains(token));
    if is_end_user && store.generation == Generation::Newest && is_for_operators(method, segments) {
        return (403, json!({"error": "OPERATOR_ONLY", "message": "This route needs an operator."}));
    }
    let host = header(parts, "host").unwrap_or_default().to_owned();
    let asked =
        Asked { method, path: segments, query: parts.uri.query().unwrap_or_default(), body, host: &host };
    route(&asked, store).unwrap_or_else(|| nowhere(method, path))
}

pub(super) fn header<'a>(parts: &'a Parts, name: &str) -> Option<&'a str> {
    parts.headers.get(name).and_then(|value| value.to_str().ok())
}

/// A request, taken apart.
struct Asked<'a> {
    method: &'a str,
    path: &'a [&'a str],
    query: &'a str,
    body: &'a Value,
    host: &'a str,
}

impl Asked<'_> {
    fn query(&self, name: &str) -> Option<String> {
        let mut pairs = url::form_urlencoded::parse(self.query.as_bytes());
        pairs.find(|(own, _)| own == name).map(|(_, value)| value.into_owned())
    }
}

pub(super) fn decoded(segment: &str) -> String {
    let pair = format!("x={}", segment.replace('+', "%2B"));
    url::form_urlencoded::parse(pair.as_bytes())
        .next()
        .map(|(_, value)| value.into_owned())
        .unwrap_or_default()
}

/// The first room that knows the path.
fn route(asked: &Asked<'_>, store: &mut Store) -> Option<Answer> {
    agents(asked, store)
        .or_else(|| threads(asked, store))
        .or_else(|| messages(asked, store))
        .or_else(|| operations(asked, store))
        .or_else(|| jobs(asked, store))
        .or_else(|| backends(asked, store))
}

fn agents(asked: &Asked<'_>, store: &mut Store) -> Option<Answer> {
    let is_newest = store.generation == Generation::Newest;
    Some(match (asked.method, asked.path) {
        ("GET", ["agents"]) => list(store, "agents", asked.query),
        ("GET", ["agents", id]) => one(store, "agents", id, "Agent"),
        ("GET", ["agent-versions"]) if is_newest => match asked.query("agentId") {
            Some(_) => named(store, "versions", "agentVersions", asked.query),
            None => no(400, "agentId is required"),
        },
        ("GET", ["agent-versions", id]) if is_newest => match store.find("versions", id) {
            Some(version) => (200, json!({"agentVersion": version})),
            None => missing(store, "Version"),
        },
        ("POST", ["agent-versions", id, "rollback"]) if is_newest => roll_back(store, id),
        ("GET", ["agents", id, "versions"]) if !is_newest => match store.find("agents", id) {
            Some(_) => named(store, "versions", "versions", &format!("agentId={id}")),
            None => missing(store, "Agent"),
        },
        ("GET", ["agents", _, "versions", id]) if !is_newest => one(store, "versions", id, "Version"),
        ("POST", ["agents", _, "versions", id, "rollback"]) if !is_newest => roll_back(store, id),
        _ => return None,
    })
}

fn roll_back(store: &Store, version: &str) -> Answer {
    let agent = store.find("versions", version).and_then(|version| version["agentId"].as_str());
    match agent.and_then(|agent| store.find("agents", agent)) {
        Some(agent) => (201, json!({"agent": agent})),
        None => missing(store, "Version"),
    }
}

fn threads(asked: &Asked<'_>, store: &mut Store) -> Option<Answer> {
    let body = asked.body;
    Some(match (asked.method, asked.path) {
        ("GET", ["threads"]) => list(store, "threads", asked.query),
        ("POST", ["threads"]) => create_thread(body, store),
        ("GET", ["threads", id]) => one(store, "threads", id, "Thread"),
        ("GET", ["threads", id, list @ ("messages" | "artifacts")]) => match store.find("threads", id) {
            Some(_) => named(store, list, list, &format!("threadId={id}&{}", asked.query)),
            None if store.generation == Generation::Newest && *list == "messages" => {
                (404, json!({"code": "THREAD_NOT_FOUND", "message": "Thread not found"}))
            }
            None => missing(store, "Thread"),
        },
        ("POST", ["threads", id, how @ ("archive" | "unarchive")]) => {
            let status = if *how == "archive" { "archived" } else { "active" };
            let answer = change(store, "threads", id, "status", json!(status));
            if answer.0 == 201 {
                let event = json!({"type": format!("thread.{how}d"), "threadId": id});
                store.tell("thread_event", &event);
            }
            answer
        }
        ("POST", ["threads", id, "tags"]) => change(store, "threads", id, "tags", body["tags"].clone()),
        ("POST", ["threads", id, "pin"]) => {
            let pinned = if body["pinned"] == false { Value::Null } else { NOW.into() };
            change(store, "threads", id, "pinnedAt", pinned)
        }
        ("PATCH", ["threads", id, "rename"]) => {
            let title = &body["title"];
            if rename(id, title, store) {
                (200, json!({"threadId": id, "title": title, "updatedAt": NOW}))
            } else {
                (404, json!({"error": "Thread not found", "threadId": id}))
            }
        }
        ("POST", ["threads", id, "fork"]) => match store.find("threads", id).cloned() {
            Some(mut fork) => {
                fork["parentThreadId"] = json!(id);
                fork["id"] = store.id("thr").into();
                created(store, "threads", fork)
            }
            None => (404, json!({"code": "THREAD_NOT_FOUND", "message": "Thread not found"})),
        },
        ("DELETE", ["threads", id]) => {
            let things = store.things.entry("threads").or_default();
            let before = things.len();
            things.retain(|thing| thing["id"] != **id);
            (200, json!({"archived": things.len() < before, "archivedAt": NOW}))
        }
        ("POST", ["attachments", "presigned"]) if store.generation == Generation::Newest => {
            if body["bytes"].as_u64() > Some(20 << 20) {
                return Some((413, json!({"code": "ATTACHMENT_TOO_LARGE", "message": "at most 20 MiB"})));
            }
            let id = store.id("att");
            let url = format!("http://{}/_upload/{id}?signature=signed-by-the-double", asked.host);
            (
                201,
                json!({"attachmentId": id, "uploadUrl": url, "method": "PUT", "maxBytes": 20 << 20,
                "headers": {"Content-Type": body["mimeType"], "x-amz-meta-thread": body["threadId"]}, "expiresAt": NOW}),
            )
        }
        _ => return None,
    })
}

fn messages(asked: &Asked<'_>, store: &mut Store) -> Option<Answer> {
    let rated =
        |id: &str| json!({"code": "MESSAGE_NOT_FOUND", "message": format!("there is no message {id}")});
    Some(match (asked.method, asked.path) {
        ("GET", ["threads", _, "messages", id, "replies"]) => {
            let (_, found) = named(store, "messages", "replies", &format!("replyToMessageId={id}"));
            (200, found["replies"].clone())
        }
        ("GET", ["threads", _, "reply-counts"]) => {
            let ids = asked.query("messageIds").unwrap_or_default();
            let count = |id: &str| {
                let messages = store.things.get("messages").map(Vec::as_slice).unwrap_or_default();
                messages.iter().filter(|message| message["replyToMessageId"] == id).count()
            };
            (200, ids.split(',').map(|id| (id.to_owned(), json!(count(id)))).collect::<Map<_, _>>().into())
        }
        (_, ["messages", id, "rating"]) if store.find("messages", id).is_none() => (404, rated(id)),
        ("POST", ["messages", id, "rating"]) => {
            let rating = json!({"id": id, "messageId": id, "rating": asked.body["rating"],
                "comment": asked.body["comment"]});
            store.things.entry("ratings").or_default().retain(|own| own["id"] != **id);
            store.add("ratings", rating.clone());
            (201, json!({"rating": rating}))
        }
        ("GET", ["messages", id, "rating"]) => {
            let own = store.find("ratings", id);
            let is = |wish: i64| u64::from(own.is_some_and(|own| own["rating"] == wish));
            (200, json!({"userRating": own, "aggregate": {"ups": is(1), "downs": is(-1)}}))
        }
        ("DELETE", ["messages", id, "rating"]) => {
            let there = store.find("ratings", id).is_some();
            store.things.entry("ratings").or_default().retain(|own| own["id"] != **id);
            (200, json!({"removed": there}))
        }
        _ => return None,
    })
}

fn operations(asked: &Asked<'_>, store: &mut Store) -> Option<Answer> {
    let body = asked.body;
    Some(match (asked.method, asked.path) {
        ("GET", ["monitoring", "approvals"]) => named(store, "approvals", "rows", asked.query),
        ("GET", ["monitoring", "approvals", id]) => match store.find("approvals", id) {
            Some(approval) => (200, approval.clone()),
            None => no(404, "Approval not found"),
        },
        ("POST", ["approvals", id, "resolve"]) => resolve(id, body, store),
        ("GET", ["budgets"]) => named(store, "caps", "caps", asked.query),
        ("GET", ["budgets", "status"]) => named(store, "budget status", "caps", ""),
        ("POST", ["budgets"]) => {
            let mut cap = body.clone();
            cap["id"] = store.id("cap").into();
            store.add("caps", cap.clone());
            (201, json!({"cap": cap}))
        }
        ("POST", ["budgets", id, "override"]) => {
            match change(store, "caps", id, "overrideUntil", NOW.into()) {
                (201, cap) => (201, json!({"cap": cap})),
                refused => refused,
            }
        }
        ("DELETE", ["budgets", id]) => {
            let caps = store.things.entry("caps").or_default();
            let before = caps.len();
            caps.retain(|cap| cap["id"] != **id);
            (200, json!({"deleted": caps.len() < before}))
        }
        ("GET", ["monitoring", "trace", id]) => match store.find("threads", id) {
            Some(thread) => {
                let (thread, spans) =
                    (thread.clone(), named(store, "spans", "spans", &format!("threadId={id}")));
                let rollup =
                    json!({"totalCostCents": 1.5, "totalSpans": spans.1["total"], "toolCallCount": 2});
                let trace = json!({"threadId": id, "thread": thread, "messages": [], "spans": spans.1["spans"],
                    "spanTree": [], "timeline": [], "rollup": rollup});
                (200, trace)
            }
            None => no(404, "Thread not found"),
        },
        ("GET", ["monitoring", "cost"]) => cost_of_day(asked, store, "cost of day", ""),
        ("GET", ["monitoring", "cost", "user", id]) if store.generation == Generation::Newest => {
            cost_of_day(asked, store, "cost of user", &format!("&userId={id}"))
        }
        ("GET", ["monitoring", "cost", "thread", id]) => match store.find("threads", id) {
            Some(_) => (200, json!({"inputTokens": 1, "outputTokens": 2, "costCents": 3})),
            None => no(404, "Thread not found"),
        },
        ("GET", ["monitoring", "cost-by-agent"]) => named(store, "cost by agent", "rows", asked.query),
        ("GET", ["monitoring", "cost-by-model"]) => named(store, "cost by model", "rows", asked.query),
        ("GET", ["monitoring", "cost-by-user"]) => named(store, "cost by user", "rows", asked.query),
        _ => return None,
    })
}

/// What something cost on the day that is asked for.
fn cost_of_day(asked: &Asked<'_>, store: &Store, list: &str, more: &str) -> Answer {
    let date = asked.query("date").unwrap_or_default();
    let (_, days) = named(store, list, "rows", &format!("day={date}{more}"));
    let nothing = json!({"inputTokens": 0, "outputTokens": 0, "costCents": 0});
    (200, days["rows"].get(0).cloned().unwrap_or(nothing))
}

fn jobs(asked: &Asked<'_>, store: &mut Store) -> Option<Answer> {
    let (base, list, thing, run) = match store.generation {
        Generation::Newest => ("jobs", "jobs", "job", "dispatch"),
        Generation::Oldest => ("platos-tasks", "tasks", "task", "run"),
    };
    let [first, rest @ ..] = asked.path else { return None };
    if *first != base {
        return None;
    }
    let wrapped = |job: &Value| {
        // A parser of JavaScript it is not.
        let is_cut = job["handler"].as_str().is_some_and(|handler| handler.ends_with('('));
        json!({thing: job, "syntaxError": is_cut.then_some("Unexpected end of input")})
    };
    Some(match (asked.method, rest) {
        ("GET", []) => named(store, "jobs", list, asked.query),
        ("POST", []) => {
            let mut job = asked.body.clone();
            job["id"] = store.id("job").into();
            store.add("jobs", job.clone());
            (201, wrapped(&job))
        }
        (method, [id, rest @ ..]) => {
            let Some(job) = store.find_mut("jobs", id) else { return Some(no(404, "Job not found")) };
            match (method, rest) {
                ("GET", []) => (200, wrapped(job)),
                ("PATCH", []) => {
                    for (name, value) in asked.body.as_object().into_iter().flatten() {
                        job[name] = value.clone();
                    }
                    (200, wrapped(job))
                }
                ("DELETE", []) => {
                    store.things.entry("jobs").or_default().retain(|job| job["id"] != **id);
                    (200, json!({"deleted": true}))
                }
                ("POST", [own]) if *own == run => {
                    if job["isActive"] == false {
                        return Some((201, json!({"accepted": false, "message": "the job is not active"})));
                    }
                    job["lastStartedAt"] = NOW.into();
                    let payload = asked.body["payload"].clone();
                    store.add("dispatched", json!({"id": id, "payload": payload}));
                    if run == "run" {
                        return Some((201, json!({"queued": true, "runId": store.id("run"), "taskId": id})));
                    }
                    (201, json!({"accepted": true, "jobId": id}))
                }
                _ => return None,
            }
        }
        _ => return None,
    })
}

fn backends(asked: &Asked<'_>, store: &mut Store) -> Option<Answer> {
    let body = asked.body;
    let is_newest = store.generation == Generation::Newest;
    Some(match (asked.method, asked.path) {
        ("GET", ["tools"]) => list(store, "tools", asked.query),
        ("GET", ["tools", "search"]) => {
            let text = asked.query("q").unwrap_or_default();
            let mut tools = store.things.get("tools").cloned().unwrap_or_default();
            tools.retain(|tool| tool["name"].as_str().is_some_and(|name| name.contains(&text)));
            (200, json!({"query": text, "results": tools, "total": tools.len()}))
        }
        ("PATCH", ["tools", entity, tool, "enabled"]) => {
            (200, json!({"ok": true, "entityId": entity, "toolName": tool, "enabled": body["enabled"]}))
        }
        ("POST", ["tools", "execute"]) => (
            201,
            json!({"tool": body["tool"], "status": "success", "result": body["params"], "latencyMs": 3}),
        ),
        ("GET", ["tool-calls"]) if is_newest => named(store, "tool calls", "rows", asked.query),
        ("GET", ["monitoring", "tool-audit"]) if !is_newest => {
            named(store, "tool calls", "rows", asked.query)
        }
        ("GET", ["tool-calls", id]) if is_newest => one(store, "tool calls", id, "Tool call"),
        ("GET", ["monitoring", "tool-audit", id]) if !is_newest => one(store, "tool calls", id, "Tool call"),
        ("POST", ["tool-calls", id, "replay"]) if is_newest => match store.find("tool calls", id) {
            Some(call) => (201, json!({"original": call, "replay": call, "replayedAt": NOW})),
            None => no(404, "Tool call not found"),
        },
        ("GET", ["entities"]) => list(store, "entities", asked.query),
        ("GET", ["entities", id]) => match store.find("entities", id) {
            Some(entity) => (200, entity.clone()),
            None => (404, json!({"error": "Entity not found", "entityId": id})),
        },
        ("POST", ["entities"]) => {
            let mut entity = body.clone();
            entity["id"] = body["entityId"].clone();
            store.add("entities", entity.clone());
            (201, json!({"entity": entity, "plaintextSecret": "a-secret-of-the-double"}))
        }
        ("POST", ["entities", id, what]) if store.find("entities", id).is_some() => match *what {
            "regenerate-secret" => {
                (201, json!({"plaintextSecret": "another-secret-of-the-double", "sessionsClosed": 1}))
            }
            "wire-test" => (201, json!({"status": "failed", "error": format!("{id} is not connected")})),
            _ => return None,
        },
        ("DELETE", ["entities", id]) => {
            let entities = store.things.entry("entities").or_default();
            let before = entities.len();
            entities.retain(|entity| entity["id"] != **id);
            (200, json!({"deleted": entities.len() < before}))
        }
        _ => return None,
    })
}

fn guest(body: &Value, store: &mut Store) -> Answer {
    let Some(agent) = body["agentId"].as_str() else { return no(400, "agentId is required") };
    if store.find("agents", agent).is_none() {
        return no(404, "Agent not found");
    }
    let id = store.id("guest");
    let token = format!("guest.session.{id}");
    store.end_users.insert(token.clone());
    (201, json!({"token": token, "guestId": id, "expiresAt": 1_800_000_000, "agentId": agent}))
}

fn list(store: &Store, name: &'static str, query: &str) -> Answer {
    named(store, name, name, query)
}

/// What in a query is no field of what is listed.
const PAGING: [&str; 10] =
    ["limit", "offset", "page", "cursor", "take", "search", "days", "sinceDays", "allUsers", "category"];

/// The things of a list that the query asks for, under a key; newer platforms say more of the list.
fn named(store: &Store, name: &str, key: &str, query: &str) -> Answer {
    let mut things = store.things.get(name).cloned().unwrap_or_default();
    let (mut limit, mut offset) = (25_usize, 0_usize);
    for (field, wanted) in url::form_urlencoded::parse(query.as_bytes()) {
        match &*field {
            "limit" => limit = wanted.parse().unwrap_or(limit),
            "offset" => offset = wanted.parse().unwrap_or(offset),
            field if PAGING.contains(&field) => {}
            _ => things.retain(|thing| thing[&*field] == *wanted),
        }
    }
    let total = things.len();
    let things: Vec<_> = things.into_iter().skip(offset).take(limit).collect();
    let mut body = Map::new();
    if store.generation == Generation::Newest {
        let more = offset + things.len() < total;
        let paging =
            json!({"total": total, "limit": limit, "offset": offset, "hasMore": more, "items": things});
        body.extend(paging.as_object().cloned().unwrap_or_default());
    }
    body.insert(key.to_owned(), Value::Array(things));
    (200, Value::Object(body))
}

fn one(store: &Store, list: &str, id: &str, what: &str) -> Answer {
    store.find(list, id).map_or_else(|| missing(store, what), |thing| (200, thing.clone()))
}

/// Changes one thing. Newer platforms answer every failure of that with 400.
fn change(store: &mut Store, list: &str, id: &str, field: &str, value: Value) -> Answer {
    if let Some(thing) = store.find_mut(list, id) {
        thing[field] = value;
        return (201, thing.clone());
    }
    match store.generation {
        Generation::Newest => no(400, "not found"),
        Generation::Oldest => missing(store, "Thread"),
    }
}

fn created(store: &mut Store, list: &'static str, thing: Value) -> Answer {
    store.add(list, thing.clone());
    (201, thing)
}

fn create_thread(body: &Value, store: &mut Store) -> Answer {
    let Some(agent_id) = body["agentId"].as_str().filter(|id| !id.is_empty() && *id != "default") else {
        return (400, json!({"error": "agentId is required"}));
    };
    if store.find("agents", agent_id).is_none() {
        return (404, json!({"error": "Agent not found", "agentId": agent_id}));
    }
    let thread = json!({
        "id": store.id("thr"), "agentId": agent_id, "title": body["title"], "status": "active",
        "createdAt": NOW, "updatedAt": NOW,
    });
    created(store, "threads", thread)
}

/// Gives a thread another title, and says so. `false` where there is no such thread.
pub(super) fn rename(id: &str, title: &Value, store: &mut Store) -> bool {
    let Some(thread) = store.find_mut("threads", id) else { return false };
    thread["title"] = title.clone();
    store.tell("thread_event", &json!({"type": "thread.renamed", "threadId": id, "title": title}));
    true
}

pub(super) fn resolve(id: &str, body: &Value, store: &mut Store) -> Answer {
    let Some(approved) = body["approved"].as_bool() else { return no(400, "approved must be a boolean") };
    let edited = body.get("editedArgs").cloned();
    if edited.as_ref().is_some_and(|edited| !edited.is_object()) {
        return (400, json!({"error": "editedArgs must be an object", "approvalId": id}));
    }
    let Some(approval) = store.find_mut("approvals", id) else {
        return (404, json!({"error": "Approval not found", "approvalId": id}));
    };
    let decided = |approval: &Value, applied: bool| {
        let approved = approval["status"] == "approved";
        json!({"resolved": true, "approvalId": id, "approved": approved, "status": approval["status"],
            "persisted": true, "editedArgsApplied": applied})
    };
    if approval["status"] != "pending" {
        return (201, decided(approval, false));
    }
    approval["status"] = if approved { "approved" } else { "rejected" }.into();
    approval["resolvedAt"] = NOW.into();
    approval["comment"] = body["comment"].clone();
    let applied = edited.is_some();
    if let Some(edited) = edited {
        approval["editedArgs"] = edited;
    }
    (201, decided(approval, applied))
}
