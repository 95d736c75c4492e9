//! Times and durations as the API writes them.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;

/// A time in RFC 3339, in UTC, with milliseconds.
pub(super) fn rfc3339(time: SystemTime) -> String {
    let time = Timestamp::try_from(time).unwrap_or(Timestamp::MAX);
    format!("{time:.3}")
}

/// A duration in milliseconds, with microseconds behind the point.
pub(super) fn milliseconds(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1000.0
}
