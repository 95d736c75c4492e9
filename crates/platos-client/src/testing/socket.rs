//! One socket: Engine.IO and Socket.IO as a server speaks them.

use std::collections::HashSet;
use std::sync::Arc;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use super::canned::Greeting;
use super::double::{DoubleOptions, Generation};
use super::player::{Out, To};
use super::rest;
use super::store::{Open, Shared};
use super::turns::begin;

/// How many frames may wait to be written.
const WAITING: usize = 32;

/// A socket that is open.
pub(super) struct Session<S> {
    pub(super) shared: Arc<Shared>,
    pub(super) options: DoubleOptions,
    pub(super) socket: WebSocketStream<S>,
    pub(super) greeting: Greeting,
    /// The session token of the upgrade.
    pub(super) token: Option<String>,
    /// Why the credentials of the upgrade are refused.
    pub(super) refused: Option<Value>,
    pub(super) number: u64,
    pub(super) namespace: String,
}

/// The socket is gone with whoever speaks on it.
struct Registered {
    shared: Arc<Shared>,
    number: u64,
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.shared.write(|store| store.sockets.remove(&self.number));
    }
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
        self.number = self.shared.write(super::store::Store::number);
        let _registered = Registered { shared: Arc::clone(&self.shared), number: self.number };
        let mut ping =
            tokio::time::interval_at(Instant::now() + self.options.ping_interval, self.options.ping_interval);
        // Until when the last ping has to be answered.
        let mut patience: Option<Instant> = None;
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
                        let (namespace, auth) = rest.split_once(',').unwrap_or((rest, ""));
                        namespace.clone_into(&mut self.namespace);
                        let auth: Value = serde_json::from_str(auth).unwrap_or_default();
                        self.connect(&auth, &out).await?;
                    } else if let Some(rest) = text.strip_prefix("42") {
                        let event = rest.split_once(',').map_or(rest, |(_, event)| event);
                        let event: Value = serde_json::from_str(event).ok()?;
                        self.event(&event).await?;
                    } else if text.starts_with("41") {
                        return None;
                    }
                }
            }
        }
    }

    async fn connect(&mut self, auth: &Value, out: &mpsc::Sender<Out>) -> Option<()> {
        let namespace = self.namespace.clone();
        let connected = format!("40{namespace},{}", json!({"sid": format!("socket-{}", self.number)}));
        if let Some(token) = auth["token"].as_str() {
            let is_taken = self.shared.read(|store| store.takes(token));
            self.refused = (!is_taken).then(|| json!({"message": "Invalid or expired session token."}));
            self.token = Some(token.to_owned());
        }
        let greeting = std::mem::replace(&mut self.greeting, Greeting::Welcome);
        let is_revoked = matches!(greeting, Greeting::WelcomeAndRevoke);
        let refused = match greeting {
            Greeting::ConnectError(error) => return self.write(format!("44{namespace},{error}")).await,
            Greeting::Silence => return Some(()),
            Greeting::Drop => return None,
            Greeting::ErrorThenDisconnect(message) => Some(json!({"message": message})),
            Greeting::Welcome | Greeting::WelcomeAndRevoke | Greeting::Http(_) => self.refused.take(),
        };
        self.write(connected).await?;
        if let Some(error) = refused {
            // There is no refusal of the namespace itself.
            self.emit("error", &error).await?;
            self.write(crate::socket::disconnect(&namespace)).await?;
            return None;
        }
        let (number, token) = (self.number, self.token.clone());
        let is_newest = self.shared.write(|store| {
            if let Some(token) = token.as_ref().filter(|_| is_revoked) {
                store.tokens.remove(token);
            }
            let open = Open { out: out.clone(), namespace, joined: HashSet::new(), token };
            store.sockets.insert(number, open);
            store.generation == Generation::Newest
        });
        if is_newest {
            let old = json!({"code": "SHARED_AGENT_NAMESPACE", "message": "Connect to /agent/{agentId}."});
            self.emit("server.deprecation", &old).await?;
        }
        self.emit("connected", &json!({"status": "ok", "socketId": format!("socket-{number}")})).await
    }

    /// What a client's event sets off. `None` when the session is over.
    async fn event(&mut self, event: &Value) -> Option<()> {
        let (Some(name), data, number) = (event[0].as_str(), &event[1], self.number) else { return Some(()) };
        let token = self.token.clone();
        if token.is_some_and(|token| !self.shared.read(|store| store.takes(&token))) {
            let error = json!({"code": "SESSION_REVOKED_OR_EXPIRED", "message": "The session is over."});
            self.emit("error", &error).await?;
            self.write(crate::socket::disconnect(&self.namespace)).await?;
            return None;
        }
        let thread_id = data["threadId"].as_str().unwrap_or_default().to_owned();
        match name {
            "message" => {
                let key = data["idempotencyKey"].as_str();
                let (player, script) = begin(&self.shared, &thread_id, data, key, To::Socket(number));
                let thread = player.thread_id.clone();
                self.shared.write(|store| {
                    // Who sends to a durable turn hears it from then on.
                    let open = store.sockets.get_mut(&number).filter(|_| script.durable);
                    open.map(|open| open.joined.insert(thread.clone()));
                    let turn = tokio::spawn(async move { drop(player.play(script).await) });
                    store.running.entry(thread).or_insert_with(|| turn.abort_handle());
                });
            }
            "join_thread" => {
                let is_known = self.shared.read(|store| store.find("threads", &thread_id).is_some());
                if !is_known {
                    return self.emit("error", &json!({"message": "thread not found"})).await;
                }
                self.emit("joined_thread", &json!({"threadId": thread_id})).await?;
                self.shared.write(|store| {
                    let open = store.sockets.get_mut(&number);
                    open.map(|open| open.joined.insert(thread_id.clone()));
                });
            }
            "leave_thread" => self.shared.write(|store| {
                store.sockets.get_mut(&number).map(|open| open.joined.remove(&thread_id));
            }),
            "stop" => {
                let turn = self.shared.write(|store| store.running.remove(&thread_id));
                let is_old = self.shared.read(|store| store.generation == Generation::Oldest);
                turn.iter().for_each(AbortHandle::abort);
                if turn.is_none() && !is_old {
                    return Some(());
                }
                let done = json!({"type": "done", "threadId": thread_id, "stopped": true});
                self.emit("agent_event", &done).await?;
                if !is_old {
                    let error =
                        json!({"type": "error", "code": "aborted", "message": "The turn was stopped."});
                    self.emit("agent_event", &error).await?;
                    self.emit("agent_event", &json!({"type": "done", "aborted": true})).await?;
                }
            }
            "approval_response" => {
                let id = data["approvalId"].as_str().unwrap_or_default();
                let (status, body) = self.shared.write(|store| rest::resolve(id, data, store));
                if status < 300 {
                    self.emit("approval_ack", &json!({"approvalId": id, "received": true})).await?;
                } else {
                    let refused = json!({"approvalId": id, "error": body["error"]});
                    self.emit("approval_response_error", &refused).await?;
                }
            }
            "thread.rename" => {
                let title = data["title"].clone();
                if !self.shared.write(|store| rest::rename(&thread_id, &title, store)) {
                    self.emit("error", &json!({"message": "thread not found"})).await?;
                }
            }
            _ => {}
        }
        Some(())
    }

    async fn emit(&mut self, name: &str, data: &Value) -> Option<()> {
        self.write(crate::socket::event(&self.namespace, name, data)).await
    }
}
