//! The files that a plan comes from, and what tells whether one of them is another one now.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// What a file looks like from outside: when it changed, how long it is, and which one it is; `None` for none.
type Trace = Option<(SystemTime, u64, u64)>;

/// Files, as they looked before they were read.
#[derive(Debug, Clone, Default)]
pub(crate) struct Files(BTreeMap<PathBuf, Trace>);

impl Files {
    /// Remembers what a file looks like; to be called before it is read, so that no change falls in between. One that
    /// is not there is remembered, too: it may come.
    pub(crate) fn note(&mut self, path: PathBuf) {
        let now = trace(&path);
        self.0.entry(path).or_insert(now);
    }

    /// Whether one of them is another one than when it was noted, or looked at here.
    pub(crate) fn has_changed(&mut self) -> bool {
        let mut has_changed = false;
        for (path, known) in &mut self.0 {
            let now = trace(path);
            if now != *known {
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
