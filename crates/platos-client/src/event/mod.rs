//! What happens in a turn, typed.
//!
//! Fields that a type does not name are kept in `extra`; an event of an unknown type, or without what its type
//! needs, is passed on as it came in [`AgentEvent::Other`]. This room must not know sockets.

mod fields;
mod kinds;

use serde_json::{Map, Value};

pub use kinds::{
    ApprovalNeeded, ApprovalResolved, ArtifactCommitted, ArtifactDelta, ArtifactError, ArtifactStart, Done,
    ErrorEvent, JobUpdate, MessageBoundary, MessagePersisted, Meta, RunUpdate, SafetyFlags, Status,
    StructuredOutput, Thinking, ThreadArchived, ThreadRenamed, ThreadUnarchived, Token, ToolCall, ToolResult,
};

use crate::model::Message;

/// The reply to a message whose turn broke off, as the platform stored it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Recovered {
    /// The whole text of the reply.
    pub text: String,
    /// Whether the text goes on from what was streamed before. If so, a [`Token`] with the rest follows; if not, a
    /// [`MessageBoundary`] and a [`Token`] with all of it.
    pub continues: bool,
    /// The messages of the agent that it consists of; their `extra` has tool calls and usage.
    pub messages: Vec<Message>,
}

/// One event of a turn.
///
/// ```
/// use platos_client::AgentEvent;
/// use serde_json::json;
///
/// let event = AgentEvent::from_json(json!({"type": "token", "text": "Hello", "threadId": "thr_1"}));
/// let AgentEvent::Token(token) = &event else { unreachable!() };
/// assert_eq!((token.text.as_str(), &token.extra["threadId"]), ("Hello", &json!("thr_1")));
///
/// let newer = AgentEvent::from_json(json!({"type": "mood", "value": "good"}));
/// assert!(matches!(&newer, AgentEvent::Other { kind, .. } if kind == "mood"));
/// assert_eq!(newer.to_json(), json!({"type": "mood", "value": "good"}));
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum AgentEvent {
    /// Made by this client: the stream is connected, for the first time or again.
    Connected,
    /// Made by this client: the connection was lost.
    Disconnected {
        /// How.
        reason: String,
    },
    /// Made by this client: the connection will be tried again.
    Reconnecting {
        /// Which attempt in a row it is, from 1.
        attempt: u32,
    },
    /// Made by this client: the connection broke, events were lost, and this is the reply all the same.
    Recovered(Recovered),
    /// What the agent is doing.
    Status(Status),
    /// About the turn itself.
    Meta(Meta),
    /// A piece of the answer.
    Token(Token),
    /// A piece of what the agent thinks.
    Thinking(Thinking),
    /// One message ends and another begins.
    MessageBoundary(MessageBoundary),
    /// A message was stored.
    MessagePersisted(MessagePersisted),
    /// The agent calls a tool.
    ToolCall(ToolCall),
    /// A tool answered.
    ToolResult(ToolResult),
    /// The agent waits for somebody to agree.
    ApprovalNeeded(ApprovalNeeded),
    /// Somebody decided about an approval.
    ApprovalResolved(ApprovalResolved),
    /// A run moved on, as older platforms say it.
    RunUpdate(RunUpdate),
    /// A background operation moved on.
    JobUpdate(JobUpdate),
    /// A result in a given form.
    StructuredOutput(StructuredOutput),
    /// An artifact begins.
    ArtifactStart(ArtifactStart),
    /// A piece of an artifact.
    ArtifactDelta(ArtifactDelta),
    /// An artifact is complete.
    ArtifactCommitted(ArtifactCommitted),
    /// An artifact failed.
    ArtifactError(ArtifactError),
    /// Something in the turn looks unsafe.
    SafetyFlags(SafetyFlags),
    /// Not of the turn: the thread was renamed meanwhile, by the platform or by anybody. Over a socket only, as the next two.
    ThreadRenamed(ThreadRenamed),
    /// Not of the turn: the thread was archived.
    ThreadArchived(ThreadArchived),
    /// Not of the turn: the thread was brought back from the archive.
    ThreadUnarchived(ThreadUnarchived),
    /// Something failed. The turn may go on: it ends with [`Done`](Self::Done).
    Error(ErrorEvent),
    /// The turn is over, and with it the stream.
    Done(Done),
    /// An event that this version does not know, or that lacks what its type needs.
    Other {
        /// Its type; empty where it has none.
        kind: String,
        /// The whole of it. Where no value can hold it, such as with a number of 1e999, its JSON as a text.
        data: Value,
    },
}

