//! How patient a stream is, and how much of it may wait to be read.

use std::time::Duration;

use super::Backoff;
use super::backoff::LONGEST;
use crate::error::ConfigError;

/// How a stream that was lost is taken up again.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ReconnectPolicy {
    pub(crate) attempts: u32,
    pub(crate) backoff: Backoff,
}

impl Default for ReconnectPolicy {
    /// 5 attempts, 500 ms doubling to 10 s, 20 % off. They are counted anew after an event of the turn, or 10 s
    /// of connection.
    fn default() -> Self {
        let backoff =
            Backoff { first: Duration::from_millis(500), longest: Duration::from_secs(10), jitter: 0.2 };
        Self { attempts: 5, backoff }
    }
}

impl ReconnectPolicy {
    /// A stream that is lost is an error at once.
    pub fn never() -> Self {
        Self { attempts: 0, ..Self::default() }
    }

    /// How many attempts there are in a row.
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts;
        self
    }

    /// The wait before the first attempt.
    pub fn first_wait(mut self, wait: Duration) -> Self {
        self.backoff.first = wait;
        self
    }

    /// The wait that doubling stops at.
    pub fn longest_wait(mut self, wait: Duration) -> Self {
        self.backoff.longest = wait;
        self
    }
}

/// What a stream may cost, and how long it may be silent.
///
/// ```
/// use std::time::Duration;
/// use platos_client::StreamLimits;
///
/// let limits = StreamLimits::default().idle_timeout(Duration::from_secs(600)).waiting_events(64);
/// # let _ = limits;
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamLimits {
    pub(crate) idle: Option<Duration>,
    pub(crate) waiting_events: usize,
    pub(crate) waiting_bytes: usize,
    pub(crate) event_bytes: usize,
    pub(crate) recovery: Duration,
    pub(crate) poll: Duration,
}

impl Default for StreamLimits {
    /// 2 minutes without an event; 256 events or 8 MiB waiting to be read; 16 MiB for one event; after a break 330 s
    /// until the reply has to be there, asked for every 5 s.
    fn default() -> Self {
        Self {
            idle: Some(Duration::from_secs(120)),
            waiting_events: 256,
            waiting_bytes: 8 << 20,
            event_bytes: 16 << 20,
            recovery: Duration::from_secs(330),
            poll: Duration::from_secs(5),
        }
    }
}

impl StreamLimits {
    /// How long a connected turn may go without an event before the stream ends with
    /// [`NetworkErrorKind::Idle`](crate::NetworkErrorKind::Idle). The time between `approval_needed` and the
    /// next event does not count: then it is the platform that waits.
    pub fn idle_timeout(mut self, time: Duration) -> Self {
        self.idle = Some(time);
        self
    }

    /// A turn may be silent for as long as its connection lives.
    pub fn without_idle_timeout(mut self) -> Self {
        self.idle = None;
        self
    }

    /// How many events may wait to be read. Then the socket is read no further.
    pub fn waiting_events(mut self, events: usize) -> Self {
        self.waiting_events = events;
        self
    }

    /// How many bytes of events may wait to be read. One event always may.
    pub fn waiting_bytes(mut self, bytes: usize) -> Self {
        self.waiting_bytes = bytes;
        self
    }

    /// How large one event may be, in bytes. A larger one ends the stream with a protocol error.
    pub fn event_bytes(mut self, bytes: usize) -> Self {
        self.event_bytes = bytes;
        self
    }

    /// How long after a break the reply is looked for among the thread's messages. Platforms let a turn run for 300 s.
    pub fn recovery_timeout(mut self, time: Duration) -> Self {
        self.recovery = time;
        self
    }

    /// How long to wait between two looks at the thread's messages after a break. Platforms allow 60 requests a minute,
    /// for all callers of an environment together.
    pub fn poll_interval(mut self, time: Duration) -> Self {
        self.poll = time;
        self
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let setting = "stream limits";
        if self.poll.is_zero() || self.recovery > LONGEST || self.poll > LONGEST {
            let expected = "a poll interval above zero, and it and the recovery timeout of 24 hours at most";
            return Err(ConfigError::Setting { setting, expected });
        }
        if self.idle.is_some_and(|time| time.is_zero() || time > LONGEST) {
            let expected = "an idle timeout above zero and of 24 hours at most, or `without_idle_timeout`";
            return Err(ConfigError::Setting { setting, expected });
        }
        let bounds = 1..=1 << 30;
        if [self.waiting_events, self.waiting_bytes, self.event_bytes].iter().all(|n| bounds.contains(n)) {
            return Ok(());
        }
        Err(ConfigError::Setting { setting, expected: "sizes from 1 to 1 GiB" })
    }
}
