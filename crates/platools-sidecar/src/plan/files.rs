//! The files that a plan comes from, and what tells whether one of them is another one now.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::disk;

/// What a file looks like from outside: when it changed, how long it is, and which one it is; `None` for none.
type Trace = Option<(SystemTime, u64, u64)>;

/// What all of them are called where they are looked at together.
const TOGETHER: &str = "the watched files";

/// Files, as they looked before they were read.
#[derive(Debug, Clone, Default)]
pub(crate) struct Files(BTreeMap<PathBuf, Trace>);

impl Files {
    /// Remembers what a file looks like; to be called before it is read, so that no change falls in between. One that
    /// is not there is remembered, too: it may come.
    pub(crate) fn note(&mut self, path: PathBuf) {
        let now = disk::with(&path, trace).unwrap_or_default();
        self.0.entry(path).or_insert(now);
    }

    /// Whether one of them is another one than when it was noted, or looked at here. One that does not answer is as it
    /// was. Blocks its thread, for a few seconds at most for each of those.
    pub(crate) fn has_changed(&mut self) -> bool {
        let paths: Vec<PathBuf> = self.0.keys().cloned().collect();
        // Together, as long as all of them answer.
        let all =
            disk::with(Path::new(TOGETHER), move |_| paths.iter().map(|path| Ok(trace(path))).collect());
        let traces: Vec<io::Result<Trace>> =
            all.unwrap_or_else(|_| self.0.keys().map(|path| disk::with(path, trace)).collect());
        let mut has_changed = false;
        for (known, now) in self.0.values_mut().zip(traces) {
            if let Ok(now) = now
                && now != *known
            {
                *known = now;
                has_changed = true;
            }
        }
        has_changed
    }
}

fn trace(path: &Path) -> Trace {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len(), metadata.ino()))
}
