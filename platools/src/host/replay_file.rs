//! The memory of nonces in the state directory: one file for each platform, entity and environment.
//!
//! Only one process may use a file. The hosts of one process share it, and then their memory as well: a host that
//! replaces another one refuses what the other has run.

use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::SystemTime;

use url::form_urlencoded::byte_serialize;

use super::{ConfigError, StateDir};
use crate::verify::{ReplayMemory, ReplayStore, VerifierOptions};
use crate::wire::ConnectUrl;

/// The files that this process uses. A file whose memory is gone is being opened or closed.
type Files = HashMap<PathBuf, Weak<ReplayMemory>>;

static FILES: Mutex<Option<Files>> = Mutex::new(None);
/// Notified when a file was opened or closed.
static SETTLED: Condvar = Condvar::new();

fn lock_files() -> MutexGuard<'static, Option<Files>> {
    FILES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The right of one memory to a file. Ends when dropped.
#[derive(Debug)]
struct Claim(PathBuf);

impl Claim {
    /// Claims a file, or returns the memory that has it.
    fn new(path: &Path) -> Result<Self, Arc<ReplayMemory>> {
        let mut files = lock_files();
        loop {
            match files.get_or_insert_default().get(path).map(Weak::upgrade) {
                Some(Some(memory)) => return Err(memory),
                Some(None) => files = SETTLED.wait(files).unwrap_or_else(PoisonError::into_inner),
                None => break,
            }
        }
        files.get_or_insert_default().insert(path.to_owned(), Weak::new());
        Ok(Self(path.to_owned()))
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        lock_files().get_or_insert_default().remove(&self.0);
        SETTLED.notify_all();
    }
}

struct ReplayFile {
    directory: StateDir,
    name: String,
    /// Unlocked before another host of this process may lock it: fields are dropped in this order.
    _lock: File,
    _claim: Claim,
}

impl fmt::Debug for ReplayFile {
    /// The path alone, for the log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.directory.path().join(&self.name).display())
    }
}

impl ReplayStore for ReplayFile {
    fn load(&self) -> io::Result<Option<Vec<u8>>> {
        self.directory.read(&self.name)
    }

    fn save(&self, state: &[u8]) -> io::Result<()> {
        self.directory.replace(&self.name, state)
    }
}

