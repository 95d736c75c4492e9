//! Threads, and what is in them.

use serde_json::json;

use super::query;
use crate::client::PlatosClient;
use crate::error::{ConfigError, Error};
use crate::http::{Call, id};
use crate::model::{Artifact, Message, Thread};
use crate::turn::{NewMessage, TurnStream};

/// Calls about threads; from [`PlatosClient::threads`].
#[derive(Debug, Clone, Copy)]
pub struct Threads<'a> {
    pub(crate) client: &'a PlatosClient,
}

/// A thread to create; platforms want to know with which agent.
///
/// ```
/// use platos_client::NewThread;
///
/// let thread = NewThread::with_agent("agt_1").title("Inbox");
/// # let _ = thread;
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewThread {
    agent_id: Option<String>,
    title: Option<String>,
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
}

query! {
    /// Which threads to list.
    pub struct ThreadsQuery {
        /// Of one agent.
        agent: String = "agentId",
        /// In this state.
        status: String = "status",
        /// With this tag.
        tag: String = "tag",
        /// Only those that are pinned.
        pinned: bool = "pinned",
        /// `true` for archived ones too, `only` for those alone.
        archived: String = "archived",
        /// Those of all users, where the caller may see them.
        all_users: bool = "allUsers",
        /// From this one on.
        offset: u32 = "offset",
        /// How many at most.
        limit: u32 = "limit",
    }
}

impl Threads<'_> {
    /// Creates a thread.
    ///
    /// # Errors
    /// See [`Error`]. Platforms know no key for a creation: where the answer got lost, the thread may be there, and
    /// [`list`](Self::list) says so.
    pub async fn create(&self, thread: NewThread) -> Result<Thread, Error> {
        // Platforms refuse a thread without an agent; old ones made an agent of the name `default` up.
        let agent_id = thread.agent_id.as_deref().unwrap_or_default();
        if matches!(agent_id.trim(), "" | "default") {
            let problem = "missing or `default`";
            return Err(ConfigError::Id { what: "agent id of the thread", problem }.into());
        }
        let mut body = json!({"agentId": agent_id});
        if let Some(title) = thread.title {
            body["title"] = title.into();
        }
        let thread: Thread = self.client.send(Call::once(&["threads"]).body(body)).await?.one()?;
        self.client.remember(&thread);
        Ok(thread)
    }

    /// The threads of the scope: those that are pinned first, then the newest. One page, of 25 unless
    /// [`limit`](ThreadsQuery::limit) says otherwise, 100 at most.
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
        let thread: Option<Thread> =
            self.client.find(Call::get(&["threads", id("thread id", thread_id)?])).await?;
        if let Some(thread) = &thread {
            self.client.remember(thread);
        }
        Ok(thread)
    }

    /// Gives a thread another title, or none.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn rename(&self, thread_id: &str, title: Option<&str>) -> Result<(), Error> {
        let call = Call::patch(&["threads", id("thread id", thread_id)?, "rename"]);
        self.client.send(call.body(json!({"title": title}))).await?.nothing()
    }

    /// Replaces a thread's tags, of which there are at most 20.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn set_tags<T: AsRef<str>>(
        &self,
        thread_id: &str,
        tags: impl IntoIterator<Item = T>,
    ) -> Result<Thread, Error> {
        let tags: Vec<_> = tags.into_iter().map(|tag| tag.as_ref().to_owned()).collect();
        let call = Call::change(&["threads", id("thread id", thread_id)?, "tags"]);
        self.client.send(call.body(json!({"tags": tags}))).await?.one()
    }

    /// Pins a thread, or no longer.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn pin(&self, thread_id: &str, pinned: bool) -> Result<Thread, Error> {
        let call = Call::change(&["threads", id("thread id", thread_id)?, "pin"]);
        self.client.send(call.body(json!({"pinned": pinned}))).await?.one()
    }

    /// Another thread that begins as this one does, up to a message.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn fork(
        &self,
        thread_id: &str,
        up_to_message_id: &str,
        title: Option<&str>,
    ) -> Result<Thread, Error> {
        let mut body = json!({"upToMessageId": id("message id", up_to_message_id)?});
        if let Some(title) = title {
            body["title"] = title.into();
        }
        let call = Call::once(&["threads", id("thread id", thread_id)?, "fork"]);
        self.client.send(call.body(body)).await?.one()
    }

    /// The messages of a thread, oldest first: all of them, by as many requests as it takes. On newer platforms the two
    /// messages of one turn have the same id.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn messages(&self, thread_id: &str) -> Result<Vec<Message>, Error> {
        let call = Call::get(&["threads", id("thread id", thread_id)?, "messages"]);
        self.client.all(call, None, &["messages"]).await
    }

    /// The artifacts of a thread, each in its last revision.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn artifacts(&self, thread_id: &str) -> Result<Vec<Artifact>, Error> {
        let call = Call::get(&["threads", id("thread id", thread_id)?, "artifacts"]);
        self.client.all(call, None, &["artifacts"]).await
    }

    /// Archives a thread.
    ///
    /// # Errors
    /// See [`Error`]. Newer platforms answer every failure with 400, also that there is no such thread.
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

    /// Deletes a thread. Platforms archive it, and keep it.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn delete(&self, thread_id: &str) -> Result<(), Error> {
        let call = Call::delete(&["threads", id("thread id", thread_id)?]);
        self.client.send(call).await?.done("archived")
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

    /// Takes up the thread's last turn, such as after a restart of this program. Nothing is sent. The stream ends with the
    /// stored reply, [`AgentEvent::Recovered`](crate::AgentEvent::Recovered), at once or as soon as the platform has it;
    /// a durable turn is heard until then.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn resume(&self, thread_id: &str) -> TurnStream {
        TurnStream::begin(self.client, thread_id, None)
    }
}
