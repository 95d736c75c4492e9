//! Plays the script of a turn, whoever listens.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Bytes;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::double::Generation;
use super::script::{Script, Step};
use super::store::{NOW, Shared};

/// What goes to a socket.
#[derive(Debug)]
pub(super) enum Out {
    Text(String),
    Binary(Vec<u8>),
    /// The connection ends, without a word.
    Drop,
    /// The connection goes on, without a word.
    Mute,
}

/// The turn is over before its end: whoever it was for is gone.
pub(super) struct Aborted;

/// Where a turn is heard.
pub(super) enum To {
    /// By one socket, or by all in the thread's room.
    Socket(u64),
    /// As the answer to a request; `None` when that is cut off.
    Stream(Option<mpsc::Sender<Bytes>>),
    /// When it is over.
    Collect(Vec<Value>),
}

/// One turn.
pub(super) struct Player {
    pub(super) shared: Arc<Shared>,
    pub(super) thread_id: String,
    pub(super) agent_id: Value,
    /// The user's message, where the thread is known.
    pub(super) message_id: Option<String>,
    pub(super) to: To,
    durable: bool,
    text: String,
    /// What has no reply.
    failed: bool,
    stored: Option<String>,
    /// How many frames were sent as the answer to a request.
    frames: u64,
    /// How often messages had been asked for when the turn began.
    polls: usize,
}

impl Player {
    pub(super) fn new(shared: Arc<Shared>, thread_id: String, to: To) -> Self {
        let polls = shared.read(|store| store.polls(&thread_id));
        Self {
            shared,
            thread_id,
            agent_id: Value::Null,
            message_id: None,
            to,
            durable: false,
            text: String::new(),
            failed: false,
            stored: None,
            frames: 0,
            polls,
        }
    }

    /// The whole turn; returns what it came to.
    pub(super) async fn play(mut self, script: Script) -> Self {
        self.durable = script.durable;
        let mut steps: VecDeque<_> = script.steps.into();
        while let Some(step) = steps.pop_front() {
            match self.step(step).await {
                Ok(more) => {
                    for step in more.into_iter().rev() {
                        steps.push_front(step);
                    }
                }
                Err(Aborted) => break,
            }
        }
        self.shared.write(|store| store.running.remove(&self.thread_id));
        self
    }

    /// The sockets that hear the turn.
    fn listeners(&self) -> Vec<(u64, mpsc::Sender<Out>, String)> {
        let To::Socket(own) = self.to else { return Vec::new() };
        self.shared.read(|store| {
            let hears = |number: u64, joined: bool| if self.durable { joined } else { number == own };
            let sockets = store.sockets.iter();
            let sockets =
                sockets.filter(|(number, open)| hears(**number, open.joined.contains(&self.thread_id)));
            sockets.map(|(number, open)| (*number, open.out.clone(), open.namespace.clone())).collect()
        })
    }

    pub(super) async fn emit(&mut self, name: &str, data: &Value) -> Result<(), Aborted> {
        for (_, out, namespace) in self.listeners() {
            let _ = out.send(Out::Text(crate::socket::event(&namespace, name, data))).await;
        }
        if name != "agent_event" {
            return Ok(());
        }
        match &mut self.to {
            To::Socket(_) | To::Stream(None) => Ok(()),
            To::Stream(Some(out)) => {
                self.frames += 1;
                let mut data = data.clone();
                if let Some(fields) = data.as_object_mut() {
                    fields.insert("_seq".to_owned(), self.frames.into());
                }
                let sent = out.send(format!("id: {}\ndata: {data}\n\n", self.frames).into()).await;
                if sent.is_ok() || self.durable { Ok(()) } else { Err(Aborted) }
            }
            To::Collect(events) => {
                events.push(data.clone());
                Ok(())
            }
        }
    }

