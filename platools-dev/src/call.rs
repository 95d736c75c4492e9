//! Calling a tool: what is sent, what is waited for, and what came of it (tool-sync §4–§6).

use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use platools::Arguments;
use platools::protocol::platform::{self};
use platools::protocol::{Envelope, Inbound, MAX_RESULT_BYTES};
use platools::security::SigningKey;
use serde_json::{Value, json};
use thiserror::Error;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

use crate::pending::{Answer, Waiter};
use crate::state::{LastCall, Shared, scope};
use crate::{ConnectedEntity, DevError, EntityKey, Event, random};

/// How many characters of a result that is too large are shown in its place.
const PREVIEW_CHARACTERS: usize = 2048;

/// A call in the making; see [`ConnectedEntity::calling`].
#[derive(Debug, Clone)]
#[must_use = "a call is made by `send`"]
pub struct CallBuilder<'a> {
    entity: &'a ConnectedEntity,
    tool: String,
    /// JSON text, checked when the call is sent.
    arguments: String,
    context: Option<Value>,
    envelope: Envelope,
    signed_at: Option<SystemTime>,
    legacy: bool,
    tamper: Option<Tamper>,
    pending_time: Duration,
}

/// What to change in a call after it was signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Tamper {
    /// One byte of the arguments. Must be refused as `signature_mismatch`.
    Arguments,
    /// The tool's name. Must be refused as `signature_mismatch`.
    ToolName,
    /// The timestamp, by a millisecond. Must be refused as `signature_mismatch`.
    Timestamp,
    /// The nonce. Must be refused as `signature_mismatch`.
    Nonce,
    /// One digit of the signature. Must be refused as `signature_mismatch`.
    Signature,
    /// The signature is left out. Must be refused as `signature_missing`.
    Unsigned,
    /// The envelope's call id. Must be refused as `call_id_mismatch`.
    CallId,
    /// The envelope's entity. Must be refused as `scope_mismatch`.
    Scope,
}

impl<'a> CallBuilder<'a> {
    pub(crate) fn new(entity: &'a ConnectedEntity, tool: &str) -> Self {
        let mut envelope = Envelope::default();
        let scope = scope(entity.key());
        envelope.organization_id = scope.organization_id;
        envelope.project_id = scope.project_id;
        envelope.environment_id = scope.environment_id;
        envelope.entity_id = scope.entity_id;
        envelope.user_id = Some("user_dev".to_owned());
        envelope.agent_id = Some("agent_dev".to_owned());
        envelope.thread_id = Some(String::new());
        Self {
            entity,
            tool: tool.to_owned(),
            arguments: "{}".to_owned(),
            context: None,
            envelope,
            signed_at: None,
            legacy: false,
            tamper: None,
            pending_time: entity.shared().options.pending_time,
        }
    }

    /// The arguments, an object. Default: none.
    #[expect(clippy::needless_pass_by_value, reason = "callers write `json!(…)` in its place")]
    pub fn arguments(mut self, arguments: Value) -> Self {
        self.arguments = arguments.to_string();
        self
    }

    /// The arguments as JSON text, sent and signed as it is: for what no [`Value`] can hold, such as a
    /// lone surrogate, a number of many digits or a member that stands twice.
    pub fn arguments_text(mut self, arguments: impl Into<String>) -> Self {
        self.arguments = arguments.into();
        self
    }

    /// The `_context`, an object. Default: there is none.
    pub fn context(mut self, context: Value) -> Self {
        self.context = Some(context);
        self
    }

    /// The user on whose behalf the agent acts. Default: `user_dev`.
    pub fn user(mut self, user_id: impl Into<String>) -> Self {
        self.envelope.user_id = Some(user_id.into());
        self
    }

    /// The user's own credential. Default: there is none.
    pub fn user_token(mut self, token: impl Into<String>) -> Self {
        self.envelope.user_token = Some(token.into());
        self
    }

    /// The agent. Default: `agent_dev`.
    pub fn agent(mut self, agent_id: impl Into<String>) -> Self {
        self.envelope.agent_id = Some(agent_id.into());
        self
    }

