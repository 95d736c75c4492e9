//! A mint that caches tokens.

use std::fmt;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use quick_cache::sync::{Cache, EntryAction, EntryResult};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use super::{CheckedClaims, Mint, MintError, SessionToken, unix_seconds};

/// Caches the tokens of another mint: a token is reused for the same claims until a fifth of its lifetime is left.
///
/// Useful if minting is expensive, as with the platform's mint; the local mint is faster than most caches. Concurrent
/// requests for the same token share one mint request and its error; errors are not cached beyond that. After a
/// rotation of the secret, cached tokens of the old secret are returned until they are renewed: create a new
/// `CachingMint` to discard them.
///
/// Cache keys are digests: apart from the session tokens, no claims and no user tokens are stored.
///
/// ```
/// use platools::session_token::{CachingMint, LocalMint};
/// use platools::session_token::{SessionClaims, SessionScope, SessionTokens};
/// use platools::SecretSource;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> platools::Result<()> {
/// let scope = SessionScope::new("org_1", "proj_1", "env_prod", "orders-prod");
/// let mint = LocalMint::new(SecretSource::text("b7f1c2d3e4f5a6978899aabbccddeeff"), scope)?;
/// let tokens = SessionTokens::new(CachingMint::new(mint, 10_000));
/// let first = tokens.mint(SessionClaims::for_user("usr_7")).await?;
/// assert_eq!(tokens.mint(SessionClaims::for_user("usr_7")).await?, first);
/// # Ok(())
/// # }
/// ```
pub struct CachingMint<M> {
    mint: M,
    cache: Cache<Key, Cached>,
    now: fn() -> SystemTime,
}

/// Time for which an error is shared with the requests that waited for it.
const ERROR_TTL: Duration = Duration::from_millis(250);

type Key = [u8; 32];

#[derive(Clone)]
enum Cached {
    Token {
        token: SessionToken,
        /// Time until which the token is reused, in seconds since 1970.
        fresh_until: u64,
    },
    /// An error, for the requests that are already waiting.
    Failure { error: MintError, failed: Instant },
}

impl Cached {
    /// Returns the cached result, unless it is stale at `now`, in seconds since 1970.
    fn fresh(&self, now: u64) -> Option<Result<SessionToken, MintError>> {
        match self {
            Self::Token { token, fresh_until } => (now < *fresh_until).then(|| Ok(token.clone())),
            Self::Failure { error, failed } => (failed.elapsed() < ERROR_TTL).then(|| Err(error.clone())),
        }
    }
}

impl<M: Mint> CachingMint<M> {
    /// Creates a cache of at most `capacity` tokens, which evicts rarely used ones.
    pub fn new(mint: M, capacity: usize) -> Self {
        Self { mint, cache: Cache::new(capacity), now: SystemTime::now }
    }

    /// Returns the number of cached tokens.
    pub fn len(&self) -> usize {
        self.cache.len()
    }

    /// Returns whether the cache is empty.
    pub fn is_empty(&self) -> bool {
        self.cache.is_empty()
    }
}

/// Returns the time until which a token minted at `now` is reused: until a fifth of its lifetime is left.
fn fresh_until(now: u64, token: &SessionToken) -> u64 {
    let life = token.expires_at().saturating_sub(now);
    now + life - life.div_ceil(5)
}

/// Returns the cache key: a digest of every claim and the lifetime.
fn key(claims: &CheckedClaims) -> Result<Key, MintError> {
    #[derive(Serialize)]
    struct Identical<'a>(
        &'a str,
        Option<&'a str>,
        Option<&'a str>,
        u64,
        Option<&'a super::UserMeta>,
        &'a [super::UserIdentity],
        Option<&'a [String]>,
        &'a std::collections::BTreeMap<String, serde_json::Value>,
    );
    let identical = Identical(
        claims.user_id(),
        claims.user_token(),
        claims.agent_id(),
        claims.lifetime_seconds(),
        claims.user_meta(),
        claims.user_identities(),
        claims.permissions(),
        claims.extra(),
    );
    Ok(Sha256::digest(serde_json::to_vec(&identical).map_err(MintError::other)?).into())
}