    /// One step; returns those that come next because of it.
    async fn step(&mut self, step: Step) -> Result<Vec<Step>, Aborted> {
        match step {
            Step::Event(event) => self.event(&event).await?,
            Step::Emit(name, data) => self.emit(&name, &data).await?,
            Step::Meta => {
                let mut meta =
                    json!({"type": "meta", "thread_id": self.thread_id, "agent_id": self.agent_id});
                if self.durable {
                    meta["durable"] = true.into();
                }
                self.emit("agent_event", &meta).await?;
            }
            Step::Persisted => {
                let id = self.store();
                let event = json!({
                    "type": "message_persisted", "messageId": id, "threadId": self.thread_id, "costCents": 0.25,
                });
                self.emit("agent_event", &event).await?;
            }
            Step::Frame(frame) => {
                for (_, out, _) in self.listeners() {
                    let _ = out.send(Out::Text(frame.clone())).await;
                }
                if let To::Stream(Some(out)) = &self.to {
                    let _ = out.send(frame.into()).await;
                }
            }
            Step::Binary(bytes) => {
                for (_, out, _) in self.listeners() {
                    let _ = out.send(Out::Binary(bytes.clone())).await;
                }
            }
            Step::Pause(time) => tokio::time::sleep(time).await,
            Step::Drop => self.cut(|_| vec![Out::Drop]).await?,
            Step::Disconnect => {
                self.cut(|namespace| vec![Out::Text(crate::socket::disconnect(namespace))]).await?;
            }
            Step::Mute => self.cut(|_| vec![Out::Mute]).await?,
            Step::Expire => {
                let listeners = self.listeners();
                self.shared.write(|store| {
                    for (number, ..) in &listeners {
                        let token = store.sockets.get(number).and_then(|open| open.token.clone());
                        token.map(|token| store.tokens.remove(&token) | store.end_users.remove(&token));
                    }
                });
                let error = json!({"code": "SESSION_EXPIRED", "message": "The session has expired."});
                self.cut(|namespace| {
                    let error = crate::socket::event(namespace, "error", &error);
                    vec![Out::Text(error), Out::Text(crate::socket::disconnect(namespace))]
                })
                .await?;
            }
            Step::Join => {
                let thread = self.thread_id.clone();
                let joined = self.shared.wait_for(|store| {
                    store.sockets.values().any(|open| open.joined.contains(&thread)).then_some(())
                });
                joined.await;
            }
            Step::Polls(polls) => {
                let (thread, polls) = (self.thread_id.clone(), self.polls + polls);
                self.shared.wait_for(|store| (store.polls(&thread) >= polls).then_some(())).await;
            }
            Step::Approval { approval, approved, rejected } => {
                return self.approval(approval, approved, rejected).await;
            }
            Step::Repeat { event, times, per_second } => self.repeat(&event, times, per_second).await,
        }
        Ok(Vec::new())
    }

    async fn event(&mut self, event: &Value) -> Result<(), Aborted> {
        match event["type"].as_str().unwrap_or_default() {
            "token" => self.text.push_str(event["text"].as_str().unwrap_or_default()),
            "error" => self.failed = true,
            "done" if !self.failed && event["stopped"] != true => {
                self.store();
            }
            _ => {}
        }
        self.emit("agent_event", event).await
    }

    /// Stores the reply, once.
    fn store(&mut self) -> String {
        if let Some(id) = &self.stored {
            return id.clone();
        }
        let id = self.shared.write(|store| match &self.message_id {
            Some(id) if store.generation == Generation::Newest => {
                store.message_of(id, &self.thread_id, "assistant", &self.text);
                id.clone()
            }
            Some(_) => store.message(&self.thread_id, "assistant", &self.text),
            None => store.id("msg"),
        });
        self.stored = Some(id.clone());
        id
    }

    /// The last words to whoever listens. A turn that is the answer to a request ends with that, unless it is durable.
    async fn cut(&mut self, last: impl Fn(&str) -> Vec<Out>) -> Result<(), Aborted> {
        let listeners = self.listeners();
        self.shared.write(|store| {
            for (number, ..) in &listeners {
                store.sockets.remove(number);
            }
        });
        for (_, out, namespace) in listeners {
            for last in last(&namespace) {
                let _ = out.send(last).await;
            }
        }
        match &mut self.to {
            To::Stream(out) => {
                *out = None;
                if self.durable { Ok(()) } else { Err(Aborted) }
            }
            _ => Ok(()),
        }
    }

    async fn approval(
        &mut self,
        mut approval: Value,
        approved: Vec<Step>,
        rejected: Vec<Step>,
    ) -> Result<Vec<Step>, Aborted> {
        let id = approval["id"].as_str().unwrap_or_default().to_owned();
        let event = json!({
            "type": "approval_needed", "approvalId": id, "action": approval["action"],
            "threadId": self.thread_id,
        });
        approval["threadId"] = self.thread_id.as_str().into();
        approval["createdAt"] = NOW.into();
        self.shared.write(|store| {
            if store.find("approvals", &id).is_none() {
                store.add("approvals", approval);
            }
        });
        self.emit("agent_event", &event).await?;
        let decided = self.shared.wait_for(|store| {
            let status = store.find("approvals", &id)?["status"].as_str()?;
            (status != "pending").then(|| status == "approved")
        });
        Ok(if decided.await { approved } else { rejected })
    }

    async fn repeat(&self, event: &Value, times: u64, per_second: Option<u32>) {
        let listeners = self.listeners();
        let frames: Vec<_> = listeners
            .iter()
            .map(|(_, out, namespace)| (out, crate::socket::event(namespace, "agent_event", event)))
            .collect();
        let began = tokio::time::Instant::now();
        for sent in 0..times {
            if let Some(rate) = per_second.filter(|_| sent % 64 == 0) {
                tokio::time::sleep_until(began + Duration::from_secs_f64(sent as f64 / f64::from(rate)))
                    .await;
            }
            for (out, frame) in &frames {
                if out.send(Out::Text(frame.clone())).await.is_err() {
                    return;
                }
            }
        }
    }

    /// The answer to a request that waits for the whole turn.
    pub(super) fn answer(self) -> Value {
        let To::Collect(events) = self.to else { return Value::Null };
        json!({
            "text": if self.failed { "" } else { &self.text }, "threadId": self.thread_id, "costCents": 0.25,
            "messageId": self.stored, "events": if self.durable { Value::Null } else { events.into() },
        })
    }
}