/// Opens the memory of the entity and environment of `url`.
///
/// # Errors
/// When the directory or the file cannot be used, or another process uses it.
pub(super) fn open(
    path: &Path,
    url: &ConnectUrl,
    options: &VerifierOptions,
) -> Result<Arc<ReplayMemory>, ConfigError> {
    let entity = url.entity().unwrap_or_default();
    let environment = url.canonical_environment();
    let part = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
    let platform = part(&format!("{}:{}", url.host(), url.port()));
    let base = format!("replay-{}@{}@{platform}", part(&entity), part(&environment));
    let name = format!("{base}.json");
    let directory = StateDir::open(path)?;
    let failed = |problem: String| ConfigError::StateDir { path: path.to_owned(), problem };
    let unusable = |error: io::Error| {
        failed(format!("cannot be used: `{name}`: {error}; give this process's user read and write access"))
    };

    // Two paths of one directory are one file.
    let file = directory.path().canonicalize().map_err(unusable)?.join(&name);
    let claim = match Claim::new(&file) {
        Ok(claim) => claim,
        Err(memory) => {
            // A host that has stopped may have stored that.
            memory.mark_running().map_err(unusable)?;
            return Ok(memory);
        }
    };
    let lock = directory.lock(&format!("{base}.lock"), &name).map_err(unusable)?.ok_or_else(|| {
        failed(format!(
            "is in use by another process for entity `{entity}` in environment `{environment}`: stop that process, or \
             give each one a directory of its own"
        ))
    })?;
    let store = ReplayFile { directory, name: name.clone(), _lock: lock, _claim: claim };
    let memory = Arc::new(ReplayMemory::open(options, store, SystemTime::now()).map_err(unusable)?);
    lock_files().get_or_insert_default().insert(file, Arc::downgrade(&memory));
    SETTLED.notify_all();
    Ok(memory)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Folder(PathBuf);

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn folder() -> Folder {
        Folder(std::env::temp_dir().join(format!("platools-replay-{:016x}", fastrand::u64(..))))
    }

    fn url(query: &str) -> ConnectUrl {
        ConnectUrl::new(&format!("ws://127.0.0.1:1?{query}"), None, None).unwrap()
    }

    fn open(folder: &Folder, query: &str) -> Result<Arc<ReplayMemory>, ConfigError> {
        super::open(&folder.0, &url(query), &VerifierOptions::default())
    }

    fn files(folder: &Folder) -> Vec<String> {
        let files = std::fs::read_dir(&folder.0).unwrap();
        let mut names: Vec<_> = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn each_entity_and_environment_has_a_file_and_hosts_of_one_share_its_memory() {
        let folder = folder();
        let first = open(&folder, "entity=orders").unwrap();
        let again = open(&folder, "entity=orders&env=dev").unwrap();
        assert!(Arc::ptr_eq(&first, &again));
        assert!(Arc::ptr_eq(&first, &open(&folder, "entity=orders&env=development").unwrap()));
        let others = ["entity=orders&env=prod", "entity=../../x%40y", "env=dev"]
            .map(|query| open(&folder, query).unwrap());
        assert!(others.iter().all(|other| !Arc::ptr_eq(&first, other)));
        let expected =
            ["replay-..%2F..%2Fx%40y@dev", "replay-@dev", "replay-orders@dev", "replay-orders@prod"];
        let files_of = |name| ["json", "lock"].map(|kind| format!("{name}@127.0.0.1%3A1.{kind}"));
        let expected: Vec<_> = expected.iter().flat_map(files_of).collect();
        assert_eq!(files(&folder), expected);
    }

    #[test]
    fn a_file_that_another_process_uses_is_refused_and_free_afterwards() {
        let folder = folder();
        // A lock belongs to the open file, so that this one counts as another process.
        let other = StateDir::open(&folder.0)
            .unwrap()
            .lock("replay-orders@dev@127.0.0.1%3A1.lock", "replay-orders@dev@127.0.0.1%3A1.json")
            .unwrap()
            .unwrap();
        for _ in 0..2 {
            let error = open(&folder, "entity=orders").unwrap_err().to_string();
            assert!(error.contains("in use by another process for entity `orders`"), "{error}");
            assert!(error.contains(&folder.0.display().to_string()), "{error}");
        }
        drop(other);
        open(&folder, "entity=orders").unwrap();
        std::fs::remove_file(folder.0.join("replay-orders@dev@127.0.0.1%3A1.json")).unwrap();
        std::fs::create_dir(folder.0.join("replay-orders@dev@127.0.0.1%3A1.json")).unwrap();
        let error = open(&folder, "entity=orders").unwrap_err().to_string();
        assert!(
            error.contains("`replay-orders@dev@127.0.0.1%3A1.json`")
                && error.contains("read and write access"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn a_host_that_says_that_it_has_stopped_has_stored_its_nonces() {
        let folder = folder();
        let builder = crate::Platools::builder().url("ws://127.0.0.1:1?entity=orders");
        let host = builder.secret("0123456789abcdef").state_dir(&folder.0).tools([]).build().unwrap();
        // Kept for longer than the host runs, as by a router.
        let handle = host.handle();
        let running = tokio::spawn(host.run_until(std::future::pending()));
        let has_nonces = || {
            let state =
                std::fs::read_to_string(folder.0.join("replay-orders@dev@127.0.0.1%3A1.json")).unwrap();
            !state.contains(r#""nonces":null"#)
        };
        assert!(!has_nonces());
        handle.shutdown().await;
        assert!(has_nonces());
        running.await.unwrap().unwrap();
        // Another host of this process takes that back.
        let again = open(&folder, "entity=orders").unwrap();
        assert!(!has_nonces());
        drop((again, handle));
        assert!(has_nonces());
    }

    #[test]
    fn the_nonces_are_stored_when_the_last_of_the_hosts_has_stopped() {
        let folder = folder();
        let has_nonces = || {
            let state =
                std::fs::read_to_string(folder.0.join("replay-orders@dev@127.0.0.1%3A1.json")).unwrap();
            !state.contains(r#""nonces":null"#)
        };
        let (first, second) =
            (open(&folder, "entity=orders").unwrap(), open(&folder, "entity=orders").unwrap());
        first.mark_stopped();
        assert!(!has_nonces(), "the other one runs");
        second.mark_stopped();
        assert!(has_nonces());
    }

    #[test]
    fn hosts_that_come_and_go_never_meet_their_own_lock() {
        let folder = folder();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..25).for_each(|_| drop(open(&folder, "entity=orders").unwrap())));
            }
        });
        assert_eq!(files(&folder).len(), 2);
    }
}
