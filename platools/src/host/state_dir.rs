//! The directory for what must outlive the process.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use fs4::{FileExt, TryLockError};

use super::ConfigError;

/// The age of a file that nobody is writing any more.
const ABANDONED: Duration = Duration::from_secs(60);

/// How long the files of an owner stay that is not used any more: it may come back.
const UNUSED: Duration = Duration::from_secs(30 * 24 * 3_600);

/// A directory for files that outlive the process, such as what protects a restarted host from replayed calls.
///
/// Only the user of the process can read and write the files. They are replaced as a whole, so that a crash or a full
/// disk leaves the file as it was.
///
/// ```
/// use platools::host::StateDir;
///
/// # let path = std::env::temp_dir().join(format!("platools-state-{}", std::process::id()));
/// let state = StateDir::open(&path)?;
/// assert_eq!(state.read("notes")?, None);
/// state.replace("notes", b"remember this")?;
/// assert_eq!(state.read("notes")?.as_deref(), Some(b"remember this".as_slice()));
/// # std::fs::remove_dir_all(path)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateDir(PathBuf);

impl StateDir {
    /// Opens the directory, and creates it where it is missing.
    ///
    /// # Errors
    /// When it cannot be created, is not a directory, or cannot be written.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, ConfigError> {
        let path = path.into();
        if path.exists() && !path.is_dir() {
            return Err(no_directory(&path));
        }
        create(&path).map_err(|error| unusable(&path, "created", &error))?;
        probe(&path).map_err(|error| unusable(&path, "written", &error))?;
        let this = Self(path);
        // What another process writes at this moment is younger.
        this.remove_leftovers(|name, age| is_leftover(name) && age > ABANDONED);
        Ok(this)
    }

    /// Checks whether [`open`](Self::open) would succeed, and leaves nothing behind.
    ///
    /// # Errors
    /// As of [`open`](Self::open).
    pub fn check(path: &Path) -> Result<(), ConfigError> {
        if path.exists() {
            if !path.is_dir() {
                return Err(no_directory(path));
            }
            return probe(path).map_err(|error| unusable(path, "written", &error));
        }
        let parent = path.ancestors().skip(1).find(|parent| parent.exists()).unwrap_or(Path::new("."));
        probe(parent).map_err(|error| unusable(path, "created", &error))
    }

    /// Returns the path of the directory.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Reads a file; `None` if there is none.
    ///
    /// # Errors
    /// When the file exists and cannot be read.
    pub fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        match fs::read(self.0.join(name)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Replaces a file, or creates it: after a crash it has either the old or the new content. Blocks until the content
    /// is on the disk.
    ///
    /// # Errors
    /// When the file cannot be written; it is as it was then.
    pub fn replace(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let new = self.0.join(new_name(name, &format!("{:08x}", fastrand::u32(..))));
        let replaced = write(&new, bytes).and_then(|()| fs::rename(&new, self.0.join(name)));
        if replaced.is_err() {
            let _ = fs::remove_file(&new);
            return replaced;
        }
        // The rename is on the disk only when the directory is. Not all file systems can do that, and the file is whole
        // in any case.
        let _ = File::open(&self.0).and_then(|directory| directory.sync_all());
        Ok(())
    }

    /// Removes the files of owners that have not been used for 30 days. Those in `used` are used now.
    ///
    /// The name of a file is that of a kind followed by that of its owner. Files of other kinds stay, and files that
    /// cannot be removed. The newest file of an owner tells when it was used; files of the first kind are made new.
    ///
    /// ```
    /// use platools::host::StateDir;
    ///
    /// # let path = std::env::temp_dir().join(format!("platools-unused-{}", std::process::id()));
    /// let state = StateDir::open(&path)?;
    /// state.replace("copy-orders", b"{}")?;
    /// state.forget_unused(&["copy-"], &["invoices"]);
    /// assert!(state.read("copy-orders")?.is_some(), "it was used within the last 30 days");
    /// # std::fs::remove_dir_all(path)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn forget_unused(&self, kinds: &[&str], used: &[impl AsRef<str>]) {
        self.forget_unused_at(kinds, used, SystemTime::now());
    }

    fn forget_unused_at(&self, kinds: &[&str], used: &[impl AsRef<str>], now: SystemTime) {
        let is_used = |owner: &str| used.iter().any(|used| used.as_ref() == owner);
        let entries = fs::read_dir(&self.0).into_iter().flatten().flatten();
        let files: Vec<_> = entries
            .filter_map(|entry| {
                let name = entry.file_name().into_string().ok()?;
                let owner = kinds.iter().find_map(|kind| name.strip_prefix(kind))?.to_owned();
                Some((name, owner, entry.metadata().ok()?.modified().ok()?))
            })
            .collect();
        for (name, owner, _) in &files {
            let path = self.0.join(name);
            if is_used(owner) {
                // Files of the other kinds may be watched for changes.
                if kinds.first().is_some_and(|kind| name.starts_with(kind)) {
                    let _ = File::options().write(true).open(path).and_then(|file| file.set_modified(now));
                }
                continue;
            }
            let of_owner = files.iter().filter(|(_, other, _)| other == owner);
            if of_owner.map(|(.., modified)| *modified).max().is_some_and(|last| last + UNUSED < now) {
                tracing::info!(
                    file = name,
                    "a file of the state directory that is not used any more is removed"
                );
                let _ = fs::remove_file(path);
            }
        }
    }

    /// Removes files that a process was writing when it ended. `is_one` judges names and ages.
    fn remove_leftovers(&self, is_one: impl Fn(&str, Duration) -> bool) {
        for entry in fs::read_dir(&self.0).into_iter().flatten().flatten() {
            let modified = entry.metadata().and_then(|file| file.modified());
            // One from the future is as old as one of this moment.
            let age = modified.ok().and_then(|at| at.elapsed().ok()).unwrap_or_default();
            if entry.file_name().to_str().is_some_and(|name| is_one(name, age)) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    /// Locks a file until it is dropped, or the process ends in any way; `None` if somebody else has locked it. Whoever has
    /// the lock is the only one that writes `guarded`, so what others left of it is removed.
    pub(super) fn lock(&self, name: &str, guarded: &str) -> io::Result<Option<File>> {
        let file = private().read(true).write(true).create(true).truncate(false).open(self.0.join(name))?;
        match FileExt::try_lock(&file) {
            Ok(()) => {
                let begin = new_name(guarded, "");
                self.remove_leftovers(|name, _| is_leftover(name) && name.starts_with(&begin));
                Ok(Some(file))
            }
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

fn no_directory(path: &Path) -> ConfigError {
    ConfigError::StateDir { path: path.to_owned(), problem: "is not a directory: name one".to_owned() }
}

fn unusable(path: &Path, what: &str, error: &io::Error) -> ConfigError {
    let problem = format!("cannot be {what}: {error}; name a directory that this process's user may write");
    ConfigError::StateDir { path: path.to_owned(), problem }
}

/// Writes a file into a directory, and removes it. Permissions do not tell: the file system may be read-only, or full.
fn probe(directory: &Path) -> io::Result<()> {
    let probe = directory.join(format!(".probe-{}-{:08x}", std::process::id(), fastrand::u32(..)));
    let written = write(&probe, b"probe");
    let _ = fs::remove_file(&probe);
    written
}

/// The name of a file that is to replace another one.
fn new_name(name: &str, random: &str) -> String {
    format!(".{name}.new-{random}")
}

/// Whether a file is one that was to replace another one, or tried whether there can be one.
fn is_leftover(name: &str) -> bool {
    let is_random = |text: &str| text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_new = name.rsplit_once(".new-").is_some_and(|(_, random)| is_random(random));
    let is_probe =
        name.starts_with(".probe-") && name.rsplit_once('-').is_some_and(|(_, random)| is_random(random));
    name.starts_with('.') && (is_new || is_probe)
}

fn create(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Writes a new file that others cannot read, to the disk.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = private().write(true).create_new(true).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Options for a file that others cannot read.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Folder(PathBuf);

    impl Folder {
        fn new() -> Self {
            let name = format!("platools-state-{}-{:016x}", std::process::id(), fastrand::u64(..));
            Self(std::env::temp_dir().join(name))
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn files_are_replaced_as_a_whole_and_nothing_is_left_beside_them() {
        let folder = Folder::new();
        let state = StateDir::open(folder.0.join("a/b")).unwrap();
        assert_eq!(state.read("notes").unwrap(), None);
        for text in ["one", "", "a longer text"] {
            state.replace("notes", text.as_bytes()).unwrap();
            assert_eq!(state.read("notes").unwrap().as_deref(), Some(text.as_bytes()));
        }
        let names: Vec<_> =
            fs::read_dir(state.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["notes"]);
        fs::create_dir(state.path().join("taken")).unwrap();
        assert!(state.replace("taken", b"x").is_err());
        assert_eq!(fs::read_dir(state.path()).unwrap().count(), 2, "the new file is removed");
    }

    #[test]
    fn what_a_process_left_half_written_is_removed_and_nothing_else() {
        let folder = Folder::new();
        let state = StateDir::open(&folder.0).unwrap();
        let names = || {
            let names = fs::read_dir(&folder.0).unwrap();
            let mut names: Vec<_> =
                names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
            names.sort();
            names
        };
        let young = [".a.json.new-0123abcd", ".b.json.new-0123abcd"];
        let kept = [".a.json.new-x", ".hidden", "b.json.new-0123abcd"];
        let old = [".c.json.new-0123abcd", ".probe-77-0123abcd"];
        for name in young.iter().chain(&kept).chain(&old) {
            fs::write(folder.0.join(name), "half").unwrap();
        }
        let before = std::time::SystemTime::now() - Duration::from_secs(3_600);
        for name in old.iter().chain(&kept) {
            File::options().write(true).open(folder.0.join(name)).unwrap().set_modified(before).unwrap();
        }
        StateDir::open(&folder.0).unwrap();
        assert_eq!(
            names(),
            [young[0], kept[0], young[1], kept[1], kept[2]],
            "somebody may write the young ones"
        );
        let _lock = state.lock("a.lock", "a.json").unwrap().unwrap();
        assert_eq!(names(), [kept[0], young[1], kept[1], "a.lock", kept[2]], "nobody else writes this one");
        assert!(state.lock("a.lock", "b.json").unwrap().is_none());
        assert!(names().iter().any(|name| name == young[1]));
    }

    #[test]
    fn files_of_an_owner_that_was_not_used_for_a_month_are_removed() {
        let folder = Folder::new();
        let state = StateDir::open(&folder.0).unwrap();
        let kinds = ["tools-", "pins-"];
        for name in ["tools-used", "pins-used", "tools-gone", "pins-gone", "tools-back", "pins-back", "other"]
        {
            state.replace(name, b"{}").unwrap();
        }
        let left = || fs::read_dir(state.path()).unwrap().count();
        let day = Duration::from_secs(24 * 3_600);
        let now = SystemTime::now();
        state.forget_unused_at(&kinds, &["used", "gone", "back"], now);
        state.forget_unused_at(&kinds, &["used"], now + 20 * day);
        assert_eq!(left(), 7);
        state.forget_unused_at(&kinds, &["used", "back"], now + 25 * day);
        state.forget_unused_at(&kinds, &["used"], now + 40 * day);
        assert_eq!(left(), 5);
        assert_eq!((state.read("tools-gone").unwrap(), state.read("pins-gone").unwrap()), (None, None));
        let pins = fs::metadata(folder.0.join("pins-used")).unwrap().modified().unwrap();
        assert!(pins < now + day, "it may be watched for changes");
    }

    #[cfg(unix)]
    #[test]
    fn only_the_user_of_the_process_may_read() {
        use std::os::unix::fs::PermissionsExt as _;

        let folder = Folder::new();
        let state = StateDir::open(&folder.0).unwrap();
        state.replace("notes", b"secret").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&folder.0), mode(&folder.0.join("notes"))), (0o700, 0o600));
    }

    #[test]
    fn a_directory_that_cannot_be_used_is_named_with_what_to_do() {
        let folder = Folder::new();
        fs::create_dir(&folder.0).unwrap();
        let file = folder.0.join("file");
        fs::write(&file, "x").unwrap();
        for (path, problem) in [(file.clone(), "not a directory"), (file.join("below"), "cannot be created")]
        {
            let checked = StateDir::check(&path).unwrap_err().to_string();
            let opened = StateDir::open(&path).unwrap_err().to_string();
            for error in [checked, opened] {
                assert!(error.contains(problem) && error.contains(&path.display().to_string()), "{error}");
                assert!(error.contains("PLATOOLS_STATE_DIR"), "{error}");
            }
        }
        #[cfg(target_os = "linux")]
        for path in ["/proc", "/proc/platools/state"] {
            let error = StateDir::check(path.as_ref()).unwrap_err().to_string();
            assert!(error.contains("cannot be"), "nobody writes there: {error}");
        }
        let good = folder.0.join("a/b");
        StateDir::check(&good).unwrap();
        assert!(!folder.0.join("a").exists(), "a check creates nothing");
        StateDir::open(&good).unwrap();
        StateDir::check(&good).unwrap();
        assert_eq!(fs::read_dir(&good).unwrap().count(), 0);
    }
}