    /// The thread. Default: empty.
    pub fn thread(mut self, thread_id: impl Into<String>) -> Self {
        self.envelope.thread_id = Some(thread_id.into());
        self
    }

    /// An OIDC access token that the entity issued. Default: there is none.
    pub fn entity_token(mut self, token: impl Into<String>) -> Self {
        self.envelope.entity_token = Some(token.into());
        self
    }

    /// Changes the envelope before it is signed, for example to leave out identities. Timestamp, nonce,
    /// signature and call id are filled in afterwards.
    pub fn envelope(mut self, change: impl FnOnce(&mut Envelope)) -> Self {
        change(&mut self.envelope);
        self
    }

    /// The call's id. Default: a new one.
    pub fn call_id(mut self, call_id: impl Into<String>) -> Self {
        self.envelope.call_id = Some(call_id.into());
        self
    }

    /// The time that the call says it was signed at. Default: now.
    pub fn signed_at(mut self, time: SystemTime) -> Self {
        self.signed_at = Some(time);
        self
    }

    /// Signs in the legacy form, without a nonce.
    pub fn legacy(mut self) -> Self {
        self.legacy = true;
        self
    }

    /// Changes something after the call was signed.
    pub fn tamper(mut self, tamper: Tamper) -> Self {
        self.tamper = Some(tamper);
        self
    }

    /// How long the answer is waited for. Default: as in the platform's options.
    pub fn pending_time(mut self, time: Duration) -> Self {
        self.pending_time = time;
        self
    }

    /// Sends the call and waits for its answer. The call waits on when its connection ends: an answer
    /// on a later one counts.
    ///
    /// # Errors
    /// When nothing could be sent: no host is connected, or arguments or context are not objects. What
    /// the host answers, or that it does not, is in the report.
    pub async fn send(self) -> Result<CallReport, DevError> {
        let pending_time = self.pending_time;
        let shared = self.entity.shared();
        let key = self.entity.key().clone();
        let call = self.into_frame()?;
        exchange(shared, &key, call, pending_time).await
    }

    /// Signs the call and writes its frame.
    fn into_frame(self) -> Result<LastCall, DevError> {
        let object = |value: &Value, name| match value {
            Value::Object(_) => Ok(value.to_string()),
            _ => Err(DevError::NotAnObject(name)),
        };
        let arguments =
            Arguments::from_json(self.arguments).map_err(|_| DevError::NotAnObject("arguments"))?;
        let context = self.context.as_ref().map(|context| object(context, "context")).transpose()?;
        let mut signed = platform::signed_arguments(arguments.as_json(), context.as_deref());

        let mut envelope = self.envelope;
        let call_id = envelope.call_id.get_or_insert_with(random::uuid).clone();
        let time = match self.signed_at {
            Some(time) => Timestamp::try_from(time).unwrap_or(Timestamp::MAX),
            None => Timestamp::now(),
        };
        let timestamp = format!("{time:.3}");
        envelope.nonce = (!self.legacy).then(random::nonce);
        let secret = self.entity.secret();
        let key = SigningKey::new(&secret);
        envelope.signature = Some(key.sign_call(&timestamp, envelope.nonce.as_deref(), &self.tool, &signed));
        envelope.timestamp = Some(timestamp);

        let mut tool = self.tool;
        if let Some(tamper) = self.tamper {
            tamper.apply(&mut tool, &mut signed, &mut envelope, time);
        }
        let frame = platform::tool_call(&call_id, &tool, &signed, &envelope);
        Ok(LastCall { call_id, tool, frame })
    }
}

