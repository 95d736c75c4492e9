//! Time as the machines of this crate know it: monotonic, since the start of the process.

use std::time::Duration;

/// A monotonic time since the start of the process, or a duration.
pub(crate) type Time = Duration;

/// So many milliseconds.
pub(crate) const fn ms(milliseconds: u64) -> Time {
    Duration::from_millis(milliseconds)
}
