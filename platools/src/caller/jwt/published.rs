//! Keys that an issuer publishes, fetched on demand.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use http::{Request, StatusCode};
use jsonwebtoken::{DecodingKey, Header};
use platools_net::ProxyConfig;
use platools_net::client::{self, HttpClient};
use platools_net::policy::http_url;
use platools_net::tls;
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use url::Url;

use super::keys::KeySet;
use super::{JwtAlgorithm, JwtAuthenticator, JwtKeyError, Keys};
use crate::caller::AuthenticationError;

/// Time until fetched keys are refreshed.
const REFRESH_AFTER: Duration = Duration::from_secs(3_600);
/// Time for which cached keys are used while fetching fails.
const STALE_AFTER: Duration = Duration::from_secs(24 * 3_600);
/// Minimum time between two fetches: tokens with made-up key ids must not cause a flood of requests.
const PAUSE: Duration = Duration::from_secs(10);
/// Timeout of a fetch.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum size of a response, in bytes.
const MAX_BODY: usize = 1 << 20;

/// The keys at one URL.
struct Published {
    source: Source,
    known: Arc<RwLock<Option<Known>>>,
    /// When the last fetch ended. Locked during a fetch.
    fetched_at: Arc<Mutex<Option<Instant>>>,
    /// Whether the last fetch failed.
    is_failing: Arc<AtomicBool>,
}

/// The URL of the keys and their permitted algorithms.
#[derive(Clone)]
struct Source {
    url: String,
    /// The URL for logs, without its query, which may contain an API key.
    shown: String,
    client: HttpClient,
    pinned: Option<Vec<JwtAlgorithm>>,
}

#[derive(Clone)]
struct Known {
    keys: Arc<KeySet>,
    fetched: Instant,
}

impl JwtAuthenticator {
    /// Accepts tokens that verify with a key that an issuer publishes at `url`, such as
    /// `https://accounts.example/.well-known/jwks.json`.
    ///
    /// The keys are fetched for the first token, again after an hour, and when a token names an unknown key, but at
    /// most every 10 s. If fetching fails, cached keys are used for up to a day; without cached keys, calls are denied
    /// until fetching succeeds. Redirects are not followed.
    ///
    /// # Errors
    /// If the URL is not `https://` (or `http://` to loopback).
    pub fn jwks_url(url: &str) -> Result<Self, JwtKeyError> {
        Self::jwks_url_through(url, ProxyConfig::from_env())
    }

    /// Like [`jwks_url`](Self::jwks_url), with these proxies instead of those of the environment. Loopback never goes
    /// through a proxy.
    ///
    /// # Errors
    /// If the URL is not `https://` (or `http://` to loopback).
    pub fn jwks_url_through(url: &str, proxy: ProxyConfig) -> Result<Self, JwtKeyError> {
        Ok(Self::new(Published::new(url, proxy)?))
    }
}

#[async_trait]
impl Keys for Published {
    fn pin(&mut self, algorithms: &[JwtAlgorithm]) -> Result<(), JwtKeyError> {
        use JwtAlgorithm::{HS256, HS384, HS512};
        // Published symmetric keys are ignored, so no key will ever support these.
        if algorithms.iter().all(|algorithm| [HS256, HS384, HS512].contains(algorithm)) {
            return Err(JwtKeyError::NoFittingAlgorithm { algorithms: algorithms.to_vec() });
        }
        self.source.pinned = Some(algorithms.to_vec());
        Ok(())
    }

