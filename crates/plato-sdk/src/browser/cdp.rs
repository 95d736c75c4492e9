//! Commands to a browser over one WebSocket, and their answers.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio_rustls::TlsConnector;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, client_async_with_config};
use tokio_util::task::AbortOnDropHandle;
use url::Url;

use crate::error::{Error, Result};

/// How long connecting may take, each step of it.
const CONNECT: Duration = Duration::from_secs(15);

/// The longest message that is read: a screenshot of a long page.
const MAX_MESSAGE: usize = 64 << 20;

type Answer = Result<Value, String>;

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A connection to a browser; it is closed when it is dropped.
pub(super) struct Cdp {
    commands: mpsc::UnboundedSender<(u64, String, oneshot::Sender<Answer>)>,
    next: AtomicU64,
    _task: AbortOnDropHandle<()>,
}

impl Cdp {
    /// Connects. Errors do not quote the URL, for it opens the machine.
    pub(super) async fn connect(url: &Url, tls: &Arc<ClientConfig>) -> Result<Self> {
        let socket = tokio::time::timeout(CONNECT, open(url, tls)).await;
        let socket = socket.unwrap_or_else(|_| Err("it took too long".to_owned()));
        let socket = socket
            .map_err(|problem| Error::Browser(format!("the desktop's browser is not reached: {problem}")))?;
        let (commands, received) = mpsc::unbounded_channel();
        let task = AbortOnDropHandle::new(tokio::spawn(talk(socket, received)));
        Ok(Self { commands, next: AtomicU64::new(1), _task: task })
    }

    /// Sends a command, to a page if a session of one is given, and waits for its answer.
    pub(super) async fn call(
        &self,
        session: Option<&str>,
        method: &str,
        parameters: Value,
        time: Duration,
    ) -> Result<Value> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let mut command = json!({"id": id, "method": method, "params": parameters});
        if let Some(session) = session {
            command["sessionId"] = json!(session);
        }
        let (reply, replied) = oneshot::channel();
        let fail = |problem: &str| Error::Browser(format!("{method} failed: {problem}"));
        self.commands
            .send((id, command.to_string(), reply))
            .map_err(|_| fail("the connection to the browser is closed"))?;
        match tokio::time::timeout(time, replied).await {
            Ok(Ok(answer)) => answer.map_err(|problem| fail(&crate::secrets::redact(&problem))),
            Ok(Err(_)) => Err(fail("the connection to the browser was closed")),
            Err(_) => Err(fail(&format!("no answer within {} s", time.as_secs_f64()))),
        }
    }
}

async fn open(url: &Url, tls: &Arc<ClientConfig>) -> Result<WebSocketStream<Box<dyn Stream>>, String> {
    let host = url.host_str().ok_or("its address names no host")?.to_owned();
    let port = url.port_or_known_default().ok_or("its address names no port")?;
    let plain =
        TcpStream::connect((host.trim_matches(['[', ']']), port)).await.map_err(|error| error.to_string())?;
    let stream: Box<dyn Stream> = if url.scheme() == "wss" {
        let name = ServerName::try_from(host).map_err(|error| error.to_string())?;
        let connector = TlsConnector::from(Arc::clone(tls));
        Box::new(connector.connect(name, plain).await.map_err(|error| error.to_string())?)
    } else {
        Box::new(plain)
    };
    let config =
        WebSocketConfig::default().max_message_size(Some(MAX_MESSAGE)).max_frame_size(Some(MAX_MESSAGE));
    let opened = client_async_with_config(url.as_str(), stream, Some(config)).await;
    opened.map(|(socket, _)| socket).map_err(|error| error.to_string())
}

/// Carries commands out and answers in until either side hangs up.
async fn talk(
    socket: WebSocketStream<Box<dyn Stream>>,
    mut commands: mpsc::UnboundedReceiver<(u64, String, oneshot::Sender<Answer>)>,
) {
    let (mut out, mut incoming) = socket.split();
    let waiting: Mutex<HashMap<u64, oneshot::Sender<Answer>>> = Mutex::default();
    let waiting = || waiting.lock().unwrap_or_else(PoisonError::into_inner);
    let sending = async {
        while let Some((id, command, reply)) = commands.recv().await {
            waiting().insert(id, reply);
            if out.send(Message::text(command)).await.is_err() {
                return;
            }
        }
    };
    let receiving = async {
        while let Some(Ok(message)) = incoming.next().await {
            let Message::Text(text) = message else { continue };
            let Ok(mut answer) = serde_json::from_str::<Value>(&text) else { continue };
            // What has no id is an event, and nobody waits for one.
            let reply = answer["id"].as_u64().and_then(|id| waiting().remove(&id));
            if let Some(reply) = reply {
                let problem = answer.pointer("/error/message").and_then(Value::as_str).map(str::to_owned);
                // Whoever asked may have stopped to wait.
                let _ = reply.send(problem.map_or_else(|| Ok(answer["result"].take()), Err));
            }
        }
    };
    tokio::select! {
        () = sending => {}
        () = receiving => {}
    }
}
