//! A turn that is the answer to one request.

use std::time::Duration;

use serde_json::{Value, json};

use super::driver::{Driver, End, Gone};
use super::message::Outgoing;
use super::pass::Step;
use super::refusal::Failure;
use super::sse::named;
use crate::error::{Error, ErrorResponse, ProtocolError};
use crate::http::{Call, is_unsent};

/// Platforms let a turn run for 300 s.
const TIME: Duration = Duration::from_secs(330);

/// What is only known by another route.
const OF_AGENTS: [&str; 2] = ["systemPromptOverride", "modelLabel"];

impl Driver {
    /// Sends the message and waits for the turn.
    pub(super) async fn blocking(&mut self, outgoing: Outgoing) -> Result<End, Gone> {
        self.inbox.close();
        let (mut fields, thread_id) = (outgoing.fields, self.thread_id.clone());
        let agent = fields.get("agentId").and_then(Value::as_str).unwrap_or_default().to_owned();
        let mut call = if OF_AGENTS.iter().any(|name| fields.contains_key(*name)) && !agent.is_empty() {
            Call::once(&["agents", &agent, "messages"])
        } else {
            fields.shift_remove("threadId");
            Call::once(&["threads", &thread_id, "messages"])
        };
        call.time = Some(TIME);
        let call = call.body(fields.into());
        let name = call.name();
        self.is_sent();
        let answer = match self.client.send(call).await {
            Ok(answer) => answer,
            Err(error @ Error::Network(_)) if !is_unsent(&error) => return Err(self.gone(error, true)),
            // A gateway that lost its patience: the platform may go on. What the platform itself reports has a code.
            Err(Error::Server(response)) if is_of_gateway(&response) => {
                return Err(self.gone(Error::Server(response), true));
            }
            Err(error) => return Err(error.into()),
        };
        let body: Value = answer.one()?;
        if !body["text"].is_string() && !body["events"].is_array() {
            let problem = "the answer is no turn: check that the base URL is a Platos agent API";
            return Err(ProtocolError::new(name, problem).into());
        }
        for event in events(&body, &thread_id) {
            match self.take(&event.to_string(), None).await {
                Ok(Step::GoOn) => {}
                Ok(Step::Over(end)) => return Ok(end),
                Err(Failure::Fatal(error)) => return Err(named(*error, &name).into()),
                Err(other) => return Err(ProtocolError::new(name, format!("{other:?}")).into()),
            }
        }
        Err(ProtocolError::new(name, "the answer is no turn").into())
    }
}

/// Whether it was something before the platform that gave up.
fn is_of_gateway(response: &ErrorResponse) -> bool {
    matches!(response.status, Some(502 | 504)) && response.code.is_none()
}

/// The events of a turn, where the platform gave only some of them or none.
fn events(body: &Value, thread_id: &str) -> Vec<Value> {
    let mut events = body["events"].as_array().cloned().unwrap_or_default();
    let has = |events: &[Value], kind: &str| events.iter().any(|event| event["type"] == kind);
    if let Some(at) = events.iter().position(|event| event["type"] == "done") {
        events.truncate(at);
    }
    if !has(&events, "meta") {
        let thread = body["threadId"].as_str().unwrap_or(thread_id);
        events.insert(0, json!({"type": "meta", "thread_id": thread}));
    }
    let text = body["text"].as_str().unwrap_or_default();
    if !has(&events, "token") && !text.is_empty() {
        events.push(json!({"type": "token", "text": text}));
    }
    if let Some(id) = body["messageId"].as_str().filter(|_| !has(&events, "message_persisted")) {
        let persisted = json!({"type": "message_persisted", "messageId": id, "costCents": body["costCents"]});
        events.push(persisted);
    }
    let done = body["events"].as_array().and_then(|all| all.iter().find(|event| event["type"] == "done"));
    events.push(done.cloned().unwrap_or_else(|| json!({"type": "done"})));
    events
}
