//! A secret in use that may change where it is kept: looked at again now and then, and never in anybody's way.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use crate::verify::{Secret, SecretError, SecretSource};

/// How often a file or a variable is looked at again. A secret file is small, and a look costs a read.
const QUICK: Duration = Duration::from_secs(1);

/// How often a callback is asked again.
const SLOW: Duration = Duration::from_secs(60);

/// How long a look may take; then the last secret stays in use.
const PATIENCE: Duration = Duration::from_secs(10);

/// A value made of a secret.
pub(super) struct Rotating<T> {
    source: SecretSource,
    prepare: fn(&Secret) -> Result<T, Unusable>,
    current: RwLock<Arc<T>>,
    /// How often there is something to look at; `None` for what never changes.
    every: Option<Duration>,
    started: Instant,
    /// When to look again, in milliseconds from the start.
    next_look: AtomicU64,
    /// Whether the last look failed, so that the log hears of it once.
    failing: AtomicBool,
}

/// A secret that cannot be had, or not be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unusable {
    #[error(transparent)]
    Secret(#[from] SecretError),
    #[cfg(feature = "remote-mint")]
    #[error("{0}")]
    Refused(&'static str),
}

impl<T: Send + Sync + 'static> Rotating<T> {
    /// Gets the secret a first time, on this thread.
    pub(super) fn new(
        source: SecretSource,
        prepare: fn(&Secret) -> Result<T, Unusable>,
    ) -> Result<Self, Unusable> {
        let every = match () {
            () if source.is_constant() => None,
            () if source.is_slow() => Some(SLOW),
            () => Some(QUICK),
        };
        Self::looking(source, prepare, every)
    }

    fn looking(
        source: SecretSource,
        prepare: fn(&Secret) -> Result<T, Unusable>,
        every: Option<Duration>,
    ) -> Result<Self, Unusable> {
        let current = prepare(&source.load()?)?;
        let next_look = AtomicU64::new(every.unwrap_or_default().as_millis() as u64);
        let current = RwLock::new(Arc::new(current));
        Ok(Self {
            source,
            prepare,
            current,
            every,
            started: Instant::now(),
            next_look,
            failing: AtomicBool::new(false),
        })
    }

    /// The value as it is now. The first who asks when it is time for a look waits for it; all others get what
    /// there is.
    pub(super) async fn get(&self) -> Arc<T> {
        if let Some(every) = self.every {
            let now = self.started.elapsed().as_millis() as u64;
            let due = self.next_look.load(Ordering::Relaxed);
            let next = now.saturating_add(every.as_millis() as u64);
            let claimed =
                || self.next_look.compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed).is_ok();
            if now >= due && claimed() {
                self.look().await;
            }
        }
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Gets the secret again. Without it the last one stays: a file is missing for a moment when it is replaced.
    async fn look(&self) {
        let (source, prepare) = (self.source.clone(), self.prepare);
        let load = move || prepare(&source.load()?);
        let loaded = match tokio::runtime::Handle::try_current() {
            Ok(runtime) => match tokio::time::timeout(PATIENCE, runtime.spawn_blocking(load)).await {
                Ok(Ok(loaded)) => loaded.map_err(|error| error.to_string()),
                Ok(Err(_)) => Err(format!("{} panicked", self.source)),
                Err(_) => Err(format!("{} took too long", self.source)),
            },
            Err(_) => load().map_err(|error| error.to_string()),
        };
        let failed = loaded.is_err();
        let failed_before = self.failing.swap(failed, Ordering::Relaxed);
        match loaded {
            Ok(value) => *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(value),
            Err(error) if failed_before => tracing::debug!(error, "the last secret stays in use"),
            Err(error) => tracing::warn!(error, "the last secret stays in use"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[allow(clippy::unnecessary_wraps, reason = "others refuse some")]
    fn text(secret: &Secret) -> Result<String, Unusable> {
        Ok(secret.expose().to_owned())
    }

    #[tokio::test]
    async fn a_rotated_secret_is_found_and_a_missing_one_changes_nothing() {
        let path = std::env::temp_dir().join(format!("platools-rotating-{}", std::process::id()));
        std::fs::write(&path, "the-first-s3cret\n").unwrap();
        let source = SecretSource::file(&path);
        let rotating = Rotating::looking(source.clone(), text, Some(Duration::ZERO)).unwrap();
        let rarely = Rotating::new(source, text).unwrap();
        assert_eq!(*rotating.get().await, "the-first-s3cret");
        // Of the same length: size and time of a file need not tell.
        std::fs::write(&path, "the-other-s3cret\n").unwrap();
        assert_eq!(*rotating.get().await, "the-other-s3cret");
        std::fs::remove_file(&path).unwrap();
        assert_eq!(*rotating.get().await, "the-other-s3cret");
        assert_eq!(*rarely.get().await, "the-first-s3cret", "not before its second is over");
        assert_eq!(rarely.every, Some(QUICK));
    }

    #[tokio::test]
    async fn a_text_is_never_looked_at_again_and_a_callback_seldom() {
        let rotating = Rotating::new(SecretSource::text("the-only-s3cret-1"), text).unwrap();
        assert_eq!(rotating.every, None);
        assert_eq!(*rotating.get().await, "the-only-s3cret-1");
        let callback = SecretSource::callback(|| Ok("the-called-s3cret".to_owned()));
        assert_eq!(Rotating::new(callback, text).unwrap().every, Some(SLOW));
    }

    #[tokio::test]
    async fn a_callback_that_panics_later_changes_nothing() {
        let asked = AtomicU64::new(0);
        let source = SecretSource::callback(move || match asked.fetch_add(1, Ordering::Relaxed) {
            0 => Ok("the-called-s3cret".to_owned()),
            _ => panic!("sealed"),
        });
        let rotating = Rotating::looking(source, text, Some(Duration::ZERO)).unwrap();
        assert_eq!(*rotating.get().await, "the-called-s3cret");
    }
}
