//! The whole of a turn at once.

use serde_json::Value;

use super::TurnStream;
use crate::error::Error;
use crate::event::{AgentEvent, ArtifactCommitted, ErrorEvent, Recovered, ToolCall, ToolResult};

/// What a turn came to.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Turn {
    /// The answer. Where it is several messages, an empty line stands between them.
    pub text: String,
    /// What the agent thought.
    pub thinking: String,
    /// The tools that were called.
    pub tool_calls: Vec<ToolCall>,
    /// What they answered.
    pub tool_results: Vec<ToolResult>,
    /// The artifacts that are complete.
    pub artifacts: Vec<ArtifactCommitted>,
    /// The messages that were stored.
    pub message_ids: Vec<String>,
    /// What the turn used.
    pub usage: Option<Value>,
    /// Whether it was stopped before its end.
    pub stopped: bool,
    /// Whether the connection broke during the turn, and the text is what the platform stored.
    pub recovered: bool,
    /// The object that was asked for with [`NewMessage::output_schema`](crate::NewMessage::output_schema).
    pub structured_output: Option<Value>,
    /// Another message begins with the next piece.
    boundary: bool,
}

impl Turn {
    /// Adds what an event says; gives back an error that it reports.
    pub(super) fn add(&mut self, event: AgentEvent) -> Option<ErrorEvent> {
        match event {
            // The whole of it is known already.
            AgentEvent::Token(_) if self.recovered => {}
            AgentEvent::Recovered(recovered) => self.recover(recovered),
            AgentEvent::StructuredOutput(output) => self.structured_output = output.object,
            AgentEvent::Token(token) => {
                if std::mem::take(&mut self.boundary) && !self.text.is_empty() {
                    self.text.push_str("\n\n");
                }
                self.text.push_str(&token.text);
            }
            AgentEvent::MessageBoundary(_) => self.boundary = true,
            AgentEvent::Thinking(thinking) => self.thinking.push_str(&thinking.text),
            AgentEvent::ToolCall(call) => self.tool_calls.push(call),
            AgentEvent::ToolResult(result) => self.tool_results.push(result),
            AgentEvent::ArtifactCommitted(artifact) => self.artifacts.push(artifact),
            AgentEvent::MessagePersisted(message) => self.message_ids.push(message.message_id),
            AgentEvent::Error(error) => return Some(error),
            AgentEvent::Done(done) => {
                self.usage = done.usage;
                self.stopped = done.stopped == Some(true);
            }
            _ => {}
        }
        None
    }
}

impl Turn {
    /// Takes what the platform stored in the place of what was heard.
    fn recover(&mut self, recovered: Recovered) {
        self.text = recovered.text;
        self.recovered = true;
        let field = |name: &str| {
            let fields = recovered.messages.iter().filter_map(|message| message.extra.get(name));
            fields.cloned().collect::<Vec<_>>()
        };
        let output = field("responseJson").into_iter().find_map(|mut json| {
            json.get_mut("structured_output").map(Value::take).filter(|output| !output.is_null())
        });
        self.structured_output = self.structured_output.take().or(output);
        let calls: Vec<_> = field("toolCalls").into_iter().filter_map(as_list).flatten().collect();
        if calls.len() > self.tool_calls.len() {
            let name = |call: &Value| call["name"].as_str().unwrap_or_default().to_owned();
            let made = |call: &Value| ToolCall {
                name: name(call),
                params: call.get("params").cloned(),
                ..ToolCall::default()
            };
            let came = |call: &Value| ToolResult {
                name: name(call),
                result: call.get("result").cloned(),
                ..ToolResult::default()
            };
            self.tool_calls = calls.iter().map(made).collect();
            self.tool_results = calls.iter().map(came).collect();
        }
    }
}

fn as_list(value: Value) -> Option<Vec<Value>> {
    match value {
        Value::Array(list) => Some(list),
        _ => None,
    }
}

impl TurnStream {
    /// The text of the turn, when it is done.
    ///
    /// ```
    /// # async fn example(client: platos_client::PlatosClient) -> Result<(), platos_client::Error> {
    /// let answer = client.threads().send("thr_1", "What is new?").text().await?;
    /// println!("{answer}");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`collect`](Self::collect).
    pub async fn text(self) -> Result<String, Error> {
        self.collect().await.map(|turn| turn.text)
    }

    /// Everything that the turn came to, when it is done. Approvals that it needs have to be resolved by somebody
    /// else; see [`run`](Self::run).
    ///
    /// # Errors
    /// The error that ends the stream, such as [`Error::TurnLost`], and [`Error::Turn`] when the agent reported one; both
    /// have the text so far.
    pub async fn collect(mut self) -> Result<Turn, Error> {
        let (mut turn, mut failed) = (Turn::default(), None);
        while let Some(event) = self.next().await {
            match event {
                Ok(event) => failed = turn.add(event).or(failed),
                Err(error) => return Err(with_text(error, turn.text)),
            }
        }
        finished(turn, failed)
    }
}

/// The turn, or the error that the agent reported.
pub(super) fn finished(turn: Turn, failed: Option<ErrorEvent>) -> Result<Turn, Error> {
    match failed {
        Some(event) => Err(with_text(super::driver::turn_failed(event), turn.text)),
        None => Ok(turn),
    }
}

/// An error of the turn, with the text that came before it.
pub(super) fn with_text(error: Error, text: String) -> Error {
    match error {
        Error::Turn { message, event, .. } => Error::Turn { message, text, event },
        Error::TurnLost(mut lost) => {
            lost.text = text;
            Error::TurnLost(lost)
        }
        error => error,
    }
}
