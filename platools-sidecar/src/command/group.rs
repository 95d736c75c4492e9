//! All processes of one program. They end together: asked first, then made to.
//!
//! A process that leaves its group (`setsid`) is out of reach here; where programs are not trusted, the service
//! manager's control group is what holds them.

use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use tokio::process::Child;

/// How often it is looked whether a group that was asked to end is gone.
const LOOK: Duration = Duration::from_millis(20);

/// The group of a running program. When it is dropped, the group ends.
#[derive(Debug)]
pub(crate) struct Group {
    leader: Option<Pid>,
    kill_after: Duration,
}

impl Group {
    /// The group that `child` leads; it has to be started in one of its own.
    pub(crate) fn of(child: &Child, kill_after: Duration) -> Self {
        let leader = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        Self { leader, kill_after }
    }

    /// Kills whatever is left, at once.
    pub(crate) fn kill(mut self) {
        if let Some(leader) = self.leader.take() {
            let _gone = kill_process_group(leader, Signal::KILL);
        }
    }
}

impl Drop for Group {
    /// The call is over before the program was: nobody waits for its end, and it gets its time to tidy up.
    fn drop(&mut self) {
        let Some(leader) = self.leader.take() else { return };
        if kill_process_group(leader, Signal::TERM).is_err() {
            return;
        }
        let kill_after = self.kill_after;
        let end = async move {
            let asked = tokio::time::Instant::now();
            while asked.elapsed() < kill_after {
                tokio::time::sleep(LOOK).await;
                if test_kill_process_group(leader).is_err() {
                    return;
                }
            }
            let _gone = kill_process_group(leader, Signal::KILL);
        };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(end)),
            Err(_) => drop(kill_process_group(leader, Signal::KILL)),
        }
    }
}
