//! How much memory this process may have: the limit of its container or its service, which the kernel enforces by
//! ending it. And the part of it that answers may take while they are read.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use platools::ToolError;
use platools_net::file;

/// Where the kernel shows control groups.
const GROUPS: &str = "/sys/fs/cgroup";

/// The most of a file there that is read, in bytes.
const MAX_FILE: usize = 64 << 10;

/// The most that answers take together while they are read, in bytes; an eighth of a limit, if that is less.
const ANSWERS: usize = 256 << 20;

/// The answers of backends and programs that are being read, for all tools together.
static READ: LazyLock<Budget> =
    LazyLock::new(|| Budget::new(limit().map_or(ANSWERS, |limit| ANSWERS.min(limit / 8))));

/// Bytes that may be taken.
#[derive(Debug)]
pub(crate) struct Budget {
    taken: AtomicUsize,
    most: usize,
}

/// Bytes of one answer that count for a budget, until this is dropped.
#[derive(Debug)]
pub(crate) struct Counted {
    budget: &'static Budget,
    bytes: usize,
}

impl Budget {
    pub(crate) const fn new(most: usize) -> Self {
        Self { taken: AtomicUsize::new(0), most }
    }
}

impl Counted {
    pub(crate) fn of(budget: &'static Budget) -> Self {
        Self { budget, bytes: 0 }
    }

    /// Counts more bytes, unless there is no room for them.
    #[must_use]
    pub(crate) fn add(&mut self, more: usize) -> bool {
        let fits = |taken: usize| taken.checked_add(more).filter(|taken| *taken <= self.budget.most);
        let added = self.budget.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_ok();
        if added {
            self.bytes += more;
        }
        added
    }
}

impl Default for Counted {
    /// Nothing yet, of the budget for answers that are read.
    fn default() -> Self {
        Self::of(&READ)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.budget.taken.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// The answer to a call whose response or output found no room.
pub(crate) fn crowded() -> ToolError {
    ToolError::overloaded("too many large answers are being read at the moment, retry later")
}

/// The limit of memory in bytes; `None` where there is none.
pub(crate) fn limit() -> Option<usize> {
    let own = file::read_text("/proc/self/cgroup".as_ref(), MAX_FILE).ok()?;
    limit_of(&own, GROUPS.as_ref())
}

/// The lowest limit of a group and of those above it. `own` says which group it is, as `/proc/self/cgroup` does.
fn limit_of(own: &str, root: &Path) -> Option<usize> {
    let groups = own.lines().filter_map(|line| {
        let (_, group) = line.split_once(':')?;
        let (controllers, path) = group.split_once(':')?;
        match controllers {
            "" => Some((root.to_owned(), "memory.max", path)),
            controllers if controllers.split(',').any(|name| name == "memory") => {
                Some((root.join("memory"), "memory.limit_in_bytes", path))
            }
            _ => None,
        }
    });
    groups.flat_map(|(root, file, path)| limits(&root, file, path)).min()
}

fn limits(root: &Path, name: &'static str, path: &str) -> impl Iterator<Item = usize> + use<> {
    // A container sees its own group as the root, whatever the path says.
    let group = Path::new(path.trim_start_matches('/'));
    let folders: Vec<PathBuf> = group.ancestors().map(|group| root.join(group)).collect();
    folders.into_iter().filter_map(move |folder| {
        let text = file::read_text(&folder.join(name), MAX_FILE).ok()?;
        // "max", or a number near the largest, is no limit.
        text.trim().parse().ok().filter(|bytes| *bytes < usize::MAX / 4)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_limit_of_the_group_and_those_above_it_holds() {
        let root = std::env::temp_dir().join(format!("platools-sidecar-cgroup-{}", std::process::id()));
        let write = |path: &str, text: &str| {
            let path = root.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("system.slice/sidecar.service/memory.max", "max\n");
        write("system.slice/memory.max", "536870912\n");
        write("memory.max", "1073741824\n");
        write("memory/memory.limit_in_bytes", "9223372036854771712\n");
        write("memory/docker/abc/memory.limit_in_bytes", "268435456\n");
        for (own, expected) in [
            ("0::/system.slice/sidecar.service\n", Some(512 << 20)),
            ("0::/\n", Some(1 << 30)),
            // A container that sees paths of its host.
            ("0::/kubepods/pod/container\n", Some(1 << 30)),
            ("12:cpu,cpuacct:/x\n5:memory:/docker/abc\n", Some(256 << 20)),
            ("5:memory:/\n", None),
            ("", None),
            ("nonsense", None),
        ] {
            assert_eq!(limit_of(own, &root), expected, "{own}");
        }
        std::fs::remove_dir_all(&root).unwrap();
    }
}
