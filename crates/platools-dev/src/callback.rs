//! Posting to a callback URL as the server does: checked each time, redirects too, and only to addresses that were checked
//! (protocol §6).
//!
//! Must not know what is posted. Nothing is logged: URL and headers may hold tokens.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{ACCEPT, CONNECTION, HOST, LOCATION, USER_AGENT};
use axum::http::{HeaderMap, HeaderValue, Method, Request, Response, Uri};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use platools_net::address::is_public_address;
use platools_net::callback::callback_url;
use platools_net::dial::{Connection, connect_at};
use platools_net::policy::host_to_dial;
use platools_net::tls::{TlsError, client_config};
use platools_net::{BodyError, BodyLimits, innermost_reason};
use rustls::ClientConfig;
use tokio::time::{Instant, timeout_at};
use url::{Position, Url};

/// Number of redirects that are followed.
const REDIRECTS: usize = 3;

/// The largest answer that is read, in bytes.
const MAX_ANSWER: usize = 64 * 1024 * 1024;

/// Which callback URLs are called. The server's own switches.
#[derive(Debug, Clone, Default)]
pub(crate) struct CallbackRules {
    pub(crate) allow_http: bool,
    pub(crate) allow_private: bool,
    /// Certificates in PEM that are trusted besides the system's.
    pub(crate) ca_file: Option<PathBuf>,
}

/// Why a callback has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CallbackFailure {
    /// It, or where it redirects to, may not be called. The first part is the server's wording.
    #[error("entity callback URL blocked: {0}")]
    Blocked(String),
    #[error("entity callback failed: {0}")]
    Failed(String),
    #[error("no answer in time")]
    TimedOut,
}

/// Calls callback URLs.
#[derive(Debug)]
pub(crate) struct Callbacks {
    rules: CallbackRules,
    /// Made when it is first needed, since the system's roots take their time.
    tls: OnceLock<Result<Arc<ClientConfig>, TlsError>>,
}

impl Callbacks {
    pub(crate) fn new(rules: CallbackRules) -> Self {
        Self { rules, tls: OnceLock::new() }
    }

    /// Posts headers and body to `url`, and to where it redirects.
    pub(crate) async fn post(
        &self,
        url: &str,
        headers: &HeaderMap,
        body: &str,
        time: Duration,
    ) -> Result<Response<Vec<u8>>, CallbackFailure> {
        let deadline = Instant::now() + time;
        let mut url = url.to_owned();
        for _ in 0..=REDIRECTS {
            let checked = timeout_at(deadline, self.check(&url)).await;
            let (target, addresses) = checked.map_err(|_| CallbackFailure::TimedOut)??;
            let request = request(&target, headers, body)?;
            let answer = timeout_at(deadline, self.exchange(&target, &addresses, request)).await;
            let answer = answer.map_err(|_| CallbackFailure::TimedOut)??;
            let location = answer.headers().get(LOCATION).and_then(|location| location.to_str().ok());
            match location.filter(|_| matches!(answer.status().as_u16(), 301 | 302 | 303 | 307 | 308)) {
                Some(location) => {
                    let next = target.join(location).map_err(|error| {
                        CallbackFailure::Blocked(format!("the redirect is not a URL ({error})"))
                    })?;
                    url = next.into();
                }
                None => return Ok(answer),
            }
        }
        Err(CallbackFailure::Failed(format!("more than {REDIRECTS} redirects")))
    }

    /// Checks a URL and returns the addresses of its host, all of which may be called.
    async fn check(&self, url: &str) -> Result<(Url, Vec<SocketAddr>), CallbackFailure> {
        let url = callback_url(url, self.rules.allow_http)
            .map_err(|error| CallbackFailure::Blocked(error.to_string()))?;
        let port = url.port_or_known_default().unwrap_or_default();
        let host = host_to_dial(&url);
        let addresses: Vec<SocketAddr> = match host.parse::<IpAddr>() {
            Ok(address) => vec![(address, port).into()],
            Err(_) => tokio::net::lookup_host((host.as_str(), port))
                .await
                .map_err(|error| CallbackFailure::Failed(format!("the host cannot be resolved ({error})")))?
                .collect(),
        };
        let private = addresses.iter().map(SocketAddr::ip).find(|address| !is_public_address(*address));
        match private {
            Some(address) if !self.rules.allow_private => {
                Err(CallbackFailure::Blocked(format!("leads to {address}, which is not public")))
            }
            _ => Ok((url, addresses)),
        }
    }

