//! Threads, and what is in them.

use serde_json::json;

use super::query;
use crate::client::PlatosClient;
use crate::error::Error;
use crate::http::{Call, id};
use crate::model::{Artifact, Message, Thread};
use crate::turn::{NewMessage, TurnStream};

/// Calls about threads; from [`PlatosClient::threads`].
#[derive(Debug, Clone, Copy)]
pub struct Threads<'a> {
    pub(crate) client: &'a PlatosClient,
}

/// A thread to create. The default is a thread with the agent `default`.
///
/// ```
/// use platos_client::NewThread;
///
/// let thread = NewThread::with_agent("agt_1").title("Inbox").idempotency_key("inbox-2026-11-21");
/// # let _ = thread;
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewThread {
    agent_id: Option<String>,
    title: Option<String>,
    key: Option<String>,
}

impl NewThread {
    /// A thread with an agent.
    pub fn with_agent(agent_id: impl Into<String>) -> Self {
        Self { agent_id: Some(agent_id.into()), ..Self::default() }
    }

    /// Its title.
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.title = Some(title.into());
        self
    }

    /// Under which key the platform knows this creation again. Without one, each call has its own, which covers
    /// the retries of that call.
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }
}

query! {
    /// Which threads to list.
    pub struct ThreadsQuery {
        /// Of one agent.
        agent: String = "agentId",
        /// How many at most.
        limit: u32 = "limit",
    }
}

impl Threads<'_> {
    /// Creates a thread.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn create(&self, thread: NewThread) -> Result<Thread, Error> {
        let agent_id = thread.agent_id.as_deref().unwrap_or("default");
        let call = Call::create(&["threads"], thread.key)?;
        self.client.send(call.body(json!({"agentId": agent_id, "title": thread.title}))).await?.one()
    }

    /// The threads of the scope.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn list(&self, query: ThreadsQuery) -> Result<Vec<Thread>, Error> {
        self.client.send(query.apply(Call::get(&["threads"]))).await?.list("threads")
    }

    /// One thread, or `None` where there is none of that id.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn get(&self, thread_id: &str) -> Result<Option<Thread>, Error> {
        self.client.find(Call::get(&["threads", id("thread id", thread_id)?])).await
    }

    /// The messages of a thread.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn messages(&self, thread_id: &str) -> Result<Vec<Message>, Error> {
        let call = Call::get(&["threads", id("thread id", thread_id)?, "messages"]);
        self.client.send(call).await?.list("messages")
    }

    /// The artifacts of a thread.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn artifacts(&self, thread_id: &str) -> Result<Vec<Artifact>, Error> {
        let call = Call::get(&["threads", id("thread id", thread_id)?, "artifacts"]);
        self.client.send(call).await?.list("artifacts")
    }

    /// Archives a thread.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn archive(&self, thread_id: &str) -> Result<(), Error> {
        let call = Call::change(&["threads", id("thread id", thread_id)?, "archive"]);
        self.client.send(call).await?.nothing()
    }

    /// Brings a thread back from the archive.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn unarchive(&self, thread_id: &str) -> Result<(), Error> {
        let call = Call::change(&["threads", id("thread id", thread_id)?, "unarchive"]);
        self.client.send(call).await?.nothing()
    }

    /// Deletes a thread.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn delete(&self, thread_id: &str) -> Result<(), Error> {
        let call = Call::delete(&["threads", id("thread id", thread_id)?]);
        self.client.send(call).await?.nothing()
    }

    /// Sends a message to a thread and streams the turn that answers it. The work begins at once, in a task of
    /// its own; errors are items of the stream. See [`TurnStream`].
    ///
    /// ```
    /// # async fn example(client: platos_client::PlatosClient) -> Result<(), platos_client::Error> {
    /// use platos_client::{AgentEvent, NewMessage};
    ///
    /// let message = NewMessage::new("Summarise today's inbox.").model_label("fast");
    /// let mut turn = client.threads().send("thr_1", message);
    /// while let Some(event) = turn.next().await {
    ///     match event? {
    ///         AgentEvent::Token(token) => print!("{}", token.text),
    ///         AgentEvent::ToolCall(call) => println!("[{}]", call.name),
    ///         _ => {}
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn send(&self, thread_id: &str, message: impl Into<NewMessage>) -> TurnStream {
        TurnStream::begin(self.client, thread_id, Some(&message.into()))
    }

    /// Streams a turn that is under way already, such as after a restart of this program. Nothing is sent but
    /// `resume_stream`; what the platform has kept of the turn comes first.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn resume(&self, thread_id: &str) -> TurnStream {
        TurnStream::begin(self.client, thread_id, None)
    }
}
