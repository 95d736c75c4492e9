//! Commands to a browser over one WebSocket, and their answers.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use http::HeaderValue;
use http::header::USER_AGENT;
use platools_net::ProxyConfig;
use platools_net::dial::{self, WebSocket};
use platools_net::policy::host_to_dial;
use rustls::ClientConfig;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_util::task::AbortOnDropHandle;
use url::Url;

use crate::error::{Error, Result};

/// How long connecting may take, each step of it.
const CONNECT: Duration = Duration::from_secs(15);

/// The longest message that is read: a screenshot of a long page.
const MAX_MESSAGE: usize = 64 << 20;

type Answer = Result<Value, String>;

/// A connection to a browser; it is closed when it is dropped.
pub(super) struct Cdp {
    commands: mpsc::UnboundedSender<(u64, String, oneshot::Sender<Answer>)>,
    next: AtomicU64,
    _task: AbortOnDropHandle<()>,
}

impl Cdp {
    /// Connects. Errors do not quote the URL, for it opens the machine.
    pub(super) async fn connect(url: &Url, tls: &Arc<ClientConfig>, proxy: &ProxyConfig) -> Result<Self> {
        let socket = tokio::time::timeout(CONNECT, open(url, tls, proxy)).await;
        let socket = socket.unwrap_or_else(|_| Err("it took too long".to_owned()));
        let socket =
            socket.map_err(|problem| Error::Browser(format!("the browser is not reached: {problem}")))?;
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

async fn open(url: &Url, tls: &Arc<ClientConfig>, proxy: &ProxyConfig) -> Result<WebSocket, String> {
    let port = url.port_or_known_default().ok_or("its address names no port")?;
    let tls = (url.scheme() == "wss").then_some(tls);
    let proxy = proxy.for_url(url).map_err(|error| error.to_string())?;
    let connection = dial::connect(&host_to_dial(url), port, tls, proxy).await;
    let connection = connection.map_err(|error| error.reason())?;
    let mut request = url.as_str().into_client_request().map_err(|error| error.to_string())?;
    request.headers_mut().insert(USER_AGENT, HeaderValue::from_static(platools_net::USER_AGENT));
    dial::upgrade(request, connection, MAX_MESSAGE).await.map_err(|error| error.to_string())
}

/// Carries commands out and answers in until either side hangs up.
async fn talk(
    socket: WebSocket,
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
