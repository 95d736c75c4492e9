//! Runs this program again under callgrind, and reads what it counted. It must not know what is counted.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The module of the function that is left out: see [`Counted::hash`].
const HASH: &str = "sha2::";

/// Makes the C library copy and fill memory in one way on every machine: by SSE2, and not by `rep stosb`, which counts as
/// one instruction for each byte.
const TUNABLES: (&str, &str) =
    ("GLIBC_TUNABLES", "glibc.cpu.hwcaps=-AVX2,-AVX_Fast_Unaligned_Load,-ERMS,-FSRM");

/// Valgrind, and where its files go.
pub(crate) struct Callgrind {
    folder: PathBuf,
    version: String,
}

/// What one run took, in instructions of the main thread.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) instructions: u64,
    /// What the compression function of SHA-256 took, which is left out: it is another one under valgrind.
    pub(crate) hash: u64,
}

impl Callgrind {
    /// Valgrind, if it is installed.
    pub(crate) fn find() -> Result<Option<Self>, Box<dyn Error>> {
        let Ok(output) = Command::new("valgrind").arg("--version").output() else { return Ok(None) };
        let version = String::from_utf8(output.stdout)?.trim().trim_start_matches("valgrind-").to_owned();
        // Beside the folder of the profile this program was built with.
        let program = std::env::current_exe()?;
        let target = program.parent().and_then(Path::parent).ok_or("no target folder")?;
        let folder = target.join("instructions-counted");
        std::fs::create_dir_all(&folder)?;
        Ok(Some(Self { folder, version }))
    }

    pub(crate) fn version(&self) -> &str {
        &self.version
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Runs this program with `arguments` to its end; `meanwhile` does what it waits for.
    pub(crate) fn count(
        &self,
        name: &str,
        arguments: &[&str],
        meanwhile: impl FnOnce() -> Result<(), Box<dyn Error>>,
    ) -> Result<Counted, Box<dyn Error>> {
        let out = self.folder.join(format!("{}.out", name.replace([' ', ','], "-")));
        let mut valgrind = Command::new("valgrind");
        valgrind.args(["--tool=callgrind", "--quiet", "--separate-threads=yes"]);
        valgrind.arg(format!("--callgrind-out-file={}", out.display()));
        valgrind.arg(std::env::current_exe()?).args(arguments);
        // An environment of its own, since its size moves the stack.
        valgrind
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .env(TUNABLES.0, TUNABLES.1);
        let mut child = valgrind.stdin(Stdio::null()).spawn()?;
        let driven = meanwhile();
        if driven.is_err() {
            child.kill()?;
        }
        let status = child.wait()?;
        driven?;
        if !status.success() {
            return Err(format!("valgrind with {arguments:?}: {status}").into());
        }
        let main = PathBuf::from(format!("{}-01", out.display()));
        Ok(Counted::read(&std::fs::read_to_string(main)?))
    }
}

impl Counted {
    /// Reads a profile: under each `fn=` the cost of its own lines, and behind each `calls=` one line with the cost of
    /// what was called, which belongs to others. A name is written out where it stands for the first time.
    fn read(profile: &str) -> Self {
        let (mut counted, mut is_hash, mut of_callee) = (Self::default(), false, false);
        let mut hashes = Vec::new();
        for line in profile.lines() {
            if let Some(function) = line.strip_prefix("fn=").or_else(|| line.strip_prefix("cfn=")) {
                let (number, name) = function.split_once(' ').unwrap_or((function, ""));
                if name.starts_with(HASH) {
                    hashes.push(number);
                }
                if line.starts_with('f') {
                    is_hash = hashes.contains(&number);
                }
            } else if line.starts_with("calls=") {
                of_callee = true;
            } else if line.starts_with(|first: char| first.is_ascii_digit() || "+-*".contains(first))
                && !std::mem::take(&mut of_callee)
            {
                let cost = line.split(' ').nth(1).and_then(|cost| cost.parse().ok()).unwrap_or(0);
                *(if is_hash { &mut counted.hash } else { &mut counted.instructions }) += cost;
            }
        }
        counted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cost_of_a_function_is_its_own_and_the_hash_is_left_out() {
        let profile = "version: 1\nevents: Ir\n\nfl=(1) a.rs\nfn=(1) main\n0 100\ncfn=(2) sha2::compress\n\
                       calls=3 0\n0 3000\n+4 10\n\nfn=(2)\n0 3000\n* 7\n\nfn=(3) other\n-2 1\n\ntotals: 3118\n";
        assert_eq!(Counted::read(profile), Counted { instructions: 111, hash: 3_007 });
    }
}