#[async_trait]
impl<M: Mint> Mint for CachingMint<M> {
    async fn mint(&self, claims: &CheckedClaims) -> Result<SessionToken, MintError> {
        let (key, now) = (key(claims)?, unix_seconds((self.now)()));
        // Fast path with a shared lock.
        if let Some(fresh) = self.cache.get(&key).and_then(|cached| cached.fresh(now)) {
            return fresh;
        }
        // The first request that finds no fresh token mints; all others wait for it.
        let found = self.cache.entry_async(&key, |_, cached: &mut Cached| {
            cached.fresh(now).map_or(EntryAction::ReplaceWithGuard, EntryAction::Retain)
        });
        let place = match found.await {
            EntryResult::Retained(fresh) => return fresh,
            EntryResult::Vacant(place) | EntryResult::Replaced(place, _) => place,
            // The closure above requests neither.
            EntryResult::Removed(..) | EntryResult::Timeout => return self.mint.mint(claims).await,
        };
        let minted = self.mint.mint(claims).await;
        let cached = match &minted {
            Ok(token) => {
                let fresh_until = fresh_until(unix_seconds((self.now)()), token);
                Cached::Token { token: token.clone(), fresh_until }
            }
            Err(error) => Cached::Failure { error: error.clone(), failed: Instant::now() },
        };
        // Fails only if the entry was removed meanwhile, which is harmless.
        let _ = place.insert(cached);
        minted
    }
}

