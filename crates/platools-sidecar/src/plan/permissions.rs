//! Who else may change or read the files that a plan comes from.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path as FilePath;

use super::Planner;
use crate::config::{Path, Problem};
use crate::disk;

/// Whether anybody may read a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    /// It is no secret.
    Open,
    /// It is one, or has one in it.
    Secret,
}

impl Planner<'_> {
    /// Remarks upon a file that others may change, or read although it is secret.
    pub(super) fn look_at_permissions(&mut self, at: &Path, path: &FilePath, content: Content) {
        if let Some(remark) = remark(path, content) {
            self.odd(at, remark);
        }
    }

    /// The same for the configuration file itself.
    pub(super) fn look_at_own_permissions(&mut self, file: &FilePath, content: Content) {
        self.warnings.extend(remark(file, content).map(Problem::of_file));
    }
}

fn remark(path: &FilePath, content: Content) -> Option<String> {
    let mode = |path: &FilePath| {
        let metadata = disk::with(path, FilePath::metadata).ok()?.ok()?;
        Some(metadata.permissions().mode())
    };
    let shown = path.display();
    let found = mode(path)?;
    let is_secret = content == Content::Secret;
    let (by_group, by_all) = (found & 0o020 != 0, found & 0o002 != 0);
    let changed = match (by_group, by_all) {
        (_, true) => Some("everybody on this machine may change it"),
        (true, false) => Some("its group may change it"),
        (false, false) => None,
    };
    let read = (is_secret && found & 0o004 != 0).then_some("everybody on this machine may read it");
    let remarks: Vec<&str> = changed.into_iter().chain(read).collect();
    if !remarks.is_empty() {
        let others = if is_secret { "o-rwx" } else { "o-w" };
        return Some(format!("`{shown}`: {}: `chmod g-w,{others} {shown}`", remarks.join(", and ")));
    }
    // In a folder with the sticky bit, files are replaced by their owners alone.
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(FilePath::new("."));
    let found = mode(folder)?;
    (found & 0o002 != 0 && found & 0o1000 == 0)
        .then(|| format!("everybody on this machine may replace `{shown}`: `chmod o-w {}`", folder.display()))
}
