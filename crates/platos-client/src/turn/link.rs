//! One connection: from the upgrade to the namespace, and the frames that go over it.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use platools_net::dial::WebSocket;
use serde_json::{Value, json};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::error::{CapacityError, Error as SocketError};
use tokio_tungstenite::tungstenite::protocol::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Utf8Bytes;

use super::dial::dial;
use super::refusal::{Failure, STREAM, is_refusal};
use crate::client::PlatosClient;
use crate::error::{ConfigError, ErrorResponse, shortened};
use crate::event::{AgentEvent, ErrorEvent};
use crate::http::{Issued, Mask};
use crate::socket::{self, EnginePacket, EventArguments, Handshake, PONG, Packet};

/// What a server that remembers sessions needs to go on where a connection broke.
#[derive(Debug, Clone, Default)]
pub(super) struct Session {
    pub(super) id: Option<String>,
    pub(super) offset: Option<String>,
}

impl Session {
    fn auth(&self) -> Option<Value> {
        let (id, offset) = (self.id.as_ref()?, self.offset.as_ref()?);
        Some(json!({"pid": id, "offset": offset}))
    }
}

/// A connection whose namespace is connected.
pub(super) struct Link {
    socket: WebSocket,
    pub(super) handshake: Handshake,
    pub(super) namespace: String,
    pub(super) recovered: bool,
    /// The first of the events that a server which remembers sessions sends before it says that the namespace is
    /// connected: what was missed.
    pub(super) early: Option<Utf8Bytes>,
    /// How long one frame may take to go out.
    time: Duration,
    /// A pong could not be sent.
    broken: bool,
    mask: Mask,
}

/// The most that is quoted of what the platform said.
const SAID_BYTES: usize = 300;

/// How long a goodbye may take.
const GOODBYE: Duration = Duration::from_secs(2);

/// How long a platform may take to say that it knows who is there; some do not say it.
const WELCOME: Duration = Duration::from_secs(3);

/// How long the platform has to say that a turn is stopped.
const STOPPING: Duration = Duration::from_millis(500);

impl Link {
    /// Dials, and joins the namespace. The platform says in `session` what it remembers this client by; where it
    /// still did, it goes on exactly where the last connection broke, and the link is `recovered`.
    pub(super) async fn open(
        client: &PlatosClient,
        issued: &Issued,
        session: &mut Session,
    ) -> Result<Self, Failure> {
        let time = client.shared.config.timeout;
        let opened = timeout(time, Self::join(client, issued, session)).await;
        opened.unwrap_or_else(|_elapsed| {
            let waited = time.as_secs_f64();
            Err(Failure::lost(format!("the platform did not connect the namespace within {waited} s")))
        })
    }

    async fn join(client: &PlatosClient, issued: &Issued, session: &mut Session) -> Result<Self, Failure> {
        let config = &client.shared.config;
        let (mut socket, mask) = (dial(client, issued).await?, client.mask(issued));
        let handshake = loop {
            let text = receive(&mut socket).await.map_err(|failure| failure.masked(&mask))?;
            match EnginePacket::decode(&text)? {
                EnginePacket::Open(handshake) => break handshake,
                EnginePacket::Close => return Err(Failure::lost("the platform closed the session at once")),
                _ => {}
            }
        };
        let namespace = config.namespace.clone();
        let mut link = Self {
            socket,
            handshake,
            namespace,
            recovered: false,
            early: None,
            time: config.timeout,
            broken: false,
            mask,
        };
        link.send(socket::connect(&link.namespace, session.auth().as_ref())).await?;
        link.joined(session).await?;
        if !link.recovered {
            // What is sent before may be forgotten.
            let welcome = timeout(config.timeout.min(WELCOME), link.welcomed()).await;
            welcome.unwrap_or(Ok(()))?;
        }
        Ok(link)
    }

