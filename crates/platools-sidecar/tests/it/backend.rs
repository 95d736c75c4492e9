//! A backend of tests: raw connections, so that it can say anything at all.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// A request that came.
#[derive(Debug, Clone)]
pub(crate) struct Came {
    pub(crate) method: String,
    /// As it was written, with its query.
    pub(crate) target: String,
    /// By lower-case name.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

impl Came {
    /// The request as JSON.
    pub(crate) fn echo(&self) -> Value {
        json!({"method": self.method, "target": self.target, "body": self.body})
    }
}

/// A server on the loopback that keeps what came.
#[derive(Debug, Clone)]
pub(crate) struct Backend {
    pub(crate) url: String,
    came: Arc<Mutex<Vec<Came>>>,
}

impl Backend {
    /// One that answers with what `answer` makes of a request, as bytes; `None` closes the connection.
    pub(crate) async fn start(answer: impl Fn(&Came) -> Option<Vec<u8>> + Send + Sync + 'static) -> Self {
        Self::start_on("127.0.0.1:0", answer).await
    }

    pub(crate) async fn start_on(
        address: &str,
        answer: impl Fn(&Came) -> Option<Vec<u8>> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let came = Arc::new(Mutex::new(Vec::new()));
        let (kept, answer) = (Arc::clone(&came), Arc::new(answer));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (kept, answer) = (Arc::clone(&kept), Arc::clone(&answer));
                tokio::spawn(async move { serve(stream, &kept, &*answer).await });
            }
        });
        Self { url, came }
    }

    /// One that answers every request with what came, as JSON.
    pub(crate) async fn echo() -> Self {
        Self::start(|came| Some(json_answer(200, &came.echo()))).await
    }

    /// How many requests came so far.
    pub(crate) fn count(&self) -> usize {
        self.came.lock().unwrap().len()
    }

    /// Everything that came so far.
    pub(crate) fn came(&self) -> Vec<Came> {
        self.came.lock().unwrap().clone()
    }
}

/// An answer with a JSON body.
pub(crate) fn json_answer(status: u16, body: &Value) -> Vec<u8> {
    let body = body.to_string();
    format!(
        "HTTP/1.1 {status} Status\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

async fn serve(
    mut stream: TcpStream,
    kept: &Mutex<Vec<Came>>,
    answer: &(dyn Fn(&Came) -> Option<Vec<u8>> + Sync),
) {
    while let Some(came) = read(&mut stream).await {
        kept.lock().unwrap().push(came.clone());
        let Some(bytes) = answer(&came) else { return };
        if stream.write_all(&bytes).await.is_err() {
            return;
        }
        // What announces no end is never at its end.
        let head = String::from_utf8_lossy(&bytes[..bytes.len().min(500)]).to_ascii_lowercase();
        if head.contains("x-test: endless") {
            while stream.write_all(&[b'x'; 4096]).await.is_ok() {}
            return;
        }
        if head.contains("x-test: hang") {
            let mut rest = [0];
            let _ = stream.read(&mut rest).await;
            return;
        }
    }
}

async fn read(stream: &mut TcpStream) -> Option<Came> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap();
    let mut lines = head.lines();
    let mut first = lines.next()?.split(' ');
    let (method, target) = (first.next()?.to_owned(), first.next()?.to_owned());
    let headers: BTreeMap<String, String> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some(Came { method, target, headers, body: String::from_utf8(body).unwrap() })
}

/// A client of tests; the HTTP library takes the provider that the process has.
pub(crate) fn client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::new()
}
