//! What is said to an agent.

use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

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
    pub(super) cancel: CancellationToken,
}

impl NewMessage {
    /// A message.
    pub fn new(text: impl Into<String>) -> Self {
        let fields = Map::from_iter([("message".to_owned(), Value::String(text.into()))]);
        Self { fields, cancel: CancellationToken::new() }
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

    /// What goes over the wire.
    pub(super) fn payload(&self, thread_id: &str) -> Value {
        let mut fields = self.fields.clone();
        fields.insert("threadId".to_owned(), thread_id.into());
        Value::Object(fields)
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
