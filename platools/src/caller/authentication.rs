//! Caches the results of an authenticator, and deduplicates concurrent requests for the same tokens.
//!
//! Cache keys are SHA-256 hashes; tokens are not stored.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use quick_cache::sync::Cache;
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use super::{AuthenticationError, Authenticator, Credentials, Identity};

/// Maximum number of cached results.
const CAPACITY: usize = 10_000;
/// Maximum time to cache a rejection: the user may be added meanwhile.
const REJECTED_TTL: Duration = Duration::from_secs(5);
/// Time to cache an unavailable authenticator: long enough to answer the calls that are already waiting.
const UNAVAILABLE_TTL: Duration = Duration::from_millis(500);

type Outcome = Result<Identity, AuthenticationError>;
/// SHA-256 of the tokens.
type Key = [u8; 32];

/// An authenticator with its cache.
pub(crate) struct Authentication {
    authenticator: Arc<dyn Authenticator>,
    /// Time to cache an identity; zero disables caching.
    ttl: Duration,
    results: Cache<Key, Cached>,
}

#[derive(Clone)]
struct Cached {
    outcome: Outcome,
    until: Instant,
}

impl Authentication {
    pub(crate) fn new(authenticator: Arc<dyn Authenticator>, ttl: Duration) -> Self {
        Self { authenticator, ttl, results: Cache::new(CAPACITY) }
    }

    /// Authenticates the credentials. Of concurrent callers with the same tokens, one asks the authenticator; if it
    /// is cancelled, the next one asks.
    pub(crate) async fn identify(&self, credentials: &Credentials) -> Outcome {
        if credentials.is_empty() {
            return Err(AuthenticationError::NoCredentials);
        }
        if self.ttl.is_zero() {
            return self.ask(credentials).await;
        }
        let key = key(credentials);
        loop {
            match self.results.get_value_or_guard_async(&key).await {
                Ok(cached) if Instant::now() < cached.until => return cached.outcome,
                Ok(_) => {
                    let is_over = |cached: &Cached| cached.until <= Instant::now();
                    self.results.remove_if(&key, is_over);
                }
                Err(place) => {
                    let outcome = self.ask(credentials).await;
                    let until = Instant::now() + self.lifetime(&outcome);
                    // Fails only if the entry was removed meanwhile; then the result is not cached.
                    let _ = place.insert(Cached { outcome: outcome.clone(), until });
                    return outcome;
                }
            }
        }
    }

    async fn ask(&self, credentials: &Credentials) -> Outcome {
        let identity = self.authenticator.authenticate(credentials).await?;
        if identity.expires_at().is_some_and(|expires_at| expires_at <= SystemTime::now()) {
            return Err(AuthenticationError::rejected("it has expired"));
        }
        Ok(identity)
    }

    fn lifetime(&self, outcome: &Outcome) -> Duration {
        match outcome {
            Ok(identity) => match identity.expires_at() {
                Some(end) => end.duration_since(SystemTime::now()).unwrap_or_default().min(self.ttl),
                None => self.ttl,
            },
            Err(AuthenticationError::Unavailable(_)) => UNAVAILABLE_TTL.min(self.ttl),
            Err(_) => REJECTED_TTL.min(self.ttl),
        }
    }
}

impl fmt::Debug for Authentication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authentication").field("ttl", &self.ttl).finish_non_exhaustive()
    }
}

