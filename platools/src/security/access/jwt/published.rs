//! Keys that an issuer publishes, fetched when they are needed.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use http::{Request, StatusCode};
use jsonwebtoken::{DecodingKey, Header};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::keys::KeySet;
use super::{JwtAlgorithm, JwtKeyError};
use crate::http_client::{HttpClient, HttpOptions, http_url};
use crate::security::AuthenticationError;

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
    url: String,
    client: HttpClient,
    pinned: Option<Vec<JwtAlgorithm>>,
    known: RwLock<Option<Known>>,
    /// When somebody looked last. Held while somebody looks.
    looked: Mutex<Option<Instant>>,
}

#[derive(Clone)]
struct Known {
    keys: Arc<KeySet>,
    fetched: Instant,
}

impl Published {
    pub(super) fn new(url: &str) -> Result<Self, JwtKeyError> {
        let url = http_url(url, false).map_err(|error| JwtKeyError::Url { problem: error.to_string() })?;
        let options =
            HttpOptions { ca_file: None, connect_timeout: TIME / 2, timeout: TIME, max_body: MAX_BODY };
        let client =
            HttpClient::new(&options).map_err(|error| JwtKeyError::Tls { problem: error.to_string() })?;
        Ok(Self { url: url.into(), client, pinned: None, known: RwLock::default(), looked: Mutex::default() })
    }

    /// Uses the keys with these algorithms only.
    pub(super) fn pin(&mut self, algorithms: &[JwtAlgorithm]) -> Result<(), JwtKeyError> {
        use JwtAlgorithm::{HS256, HS384, HS512};
        // A published secret is none, so no key will ever go with these.
        if algorithms.iter().all(|algorithm| [HS256, HS384, HS512].contains(algorithm)) {
            return Err(JwtKeyError::NoFittingAlgorithm { algorithms: algorithms.to_vec() });
        }
        self.pinned = Some(algorithms.to_vec());
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
        let mut looked = self.looked.lock().await;
        // Somebody else may have looked while this one waited.
        if let Some(known) = self.known().filter(&is_enough) {
            return known.keys.fitting(header);
        }
        let mut problem = "they could not be fetched a moment ago".to_owned();
        if looked.is_none_or(|looked| looked.elapsed() >= PAUSE) {
            *looked = Some(Instant::now());
            match self.fetch().await {
                Ok(keys) => {
                    let keys = Arc::new(keys);
                    let known = Known { keys: Arc::clone(&keys), fetched: Instant::now() };
                    *self.known.write().unwrap_or_else(PoisonError::into_inner) = Some(known);
                    return keys.fitting(header);
                }
                Err(error) => problem = error,
            }
            tracing::warn!(url = self.url, "the keys of the tokens' issuer cannot be fetched: {problem}");
        }
        drop(looked);
        match self.known() {
            Some(known) if known.fetched.elapsed() < STALE => known.keys.fitting(header),
            _ => Err(AuthenticationError::unavailable(format!("no keys of the tokens' issuer: {problem}"))),
        }
    }

    fn known(&self) -> Option<Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

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

impl fmt::Debug for Published {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Published").finish_non_exhaustive()
    }
}
