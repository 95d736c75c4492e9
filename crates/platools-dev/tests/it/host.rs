//! A host that is nothing but a WebSocket.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use platools_dev::ConnectedEntity;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

/// How long a test waits before it fails.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) struct RawHost {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

/// A message of a connection.
#[derive(Debug, PartialEq)]
pub(crate) enum Received {
    Frame(Value),
    Close {
        code: u16,
        reason: String,
    },
    /// The end without a close.
    Broken,
}

impl RawHost {
    /// Opens a socket with these headers.
    pub(crate) async fn dial(url: &str, headers: &[(&'static str, &str)]) -> Result<Self, Error> {
        let mut request = url.into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        let config = WebSocketConfig::default().max_message_size(None).max_frame_size(None);
        let (socket, _) = connect_async_with_config(request, Some(config), false).await?;
        Ok(Self { socket })
    }

    /// Connects as an entity and takes the `welcome`.
    pub(crate) async fn connect(entity: &ConnectedEntity) -> Self {
        let bearer = format!("Bearer {}", entity.secret().expose());
        let mut host = Self::dial(&entity.socket_url(), &[("authorization", &bearer)]).await.unwrap();
        let welcome = host.frame().await;
        assert_eq!(welcome["type"], "welcome", "{welcome}");
        entity.wait_connected().await.unwrap();
        host
    }

    /// [`connect`](Self::connect), and declare these tools.
    pub(crate) async fn with_tools(entity: &ConnectedEntity, names: &[&str]) -> Self {
        let mut host = Self::connect(entity).await;
        host.send(declaration(names)).await;
        assert_eq!(host.frame().await["type"], "tools_registered");
        host
    }

    /// [`with_tools`](Self::with_tools), and state where they are called over HTTP.
    pub(crate) async fn with_callback(entity: &ConnectedEntity, names: &[&str], url: &str) -> Self {
        let mut host = Self::connect(entity).await;
        let mut declaration = declaration(names);
        declaration["callback_url"] = url.into();
        host.send(declaration).await;
        assert_eq!(host.frame().await["type"], "tools_registered");
        host
    }

    pub(crate) async fn send(&mut self, frame: Value) {
        self.send_message(Message::text(frame.to_string())).await;
    }

    pub(crate) async fn send_message(&mut self, message: Message) {
        self.socket.send(message).await.unwrap();
    }

    /// Sends what may be too much for the other side.
    pub(crate) async fn try_send(&mut self, message: Message) -> Result<(), Error> {
        self.socket.send(message).await
    }

    pub(crate) async fn receive(&mut self) -> Received {
        loop {
            let message = timeout(PATIENCE, self.socket.next()).await.expect("something arrives in time");
            match message {
                Some(Ok(Message::Text(text))) => {
                    return Received::Frame(serde_json::from_str(&text).unwrap());
                }
                Some(Ok(Message::Close(Some(frame)))) => {
                    let (code, reason) = (frame.code.into(), frame.reason.as_str().to_owned());
                    return Received::Close { code, reason };
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(other)) => panic!("{other:?}"),
                Some(Err(_)) | None => return Received::Broken,
            }
        }
    }

    pub(crate) async fn frame(&mut self) -> Value {
        match self.receive().await {
            Received::Frame(frame) => frame,
            other => panic!("a frame was expected: {other:?}"),
        }
    }

    /// The next message as it is.
    pub(crate) async fn message(&mut self) -> Message {
        timeout(PATIENCE, self.socket.next()).await.unwrap().unwrap().unwrap()
    }

    /// The next frame, which must be a call.
    pub(crate) async fn next_call(&mut self) -> Value {
        let frame = self.frame().await;
        assert_eq!(frame["type"], "tool_call", "{frame}");
        frame
    }

    /// Answers a call.
    pub(crate) async fn answer(&mut self, call: &Value, result: Value) {
        let answer =
            json!({"type": "tool_result", "call_id": call["call_id"], "result": result, "latency_ms": 7});
        self.send(answer).await;
    }

    pub(crate) async fn expect_close(&mut self, code: u16, reason: &str) {
        assert_eq!(self.receive().await, Received::Close { code, reason: reason.to_owned() });
    }
}

/// A declaration of tools with these names.
pub(crate) fn declaration(names: &[&str]) -> Value {
    let tool = |name: &&str| {
        json!({"name": name, "description": "A tool.", "input_schema": {"type": "object"}, "output_schema": null,
               "auth": "none", "roles": [], "annotations": {}})
    };
    json!({"type": "tool_register", "tools": names.iter().map(tool).collect::<Vec<_>>()})
}