impl AgentEvent {
    /// The event that a JSON value is.
    pub fn from_json(data: Value) -> Self {
        match data {
            Value::Object(fields) => Self::from_fields(fields),
            data => Self::Other { kind: String::new(), data },
        }
    }

    fn from_fields(mut fields: Map<String, Value>) -> Self {
        let kind = fields.get("type").and_then(Value::as_str).and_then(Kind::named);
        let typed = kind.is_some_and(|kind| kind.fits(&fields));
        let Some(kind) = kind.filter(|_| typed) else {
            let kind = fields.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
            return Self::Other { kind, data: Value::Object(fields) };
        };
        fields.shift_remove("type");
        kind.take(fields)
    }

    /// The event as JSON: what came, with all its fields.
    pub fn to_json(&self) -> Value {
        match self {
            Self::Connected => serde_json::json!({"type": "connected"}),
            Self::Disconnected { reason } => {
                serde_json::json!({"type": "disconnected", "reason": reason})
            }
            Self::Reconnecting { attempt } => {
                serde_json::json!({"type": "reconnecting", "attempt": attempt})
            }
            Self::Recovered(recovered) => serde_json::json!({
                "type": "recovered", "text": recovered.text, "continues": recovered.continues,
                "messages": recovered.messages,
            }),
            Self::Other { data, .. } => data.clone(),
            event => event.typed_to_json(),
        }
    }

    /// Whether this client made the event, and not the platform.
    pub fn is_about_connection(&self) -> bool {
        matches!(
            self,
            Self::Connected | Self::Disconnected { .. } | Self::Reconnecting { .. } | Self::Recovered(_)
        )
    }
}

/// Ties the variants that the platform sends to their types and names.
macro_rules! kinds {
    ($($variant:ident($type:ident) = $name:literal,)+) => {
        /// The types of events that the platform sends.
        #[derive(Debug, Clone, Copy)]
        enum Kind {
            $($variant,)+
        }

        impl Kind {
            fn named(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$variant),)+
                    _ => None,
                }
            }

            /// Whether the fields hold what the type needs.
            fn fits(self, fields: &Map<String, Value>) -> bool {
                match self {
                    $(Self::$variant => $type::fits(fields),)+
                }
            }

            fn take(self, fields: Map<String, Value>) -> AgentEvent {
                match self {
                    $(Self::$variant => AgentEvent::$variant($type::take(fields)),)+
                }
            }
        }

        impl AgentEvent {
            /// The event's type, as the platform calls it.
            pub fn kind(&self) -> &str {
                match self {
                    Self::Connected => "connected",
                    Self::Disconnected { .. } => "disconnected",
                    Self::Reconnecting { .. } => "reconnecting",
                    Self::Recovered(_) => "recovered",
                    $(Self::$variant(_) => $name,)+
                    Self::Other { kind, .. } => kind,
                }
            }

            fn typed_to_json(&self) -> Value {
                let mut fields = Map::new();
                fields.insert("type".to_owned(), self.kind().into());
                match self {
                    $(Self::$variant(event) => event.put(&mut fields),)+
                    _ => {}
                }
                Value::Object(fields)
            }
        }
    };
}

