//! Reads request bodies: each within a size limit and a timeout, and all together within a memory budget.
//!
//! Bodies are not verified while they are read, so their cost must be bounded. This module must not know their content.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// The timeout for reading a body.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Maximum total size of unverified bodies, in bytes. Raised to the limit of a single body if that is larger.
const BUDGET: usize = 64 << 20;

/// Reads bodies. Clones share the budget.
#[derive(Debug, Clone)]
pub(super) struct Bodies {
    limit: usize,
    budget: Arc<Semaphore>,
}

/// A body and its share of the budget.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) bytes: Vec<u8>,
    share: Option<OwnedSemaphorePermit>,
}

/// The reason for which a body was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// The body exceeds this limit, in bytes.
    TooLarge(usize),
    /// Other bodies use up the budget.
    TooMany,
    TooSlow,
    Broken,
}

impl Bodies {
    /// Creates a reader of bodies of at most `limit` bytes each.
    pub(super) fn new(limit: usize) -> Self {
        Self::within(limit, BUDGET)
    }

    fn within(limit: usize, budget: usize) -> Self {
        let budget = budget.max(limit).min(Semaphore::MAX_PERMITS);
        Self { limit, budget: Arc::new(Semaphore::new(budget)) }
    }

    /// Reads a body, unless its announced length exceeds the limit.
    pub(super) async fn read(&self, body: Body, announced: Option<u64>) -> Result<Received, Trouble> {
        if announced.is_some_and(|length| length > self.limit as u64) {
            return Err(Trouble::TooLarge(self.limit));
        }
        timeout(TIMEOUT, self.collect(body)).await.unwrap_or(Err(Trouble::TooSlow))
    }

    async fn collect(&self, body: Body) -> Result<Received, Trouble> {
        let mut body = Limited::new(body, self.limit);
        let mut received = Received { bytes: Vec::new(), share: None };
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| {
                if error.is::<LengthLimitError>() { Trouble::TooLarge(self.limit) } else { Trouble::Broken }
            })?;
            let Ok(data) = frame.into_data() else { continue };
            let bytes = u32::try_from(data.len()).map_err(|_| Trouble::TooMany)?;
            // Charged as the bytes arrive: an announced length costs nothing.
            let share = Arc::clone(&self.budget).try_acquire_many_owned(bytes);
            let share = share.map_err(|_| Trouble::TooMany)?;
            match &mut received.share {
                Some(all) => all.merge(share),
                none => *none = Some(share),
            }
            received.bytes.extend_from_slice(&data);
        }
        Ok(received)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn all_bodies_together_take_no_more_than_the_budget_and_give_it_back() {
        let bodies = Bodies::within(10, 16);
        let read = async |bytes: usize| bodies.read(vec![b'x'; bytes].into(), None).await;
        let held = read(10).await.unwrap();
        assert_eq!(held.bytes.len(), 10);
        assert_eq!(read(7).await.unwrap_err(), Trouble::TooMany);
        assert_eq!(read(6).await.unwrap().bytes.len(), 6);
        drop(held);
        assert!(read(10).await.is_ok(), "also what was refused gave its share back");
        assert_eq!(read(11).await.unwrap_err(), Trouble::TooLarge(10));
        assert_eq!(bodies.budget.available_permits(), 16);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_never_ends_returns_its_share() {
        let bodies = Bodies::within(10, 10);
        let some = futures_util::stream::iter([Ok::<_, std::io::Error>("12345678")]);
        let never = futures_util::StreamExt::chain(some, futures_util::stream::pending());
        assert_eq!(bodies.read(Body::from_stream(never), None).await.unwrap_err(), Trouble::TooSlow);
        assert_eq!(bodies.budget.available_permits(), 10);
    }

    #[tokio::test]
    async fn one_body_may_use_its_whole_limit() {
        assert!(Bodies::within(10, 5).read(vec![b'x'; 10].into(), Some(10)).await.is_ok());
    }
}