impl Tamper {
    fn apply(self, tool: &mut String, arguments: &mut String, envelope: &mut Envelope, time: Timestamp) {
        match self {
            Self::Arguments => change_a_byte(arguments),
            Self::ToolName => tool.push('_'),
            Self::Timestamp => {
                envelope.timestamp = Some(format!("{:.3}", time + Duration::from_millis(1)));
            }
            Self::Nonce => envelope.nonce = Some(random::nonce()),
            Self::Signature => {
                if let Some(last) = envelope.signature.as_mut().and_then(String::pop) {
                    let other = if last == '0' { '1' } else { '0' };
                    envelope.signature.get_or_insert_default().push(other);
                }
            }
            Self::Unsigned => envelope.signature = None,
            Self::CallId => envelope.call_id = Some(random::uuid()),
            Self::Scope => envelope.entity_id = Some("another-entity".to_owned()),
        }
    }
}

/// Changes the first character of the first name in an object's text, or adds a member where there is
/// none to change.
fn change_a_byte(object: &mut String) {
    let first = object.find('"').map(|quote| quote + 1);
    match first.and_then(|at| Some((at, object[at..].chars().next()?))) {
        Some((at, character)) if character.is_ascii_alphanumeric() || character == '_' => {
            let other = if character == 'x' { "y" } else { "x" };
            object.replace_range(at..=at, other);
        }
        _ => {
            let tail = if object.trim_end() == "{}" { r#""x":0"# } else { r#""x":0,"# };
            object.insert_str(1, tail);
        }
    }
}

/// Sends a call and waits for the answer.
pub(crate) async fn exchange(
    shared: &Shared,
    key: &EntityKey,
    call: LastCall,
    pending_time: Duration,
) -> Result<CallReport, DevError> {
    let LastCall { call_id, tool, frame } = call.clone();
    let start = Instant::now();
    let (waiter, receiver) = shared.update(|state| {
        let seat = state.seat_mut(key).ok_or_else(|| DevError::UnknownEntity(key.clone()))?;
        let connection = seat.connection.as_ref().ok_or_else(|| DevError::NotConnected(key.clone()))?;
        connection.send_text(frame.clone());
        seat.last_call = Some(call);
        state.counters.calls += 1;
        // The lock is held, so no answer comes before it is expected.
        Ok(state.pending.expect(key, &call_id))
    })?;
    shared.emit(Event::Called { key: key.clone(), call_id: call_id.clone(), tool: tool.clone() });
    let mut pending = Pending { shared, key, call_id: &call_id, waiter, receiver };
    let answer = match timeout(pending_time, &mut pending.receiver).await {
        Ok(answer) => answer.ok(),
        Err(_) => pending.give_up(),
    };
    let latency = start.elapsed();
    drop(pending);
    let (outcome, host_latency, reply) = match answer {
        Some(Answer { content, host_latency, frame }) => {
            let outcome = match content {
                Ok(result) => Outcome::Result(read_result(&result)),
                Err(error) => Outcome::Error(error),
            };
            (outcome, host_latency, Some(frame))
        }
        None => (Outcome::TimedOut, None, None),
    };
    Ok(CallReport { call_id, tool, outcome, latency, host_latency, sent: frame, reply })
}

/// A call that waits; nobody waits for it any more when this is dropped.
struct Pending<'a> {
    shared: &'a Shared,
    key: &'a EntityKey,
    call_id: &'a str,
    waiter: Waiter,
    receiver: oneshot::Receiver<Answer>,
}

impl Pending<'_> {
    /// Stops waiting, unless the answer has just come.
    fn give_up(&mut self) -> Option<Answer> {
        let waited = self.shared.update(|state| {
            let waited = state.pending.abandon(self.key, self.call_id, self.waiter);
            state.counters.timed_out += u64::from(waited);
            waited
        });
        if !waited {
            return self.receiver.try_recv().ok();
        }
        let (key, call_id) = (self.key.clone(), self.call_id.to_owned());
        self.shared.emit(Event::TimedOut { key, call_id });
        None
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        self.shared.update(|state| state.pending.abandon(self.key, self.call_id, self.waiter));
    }
}

/// The result as the agent gets it: whole, or replaced when it is too large.
fn read_result(result: &str) -> Value {
    if result.len() > MAX_RESULT_BYTES {
        let preview: String = result.chars().take(PREVIEW_CHARACTERS).collect();
        return json!({"truncated": true, "preview": preview, "original_bytes": result.len()});
    }
    // A lone surrogate or endless nesting is JSON, but no value.
    serde_json::from_str(result).unwrap_or_else(|_| Value::String(result.to_owned()))
}

