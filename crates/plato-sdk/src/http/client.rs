//! One client: no redirects, answers read up to a limit.

use std::path::Path;
use std::time::Duration;

use http::Request;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use platools_net::ProxyConfig;
use platools_net::client::{self, HttpError};
use rustls::ClientConfig;
use url::Url;

use crate::config::ConfigError;
use crate::error::{TransportError, TransportErrorKind};

/// How a client behaves.
#[derive(Debug, Clone)]
pub(crate) struct HttpOptions<'a> {
    pub(crate) ca_file: Option<&'a Path>,
    pub(crate) proxy: &'a ProxyConfig,
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
    /// The name of the request in error texts.
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
pub(crate) struct HttpClient(client::HttpClient);

impl HttpClient {
    /// A client; nothing is dialled yet.
    pub(crate) fn new(options: &HttpOptions<'_>) -> Result<Self, ConfigError> {
        let mut builder = client::client_builder(client_config(options.ca_file)?, options.proxy)
            .http1_only()
            .connect_timeout(options.connect_timeout);
        if !options.keep_connections {
            builder = builder.pool_max_idle_per_host(0);
        }
        let client = client::build(builder).map_err(ConfigError::of_tls)?;
        Ok(Self(client::HttpClient::new(client, options.max_body).through(options.proxy.clone())))
    }

    /// Sends a request and reads the answer, whatever its status is.
    pub(crate) async fn send(&self, ask: &Ask) -> Result<Answer, TransportError> {
        let answer = match ask.request() {
            Ok(request) => self.0.send(request, ask.timeout).await,
            Err(error) => Err(HttpError::Request(error.to_string())),
        };
        let answer = answer.map_err(|error| {
            let (kind, problem) = explained(error);
            TransportError { operation: ask.operation, kind, problem }
        })?;
        let (parts, body) = answer.into_parts();
        Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, body })
    }
}

impl Ask {
    fn request(&self) -> Result<Request<Vec<u8>>, http::Error> {
        let mut request = match self.method {
            Method::Get => Request::get(self.url.as_str()),
            Method::Post => Request::post(self.url.as_str()),
        };
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        request = match (&self.body, self.method) {
            (Some(_), _) => request.header(CONTENT_TYPE, "application/json"),
            // Without it some servers wait for a body.
            (None, Method::Post) => request.header(CONTENT_LENGTH, "0"),
            (None, Method::Get) => request,
        };
        request.body(self.body.clone().unwrap_or_default())
    }
}

/// The TLS configuration that trusts the certificates in `ca_file`, too.
pub(crate) fn client_config(ca_file: Option<&Path>) -> Result<ClientConfig, ConfigError> {
    platools_net::tls::client_config(ca_file).map_err(ConfigError::of_tls)
}

fn explained(error: HttpError) -> (TransportErrorKind, String) {
    match error {
        HttpError::Connect(reason) => {
            (TransportErrorKind::Connect, format!("no connection could be made ({reason})"))
        }
        HttpError::Timeout(time) => {
            (TransportErrorKind::Timeout, format!("nothing came within {} s", time.as_secs_f64()))
        }
        HttpError::TooLarge { limit } => {
            (TransportErrorKind::TooLarge, format!("it has more than {limit} bytes"))
        }
        HttpError::Request(reason) | HttpError::Broken(reason) => {
            (TransportErrorKind::Broken, format!("the connection broke ({reason})"))
        }
    }
}
