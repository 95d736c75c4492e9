//! The request for a document that a server has. What is known already is asked for again only if it changed.
//!
//! Errors never quote a URL: it may hold a secret.

use std::time::{Duration, SystemTime};

use http::header::{ETAG, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED};
use http::{HeaderMap, StatusCode};
use platools_net::client::connect_reason;
use platools_net::{BodyError, BodyLimits, Proxy, retry_after};
use serde::{Deserialize, Serialize};
use url::Url;

use super::MAX_DOCUMENT;
use crate::fingerprint::Fingerprint;

/// How long fetching a document may take.
pub(crate) const FETCH: Duration = Duration::from_secs(30);

/// The longest text of a server by which it tells documents apart, in bytes.
const MAX_VALIDATOR: usize = 1_024;

/// How a document is fetched.
#[derive(Clone)]
pub(crate) struct Remote {
    pub(crate) client: reqwest::Client,
    /// The proxy through which the server is asked, if there is one.
    pub(crate) proxy: Option<Proxy>,
    pub(crate) url: Url,
    /// With those that say who is asking.
    pub(crate) headers: HeaderMap,
    /// The same for a request that is the same.
    pub(crate) fingerprint: Fingerprint,
}

/// What a server said of a document, to be told when it is asked for again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Validators {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) etag: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) last_modified: Option<String>,
}

/// An answer of the server.
#[derive(Debug)]
pub(crate) enum Fetched {
    /// It is the document that is known.
    Same,
    /// This is the document.
    New(Vec<u8>, Validators),
}

/// Why there is no document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub(crate) struct FetchError {
    pub(crate) reason: String,
    /// How long the server asks to wait.
    pub(crate) retry_after: Option<Duration>,
}

impl Validators {
    /// What an answer says of its document.
    fn of(headers: &HeaderMap) -> Self {
        let text = |name| {
            let text = headers.get(name)?.to_str().ok()?;
            (text.len() <= MAX_VALIDATOR).then(|| text.to_owned())
        };
        Self { etag: text(ETAG), last_modified: text(LAST_MODIFIED) }
    }
}

impl Remote {
    /// Fetches the document within `time`, unless it is the one that `known` tells of.
    ///
    /// # Errors
    /// Why there is none.
    pub(crate) async fn fetch(
        &self,
        known: Option<&Validators>,
        time: Duration,
    ) -> Result<Fetched, FetchError> {
        let fetched = tokio::time::timeout(time, self.fetch_at_leisure(known)).await;
        fetched.unwrap_or_else(|_| {
            Err(FetchError::new(format!("the document did not come within {} ms", time.as_millis())))
        })
    }

    async fn fetch_at_leisure(&self, known: Option<&Validators>) -> Result<Fetched, FetchError> {
        let mut request = self.client.get(self.url.clone()).headers(self.headers.clone());
        if let Some(Validators { etag, last_modified }) = known {
            for (name, value) in [(IF_NONE_MATCH, etag), (IF_MODIFIED_SINCE, last_modified)] {
                if let Some(value) = value {
                    request = request.header(name, value);
                }
            }
        }
        let answer = request.send().await.map_err(|error| {
            let proxy = self.proxy.as_ref().filter(|_| error.is_connect());
            FetchError::new(format!("the document cannot be fetched: {}", connect_reason(&error, proxy)))
        })?;
        let status = answer.status();
        if status == StatusCode::NOT_MODIFIED && known.is_some() {
            return Ok(Fetched::Same);
        }
        if status.is_redirection() {
            return Err(FetchError::new(
                "the document is elsewhere (the server redirects): write the URL where it is".to_owned(),
            ));
        }
        if !status.is_success() {
            let what = match status {
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                    "; give the credentials of the fetch with `bearer` or `headers` of the section"
                }
                _ => "",
            };
            return Err(FetchError {
                reason: format!("the document cannot be fetched: the server answered {status}{what}"),
                retry_after: retry_after(answer.headers(), SystemTime::now()),
            });
        }
        let validators = Validators::of(answer.headers());
        let bytes = BodyLimits::new(MAX_DOCUMENT).time(FETCH).read(reqwest::Body::from(answer)).await;
        let bytes = bytes.map_err(|error| match error {
            BodyError::TooLarge { .. } => FetchError::new("the document has more than 64 MiB".to_owned()),
            error => FetchError::new(format!("the document cannot be fetched: {error}")),
        })?;
        Ok(Fetched::New(bytes, validators))
    }
}

impl FetchError {
    pub(super) fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), retry_after: None }
    }
}

impl std::fmt::Debug for Remote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The URL and the headers may hold secrets.
        f.write_str("Remote")
    }
}
