//! Where the packages of the interop sets are; see `tests/interop/README.md`.

use std::io::Write as _;
use std::path::{Path, PathBuf};

/// The interpreter of a Python set, or `None` when the set is not installed, which is said loudly.
///
/// # Panics
/// When the set is missing although `PLATOOLS_INTEROP=required` is set. The same holds for the others.
pub(crate) fn python(set: &str) -> Option<PathBuf> {
    installed(set, "bin/python").map(|home| home.join("bin/python"))
}

/// The folder of a Node set, whose programs are run by `node`.
pub(crate) fn node_packages(set: &str) -> Option<PathBuf> {
    installed(set, "node_modules")
}

/// A server of Debian: unpacked by the install script, or the machine's.
pub(crate) fn server(name: &str, folder: &str) -> Option<PathBuf> {
    let fetched = root().join(format!("target/interop/{name}/usr/{folder}/{name}"));
    let machines = ["/usr/sbin", "/usr/local/sbin", "/usr/bin"].map(|folder| Path::new(folder).join(name));
    let found = [fetched].into_iter().chain(machines).find(|place| place.exists());
    if found.is_none() {
        skip(name);
    }
    found
}

/// A library of Debian, unpacked by the install script, for `LD_PRELOAD`.
pub(crate) fn library(name: &str) -> Option<PathBuf> {
    installed(name, "lib.so").map(|home| home.join("lib.so"))
}

/// The script of an interop test.
pub(crate) fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("interop").join(name)
}

/// The folder of a set in which there is `witness`.
fn installed(set: &str, witness: &str) -> Option<PathBuf> {
    let home = root().join("target/interop").join(set);
    if home.join(witness).exists() {
        return Some(home);
    }
    skip(set);
    None
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// Says loudly that a set is missing.
pub(crate) fn skip(set: &str) {
    let hint = format!("the interop set `{set}` is not installed: run tests/interop/install {set}");
    assert!(std::env::var_os("PLATOOLS_INTEROP").is_none_or(|value| value != "required"), "{hint}");
    // Written past the capture of a test that passes, or nobody would see it.
    let _ = writeln!(std::io::stderr(), "SKIPPED: {hint}");
}