    /// Sends a request to the host at one of these addresses, and reads the answer.
    async fn exchange(
        &self,
        url: &Url,
        addresses: &[SocketAddr],
        request: Request<Body>,
    ) -> Result<Response<Vec<u8>>, CallbackFailure> {
        let tls = match url.scheme() {
            "https" => Some(self.tls()?),
            _ => None,
        };
        let port = url.port_or_known_default().unwrap_or_default();
        let connected = connect_at(&host_to_dial(url), port, addresses, tls.as_ref()).await;
        let connection = connected.map_err(|error| {
            CallbackFailure::Failed(format!("no connection could be made: {}", error.reason()))
        })?;
        exchange(connection, request).await
    }

    fn tls(&self) -> Result<Arc<ClientConfig>, CallbackFailure> {
        let tls = self.tls.get_or_init(|| client_config(self.rules.ca_file.as_deref()).map(Arc::new));
        tls.clone().map_err(|error| CallbackFailure::Failed(error.to_string()))
    }
}

/// The request for `url`, on a connection of its own.
fn request(url: &Url, headers: &HeaderMap, body: &str) -> Result<Request<Body>, CallbackFailure> {
    let not_a_url = || CallbackFailure::Blocked("is not a URL".to_owned());
    let target: Uri = url[Position::BeforePath..Position::AfterQuery].parse().map_err(|_| not_a_url())?;
    let host = &url[Position::BeforeHost..Position::AfterPort];
    let mut request = Request::new(Body::from(body.to_owned()));
    (*request.method_mut(), *request.uri_mut()) = (Method::POST, target);
    let sent = request.headers_mut();
    sent.insert(HOST, host.parse().map_err(|_| not_a_url())?);
    sent.insert(ACCEPT, HeaderValue::from_static("*/*"));
    sent.insert(CONNECTION, HeaderValue::from_static("close"));
    sent.insert(USER_AGENT, HeaderValue::from_static(platools_net::USER_AGENT));
    sent.extend(headers.clone());
    Ok(request)
}

/// One request and its answer, over a connection that is used for nothing else.
async fn exchange(
    connection: Connection,
    request: Request<Body>,
) -> Result<Response<Vec<u8>>, CallbackFailure> {
    let broken = |reason: String| CallbackFailure::Failed(format!("the answer could not be read: {reason}"));
    let of_http = |error: hyper::Error| broken(innermost_reason(&error));
    let (mut sender, connection) = http1::handshake(TokioIo::new(connection)).await.map_err(of_http)?;
    let answer = async {
        let (head, body) = sender.send_request(request).await.map_err(of_http)?.into_parts();
        let body = BodyLimits::new(MAX_ANSWER).time(Duration::MAX).read(body).await;
        let body = body.map_err(|error| match error {
            BodyError::TooLarge { limit } => {
                CallbackFailure::Failed(format!("the answer has more than {limit} bytes"))
            }
            BodyError::TooSlow => CallbackFailure::TimedOut,
            BodyError::Broken(reason) => broken(reason),
        })?;
        Ok(Response::from_parts(head, body))
    };
    // The connection moves while it is waited for, and what it has read can be taken after its end.
    let moving = async {
        let _ = connection.await;
        std::future::pending().await
    };
    tokio::select! {
        answer = answer => answer,
        never = moving => never,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn blocked(rules: CallbackRules, url: &str) -> String {
        match Callbacks::new(rules).check(url).await {
            Err(error) => error.to_string(),
            Ok(_) => "called".to_owned(),
        }
    }

    #[tokio::test]
    async fn the_server_calls_public_https_urls_only_unless_its_switches_say_otherwise() {
        let strict = CallbackRules::default;
        let http = || CallbackRules { allow_http: true, ..strict() };
        let private = || CallbackRules { allow_private: true, ..strict() };
        for (rules, url, expected) in [
            (strict(), "https://93.184.216.34/", "called"),
            (strict(), "http://93.184.216.34/", "blocked: is not encrypted"),
            (strict(), "https://127.0.0.1/", "blocked: leads to 127.0.0.1"),
            (strict(), "https://localhost/", "blocked: leads to "),
            (strict(), "https://[::ffff:10.0.0.1]/", "blocked: leads to ::ffff:10.0.0.1"),
            (strict(), "https://a:b@93.184.216.34/", "blocked: contains a user name"),
            (strict(), "https://93.184.216.34:6379/", "blocked: has port 6379"),
            (strict(), "ws://platos/tools/sync?entity=a&env=dev", "blocked: has the scheme `ws`"),
            (http(), "http://93.184.216.34/", "called"),
            (http(), "http://127.0.0.1/", "blocked: leads to 127.0.0.1"),
            (private(), "https://127.0.0.1/", "called"),
            (private(), "http://127.0.0.1/", "blocked: is not encrypted"),
            (private(), "https://127.0.0.1:22/", "blocked: has port 22"),
        ] {
            let found = blocked(rules, url).await;
            assert!(found.contains(expected), "{url}: {found}");
        }
    }
}
