//! Files that may never answer: a mount whose server is gone blocks whoever reads from it, without an end.
//!
//! So everything that is done with a file of the configuration is done on a thread of its own, for which nobody waits
//! for long. A thread that is stuck stays, one for each path at most, and its path is not tried again before it is
//! free. They are no threads of the runtime, whose end would wait for them.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use platools_net::file;

/// How long a file may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long another one may take while one is stuck: most likely they are on the same mount.
const LESS_PATIENCE: Duration = Duration::from_millis(500);

/// The paths with a thread that is stuck.
static STUCK: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

fn stuck() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    STUCK.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads a regular file of at most `limit` bytes; see [`with`].
///
/// # Errors
/// As of [`file::read`], and when it does not answer in time.
pub(crate) fn read(path: &Path, limit: usize) -> io::Result<Vec<u8>> {
    with(path, move |path| file::read(path, limit))?
}

/// Reads a regular file of at most `limit` bytes as text; see [`with`].
///
/// # Errors
/// As of [`file::read_text`], and when it does not answer in time.
pub(crate) fn read_text(path: &Path, limit: usize) -> io::Result<String> {
    with(path, move |path| file::read_text(path, limit))?
}

/// Does `work` with a path. Blocks its thread for a few seconds at most.
///
/// # Errors
/// When the path does not answer in time ([`io::ErrorKind::TimedOut`]), or there is no thread.
pub(crate) fn with<T: Send + 'static>(
    path: &Path,
    work: impl FnOnce(&Path) -> T + Send + 'static,
) -> io::Result<T> {
    let patience = if stuck().is_empty() { PATIENCE } else { LESS_PATIENCE };
    within(patience, path, work)
}

fn within<T: Send + 'static>(
    patience: Duration,
    path: &Path,
    work: impl FnOnce(&Path) -> T + Send + 'static,
) -> io::Result<T> {
    let late =
        || io::Error::new(io::ErrorKind::TimedOut, "it does not answer: is it on a mount that is gone?");
    if stuck().contains(path) {
        return Err(late());
    }
    let (done, result) = mpsc::channel();
    let owned = path.to_owned();
    thread::Builder::new().name("platools-file".to_owned()).spawn(move || {
        let _ = done.send(work(&owned));
        stuck().remove(&owned);
    })?;
    match result.recv_timeout(patience) {
        Ok(value) => Ok(value),
        Err(mpsc::RecvTimeoutError::Disconnected) => Err(io::Error::other("reading it panicked")),
        Err(mpsc::RecvTimeoutError::Timeout) => {
            let mut stuck = stuck();
            // Under the lock, so that a thread that ends right now still finds its path.
            if let Ok(value) = result.try_recv() {
                return Ok(value);
            }
            stuck.insert(path.to_owned());
            Err(late())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_does_not_answer_is_not_waited_for_nor_asked_again_before_it_does() {
        let moment = Duration::from_millis(20);
        let path = Path::new("/mnt/gone/secret");
        let (answer, never) = mpsc::channel::<()>();
        let error = within(moment, path, move |_| never.recv().is_ok()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        let error = with(path, |_| unreachable!("there is a thread already")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(with(Path::new("/another"), Path::to_owned).unwrap(), Path::new("/another"));
        drop(answer);
        while stuck().contains(path) {
            thread::yield_now();
        }
        assert_eq!(with(path, |_| 7).unwrap(), 7);
        with(path, |_| panic!("as a mistake of ours would")).unwrap_err();
        assert_eq!(with(path, |_| 7).unwrap(), 7);
    }
}
