//! Ends the programs of this process when it is killed, and has no chance to do so.
//!
//! A small shell reads a pipe whose other end is this process. It is told which process groups there are. When the pipe
//! ends, so has this process, whatever it was that ended it: the groups that are left are asked to end, and killed two
//! seconds later.
//!
//! One watches over all programs: it takes no time of their start. Without `/bin/sh` there is none, and the log says so.

use std::collections::BTreeSet;
use std::io::{self, Write as _};
use std::num::NonZeroI32;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::process::Pid;

/// The script of the shell, which has a process group of its own and ignores signals of the terminal.
const SCRIPT: &str = r#"trap '' INT TERM HUP QUIT
groups=' '
while read -r change group; do
    case $change in
    begin) groups="$groups$group " ;;
    end) case $groups in *" $group "*) groups="${groups%% $group *} ${groups#* $group }" ;; esac ;;
    esac
done
left=
for group in $groups; do kill -s TERM -- "-$group" 2>/dev/null && left="$left $group"; done
[ -n "$left" ] || exit 0
sleep 2
for group in $left; do kill -s KILL -- "-$group" 2>/dev/null; done
"#;

static WATCHDOG: Mutex<Watchdog> =
    Mutex::new(Watchdog { groups: BTreeSet::new(), shell: None, is_absent: false });

/// Tells of a group as long as it exists.
#[derive(Debug)]
pub(crate) struct Watched(NonZeroI32);

impl Watched {
    /// Has the group end with this process.
    pub(crate) fn begin(group: Pid) -> Self {
        let group = group.as_raw_nonzero();
        watchdog().begin(group);
        Self(group)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        watchdog().end(self.0);
    }
}

fn watchdog() -> MutexGuard<'static, Watchdog> {
    WATCHDOG.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Watchdog {
    groups: BTreeSet<NonZeroI32>,
    shell: Option<Shell>,
    /// Set when no shell can be started.
    is_absent: bool,
}

struct Shell {
    child: Child,
    pipe: ChildStdin,
}

impl Watchdog {
    fn begin(&mut self, group: NonZeroI32) {
        self.groups.insert(group);
        self.tell("begin", group);
    }

    fn end(&mut self, group: NonZeroI32) {
        self.groups.remove(&group);
        if self.shell.is_some() {
            self.tell("end", group);
        }
    }

    /// Tells the shell; one that does not listen any more is replaced by another one, which is told everything.
    fn tell(&mut self, change: &str, group: NonZeroI32) {
        if self.is_absent {
            return;
        }
        if let Some(shell) = &mut self.shell {
            if shell.tell(change, group).is_ok() {
                return;
            }
            // Killed before its pipe ends, which would have it do its work.
            let _ = shell.child.kill();
            let _ = shell.child.wait();
            self.shell = None;
        }
        let started = Shell::start().and_then(|mut shell| {
            self.groups.iter().try_for_each(|group| shell.tell("begin", *group))?;
            Ok(shell)
        });
        match started {
            Ok(shell) => self.shell = Some(shell),
            Err(error) => {
                self.is_absent = error.kind() == io::ErrorKind::NotFound;
                tracing::warn!(
                    %error,
                    "`/bin/sh` cannot watch over the programs that are started here: they stay if this process is killed"
                );
            }
        }
    }
}

impl Shell {
    fn start() -> io::Result<Self> {
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", SCRIPT, "platools-watchdog"])
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .current_dir("/");
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        let mut child = command.spawn()?;
        let pipe = child.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
        // One that is stopped or has no time must not stop this process.
        fcntl_setfl(&pipe, fcntl_getfl(&pipe)? | OFlags::NONBLOCK)?;
        Ok(Self { child, pipe })
    }

    fn tell(&mut self, change: &str, group: NonZeroI32) -> io::Result<()> {
        // Less than what a pipe takes as a whole or not at all.
        self.pipe.write_all(format!("{change} {group}\n").as_bytes())
    }
}
