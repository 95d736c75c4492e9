//! From a URL to a transport: an HTTP client with TLS of our own, which follows no redirect and uses no proxy of the
//! environment, since the bearer token would go along.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use reqwest::redirect;
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::common::client_side_sse::ExponentialBackoff;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use url::{Host, Url};
use zeroize::Zeroizing;

use crate::UpstreamError;
use crate::quiet::QuietClient;
use crate::tls::client_config;

/// How long a connection may take, with its TLS handshake.
const CONNECT: Duration = Duration::from_secs(10);

/// A token for the `Authorization` header. Its memory is wiped when it goes, and its `Debug` shows nothing of it.
///
/// ```
/// use platools_upstream::Bearer;
///
/// let bearer = Bearer::new("a-token-of-the-server")?;
/// assert_eq!(format!("{bearer:?}"), "Bearer([redacted])");
/// # Ok::<(), platools_upstream::UpstreamError>(())
/// ```
#[derive(Clone)]
pub struct Bearer(Zeroizing<String>);

impl Bearer {
    /// Takes a token as text, without the word `Bearer`.
    ///
    /// # Errors
    /// When the text is empty or cannot go into a header as it is.
    pub fn new(text: impl Into<String>) -> Result<Self, UpstreamError> {
        let text = Zeroizing::new(text.into());
        if text.is_empty() {
            return Err(UpstreamError::Bearer("is empty: give the token that the server knows"));
        }
        if !text.chars().all(|next| ('!'..='~').contains(&next)) {
            return Err(UpstreamError::Bearer(
                "has a space, a line break or a character beyond ASCII: copy the token alone",
            ));
        }
        Ok(Self(text))
    }
}

impl fmt::Debug for Bearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Bearer([redacted])")
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
    let problem = |text: &str| Err(UpstreamError::Url(text.to_owned()));
    let Ok(url) = Url::parse(text) else {
        return problem("cannot be read: expected something like https://mcp.example/mcp");
    };
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return problem("does not start with https:// or http:// and a host");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return problem(
            "contains a user name or password: secrets do not belong in URLs, give a bearer token",
        );
    }
    if has_bearer && url.scheme() == "http" && !is_loopback(&url) {
        return problem(
            "is not encrypted, and the bearer token would cross the network in the clear: use https://",
        );
    }
    Ok(url)
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// A client for those who have none of their own.
pub(crate) fn client() -> Result<reqwest::Client, UpstreamError> {
    let tls = client_config(Vec::new()).map_err(|error| UpstreamError::Tls(error.to_string()))?;
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(redirect::Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        .user_agent(concat!("platools-rs/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT)
        .build()
        .map_err(|error| UpstreamError::Tls(error.without_url().to_string()))
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
        config = config.auth_header(bearer.0.as_str());
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
