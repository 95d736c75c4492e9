//! A value derived from a secret that is reloaded periodically, without blocking other requests.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use crate::verify::{Secret, SecretError, SecretSource};

/// Reload interval of files and variables, which are cheap to read.
const FILE_INTERVAL: Duration = Duration::from_secs(1);

/// Reload interval of callbacks.
const CALLBACK_INTERVAL: Duration = Duration::from_secs(60);

/// Time limit of a reload; after it the last secret stays in use.
const RELOAD_TIMEOUT: Duration = Duration::from_secs(10);

/// A value derived from a secret.
pub(super) struct Rotating<T> {
    source: SecretSource,
    prepare: fn(&Secret) -> Result<T, Unusable>,
    current: RwLock<Arc<T>>,
    /// Reload interval; `None` for a fixed secret.
    every: Option<Duration>,
    started: Instant,
    /// Time of the next reload, in milliseconds since the start.
    next_reload: AtomicU64,
    /// Whether the last reload failed, to log the failure once.
    failing: AtomicBool,
}

/// A secret that is missing or invalid.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unusable {
    #[error(transparent)]
    Secret(#[from] SecretError),
    #[cfg(feature = "remote-mint")]
    #[error("{0}")]
    Refused(&'static str),
}

impl<T: Send + Sync + 'static> Rotating<T> {
    /// Loads the secret for the first time, on the current thread.
    pub(super) fn new(
        source: SecretSource,
        prepare: fn(&Secret) -> Result<T, Unusable>,
    ) -> Result<Self, Unusable> {
        let every = match () {
            () if source.is_constant() => None,
            () if source.is_slow() => Some(CALLBACK_INTERVAL),
            () => Some(FILE_INTERVAL),
        };
        Self::with_interval(source, prepare, every)
    }

    fn with_interval(
        source: SecretSource,
        prepare: fn(&Secret) -> Result<T, Unusable>,
        every: Option<Duration>,
    ) -> Result<Self, Unusable> {
        let current = prepare(&source.load()?)?;
        let next_reload = AtomicU64::new(every.unwrap_or_default().as_millis() as u64);
        let current = RwLock::new(Arc::new(current));
        Ok(Self {
            source,
            prepare,
            current,
            every,
            started: Instant::now(),
            next_reload,
            failing: AtomicBool::new(false),
        })
    }

    /// Returns the current value. The first caller after the interval waits for the reload; all others get the present
    /// value.
    pub(super) async fn get(&self) -> Arc<T> {
        if let Some(every) = self.every {
            let now = self.started.elapsed().as_millis() as u64;
            let due = self.next_reload.load(Ordering::Relaxed);
            let next = now.saturating_add(every.as_millis() as u64);
            let claimed =
                || self.next_reload.compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed).is_ok();
            if now >= due && claimed() {
                self.reload().await;
            }
        }
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reloads the secret. On failure the last one stays in use: a file can be missing briefly while it is replaced.
    async fn reload(&self) {
        let (source, prepare) = (self.source.clone(), self.prepare);
        let load = move || prepare(&source.load()?);
        let loaded = match tokio::runtime::Handle::try_current() {
            Ok(runtime) => match tokio::time::timeout(RELOAD_TIMEOUT, runtime.spawn_blocking(load)).await {
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

    #[allow(clippy::unnecessary_wraps, reason = "other functions can fail")]
    fn text(secret: &Secret) -> Result<String, Unusable> {
        Ok(secret.expose().to_owned())
    }

    #[tokio::test]
    async fn a_rotated_secret_is_loaded_and_a_missing_one_is_ignored() {
        let path = std::env::temp_dir().join(format!("platools-rotating-{}", std::process::id()));
        std::fs::write(&path, "the-first-s3cret\n").unwrap();
        let source = SecretSource::file(&path);
        let rotating = Rotating::with_interval(source.clone(), text, Some(Duration::ZERO)).unwrap();
        let rarely = Rotating::new(source, text).unwrap();
        assert_eq!(*rotating.get().await, "the-first-s3cret");
        // Same length, since size and modification time may not change.
        std::fs::write(&path, "the-other-s3cret\n").unwrap();
        assert_eq!(*rotating.get().await, "the-other-s3cret");
        std::fs::remove_file(&path).unwrap();
        assert_eq!(*rotating.get().await, "the-other-s3cret");
        assert_eq!(*rarely.get().await, "the-first-s3cret", "not before the interval has passed");
        assert_eq!(rarely.every, Some(FILE_INTERVAL));
    }

    #[tokio::test]
    async fn a_text_is_never_reloaded_and_a_callback_rarely() {
        let rotating = Rotating::new(SecretSource::text("the-only-s3cret-1"), text).unwrap();
        assert_eq!(rotating.every, None);
        assert_eq!(*rotating.get().await, "the-only-s3cret-1");
        let callback = SecretSource::callback(|| Ok("the-called-s3cret".to_owned()));
        assert_eq!(Rotating::new(callback, text).unwrap().every, Some(CALLBACK_INTERVAL));
    }

    #[tokio::test]
    async fn a_later_panic_of_a_callback_is_ignored() {
        let asked = AtomicU64::new(0);
        let source = SecretSource::callback(move || match asked.fetch_add(1, Ordering::Relaxed) {
            0 => Ok("the-called-s3cret".to_owned()),
            _ => panic!("sealed"),
        });
        let rotating = Rotating::with_interval(source, text, Some(Duration::ZERO)).unwrap();
        assert_eq!(*rotating.get().await, "the-called-s3cret");
    }
}