    /// Waits until the platform knows who is there. It looks at the credentials only after the namespace is connected, and
    /// refuses them with an error and a disconnect.
    async fn welcomed(&mut self) -> Result<(), Failure> {
        let mut said = None;
        loop {
            let text = self.receive().await?;
            let packet = match EnginePacket::decode(&text) {
                Ok(EnginePacket::Message(packet)) => packet,
                Ok(EnginePacket::Ping(probe)) => {
                    self.pong(probe).await;
                    continue;
                }
                Ok(EnginePacket::Close) => {
                    return Err(Failure::lost("the platform closed the session at once"));
                }
                Ok(_) => continue,
                Err(error) => return Err(error.into()),
            };
            match Packet::decode(packet)? {
                Packet::Event { namespace, arguments, .. } if namespace == self.namespace => {
                    match &*arguments.name {
                        "connected" => return Ok(()),
                        "error" | "exception" => said = error_event(&arguments),
                        name => tracing::debug!(name, "an event before the platform knows who is there"),
                    }
                }
                Packet::Disconnect { namespace } if namespace == self.namespace => {
                    return Err(match said {
                        Some(error) if is_refusal(&error) => self.session_refused(&error),
                        Some(error) => {
                            let said = shortened(&self.mask.apply(error.text().to_owned()), SAID_BYTES);
                            Failure::lost(format!("the platform ended the session: {said}"))
                        }
                        None => Failure::lost("the platform ended the session at once"),
                    });
                }
                _ => {}
            }
        }
    }

    /// Waits until the namespace is connected, or refused.
    async fn joined(&mut self, session: &mut Session) -> Result<(), Failure> {
        loop {
            let text = self.receive().await?;
            match EnginePacket::decode(&text)? {
                EnginePacket::Ping(probe) => self.pong(probe).await,
                EnginePacket::Close => return Err(Failure::lost("the platform closed the session at once")),
                EnginePacket::Message(packet) => {
                    match Packet::decode(packet)? {
                        Packet::Connect { namespace, session: id } if namespace == self.namespace => {
                            self.recovered = id.is_some() && session.id == id;
                            if !self.recovered {
                                *session = Session { id, offset: None };
                            }
                            return Ok(());
                        }
                        Packet::ConnectError { namespace, message, data } if namespace == self.namespace => {
                            return Err(self.refused(namespace, &message, &data));
                        }
                        // Only a session that is still remembered has anything to say before it is connected.
                        Packet::Event { namespace, .. }
                            if namespace == self.namespace && session.auth().is_some() =>
                        {
                            self.recovered = true;
                            self.early = Some(text);
                            return Ok(());
                        }
                        _ => {}
                    }
                }
                _ => {}
            }
        }
    }

    /// A connect error of the namespace.
    pub(super) fn refused(&self, namespace: &str, message: &str, data: &Value) -> Failure {
        Failure::of_namespace(namespace, message, data, &self.mask)
    }

    /// An error event that ended the session.
    pub(super) fn session_refused(&self, error: &ErrorEvent) -> Failure {
        Failure::Refused(Box::new(self.refusal_of(error)))
    }

    /// The refusal that an error event is.
    pub(super) fn refusal_of(&self, error: &ErrorEvent) -> ErrorResponse {
        let body = AgentEvent::Error(error.clone()).to_json().to_string();
        ErrorResponse::new(STREAM, None, &self.mask.apply(body), None)
    }

    /// The next frame. Can be abandoned at any time without losing one.
    pub(super) async fn receive(&mut self) -> Result<Utf8Bytes, Failure> {
        let received = receive(&mut self.socket).await;
        received.map_err(|failure| failure.masked(&self.mask))
    }

    pub(super) async fn send(&mut self, frame: String) -> Result<(), Failure> {
        match timeout(self.time, self.socket.send(Message::text(frame))).await {
            Ok(sent) => sent.map_err(|error| Failure::lost(format!("the connection broke: {error}"))),
            Err(_elapsed) => Err(Failure::lost("the platform does not read what is sent")),
        }
    }

    /// Tells the platform that this side lives. That it cannot be told is not the end yet: what came before the
    /// connection broke is there to be read, and reading shows that it broke.
    pub(super) async fn pong(&mut self, probe: &str) {
        if !self.broken {
            self.broken = self.send(format!("{PONG}{probe}")).await.is_err();
        }
    }

