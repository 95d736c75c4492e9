//! From a URL to a transport: an HTTP client with TLS of our own, which follows no redirect, since the bearer token
//! would go along.

use std::sync::Arc;
use std::time::Duration;

use platools_net::client;
use platools_net::policy::{UrlError, http_url};
use platools_net::tls::{TlsError, client_config};
use platools_net::{ProxyConfig, SecretText};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::common::client_side_sse::ExponentialBackoff;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use url::Url;

use crate::UpstreamError;
use crate::quiet::QuietClient;

/// How long a connection may take, with its TLS handshake.
const CONNECT: Duration = Duration::from_secs(10);

/// A token for the `Authorization` header. It is wiped from memory when dropped, and its `Debug` is redacted.
///
/// ```
/// use platools_upstream::Bearer;
///
/// let bearer = Bearer::new("a-token-of-the-server")?;
/// assert_eq!(format!("{bearer:?}"), "Bearer([redacted])");
/// # Ok::<(), platools_upstream::UpstreamError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Bearer(SecretText);

impl Bearer {
    /// Takes a token as text, without the word `Bearer`.
    ///
    /// # Errors
    /// When the text is empty or cannot go into a header as it is.
    pub fn new(text: impl Into<String>) -> Result<Self, UpstreamError> {
        let text = SecretText::from(text.into());
        if text.is_empty() {
            return Err(UpstreamError::Bearer("is empty: give the token that the server knows"));
        }
        if !text.expose().chars().all(|next| ('!'..='~').contains(&next)) {
            return Err(UpstreamError::Bearer(
                "has a space, a line break or a character beyond ASCII: copy the token alone",
            ));
        }
        Ok(Self(text))
    }
}

/// Checks that an MCP server can be asked at a URL, with or without a bearer token. Nothing is dialled.
///
/// # Errors
/// Returns [`UpstreamError::Url`], whose text does not quote the URL.
///
/// ```
/// assert!(platools_upstream::check_url("https://mcp.example/mcp", true).is_ok());
/// assert!(platools_upstream::check_url("http://mcp.example/mcp", true).is_err());
/// ```
pub fn check_url(text: &str, has_bearer: bool) -> Result<(), UpstreamError> {
    endpoint(text, has_bearer).map(drop)
}

/// The URL of an MCP server. The errors do not quote it.
pub(crate) fn endpoint(text: &str, has_bearer: bool) -> Result<Url, UpstreamError> {
    http_url(text, !has_bearer).map_err(|error| {
        UpstreamError::Url(match error {
            UrlError::Malformed(_) => {
                "cannot be read: expected something like https://mcp.example/mcp".to_owned()
            }
            UrlError::PlainText => {
                "is not encrypted, and the bearer token would cross the network in the clear: use https://"
                    .to_owned()
            }
            error => error.to_string(),
        })
    })
}

/// A client for those who have none of their own, through the proxies of the environment.
pub(crate) fn client(url: &Url) -> Result<reqwest::Client, UpstreamError> {
    let proxy = ProxyConfig::from_env();
    proxy.for_url(url).map_err(|error| UpstreamError::Url(error.to_string()))?;
    client_config(None)
        .and_then(|tls| client::build(client::client_builder(tls, &proxy).connect_timeout(CONNECT)))
        .map_err(|error| match error {
            TlsError::Setup(problem) => UpstreamError::Tls(problem),
            error @ TlsError::CaFile { .. } => UpstreamError::Tls(error.to_string()),
        })
}

/// A transport to `url`; nothing is dialled yet. Events of more than `max_result` bytes break it.
pub(crate) fn transport(
    client: reqwest::Client,
    url: &Url,
    bearer: Option<&Bearer>,
    max_result: usize,
) -> StreamableHttpClientTransport<QuietClient> {
    let mut config = StreamableHttpClientTransportConfig::with_uri(url.as_str());
    // A stream that broke is taken up again, but not for ever: whoever waits for its answer has to know.
    // One for each call that runs; more wait for their place here rather than at the dispatcher's limits.
    config = config.max_concurrent_requests(256).max_sse_event_size(max_result);
    let mut retries = ExponentialBackoff::default();
    (retries.max_times, retries.base_duration) = (Some(3), Duration::from_millis(250));
    config.retry_config = Arc::new(retries);
    if let Some(bearer) = bearer {
        config = config.auth_header(bearer.0.expose());
    }
    StreamableHttpClientTransport::with_client(QuietClient(client), config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_urls_that_keep_a_token_are_asked_and_none_is_quoted() {
        for text in
            ["https://mcp.example/mcp", "http://127.0.0.1:1/mcp", "http://localhost:1", "http://[::1]:1"]
        {
            endpoint(text, true).unwrap();
        }
        endpoint("http://10.0.0.1/mcp", false).unwrap();
        for text in
            ["", "s3cret", "ws://s3cret", "http://10.0.0.1/s3cret", "https://s3cret@h", "https://:s3cret@h"]
        {
            let error = endpoint(text, true).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("s3cret"), "{error:?}");
        }
    }

    #[test]
    fn tokens_that_cannot_be_sent_are_refused_without_being_shown() {
        for text in ["", "s3cret s3cret", "s3cret\r\nx: y", "s3crét"] {
            let error = Bearer::new(text).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("s3cr"), "{error:?}");
        }
    }
}
