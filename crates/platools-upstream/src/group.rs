//! All processes of one program. They end together: asked first, then made to.
//!
//! A process that leaves its group (`setsid`) is out of reach here; where programs are not trusted, the service
//! manager's control group is what holds them. If this process is killed, the [`watchdog`](crate::watchdog) ends them.

use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use tokio::process::Child;

use crate::watchdog::Watched;

/// How often it is looked whether a group that was asked to end is gone.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// The group of a running program. When it is dropped, the group ends.
// Hidden, since it has nothing to do with MCP: for crates of this workspace only.
#[doc(hidden)]
#[derive(Debug)]
pub struct ProcessGroup {
    leader: Option<Pid>,
    watched: Option<Watched>,
    kill_after: Duration,
}

impl ProcessGroup {
    /// The group that `child` leads; it has to be started in one of its own. Dropped, the group is asked to end and has
    /// `kill_after` for that; with zero it is killed at once.
    pub fn of(child: &Child, kill_after: Duration) -> Self {
        let leader = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        Self { leader, watched: leader.map(Watched::begin), kill_after }
    }

    /// Asks all of the group to end.
    pub fn ask(&self) {
        if let Some(leader) = self.leader {
            // Nobody left is fine.
            let _gone = kill_process_group(leader, Signal::TERM);
        }
    }

    /// Kills whatever is left, at once. Only once, since the number may be another group's later.
    pub fn kill(&mut self) {
        if let Some(leader) = self.leader.take() {
            let _gone = kill_process_group(leader, Signal::KILL);
            self.watched = None;
        }
    }
}

impl Drop for ProcessGroup {
    /// Nobody waits for the end of the program, and it gets its time to tidy up.
    fn drop(&mut self) {
        if self.kill_after.is_zero() {
            return self.kill();
        }
        let Some(leader) = self.leader.take() else { return };
        if kill_process_group(leader, Signal::TERM).is_err() {
            return;
        }
        let kill_after = self.kill_after;
        let mut last = KillOnDrop { leader: Some(leader), _watched: self.watched.take() };
        let end = async move {
            let asked = tokio::time::Instant::now();
            while asked.elapsed() < kill_after {
                tokio::time::sleep(POLL_INTERVAL).await;
                if test_kill_process_group(leader).is_err() {
                    last.stand_down();
                    return;
                }
            }
        };
        // Without a runtime, or at its end, the last resort is taken at once.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(end);
        }
    }
}

/// Kills a group when it is dropped: its time is over, or there is nobody left to look at the clock.
struct KillOnDrop {
    leader: Option<Pid>,
    _watched: Option<Watched>,
}

impl KillOnDrop {
    fn stand_down(&mut self) {
        self.leader = None;
    }
}

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        if let Some(leader) = self.leader {
            let _gone = kill_process_group(leader, Signal::KILL);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::Stdio;

    use tokio::io::{AsyncBufReadExt as _, BufReader};
    use tokio::process::Command;

    use super::*;

    #[test]
    fn a_program_that_does_not_listen_ends_with_the_runtime_that_would_have_waited_for_it() {
        let runtime = || tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let outer = runtime();
        let mut child = outer.block_on(async {
            let script = "trap '' TERM; echo ready; while :; do sleep 1; done";
            let mut command = Command::new("/bin/sh");
            command.args(["-c", script]).process_group(0).stdout(Stdio::piped());
            command.spawn().unwrap()
        });
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert_eq!(outer.block_on(lines.next_line()).unwrap().as_deref(), Some("ready"));
        let group = ProcessGroup::of(&child, Duration::from_secs(3_600));
        let ending = runtime();
        ending.block_on(async { drop(group) });
        drop(ending);
        let ended =
            outer.block_on(async { tokio::time::timeout(Duration::from_secs(60), child.wait()).await });
        assert!(!ended.expect("it is gone").unwrap().success());
    }
}
