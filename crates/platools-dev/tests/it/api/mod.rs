//! The HTTP API, asked by a client that is nothing but requests.

mod calls;
mod events;
mod faults;
mod guard;
mod history;
mod session_tokens;
mod tools;

use std::time::Duration;

use axum::http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper_util::rt::TokioIo;
use platools_dev::DevPlatform;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long a test waits before it fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// Asks the API of one platform; each request has a connection of its own.
pub(crate) struct Client<'a> {
    platform: &'a DevPlatform,
}

/// A response of the HTTP API.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// The status, and the code of an error.
    pub(crate) fn code(&self) -> (u16, String) {
        let code = self.json()["error"]["code"].as_str().unwrap_or_default().to_owned();
        (self.status.as_u16(), code)
    }
}

/// The path of the default entity, with something behind it.
pub(crate) fn local(behind: &str) -> String {
    format!("/api/v1/entities/local/dev{behind}")
}

impl<'a> Client<'a> {
    pub(crate) fn new(platform: &'a DevPlatform) -> Self {
        Self { platform }
    }

    /// Sends a request with exactly these headers.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Response<Incoming> {
        let stream = TcpStream::connect(self.platform.address()).await.unwrap();
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body.into())).unwrap();
        timeout(PATIENCE, sender.send_request(request)).await.unwrap().unwrap()
    }

    /// [`send`](Self::send), and read the answer to its end.
    pub(crate) async fn ask(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        let (parts, body) = self.send(method, path, headers, body).await.into_parts();
        let bytes = timeout(PATIENCE, body.collect()).await.unwrap().unwrap().to_bytes();
        Answer {
            status: parts.status,
            headers: parts.headers,
            text: String::from_utf8(bytes.to_vec()).unwrap(),
        }
    }

    /// `Host` and `Authorization`, as they have to be.
    pub(crate) fn identity(&self) -> (String, String) {
        (self.platform.address().to_string(), format!("Bearer {}", self.platform.api_token().expose()))
    }

    pub(crate) async fn get(&self, path: impl AsRef<str>) -> Answer {
        let (host, token) = self.identity();
        self.ask(Method::GET, path.as_ref(), &[("host", &host), ("authorization", &token)], "").await
    }

    /// Posts JSON text.
    pub(crate) async fn post(&self, path: impl AsRef<str>, body: impl Into<Bytes>) -> Answer {
        let (host, token) = self.identity();
        let headers = [("host", &*host), ("authorization", &*token), ("content-type", "application/json")];
        self.ask(Method::POST, path.as_ref(), &headers, body).await
    }
}
