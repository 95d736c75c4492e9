//! Asking an authenticator no more often than needed: one question for many calls with the same tokens,
//! and its verdict remembered for a bounded time.
//!
//! Tokens are kept as SHA-256 only.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use quick_cache::sync::Cache;
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use super::{AuthenticationError, Authenticator, Credentials, Identity};

/// How many verdicts are remembered.
const CAPACITY: usize = 10_000;
/// The longest that a refusal is remembered: a user may become known.
const REFUSAL: Duration = Duration::from_secs(5);
/// How long nobody asks again after it could not be found out: long enough for those who wait already.
const UNAVAILABLE: Duration = Duration::from_millis(500);

type Verdict = Result<Identity, AuthenticationError>;
/// SHA-256 over the tokens.
type Key = [u8; 32];

/// An authenticator with its memory.
pub(crate) struct Authentication {
    authenticator: Arc<dyn Authenticator>,
    /// How long an identity is remembered; not at all if zero.
    ttl: Duration,
    verdicts: Cache<Key, Remembered>,
}

#[derive(Clone)]
struct Remembered {
    verdict: Verdict,
    until: Instant,
}

impl Authentication {
    pub(crate) fn new(authenticator: Arc<dyn Authenticator>, ttl: Duration) -> Self {
        Self { authenticator, ttl, verdicts: Cache::new(CAPACITY) }
    }

    /// Who is behind these credentials. Of several that ask at the same time about the same tokens, one
    /// asks the authenticator; when it gives up, the next one does.
    pub(crate) async fn identify(&self, credentials: &Credentials) -> Verdict {
        if credentials.is_empty() {
            return Err(AuthenticationError::NoCredentials);
        }
        if self.ttl.is_zero() {
            return self.ask(credentials).await;
        }
        let key = key(credentials);
        loop {
            match self.verdicts.get_value_or_guard_async(&key).await {
                Ok(remembered) if Instant::now() < remembered.until => return remembered.verdict,
                Ok(_) => {
                    let is_over = |remembered: &Remembered| remembered.until <= Instant::now();
                    self.verdicts.remove_if(&key, is_over);
                }
                Err(place) => {
                    let verdict = self.ask(credentials).await;
                    let until = Instant::now() + self.lifetime(&verdict);
                    // Fails only when the entry was taken out meanwhile, and then nothing is remembered.
                    let _ = place.insert(Remembered { verdict: verdict.clone(), until });
                    return verdict;
                }
            }
        }
    }

    async fn ask(&self, credentials: &Credentials) -> Verdict {
        let identity = self.authenticator.authenticate(credentials).await?;
        if identity.expires_at().is_some_and(|expires_at| expires_at <= SystemTime::now()) {
            return Err(AuthenticationError::rejected("it has expired"));
        }
        Ok(identity)
    }

    fn lifetime(&self, verdict: &Verdict) -> Duration {
        match verdict {
            Ok(identity) => match identity.expires_at() {
                Some(end) => end.duration_since(SystemTime::now()).unwrap_or_default().min(self.ttl),
                None => self.ttl,
            },
            Err(AuthenticationError::Unavailable(_)) => UNAVAILABLE.min(self.ttl),
            Err(_) => REFUSAL.min(self.ttl),
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
        // With its length, so that no two pairs of tokens read the same.
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

    /// An authenticator that waits until it is let go, and counts how often it was asked.
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
    async fn when_the_one_that_asks_gives_up_another_asks() {
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
    async fn verdicts_are_remembered_for_their_time() {
        for (shown, remembered) in
            [("good", Duration::from_secs(60)), ("bad", REFUSAL), ("down", UNAVAILABLE)]
        {
            let (asked, gate, authenticator) = slow();
            gate.add_permits(1_000);
            let authentication = Authentication::new(authenticator, Duration::from_secs(60));
            let ask = async || authentication.identify(&token(shown)).await.is_ok();
            assert_eq!((ask().await, ask().await), (shown == "good", shown == "good"));
            let moment = Duration::from_millis(1);
            tokio::time::advance(remembered.saturating_sub(moment)).await;
            ask().await;
            assert_eq!(asked.load(Ordering::Relaxed), 1, "{shown}");
            tokio::time::advance(moment).await;
            ask().await;
            assert_eq!(asked.load(Ordering::Relaxed), 2, "{shown}");
        }
    }

    #[tokio::test]
    async fn an_identity_is_not_remembered_beyond_its_end() {
        let asked = Arc::new(AtomicUsize::new(0));
        let authenticator = {
            let asked = Arc::clone(&asked);
            move |credentials: Credentials| {
                asked.fetch_add(1, Ordering::Relaxed);
                async move {
                    let end = match credentials.user_token() {
                        Some("old") => SystemTime::UNIX_EPOCH,
                        _ => SystemTime::now() + Duration::from_millis(1),
                    };
                    Ok(Identity::new("usr_1").with_expiry(end))
                }
            }
        };
        let authentication = Authentication::new(Arc::new(authenticator), Duration::from_secs(3_600));
        assert!(authentication.identify(&token("new")).await.is_ok());
        tokio::time::sleep(Duration::from_millis(5)).await;
        assert!(authentication.identify(&token("new")).await.is_ok());
        assert_eq!(asked.load(Ordering::Relaxed), 2);
        assert!(authentication.identify(&token("old")).await.is_err(), "it was over before it began");
    }

    #[tokio::test]
    async fn without_tokens_nobody_is_asked() {
        let (asked, _gate, authenticator) = slow();
        let authentication = Authentication::new(authenticator, Duration::from_secs(60));
        let verdict = authentication.identify(&Credentials::new()).await;
        assert!(matches!(verdict, Err(AuthenticationError::NoCredentials)));
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
