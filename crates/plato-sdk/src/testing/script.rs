//! Scripted results of commands.

use std::sync::Arc;
use std::time::Duration;

/// The result of a command, for [`FakePlato::on_bash`](super::FakePlato::on_bash).
///
/// ```
/// use plato_sdk::testing::BashReply;
///
/// let failed = BashReply::new("").stderr("make: *** No rule to make target\n").exit(2);
/// # let _ = failed;
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BashReply {
    pub(super) stdout: String,
    pub(super) stderr: String,
    pub(super) exit: i32,
    pub(super) takes: Duration,
}

impl BashReply {
    /// A command that writes `stdout` and succeeds at once.
    pub fn new(stdout: impl Into<String>) -> Self {
        Self { stdout: stdout.into(), ..Self::default() }
    }

    /// Writes `text` to standard error.
    pub fn stderr(mut self, text: impl Into<String>) -> Self {
        self.stderr = text.into();
        self
    }

    /// Sets the exit code; 0 by default.
    pub fn exit(mut self, code: i32) -> Self {
        self.exit = code;
        self
    }

    /// Delays the result by `time`. The command times out if its request allows less.
    pub fn takes(mut self, time: Duration) -> Self {
        self.takes = time;
        self
    }
}

/// Replies to a command line, or leaves it to the next script.
pub(super) type Script = Arc<dyn Fn(&str) -> Option<BashReply> + Send + Sync>;
