//! One client: no redirects, no proxies, answers read up to a limit.

use std::error::Error as StdError;
use std::path::Path;
use std::time::Duration;

use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect;
use url::Url;

use super::tls;
use crate::config::ConfigError;
use crate::error::{TransportError, TransportErrorKind};

/// How a client behaves.
#[derive(Debug, Clone)]
pub(crate) struct HttpOptions<'a> {
    pub(crate) ca_file: Option<&'a Path>,
    pub(crate) connect_timeout: Duration,
    /// The most of an answer's body that is read, in bytes.
    pub(crate) max_body: usize,
    /// Whether connections are kept for the next request.
    pub(crate) keep_connections: bool,
}

/// The methods that Plato takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    Get,
    Post,
}

/// One request.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    /// What it is called in errors.
    pub(crate) operation: &'static str,
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    /// JSON, if anything is sent.
    pub(crate) body: Option<Vec<u8>>,
    /// From dialling to the last byte of the answer.
    pub(crate) timeout: Duration,
}

/// An answer, whatever its status.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

/// Sends requests. Clones share their connections.
#[derive(Debug, Clone)]
pub(crate) struct HttpClient {
    client: reqwest::Client,
    max_body: usize,
}

impl HttpClient {
    /// A client; nothing is dialled yet.
    pub(crate) fn new(options: &HttpOptions<'_>) -> Result<Self, ConfigError> {
        let mut builder = reqwest::Client::builder()
            .tls_backend_preconfigured(tls::client_config(options.ca_file)?)
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .http1_only()
            .user_agent(concat!("plato-sdk-rs/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(options.connect_timeout);
        if !options.keep_connections {
            builder = builder.pool_max_idle_per_host(0);
        }
        let client = builder.build().map_err(|error| ConfigError::Tls(explain(&error)))?;
        Ok(Self { client, max_body: options.max_body })
    }

    /// Sends a request and reads the answer, whatever its status is.
    pub(crate) async fn send(&self, ask: &Ask) -> Result<Answer, TransportError> {
        let fail = |kind, problem| TransportError { operation: ask.operation, kind, problem };
        let Ok(answer) = tokio::time::timeout(ask.timeout, self.exchange(ask)).await else {
            let time = ask.timeout.as_secs_f64();
            return Err(fail(TransportErrorKind::Timeout, format!("nothing came within {time} s")));
        };
        answer.map_err(|(kind, problem)| fail(kind, problem))
    }

    async fn exchange(&self, ask: &Ask) -> Result<Answer, (TransportErrorKind, String)> {
        let mut request = match ask.method {
            Method::Get => self.client.get(ask.url.clone()),
            Method::Post => self.client.post(ask.url.clone()),
        };
        for (name, value) in &ask.headers {
            request = request.header(name, value);
        }
        request = match (&ask.body, ask.method) {
            (Some(body), _) => request.header(CONTENT_TYPE, "application/json").body(body.clone()),
            // Without it some servers wait for a body.
            (None, Method::Post) => request.header(CONTENT_LENGTH, "0"),
            (None, Method::Get) => request,
        };
        let mut answer = request.send().await.map_err(failure)?;
        let limit = self.max_body;
        let too_large = || (TransportErrorKind::TooLarge, format!("it has more than {limit} bytes"));
        // A server that says how much there is need not send it first.
        if answer.content_length().is_some_and(|length| length > limit as u64) {
            return Err(too_large());
        }
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(failure)? {
            if chunk.len() > limit - body.len() {
                return Err(too_large());
            }
            body.extend_from_slice(&chunk);
        }
        let headers = std::mem::take(answer.headers_mut());
        Ok(Answer { status: answer.status().as_u16(), headers, body })
    }
}

fn failure(error: reqwest::Error) -> (TransportErrorKind, String) {
    let error = error.without_url();
    let kind = if error.is_connect() {
        TransportErrorKind::Connect
    } else if error.is_timeout() {
        TransportErrorKind::Timeout
    } else {
        TransportErrorKind::Broken
    };
    let problem = match kind {
        TransportErrorKind::Connect => format!("no connection could be made ({})", explain(&error)),
        TransportErrorKind::Timeout => "it took too long".to_owned(),
        _ => format!("the connection broke ({})", explain(&error)),
    };
    (kind, problem)
}

/// The innermost reason: the outer ones say only that a request failed.
fn explain(error: &dyn StdError) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
