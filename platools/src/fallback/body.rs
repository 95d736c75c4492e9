//! Reads request bodies: each within its limits, and all together within a memory budget.
//!
//! Small bodies have a budget of their own: large ones that never end must not keep ordinary calls out. This module must
//! not know their content.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http::HeaderMap;
use platools_net::{BodyError, BodyLimits};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The time after which a body has to come at [`RATE`].
const GRACE: Duration = Duration::from_secs(3);

/// The minimum rate of a body, in bytes per second.
const RATE: usize = 32 << 10;

/// The size up to which a body is small, in bytes.
const SMALL: usize = 64 << 10;

/// Maximum total size of unverified small bodies, in bytes. Raised to the size of one.
const SMALL_BUDGET: usize = 16 << 20;

/// Maximum total size of the other unverified bodies, in bytes. Raised to the limit of a single body if that is larger.
const LARGE_BUDGET: usize = 48 << 20;

/// Reads bodies. Clones share the budgets.
#[derive(Debug, Clone)]
pub(super) struct Bodies {
    limits: BodyLimits,
    small: Arc<Semaphore>,
    large: Arc<Semaphore>,
}

/// A body and its share of a budget.
#[derive(Debug)]
pub(super) struct Charged {
    pub(super) bytes: Vec<u8>,
    share: Option<OwnedSemaphorePermit>,
}

/// The reason for which a body was not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Trouble {
    #[error(transparent)]
    Body(#[from] BodyError),
    #[error("other bodies use up the budget")]
    TooMany,
}

impl Bodies {
    /// Creates a reader of bodies of at most `limit` bytes each.
    pub(super) fn new(limit: usize) -> Self {
        Self::within(limit, SMALL_BUDGET, LARGE_BUDGET)
    }

    fn within(limit: usize, small: usize, large: usize) -> Self {
        let budget = |bytes: usize| Arc::new(Semaphore::new(bytes.min(Semaphore::MAX_PERMITS)));
        let limits = BodyLimits::new(limit).minimum_rate(RATE, GRACE);
        Self { limits, small: budget(small.max(SMALL)), large: budget(large.max(limit)) }
    }

    /// Reads a body, unless the headers announce more than the limit.
    pub(super) async fn read(&self, headers: &HeaderMap, body: Body) -> Result<Charged, Trouble> {
        self.limits.check_announced(headers)?;
        let mut charged = Charged { bytes: Vec::new(), share: None };
        let take = |piece: &[u8]| {
            // Charged as the bytes arrive: an announced length costs nothing.
            self.charge(&mut charged, piece.len())?;
            charged.bytes.extend_from_slice(piece);
            Ok::<_, Trouble>(())
        };
        self.limits.read_pieces(body, take).await?;
        Ok(charged)
    }

    /// Takes the share of `more` bytes. A body that is no longer small returns its share of the small ones' budget.
    fn charge(&self, charged: &mut Charged, more: usize) -> Result<(), Trouble> {
        let (before, after) = (charged.bytes.len(), charged.bytes.len() + more);
        let take = |budget: &Arc<Semaphore>, bytes: usize| {
            let bytes = u32::try_from(bytes).map_err(|_| Trouble::TooMany)?;
            Arc::clone(budget).try_acquire_many_owned(bytes).map_err(|_| Trouble::TooMany)
        };
        if before <= SMALL && after > SMALL {
            charged.share = Some(take(&self.large, after)?);
            return Ok(());
        }
        let share = take(if after <= SMALL { &self.small } else { &self.large }, more)?;
        match &mut charged.share {
            Some(all) => all.merge(share),
            none => *none = Some(share),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{StreamExt as _, stream};
    use platools_net::body::BODY_TIME;
    use tokio::time::Instant;

    use super::*;

    /// A body of which some bytes come, and nothing more.
    fn unfinished(bytes: usize) -> Body {
        let some = stream::iter([Ok::<_, std::io::Error>(vec![b'x'; bytes])]);
        Body::from_stream(some.chain(stream::pending()))
    }

    #[tokio::test]
    async fn all_bodies_together_take_no_more_than_the_budget_and_give_it_back() {
        let bodies = Bodies::within(10 * SMALL, 2 * SMALL, 16 * SMALL);
        let read = async |bytes: usize| bodies.read(&HeaderMap::new(), vec![b'x'; bytes].into()).await;
        let held = read(10 * SMALL).await.unwrap();
        assert_eq!(held.bytes.len(), 10 * SMALL);
        assert_eq!(read(7 * SMALL).await.unwrap_err(), Trouble::TooMany);
        assert_eq!(read(6 * SMALL).await.unwrap().bytes.len(), 6 * SMALL);
        let small = (read(SMALL).await.unwrap(), read(SMALL).await.unwrap());
        assert_eq!(read(1).await.unwrap_err(), Trouble::TooMany);
        drop((held, small));
        assert!(read(10 * SMALL).await.is_ok(), "also what was refused gave its share back");
        assert_eq!(read(10 * SMALL + 1).await.unwrap_err(), BodyError::TooLarge { limit: 10 * SMALL }.into());
        let left = (bodies.small.available_permits(), bodies.large.available_permits());
        assert_eq!(left, (2 * SMALL, 16 * SMALL));
    }

    #[tokio::test(start_paused = true)]
    async fn large_bodies_that_never_end_keep_no_small_one_out() {
        let bodies = Bodies::new(10 << 20);
        let hostile = (0..8).map(|_| {
            let bodies = bodies.clone();
            tokio::spawn(
                async move { bodies.read(&HeaderMap::new(), unfinished(9 << 20)).await.unwrap_err() },
            )
        });
        let hostile: Vec<_> = hostile.collect();
        while bodies.large.available_permits() > 9 << 20 {
            tokio::task::yield_now().await;
        }
        assert_eq!(bodies.small.available_permits(), SMALL_BUDGET);
        assert!(bodies.read(&HeaderMap::new(), vec![b'x'; SMALL].into()).await.is_ok());
        for hostile in hostile {
            assert!(matches!(hostile.await.unwrap(), Trouble::TooMany | Trouble::Body(BodyError::TooSlow)));
        }
        assert_eq!(bodies.large.available_permits(), LARGE_BUDGET);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_is_too_slow_is_dropped_and_returns_its_share() {
        let bodies = Bodies::new(10 << 20);
        for (bytes, allowed) in [(8, GRACE), (2 * RATE, GRACE + Duration::from_secs(2)), (9 << 20, BODY_TIME)]
        {
            let began = Instant::now();
            let trouble = bodies.read(&HeaderMap::new(), unfinished(bytes)).await.unwrap_err();
            assert_eq!(trouble, BodyError::TooSlow.into());
            let took = began.elapsed();
            assert!(took >= allowed && took < allowed + Duration::from_secs(1), "{bytes} bytes: {took:?}");
        }
        let left = (bodies.small.available_permits(), bodies.large.available_permits());
        assert_eq!(left, (SMALL_BUDGET, LARGE_BUDGET));
    }

    #[tokio::test]
    async fn one_body_may_use_its_whole_limit() {
        let limit = 2 * LARGE_BUDGET;
        let announced = HeaderMap::from_iter([(http::header::CONTENT_LENGTH, limit.into())]);
        assert!(Bodies::new(limit).read(&announced, vec![b'x'; limit].into()).await.is_ok());
    }
}
