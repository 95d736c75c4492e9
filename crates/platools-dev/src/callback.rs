//! Posting to a callback URL as the server does: checked each time, redirects too, and only to addresses that were checked
//! (protocol §6).
//!
//! Must not know what is posted. Nothing is logged: URL and headers may hold tokens.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use axum::http::header::LOCATION;
use axum::http::{HeaderMap, Method, Request, Response};
use platools_net::HttpClient;
use platools_net::HttpError;
use platools_net::address::is_public_address;
use platools_net::callback::callback_url;
use platools_net::client::{build, client_builder};
use platools_net::policy::host_to_dial;
use platools_net::proxy::ProxyConfig;
use platools_net::tls::{TlsError, client_config};
use rustls::ClientConfig;
use tokio::time::{Instant, timeout_at};
use url::Url;

/// How many redirects are followed.
const REDIRECTS: usize = 3;

/// How much of an answer is read, in bytes.
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
    tls: OnceLock<Result<ClientConfig, TlsError>>,
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
            let client = self.client(&target, &addresses)?;
            let mut request = Request::new(body.as_bytes().to_vec());
            *request.method_mut() = Method::POST;
            *request.headers_mut() = headers.clone();
            *request.uri_mut() =
                target.as_str().parse().map_err(|_| CallbackFailure::Blocked("is not a URL".to_owned()))?;
            let left = deadline.saturating_duration_since(Instant::now());
            let answer = client.send(request, left).await.map_err(|error| match error {
                HttpError::Timeout(_) => CallbackFailure::TimedOut,
                error => CallbackFailure::Failed(error.to_string()),
            })?;
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

    /// A client that reaches the host at these addresses only, whatever its name resolves to meanwhile.
    fn client(&self, url: &Url, addresses: &[SocketAddr]) -> Result<HttpClient, CallbackFailure> {
        let tls = self.tls.get_or_init(|| client_config(self.rules.ca_file.as_deref())).clone();
        let failed = |error: TlsError| CallbackFailure::Failed(error.to_string());
        let builder = client_builder(tls.map_err(failed)?, &ProxyConfig::direct());
        let builder = builder.resolve_to_addrs(&host_to_dial(url), addresses);
        Ok(HttpClient::new(build(builder).map_err(failed)?, MAX_ANSWER))
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
