//! What is said to an agent, and by which way.

use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use crate::config::check_header;
use crate::error::ConfigError;

/// By which way a message goes, and its turn comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Transport {
    /// Socket.IO. A turn outlives its connection, and approvals are decided over it. Durable agents get the text alone:
    /// attachments, dynamic blocks and a model label reach them by [`Sse`](Self::Sse).
    Socket,
    /// One request whose answer is a stream of events. It can carry an output schema and another system prompt. When the
    /// connection breaks, the platform stops a turn that is not durable.
    Sse,
    /// One request that is answered when the turn is done, with all events at once. Platforms take no idempotency key
    /// there, and a turn that is cancelled goes on without its reader.
    Blocking,
}

/// A message to a thread, and how its turn is to run. A text by itself is one too.
///
/// ```
/// use platos_client::NewMessage;
///
/// let message = NewMessage::new("Where is order 1042?")
///     .agent("agt_1")
///     .context("order", "ord-1042")
///     .dynamic_block("plan", "The customer is on the pro plan.")
///     .attachment("att_7");
/// # let _ = message;
/// ```
#[derive(Debug, Clone)]
pub struct NewMessage {
    fields: Map<String, Value>,
    key: Option<String>,
    transport: Option<Transport>,
    pub(super) cancel: CancellationToken,
}

/// The fields that only requests carry.
const OF_REQUESTS: [&str; 2] = ["outputSchema", "systemPromptOverride"];

/// The fields that the answer to one request is asked for with.
const OF_BLOCKING: [&str; 5] = ["message", "agentId", "attachmentIds", "systemPromptOverride", "modelLabel"];

/// A message that is complete.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) transport: Transport,
    pub(super) fields: Map<String, Value>,
    pub(super) key: String,
}

impl NewMessage {
    /// A message.
    pub fn new(text: impl Into<String>) -> Self {
        let fields = Map::from_iter([("message".to_owned(), Value::String(text.into()))]);
        Self { fields, key: None, transport: None, cancel: CancellationToken::new() }
    }

    /// Another agent than the thread's own.
    pub fn agent(self, agent_id: impl Into<String>) -> Self {
        self.field("agentId", agent_id.into())
    }

    /// What the message is about: a type of thing, and its id.
    pub fn context(self, kind: impl Into<String>, id: impl Into<String>) -> Self {
        self.field("contextType", kind.into()).field("contextId", id.into())
    }

    /// A text that the agent's prompt has a place for.
    pub fn dynamic_block(mut self, name: impl Into<String>, text: impl Into<String>) -> Self {
        let blocks = self.fields.entry("dynamicBlocks").or_insert_with(|| Value::Object(Map::new()));
        if let Some(blocks) = blocks.as_object_mut() {
            blocks.insert(name.into(), Value::String(text.into()));
        }
        self
    }

    /// A file that was uploaded before.
    pub fn attachment(mut self, id: impl Into<String>) -> Self {
        let ids = self.fields.entry("attachmentIds").or_insert_with(|| Value::Array(Vec::new()));
        if let Some(ids) = ids.as_array_mut() {
            ids.push(Value::String(id.into()));
        }
        self
    }

    /// Which of the agent's models is to answer.
    pub fn model_label(self, label: impl Into<String>) -> Self {
        self.field("modelLabel", label.into())
    }

    /// The message that this one replies to.
    pub fn reply_to(self, message_id: impl Into<String>) -> Self {
        self.field("replyToMessageId", message_id.into())
    }

    /// The JSON Schema of what is to be answered; [`Turn::structured_output`](crate::Turn::structured_output) is the
    /// result. It goes by [`Transport::Sse`].
    pub fn output_schema(self, schema: impl Into<Value>) -> Self {
        self.field("outputSchema", schema)
    }

    /// Another system prompt for this turn. It goes by [`Transport::Sse`], or by [`Transport::Blocking`] where that is
    /// asked for.
    pub fn system_prompt_override(self, prompt: impl Into<String>) -> Self {
        self.field("systemPromptOverride", prompt.into())
    }

    /// Under which key the platform knows this message again, for 10 minutes: sent again under the same one, the turn
    /// runs once, and its reply is the answer to both. Without one, each message has its own.
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// By which way it goes. By default that is [`Transport::Socket`], or [`Transport::Sse`] for what a socket cannot
    /// carry.
    pub fn transport(mut self, transport: Transport) -> Self {
        self.transport = Some(transport);
        self
    }

    /// Any other field, as the platform calls it.
    pub fn field(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.fields.insert(name.into(), value.into());
        self
    }

    /// Stops the turn when the token is cancelled: the stream then ends with a `done` that is `stopped`.
    pub fn cancel_with(mut self, token: &CancellationToken) -> Self {
        self.cancel = token.clone();
        self
    }

    pub(super) fn text(&self) -> &str {
        self.fields.get("message").and_then(Value::as_str).unwrap_or_default()
    }

    pub(super) fn agent_id(&self) -> Option<&str> {
        self.fields.get("agentId").and_then(Value::as_str)
    }

    /// The way that it goes.
    pub(super) fn way(&self) -> Transport {
        let needs_request = OF_REQUESTS.iter().any(|name| self.fields.contains_key(*name));
        let otherwise = if needs_request { Transport::Sse } else { Transport::Socket };
        self.transport.unwrap_or(otherwise)
    }

    /// A field that platforms do not hand on to a durable agent.
    pub(super) fn lost_by_durable_agents(&self) -> Option<&'static str> {
        let lost = ["attachmentIds", "dynamicBlocks", "modelLabel"];
        let lost = lost.into_iter().find(|name| self.fields.contains_key(*name));
        lost.filter(|_| self.way() == Transport::Socket)
    }

    /// Whether the way that was chosen carries what there is to say.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        if let Some(key) = &self.key {
            check_header("the idempotency key", key)?;
            if self.way() == Transport::Blocking {
                return Err(ConfigError::NotCarried { field: "idempotencyKey".to_owned() });
            }
        }
        if self.text().trim().is_empty() && !self.fields.contains_key("attachmentIds") {
            let expected = "a text that is not blank, or an attachment";
            return Err(ConfigError::Setting { setting: "message", expected });
        }
        let carried = |name: &str| match self.way() {
            Transport::Socket => !OF_REQUESTS.contains(&name),
            Transport::Sse => true,
            Transport::Blocking => OF_BLOCKING.contains(&name),
        };
        match self.fields.keys().find(|name| !carried(name)) {
            Some(field) => Err(ConfigError::NotCarried { field: field.clone() }),
            None => Ok(()),
        }
    }

    /// What goes over the wire, with the agent of the thread where the message names none.
    pub(super) fn outgoing(&self, thread_id: &str, agent_id: Option<String>) -> Outgoing {
        let mut fields = self.fields.clone();
        fields.insert("threadId".to_owned(), thread_id.into());
        if let Some(agent_id) = agent_id {
            fields.insert("agentId".to_owned(), agent_id.into());
        }
        let key = self.key.clone().unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
        Outgoing { transport: self.way(), fields, key }
    }
}

impl Outgoing {
    /// What a socket carries.
    pub(super) fn into_frame(mut self) -> Value {
        self.fields.insert("idempotencyKey".to_owned(), self.key.into());
        Value::Object(self.fields)
    }
}

impl From<&str> for NewMessage {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for NewMessage {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}