    async fn fitting(&self, header: &Header) -> Result<Vec<Arc<DecodingKey>>, AuthenticationError> {
        let is_enough = |known: &Known| {
            known.fetched.elapsed() < REFRESH_AFTER && known.keys.matching(header).next().is_some()
        };
        if let Some(known) = self.known().filter(&is_enough) {
            return known.keys.fitting(header);
        }
        // After a failed fetch, calls use the cached keys and refresh in the background instead of waiting.
        let is_usable = |known: &Known| {
            known.fetched.elapsed() < STALE_AFTER && known.keys.matching(header).next().is_some()
        };
        if let Some(known) =
            self.known().filter(is_usable).filter(|_| self.is_failing.load(Ordering::Relaxed))
        {
            if let Ok(fetched_at) = Arc::clone(&self.fetched_at).try_lock_owned() {
                drop(self.fetch(fetched_at));
            }
            return known.keys.fitting(header);
        }
        let fetched_at = Arc::clone(&self.fetched_at).lock_owned().await;
        // Another call may have fetched the keys while this one waited for the lock.
        if let Some(known) = self.known().filter(&is_enough) {
            return known.keys.fitting(header);
        }
        let problem = match self.fetch(fetched_at) {
            Some(task) => task.await.unwrap_or_else(|_| Some("the fetch was aborted".to_owned())),
            None => Some("the last fetch failed".to_owned()),
        };
        match self.known() {
            Some(known) if known.fetched.elapsed() < STALE_AFTER => known.keys.fitting(header),
            _ => {
                let problem = problem.unwrap_or_default();
                Err(AuthenticationError::unavailable(format!("no keys of the tokens' issuer: {problem}")))
            }
        }
    }
}

impl Published {
    fn new(url: &str, proxy: ProxyConfig) -> Result<Self, JwtKeyError> {
        let url = http_url(url, false).map_err(|error| JwtKeyError::Url { problem: error.to_string() })?;
        let client = tls::client_config(None)
            .and_then(|tls| client::build(client::client_builder(tls, &proxy).connect_timeout(TIMEOUT / 2)))
            .map_err(|error| JwtKeyError::Tls { problem: error.to_string() })?;
        let client = HttpClient::new(client, MAX_BODY).through(proxy);
        let source = Source { shown: without_query(&url), url: url.into(), client, pinned: None };
        Ok(Self { source, known: Arc::default(), fetched_at: Arc::default(), is_failing: Arc::default() })
    }

    /// Fetches the keys, unless they were fetched within [`PAUSE`]; the task returns the problem, if any. It is a task
    /// of its own, so that a cancelled call does not cancel the fetch that other calls wait for.
    fn fetch(&self, mut fetched_at: OwnedMutexGuard<Option<Instant>>) -> Option<JoinHandle<Option<String>>> {
        if fetched_at.is_some_and(|fetched_at| fetched_at.elapsed() < PAUSE) {
            return None;
        }
        let (source, known) = (self.source.clone(), Arc::clone(&self.known));
        let is_failing = Arc::clone(&self.is_failing);
        Some(tokio::spawn(async move {
            let fetched = source.fetch().await;
            // Measured from the end of the fetch: otherwise a server that never responds would be asked without a pause.
            let now = Instant::now();
            *fetched_at = Some(now);
            is_failing.store(fetched.is_err(), Ordering::Relaxed);
            match fetched {
                Ok(keys) => {
                    let keys = Known { keys: Arc::new(keys), fetched: now };
                    *known.write().unwrap_or_else(PoisonError::into_inner) = Some(keys);
                    None
                }
                Err(problem) => {
                    let url = source.shown;
                    tracing::warn!(url, "the keys of the tokens' issuer cannot be fetched: {problem}");
                    Some(problem)
                }
            }
        }))
    }

    fn known(&self) -> Option<Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Source {
    async fn fetch(&self) -> Result<KeySet, String> {
        let request = Request::get(&self.url).header("accept", "application/json").body(Vec::new());
        let request = request.map_err(|error| error.to_string())?;
        let answer = self.client.send(request, TIMEOUT).await.map_err(|error| error.to_string())?;
        if answer.status() != StatusCode::OK {
            return Err(format!("the server answers {}", answer.status()));
        }
        let mut keys = KeySet::jwks(answer.body()).map_err(|error| error.to_string())?;
        if let Some(pinned) = &self.pinned {
            keys.pin(pinned).map_err(|error| error.to_string())?;
        }
        Ok(keys)
    }
}

fn without_query(url: &Url) -> String {
    let mut shown = url.clone();
    shown.set_query(None);
    shown.set_fragment(None);
    shown.into()
}

impl fmt::Debug for Published {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Published").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_query_of_the_url_is_not_logged() {
        let url = "https://accounts.example/keys?api_key=s3cret#s3cret";
        let keys = Published::new(url, ProxyConfig::direct()).unwrap();
        assert_eq!(keys.source.shown, "https://accounts.example/keys");
        assert!(!format!("{keys:?}").contains("s3cret"));
    }
}