    /// Answers an event whose sender wants to know that it came. Failing is as little the end as with a pong.
    pub(super) async fn acknowledge(&mut self, id: u64) {
        if !self.broken {
            self.broken = self.send(socket::ack(&self.namespace, id)).await.is_err();
        }
    }

    /// Emits an event, unless the platform would hang up on a frame of that size.
    pub(super) async fn emit(&mut self, name: &str, data: &Value) -> Result<(), Failure> {
        let frame = socket::event(&self.namespace, name, data);
        match self.handshake.max_payload {
            Some(limit) if frame.len() > limit => {
                Err(Failure::fatal(ConfigError::MessageTooLarge { bytes: frame.len(), limit }))
            }
            _ => self.send(frame).await,
        }
    }

    /// Waits for the end of a turn that is to be stopped. A server forgets what it has not looked at yet when its
    /// client leaves, `stop` among it, so that leaving has to wait for a moment.
    async fn stopped(&mut self) {
        let done = async {
            while let Ok(text) = self.receive().await {
                if let Ok(EnginePacket::Message(text)) = EnginePacket::decode(&text)
                    && let Ok(Packet::Event { arguments, .. }) = Packet::decode(text)
                    && is_done(&arguments)
                {
                    break;
                }
            }
        };
        let _ = timeout(STOPPING, done).await;
    }

    /// Leaves in order, for as long as that does not take long. A turn that is to be stopped is named.
    pub(super) async fn goodbye(mut self, stop: Option<&str>) {
        let leaving = async {
            if let Some(thread_id) = stop {
                self.emit("stop", &json!({"threadId": thread_id})).await?;
                self.stopped().await;
            }
            self.send(socket::disconnect(&self.namespace)).await?;
            let _ = self.socket.close(None).await;
            Ok::<(), Failure>(())
        };
        let _ = timeout(GOODBYE, leaving).await;
    }
}

/// The error that an event outside of a turn is.
fn error_event(arguments: &EventArguments<'_>) -> Option<ErrorEvent> {
    let mut data: Value = serde_json::from_str(arguments.data?.get()).ok()?;
    if !data.is_object() {
        data = json!({"message": data});
    }
    data["type"] = "error".into();
    match AgentEvent::from_json(data) {
        AgentEvent::Error(error) => Some(error),
        _ => None,
    }
}

fn is_done(arguments: &EventArguments<'_>) -> bool {
    let data = arguments.data.and_then(|data| serde_json::from_str::<Value>(data.get()).ok());
    arguments.name == "done" || data.is_some_and(|data| data["type"] == "done")
}

async fn receive(socket: &mut WebSocket) -> Result<Utf8Bytes, Failure> {
    loop {
        match socket.next().await {
            // Answered by the WebSocket layer.
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            other => return text(other),
        }
    }
}

/// The text of a WebSocket message.
fn text(message: Option<Result<Message, SocketError>>) -> Result<Utf8Bytes, Failure> {
    match message {
        Some(Ok(Message::Text(text))) => Ok(text),
        Some(Ok(Message::Binary(_))) => {
            Err(Failure::unreadable("a binary frame, which this protocol does not have"))
        }
        Some(Ok(Message::Close(Some(frame)))) => {
            let reason = if frame.reason.is_empty() { String::new() } else { format!(": {}", frame.reason) };
            Err(Failure::lost(format!("the platform closed the connection ({}{reason})", frame.code)))
        }
        Some(Ok(_)) => Err(Failure::lost("the platform closed the connection")),
        Some(Err(SocketError::Capacity(CapacityError::MessageTooLong { max_size, .. }))) => {
            Err(Failure::protocol(format!(
                "an event is larger than {max_size} bytes: raise `StreamLimits::event_bytes` if that is meant"
            )))
        }
        Some(Err(SocketError::Utf8(_))) => Err(Failure::unreadable("a frame that is not UTF-8")),
        Some(Err(error)) => Err(Failure::lost(format!("the connection broke: {error}"))),
        None => Err(Failure::lost("the connection broke")),
    }
}