/// What came of a call.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct CallReport {
    /// The call's id.
    pub call_id: String,
    /// The tool's name, as it was sent.
    pub tool: String,
    /// What the host answered.
    pub outcome: Outcome,
    /// The time from sending to the answer, or to giving up.
    pub latency: Duration,
    /// The latency that the host measured and reported with its result.
    pub host_latency: Option<Duration>,
    /// The frame that was sent, exactly.
    pub sent: String,
    /// The frame that was received, exactly.
    pub reply: Option<String>,
}

impl std::fmt::Debug for CallReport {
    /// Without the frames, which hold tokens.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CallReport")
            .field("call_id", &self.call_id)
            .field("tool", &self.tool)
            .field("outcome", &self.outcome)
            .field("latency", &self.latency)
            .field("host_latency", &self.host_latency)
            .finish_non_exhaustive()
    }
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Outcome {
    /// The host answered with a result. One over 256 KiB is replaced by an object with `truncated`,
    /// `preview` and `original_bytes`.
    Result(Value),
    /// The host answered with an error, for the model.
    Error(String),
    /// No answer came in time.
    TimedOut,
}

/// Why a call has no result.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CallFailure {
    /// The host answered with an error.
    #[error("the tool answered with an error: {0}")]
    Error(String),
    /// No answer came in time.
    #[error("the host did not answer within {} s", .0.as_secs_f64())]
    TimedOut(Duration),
}

impl CallReport {
    /// The result.
    ///
    /// # Errors
    /// When the host answered with an error, or not at all.
    pub fn into_result(self) -> Result<Value, CallFailure> {
        match self.outcome {
            Outcome::Result(result) => Ok(result),
            Outcome::Error(error) => Err(CallFailure::Error(error)),
            Outcome::TimedOut => Err(CallFailure::TimedOut(self.latency)),
        }
    }

    /// The error's text, if the host answered with one.
    pub fn error(&self) -> Option<&str> {
        match &self.outcome {
            Outcome::Error(error) => Some(error),
            _ => None,
        }
    }

    /// The text that the signature in the sent frame must cover: `{timestamp}.{nonce}.{body}`.
    pub fn signed_text(&self) -> String {
        let Ok(Inbound::ToolCall(call)) = Inbound::parse(&self.sent) else { return String::new() };
        let envelope = call.envelope();
        let mut text = String::new();
        for part in [&envelope.timestamp, &envelope.nonce].into_iter().flatten() {
            text.push_str(part);
            text.push('.');
        }
        let [before, after] = call.params().signed_pieces();
        text.push_str(r#"{"method":"tools/call","params":{"name":"#);
        text.push_str(call.tool_name().raw_json());
        text.push_str(r#","arguments":"#);
        text.push_str(before);
        text.push_str(after);
        text.push_str("}}");
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_byte_leaves_an_object_that_differs() {
        for object in ["{}", r#"{"a":1}"#, r#"{"x":1}"#, r#"{"":1}"#, r#"{"é":1}"#, r#"{"\"":1}"#] {
            let mut changed = object.to_owned();
            change_a_byte(&mut changed);
            assert_ne!(changed, object);
            serde_json::from_str::<serde_json::Map<String, Value>>(&changed).unwrap();
        }
    }

    #[test]
    fn a_result_over_the_limit_is_replaced() {
        let whole = format!("\"{}\"", "é".repeat((MAX_RESULT_BYTES - 2) / 2));
        assert_eq!(whole.len(), MAX_RESULT_BYTES);
        assert!(read_result(&whole).is_string());
        let larger = format!("[{whole}]");
        let replaced = read_result(&larger);
        assert_eq!(replaced["truncated"], true);
        assert_eq!(replaced["original_bytes"], larger.len());
        assert_eq!(replaced["preview"].as_str().unwrap().chars().count(), PREVIEW_CHARACTERS);
    }
}
