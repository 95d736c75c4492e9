//! One socket: Engine.IO and Socket.IO as a server speaks them.

use std::sync::Arc;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_util::task::AbortOnDropHandle;

use super::canned::Greeting;
use super::demo;
use super::double::DoubleOptions;
use super::player::{Out, Player};
use super::script::Script;
use super::store::{Shared, Turn};

/// How many frames may wait to be written.
const WAITING: usize = 32;

/// A socket that is open.
pub(super) struct Session<S> {
    pub(super) shared: Arc<Shared>,
    pub(super) options: DoubleOptions,
    pub(super) socket: WebSocketStream<S>,
    pub(super) greeting: Greeting,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Session<S> {
    async fn write(&mut self, frame: String) -> Option<()> {
        self.socket.send(Message::text(frame)).await.ok()
    }

    /// Speaks until one side has enough. `None` is how every end looks.
    pub(super) async fn serve(mut self) -> Option<()> {
        let handshake = json!({
            "sid": "engine-1", "upgrades": [], "maxPayload": self.options.max_payload,
            "pingInterval": self.options.ping_interval.as_millis() as u64,
            "pingTimeout": self.options.ping_timeout.as_millis() as u64,
        });
        self.write(format!("0{handshake}")).await?;
        let (out, mut frames) = mpsc::channel(WAITING);
        let mut turn: Option<AbortOnDropHandle<()>> = None;
        let mut ping =
            tokio::time::interval_at(Instant::now() + self.options.ping_interval, self.options.ping_interval);
        // Until when the last ping has to be answered.
        let mut patience: Option<Instant> = None;
        let mut namespace = String::new();
        loop {
            tokio::select! {
                _ = ping.tick() => {
                    patience = patience.or(Some(Instant::now() + self.options.ping_timeout));
                    self.write("2".to_owned()).await?;
                }
                () = sleep_until(patience.unwrap_or_else(Instant::now)), if patience.is_some() => return None,
                Some(frame) = frames.recv() => match frame {
                    Out::Text(text) => {
                        let leaves = text.starts_with("41");
                        self.write(text).await?;
                        if leaves {
                            return None;
                        }
                    }
                    Out::Binary(bytes) => self.socket.send(Message::binary(bytes)).await.ok()?,
                    Out::Drop => return None,
                    // Until the other side has enough.
                    Out::Mute => std::future::pending().await,
                },
                message = self.socket.next() => {
                    let Message::Text(text) = message?.ok()? else { continue };
                    self.shared.write(|store| store.frames.push(text.to_string()));
                    if text.starts_with('3') {
                        patience = None;
                    } else if let Some(rest) = text.strip_prefix("40") {
                        rest.split(',').next().unwrap_or_default().clone_into(&mut namespace);
                        self.connect(&namespace).await?;
                    } else if let Some(rest) = text.strip_prefix("42") {
                        let event = rest.split_once(',').map_or(rest, |(_, event)| event);
                        let event: Value = serde_json::from_str(event).ok()?;
                        // Whatever was played before is over.
                        turn = self.event(&event, &namespace, &out).or(turn);
                    } else if text.starts_with("41") {
                        return None;
                    }
                }
            }
        }
    }

    async fn connect(&mut self, namespace: &str) -> Option<()> {
        match std::mem::replace(&mut self.greeting, Greeting::Welcome) {
            Greeting::ConnectError(error) => self.write(format!("44{namespace},{error}")).await,
            Greeting::ErrorThenDisconnect(message) => {
                self.write(format!("40{namespace},{}", json!({"sid": "socket-1"}))).await?;
                let error = json!({"message": message});
                self.write(crate::socket::event(namespace, "error", &error)).await?;
                self.write(crate::socket::disconnect(namespace)).await
            }
            Greeting::Silence => Some(()),
            Greeting::Drop => None,
            Greeting::Welcome | Greeting::Http(_) => {
                self.write(format!("40{namespace},{}", json!({"sid": "socket-1"}))).await?;
                // As the platform does, beside the turn.
                self.write(crate::socket::event(namespace, "connected", &json!({"status": "ok"}))).await
            }
        }
    }

    /// What a client's event sets off.
    fn event(
        &self,
        event: &Value,
        namespace: &str,
        out: &mpsc::Sender<Out>,
    ) -> Option<AbortOnDropHandle<()>> {
        let (name, data) = (event[0].as_str()?, &event[1]);
        let thread_id = data["threadId"].as_str()?.to_owned();
        let player = Player {
            shared: Arc::clone(&self.shared),
            namespace: namespace.to_owned(),
            out: out.clone(),
            thread_id: thread_id.clone(),
        };
        let resumed = match name {
            "message" => {
                self.begin(&thread_id, data);
                false
            }
            "resume_stream" => true,
            "stop" => {
                self.shared.write(|store| store.turns.remove(&thread_id));
                let stopped = json!({"type": "done", "threadId": thread_id, "stopped": true});
                return Some(AbortOnDropHandle::new(tokio::spawn(async move {
                    let _ = player.emit("agent_event", &stopped).await;
                })));
            }
            _ => return None,
        };
        Some(AbortOnDropHandle::new(tokio::spawn(player.play(resumed))))
    }

    /// Finds the script for a message.
    fn begin(&self, thread_id: &str, data: &Value) {
        self.shared.write(|store| {
            let text = data["message"].as_str().unwrap_or_default();
            let known = store.find("threads", thread_id).is_some();
            let number = store.turns.len() + store.things.get("messages").map_or(0, Vec::len);
            let script = match store.scripts.pop_front() {
                Some(script) => script,
                None if !known => missing(thread_id),
                None => {
                    let on_message = store.on_message.clone();
                    on_message.map_or_else(|| demo::turn(text, number), |script| script(data))
                }
            };
            if known {
                store.message(thread_id, "user", text);
            }
            let Script { steps, replay } = script;
            let turn = Turn { steps: steps.into(), replay, ..Turn::default() };
            store.turns.insert(thread_id.to_owned(), turn);
        });
    }
}

/// A turn of a thread that does not exist.
fn missing(thread_id: &str) -> Script {
    let message = format!("thread {thread_id} not found");
    Script::new()
        .event(json!({"type": "error", "message": message, "code": "not_found"}))
        .event(json!({"type": "done"}))
}