impl<M> fmt::Debug for CachingMint<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CachingMint").field("len", &self.cache.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::UNIX_EPOCH;

    use tokio::sync::Semaphore;

    use super::*;
    use crate::session_token::SessionClaims;
    use crate::session_token::UserIdentity;

    thread_local! {
        /// The clock of each test, which runs on one thread.
        static NOW: std::cell::Cell<u64> = const { std::cell::Cell::new(1_000) };
    }

    fn now() -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(NOW.get())
    }

    /// Waits for a permit and numbers its tokens.
    struct Counting {
        minted: AtomicU64,
        gate: Semaphore,
    }

    #[async_trait]
    impl Mint for Counting {
        async fn mint(&self, claims: &CheckedClaims) -> Result<SessionToken, MintError> {
            let number = self.minted.fetch_add(1, Ordering::Relaxed);
            self.gate.acquire().await.unwrap().forget();
            if claims.user_id() == "nobody" {
                return Err(MintError::other("no such user"));
            }
            Ok(SessionToken::new(number.to_string(), NOW.get() + claims.lifetime_seconds()))
        }
    }

    fn caching(permits: usize, capacity: usize) -> (Arc<Counting>, Arc<CachingMint<Arc<Counting>>>) {
        let counting = Arc::new(Counting { minted: AtomicU64::new(0), gate: Semaphore::new(permits) });
        let mut caching = CachingMint::new(Arc::clone(&counting), capacity);
        caching.now = now;
        (counting, Arc::new(caching))
    }

    fn claims(user: &str) -> CheckedClaims {
        SessionClaims::for_user(user).lifetime(Duration::from_secs(100)).check().unwrap()
    }

    #[tokio::test]
    async fn a_token_is_reused_for_four_fifths_of_its_life() {
        let (counting, caching) = caching(100, 10);
        let first = caching.mint(&claims("a")).await.unwrap();
        NOW.set(1_079);
        assert_eq!(caching.mint(&claims("a")).await.unwrap(), first);
        NOW.set(1_080);
        let second = caching.mint(&claims("a")).await.unwrap();
        assert_ne!(second, first);
        assert_eq!(second.expires_at(), 1_180);
        assert_eq!(counting.minted.load(Ordering::Relaxed), 2);
        assert_eq!(caching.len(), 1);
    }

    #[tokio::test]
    async fn different_claims_get_different_tokens() {
        let (counting, caching) = caching(100, 100);
        let user = || SessionClaims::for_user("a");
        let all = [
            user(),
            SessionClaims::for_user("b"),
            user().lifetime(Duration::from_secs(60)),
            user().user_token("x"),
            user().agent("x"),
            user().name("x"),
            user().email("x"),
            user().identity(UserIdentity::new("sms", "1")),
            user().identity(UserIdentity::new("sms", "1").verified(false)),
            user().permission("x"),
            user().claim("x", 1),
            user().claim("x", "1"),
        ];
        for _ in 0..2 {
            for claims in &all {
                caching.mint(&claims.clone().check().unwrap()).await.unwrap();
            }
        }
        assert_eq!(counting.minted.load(Ordering::Relaxed), all.len() as u64);
    }

    #[tokio::test]
    async fn concurrent_requests_share_one_mint_request() {
        let (counting, caching) = caching(0, 10);
        let waiting: Vec<_> = (0..20)
            .map(|_| {
                let caching = Arc::clone(&caching);
                tokio::spawn(async move { caching.mint(&claims("a")).await.unwrap() })
            })
            .collect();
        tokio::task::yield_now().await;
        counting.gate.add_permits(1);
        for token in waiting {
            assert_eq!(token.await.unwrap().as_str(), "0");
        }
        assert_eq!(counting.minted.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn after_a_cancelled_request_the_next_one_mints() {
        let (counting, caching) = caching(0, 10);
        let cancelled = {
            let caching = Arc::clone(&caching);
            tokio::spawn(async move { caching.mint(&claims("a")).await })
        };
        tokio::task::yield_now().await;
        cancelled.abort();
        counting.gate.add_permits(1);
        assert_eq!(caching.mint(&claims("a")).await.unwrap().as_str(), "1");
    }

    #[tokio::test(start_paused = true)]
    async fn concurrent_requests_share_an_error() {
        let (counting, caching) = caching(0, 10);
        let waiting: Vec<_> = (0..20)
            .map(|_| {
                let caching = Arc::clone(&caching);
                tokio::spawn(async move { caching.mint(&claims("nobody")).await.unwrap_err() })
            })
            .collect();
        tokio::task::yield_now().await;
        counting.gate.add_permits(1);
        for error in waiting {
            assert_eq!(error.await.unwrap().to_string(), "the mint failed: no such user");
        }
        assert_eq!(counting.minted.load(Ordering::Relaxed), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn errors_are_not_cached_and_the_number_of_tokens_is_bounded() {
        let (counting, caching) = caching(1_000, 16);
        for _ in 0..2 {
            caching.mint(&claims("nobody")).await.unwrap_err();
            tokio::time::advance(ERROR_TTL).await;
        }
        assert_eq!(counting.minted.load(Ordering::Relaxed), 2);
        for user in 0..500 {
            caching.mint(&claims(&user.to_string())).await.unwrap();
        }
        assert!(caching.len() <= 16, "{}", caching.len());
    }

    #[tokio::test]
    async fn without_capacity_every_request_is_minted() {
        let (counting, caching) = caching(10, 0);
        for _ in 0..2 {
            caching.mint(&claims("a")).await.unwrap();
        }
        assert_eq!((counting.minted.load(Ordering::Relaxed), caching.is_empty()), (2, true));
    }

    #[test]
    fn an_expired_token_is_never_fresh() {
        assert_eq!(fresh_until(1_000, &SessionToken::new("t", 900)), 1_000);
        assert_eq!(fresh_until(1_000, &SessionToken::new("t", 1_001)), 1_000);
        assert_eq!(fresh_until(1_000, &SessionToken::new("t", 1_100)), 1_080);
    }
}
