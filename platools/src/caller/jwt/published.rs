//! Keys that an issuer publishes, fetched when they are needed.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use http::{Request, StatusCode};
use jsonwebtoken::{DecodingKey, Header};
use platools_net::client::{self, HttpClient};
use platools_net::policy::http_url;
use platools_net::tls;
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use url::Url;

use super::keys::KeySet;
use super::{JwtAlgorithm, JwtKeyError};
use crate::caller::AuthenticationError;

/// How long keys are good without another look.
const FRESH: Duration = Duration::from_secs(3_600);
/// How long keys stay good while they cannot be fetched.
const STALE: Duration = Duration::from_secs(24 * 3_600);
/// The shortest time between two looks: tokens that name made-up keys must not make us a nuisance.
const PAUSE: Duration = Duration::from_secs(10);
/// How long one look may take.
const TIME: Duration = Duration::from_secs(10);
/// The most of an answer that is read, in bytes.
const MAX_BODY: usize = 1 << 20;

/// The keys at one URL.
pub(super) struct Published {
    source: Source,
    known: Arc<RwLock<Option<Known>>>,
    /// When the last look ended. Held while somebody looks.
    looked: Arc<Mutex<Option<Instant>>>,
    /// Whether the last look brought nothing.
    is_failing: Arc<AtomicBool>,
}

/// Where the keys are, and which of them are of use.
#[derive(Clone)]
struct Source {
    url: String,
    /// The URL for the log: without its query, which may hold a key of the API.
    shown: String,
    client: HttpClient,
    pinned: Option<Vec<JwtAlgorithm>>,
}

#[derive(Clone)]
struct Known {
    keys: Arc<KeySet>,
    fetched: Instant,
}

impl Published {
    pub(super) fn new(url: &str) -> Result<Self, JwtKeyError> {
        let url = http_url(url, false).map_err(|error| JwtKeyError::Url { problem: error.to_string() })?;
        let client = tls::client_config(None)
            .and_then(|tls| client::build(client::client_builder(tls).connect_timeout(TIME / 2)))
            .map_err(|error| JwtKeyError::Tls { problem: error.to_string() })?;
        let client = HttpClient::new(client, MAX_BODY);
        let source = Source { shown: without_query(&url), url: url.into(), client, pinned: None };
        Ok(Self { source, known: Arc::default(), looked: Arc::default(), is_failing: Arc::default() })
    }

    /// Uses the keys with these algorithms only.
    pub(super) fn pin(&mut self, algorithms: &[JwtAlgorithm]) -> Result<(), JwtKeyError> {
        use JwtAlgorithm::{HS256, HS384, HS512};
        // A published secret is none, so no key will ever go with these.
        if algorithms.iter().all(|algorithm| [HS256, HS384, HS512].contains(algorithm)) {
            return Err(JwtKeyError::NoFittingAlgorithm { algorithms: algorithms.to_vec() });
        }
        self.source.pinned = Some(algorithms.to_vec());
        Ok(())
    }

    /// The keys that a token with this header may be signed with.
    pub(super) async fn fitting(
        &self,
        header: &Header,
    ) -> Result<Vec<Arc<DecodingKey>>, AuthenticationError> {
        let is_enough = |known: &Known| known.fetched.elapsed() < FRESH && known.keys.knows(header);
        if let Some(known) = self.known().filter(&is_enough) {
            return known.keys.fitting(header);
        }
        // Nobody waits for a server that did not answer the last time when there are keys to go on with.
        let does = |known: &Known| known.fetched.elapsed() < STALE && known.keys.knows(header);
        if let Some(known) = self.known().filter(does).filter(|_| self.is_failing.load(Ordering::Relaxed)) {
            if let Ok(looked) = Arc::clone(&self.looked).try_lock_owned() {
                drop(self.look(looked));
            }
            return known.keys.fitting(header);
        }
        let looked = Arc::clone(&self.looked).lock_owned().await;
        // Somebody else may have looked while this one waited.
        if let Some(known) = self.known().filter(&is_enough) {
            return known.keys.fitting(header);
        }
        let problem = match self.look(looked) {
            Some(look) => look.await.unwrap_or_else(|_| Some("the look for them broke off".to_owned())),
            None => Some("they could not be fetched a moment ago".to_owned()),
        };
        match self.known() {
            Some(known) if known.fetched.elapsed() < STALE => known.keys.fitting(header),
            _ => {
                let problem = problem.unwrap_or_default();
                Err(AuthenticationError::unavailable(format!("no keys of the tokens' issuer: {problem}")))
            }
        }
    }

    /// Looks for new keys, unless somebody did a moment ago, and says what went wrong. In a task of its own: a
    /// call that ends while it waits must not leave the others without an answer.
    fn look(&self, mut looked: OwnedMutexGuard<Option<Instant>>) -> Option<JoinHandle<Option<String>>> {
        if looked.is_some_and(|looked| looked.elapsed() < PAUSE) {
            return None;
        }
        let (source, known) = (self.source.clone(), Arc::clone(&self.known));
        let is_failing = Arc::clone(&self.is_failing);
        Some(tokio::spawn(async move {
            let fetched = source.fetch().await;
            // From the end on, or else a server that never answers is asked without a pause.
            let now = Instant::now();
            *looked = Some(now);
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
        let answer = self.client.send(request, TIME).await.map_err(|error| error.to_string())?;
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
    fn the_query_of_the_url_is_in_no_log() {
        let keys = Published::new("https://accounts.example/keys?api_key=s3cret#s3cret").unwrap();
        assert_eq!(keys.source.shown, "https://accounts.example/keys");
        assert!(!format!("{keys:?}").contains("s3cret"));
    }
}