kinds! {
    Status(Status) = "status",
    Meta(Meta) = "meta",
    Token(Token) = "token",
    Thinking(Thinking) = "thinking",
    MessageBoundary(MessageBoundary) = "message_boundary",
    MessagePersisted(MessagePersisted) = "message_persisted",
    ToolCall(ToolCall) = "tool_call",
    ToolResult(ToolResult) = "tool_result",
    ApprovalNeeded(ApprovalNeeded) = "approval_needed",
    ApprovalResolved(ApprovalResolved) = "approval_resolved",
    RunUpdate(RunUpdate) = "run_update",
    JobUpdate(JobUpdate) = "job_update",
    StructuredOutput(StructuredOutput) = "structured_output",
    ArtifactStart(ArtifactStart) = "artifact_start",
    ArtifactDelta(ArtifactDelta) = "artifact_delta",
    ArtifactCommitted(ArtifactCommitted) = "artifact_committed",
    ArtifactError(ArtifactError) = "artifact_error",
    SafetyFlags(SafetyFlags) = "safety_flags",
    ThreadRenamed(ThreadRenamed) = "thread.renamed",
    ThreadArchived(ThreadArchived) = "thread.archived",
    ThreadUnarchived(ThreadUnarchived) = "thread.unarchived",
    Error(ErrorEvent) = "error",
    Done(Done) = "done",
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_event_is_typed_and_loses_nothing() {
        for data in [
            json!({"type": "status", "status": "thinking", "agentId": "agt_1"}),
            json!({"type": "meta", "thread_id": "thr_1", "agent_id": "agt_1", "durable": true, "session": "s"}),
            json!({"type": "approval_resolved", "approvalId": "apr_1", "status": "approved", "respondedBy": "u"}),
            json!({"type": "run_update", "runId": "run_1", "status": "running"}),
            json!({"type": "message_persisted", "messageId": "m", "costCents": 3, "inputTokens": 1, "totalTokens": 2}),
            json!({"type": "error", "message": "no", "scope": "user_per_minute", "limit": 20, "retryAfterSeconds": 0.5}),
            json!({"type": "done", "aborted": true}),
            json!({"type": "token", "text": "na\u{ef}ve \u{1f680}", "threadId": "thr_1"}),
            json!({"type": "thinking", "text": "hm"}),
            json!({"type": "message_boundary"}),
            json!({"type": "message_persisted", "messageId": "msg_1", "costCents": 0.25}),
            json!({"type": "tool_call", "name": "lookup", "params": {"id": 1}, "callId": "c1"}),
            json!({"type": "tool_result", "name": "lookup", "result": null, "callId": "c1", "display": {"as": "table"}}),
            json!({"type": "approval_needed", "approvalId": "apr_1", "action": "delete", "details": {"n": 3}}),
            json!({"type": "job_update", "jobId": "job_1", "status": "running", "metadata": null}),
            json!({"type": "structured_output", "object": [1, 2], "retryCount": 0}),
            json!({"type": "artifact_start", "artifactId": "a", "artifactKey": "k", "kind": "code", "revision": 1, "op": "generate"}),
            json!({"type": "artifact_delta", "artifactId": "a", "chunk": "fn main"}),
            json!({"type": "artifact_committed", "artifactId": "a", "finalContent": "fn main() {}", "revision": 1}),
            json!({"type": "artifact_error", "code": "too_long", "message": "no"}),
            json!({"type": "safety_flags", "flags": [{"kind": "pii"}]}),
            json!({"type": "error", "message": "no", "code": "rate_limit", "retryAfterSeconds": 3}),
            json!({"type": "thread.renamed", "threadId": "thr_1", "title": "Inbox", "updatedAt": "2026-11-21T12:00:00Z"}),
            json!({"type": "thread.archived", "threadId": "thr_1"}),
            json!({"type": "thread.unarchived", "threadId": "thr_1"}),
            json!({"type": "done", "usage": {"tokens": 7}, "stopped": false}),
            json!({"type": "done"}),
        ] {
            let event = AgentEvent::from_json(data.clone());
            assert!(!matches!(event, AgentEvent::Other { .. }), "{event:?}");
            assert_eq!(event.kind(), data["type"]);
            assert_eq!(event.to_json(), data);
        }
    }

    #[test]
    fn what_is_not_understood_is_passed_on_as_it_came() {
        for (data, kind) in [
            (json!({"type": "mood", "value": 1}), "mood"),
            (json!({"type": "token"}), "token"),
            (json!({"type": "token", "text": 7}), "token"),
            (json!({"type": "tool_call", "callId": "c1"}), "tool_call"),
            (json!({"type": 7}), ""),
            (json!({"text": "no type"}), ""),
            (json!([1, 2]), ""),
            (json!(null), ""),
        ] {
            let event = AgentEvent::from_json(data.clone());
            assert!(matches!(event, AgentEvent::Other { .. }), "{event:?}");
            assert_eq!((event.kind(), event.to_json()), (kind, data));
        }
    }

    #[test]
    fn a_field_of_an_unexpected_type_is_kept_beside_those_that_are_understood() {
        let data = json!({"type": "done", "usage": {"tokens": 1}, "stopped": "yes"});
        let AgentEvent::Done(done) = AgentEvent::from_json(data.clone()) else { panic!("not done") };
        assert_eq!((done.stopped, &done.extra["stopped"]), (None, &json!("yes")));
        assert_eq!(AgentEvent::Done(done).to_json(), data);
    }
}
