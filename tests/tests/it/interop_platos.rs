//! The real Python package `platos-client` on our test double, and our client beside it: both ask for the same, get
//! the same, and say it in the same way.

use std::path::Path;
use std::process::Stdio;

use platos_client::testing::{PlatosDouble, RecordedRequest, Script};
use platos_client::{AgentEvent, Error, NewMessage, NewThread, PlatosClient, Scope, ThreadsQuery};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use super::interop::{python, script};

const MESSAGE: &str = "naïve ☕ 🚀 \"quoted\"";

/// A turn with every kind of event that the pages know. Theirs does not survive a break: it asks for `resume_stream`, which
/// no platform knows.
fn turn() -> Script {
    Script::new()
        .event(json!({"type": "status", "status": "thinking", "agentId": "agt_writer"}))
        .event(json!({"type": "meta", "thread_id": "thr_1"}))
        .tokens("naïve ☕ and ")
        .event(json!({"type": "tool_call", "name": "t", "params": {"a": [1, 2.5, null]}, "callId": "c1"}))
        .event(json!({"type": "tool_result", "name": "t", "result": {"ok": true}, "callId": "c1", "display": "x"}))
        .event(json!({"type": "artifact_delta", "artifactId": "a", "artifactKey": "k", "chunk": "fn"}))
        .event(json!({"type": "mood", "value": 1}))
        .event(json!({"type": "message_persisted", "messageId": "msg_1", "costCents": 0.1}))
        .token("the end")
        .done()
}

/// What Python did.
async fn in_python(python: &Path, asked: &Value) -> Value {
    let mut program = Command::new(python)
        .arg(script("platos_client_turns.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("the interpreter starts");
    program.stdin.take().unwrap().write_all(asked.to_string().as_bytes()).await.unwrap();
    let output = program.wait_with_output().await.unwrap();
    assert!(output.status.success(), "the program failed; it says why above");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The same in Rust.
async fn in_rust(client: &PlatosClient) -> Result<Value, Error> {
    let threads = client.threads();
    let agents = client.agents().list().await?;
    let missing = client.agents().get("agt_nobody").await?;
    let thread = threads.create(NewThread::with_agent("agt_writer").title("Inbox")).await?;
    let listed = threads.list(ThreadsQuery::new().agent("agt_writer").limit(5_u32)).await?;
    let refused = match threads.create(NewThread::with_agent("agt_nobody")).await {
        Err(Error::NotFound(response)) => json!(response.status),
        other => panic!("{other:?}"),
    };
    let message = NewMessage::new(MESSAGE)
        .agent("agt_writer")
        .context("order", "ord-1")
        .dynamic_block("plan", "pro")
        .attachment("att_1");
    let (mut turn, mut events) = (threads.send(&thread.id, message), Vec::new());
    while let Some(event) = turn.next().await {
        events.push(event?.to_json());
    }
    let messages = threads.messages(&thread.id).await?;
    threads.archive(&thread.id).await?;
    Ok(json!({
        "agents": agents, "missing": missing, "thread": thread, "listed": listed, "refused": refused,
        "events": events, "messages": messages,
    }))
}

/// What of a request both clients have to agree on.
fn essence(request: &RecordedRequest) -> Value {
    // Theirs says so of requests without a body too.
    let has_json = |name: &str| name == "content-type" && !request.body.is_null();
    let ours = |name: &&String| name.starts_with("x-platos-") || *name == "authorization" || has_json(name);
    let headers: Vec<_> =
        request.headers.keys().filter(ours).map(|name| (name, &request.headers[name])).collect();
    let mut body = request.body.clone();
    if let Some(fields) = body.as_object_mut() {
        // Theirs sends `null` for what it was not given.
        fields.retain(|_, value| !value.is_null());
    }
    json!([request.method, request.path, request.query, headers, body])
}

/// Frames as values: spaces do not count.
fn spoken(platos: &PlatosDouble) -> Vec<(String, Value)> {
    let frames =
        platos.frames().into_iter().filter(|frame| frame.starts_with("40") || frame.starts_with("42"));
    let cut = |frame: String| {
        let (packet, json) = frame.split_once(',').unwrap();
        (packet.to_owned(), serde_json::from_str(json).unwrap_or_default())
    };
    frames.map(cut).collect()
}

/// What they heard, but for when it was.
fn without_times(result: &Value) -> Value {
    let mut result = result.clone();
    for message in result["messages"].as_array_mut().unwrap() {
        message["createdAt"].take();
    }
    result
}

#[tokio::test]
async fn the_python_package_and_ours_ask_for_the_same_and_hear_the_same() {
    let Some(python) = python("platos-client") else { return };
    for mode in ["session_token", "api_key"] {
        let (theirs, ours) = (PlatosDouble::start().await.unwrap(), PlatosDouble::start().await.unwrap());
        for platos in [&theirs, &ours] {
            platos.script(turn());
        }
        let mut asked = json!({
            "url": theirs.url(), "agent": "agt_writer", "title": "Inbox", "message": MESSAGE,
            "scope": {"organizationId": "org_1", "projectId": "proj_1", "environmentId": "env_1", "userId": "usr_7"},
            "options": {
                "agent_id": "agt_writer", "context_type": "order", "context_id": "ord-1",
                "dynamic_blocks": {"plan": "pro"}, "attachment_ids": ["att_1"],
            },
        });
        let scope = Scope::new("org_1", "proj_1", "env_1").user("usr_7");
        let client = if mode == "session_token" {
            asked[mode] = theirs.session_token().into();
            ours.builder().session_token(ours.session_token()).scope(scope).build().unwrap()
        } else {
            asked[mode] = theirs.api_key().into();
            ours.builder().api_key(ours.api_key()).scope(scope).build().unwrap()
        };
        let (python, rust) = (in_python(&python, &asked).await, in_rust(&client).await.unwrap());

        assert_eq!(without_times(&rust), without_times(&python), "{mode}");
        let events = rust["events"].as_array().unwrap();
        assert_eq!((events[0]["type"].as_str(), events.len()), (Some("connected"), 13), "{events:?}");
        assert!(matches!(AgentEvent::from_json(events[12].clone()), AgentEvent::Done(_)));

        let essences = |platos: &PlatosDouble| platos.requests().iter().map(essence).collect::<Vec<_>>();
        assert_eq!(essences(&ours), essences(&theirs), "{mode}");
        let mut said = spoken(&ours);
        let key = said[1].1[1].as_object_mut().unwrap().remove("idempotencyKey");
        assert!(key.is_some(), "theirs sends no key");
        assert_eq!(said, spoken(&theirs), "{mode}");
        assert_eq!(said.len(), 2, "connected, and one message");
    }
}
