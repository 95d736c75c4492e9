//! Calling a tool (protocol §3–§6).

pub(crate) mod exchange;

use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use platools::Arguments;
use platools::verify::SigningKey;
use platools::wire::{Envelope, platform};
use serde_json::Value;

use self::exchange::Sent;
use crate::call::SignedCall;
use crate::call::report::CallReport;
use crate::call::tamper::Tamper;
use crate::entity::ConnectedEntity;
use crate::error::DevError;
use crate::random;

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

impl ConnectedEntity {
    /// Calls a tool with these arguments and waits for the answer.
    ///
    /// # Errors
    /// When nothing could be sent; see [`CallBuilder::send`].
    pub async fn call(&self, tool: &str, arguments: Value) -> Result<CallReport, DevError> {
        self.calling(tool).arguments(arguments).send().await
    }

    /// Prepares a call: as whom, in which thread, and with which faults.
    pub fn calling(&self, tool: &str) -> CallBuilder<'_> {
        CallBuilder::new(self, tool)
    }
}

impl<'a> CallBuilder<'a> {
    pub(crate) fn new(entity: &'a ConnectedEntity, tool: &str) -> Self {
        let mut envelope = Envelope::from(entity.key().scope());
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

    /// The longest wait for the answer. Default: as in the platform's options.
    pub fn pending_time(mut self, time: Duration) -> Self {
        self.pending_time = time;
        self
    }

    /// Sends the call and waits for its answer: over the WebSocket if a host is connected, otherwise to the callback URL
    /// of the declaration (protocol §6). A call over the WebSocket waits on when its connection ends: an answer on a
    /// later one counts. It is never repeated over HTTP.
    ///
    /// # Errors
    /// When nothing could be sent: no host was connected since the start, or arguments or context are not objects. What
    /// the host answers, or that it does not, is in the report.
    pub async fn send(self) -> Result<CallReport, DevError> {
        Ok(self.start()?.answer().await.report)
    }

    /// Sends the call.
    pub(crate) fn start(self) -> Result<Sent, DevError> {
        let (entity, pending_time) = (self.entity, self.pending_time);
        Sent::send(entity.shared(), entity.key(), self.into_frame()?, pending_time)
    }

    /// Signs the call and writes its frame.
    fn into_frame(self) -> Result<SignedCall, DevError> {
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
        Ok(SignedCall { call_id, tool, frame, tamper: self.tamper, repeated: false })
    }
}