fn key(credentials: &Credentials) -> Key {
    let mut hash = Sha256::new();
    for token in [credentials.user_token(), credentials.entity_token()] {
        // Length-prefixed, so that different pairs of tokens never hash the same bytes.
        hash.update(token.map_or(u64::MAX, |token| token.len() as u64).to_le_bytes());
        hash.update(token.unwrap_or_default());
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Semaphore;

    use super::*;

    /// Returns an authenticator that waits for a permit and counts its calls.
    fn slow() -> (Arc<AtomicUsize>, Arc<Semaphore>, Arc<dyn Authenticator>) {
        let (asked, gate) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
        let authenticator = {
            let (asked, gate) = (Arc::clone(&asked), Arc::clone(&gate));
            move |credentials: Credentials| {
                let (asked, gate) = (Arc::clone(&asked), Arc::clone(&gate));
                async move {
                    asked.fetch_add(1, Ordering::Relaxed);
                    gate.acquire().await?.forget();
                    match credentials.user_token() {
                        Some("good") => Ok(Identity::new("usr_1")),
                        Some("down") => Err(AuthenticationError::unavailable("the database is down")),
                        _ => Err(AuthenticationError::rejected("no")),
                    }
                }
            }
        };
        (asked, gate, Arc::new(authenticator))
    }

    fn token(token: &str) -> Credentials {
        Credentials::new().with_user_token(token)
    }

    #[tokio::test(start_paused = true)]
    async fn many_calls_with_one_token_ask_once() {
        let (asked, gate, authenticator) = slow();
        let authentication = Arc::new(Authentication::new(authenticator, Duration::from_secs(60)));
        let calls: Vec<_> = (0..100)
            .map(|_| {
                let authentication = Arc::clone(&authentication);
                tokio::spawn(async move { authentication.identify(&token("good")).await })
            })
            .collect();
        tokio::task::yield_now().await;
        gate.add_permits(1);
        for call in calls {
            assert_eq!(call.await.unwrap().unwrap().subject(), "usr_1");
        }
        assert_eq!(asked.load(Ordering::Relaxed), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_cancelled_request_the_next_caller_asks() {
        let (asked, gate, authenticator) = slow();
        let authentication = Arc::new(Authentication::new(authenticator, Duration::from_secs(60)));
        let ask = || {
            let authentication = Arc::clone(&authentication);
            tokio::spawn(async move { authentication.identify(&token("good")).await })
        };
        let first = ask();
        tokio::task::yield_now().await;
        let second = ask();
        tokio::task::yield_now().await;
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        first.abort();
        assert!(first.await.unwrap_err().is_cancelled());
        gate.add_permits(1);
        assert!(second.await.unwrap().is_ok());
        assert_eq!(asked.load(Ordering::Relaxed), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn results_are_cached_for_their_time() {
        for (shown, cached) in
            [("good", Duration::from_secs(60)), ("bad", REJECTED_TTL), ("down", UNAVAILABLE_TTL)]
        {
            let (asked, gate, authenticator) = slow();
            gate.add_permits(1_000);
            let authentication = Authentication::new(authenticator, Duration::from_secs(60));
            let ask = async || authentication.identify(&token(shown)).await.is_ok();
            assert_eq!((ask().await, ask().await), (shown == "good", shown == "good"));
            let moment = Duration::from_millis(1);
            tokio::time::advance(cached.saturating_sub(moment)).await;
            ask().await;
            assert_eq!(asked.load(Ordering::Relaxed), 1, "{shown}");
            tokio::time::advance(moment).await;
            ask().await;
            assert_eq!(asked.load(Ordering::Relaxed), 2, "{shown}");
        }
    }

    #[tokio::test]
    async fn an_identity_is_not_cached_beyond_its_end() {
        let asked = Arc::new(AtomicUsize::new(0));
        let authenticator = {
            let asked = Arc::clone(&asked);
            move |credentials: Credentials| {
                asked.fetch_add(1, Ordering::Relaxed);
                async move {
                    let end = match credentials.user_token() {
                        Some("old") => SystemTime::UNIX_EPOCH,
                        // Long enough for a loaded machine to accept it first.
                        _ => SystemTime::now() + Duration::from_millis(300),
                    };
                    Ok(Identity::new("usr_1").with_expiry(end))
                }
            }
        };
        let authentication = Authentication::new(Arc::new(authenticator), Duration::from_secs(3_600));
        assert!(authentication.identify(&token("new")).await.is_ok());
        tokio::time::sleep(Duration::from_millis(320)).await;
        assert!(authentication.identify(&token("new")).await.is_ok());
        assert_eq!(asked.load(Ordering::Relaxed), 2);
        assert!(authentication.identify(&token("old")).await.is_err(), "it was expired from the start");
    }

    #[tokio::test]
    async fn without_tokens_the_authenticator_is_not_called() {
        let (asked, _gate, authenticator) = slow();
        let authentication = Authentication::new(authenticator, Duration::from_secs(60));
        let outcome = authentication.identify(&Credentials::new()).await;
        assert!(matches!(outcome, Err(AuthenticationError::NoCredentials)));
        assert_eq!(asked.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn no_two_pairs_of_tokens_have_one_key() {
        let pairs = [
            Credentials::new().with_user_token("ab"),
            Credentials::new().with_entity_token("ab"),
            Credentials::new().with_user_token("a").with_entity_token("b"),
            Credentials::new().with_user_token("").with_entity_token("ab"),
            Credentials::new().with_user_token("ab").with_entity_token(""),
        ];
        let keys: std::collections::HashSet<_> = pairs.iter().map(key).collect();
        assert_eq!(keys.len(), pairs.len());
    }
}
