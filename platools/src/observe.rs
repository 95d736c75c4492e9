//! Figures about calls and connections, for `metrics` (feature `metrics`; without it nothing is counted).
//!
//! The table of all of them is in the documentation of the crate.

#![cfg_attr(not(feature = "metrics"), allow(unused_variables, reason = "nothing is counted"))]

use std::time::Duration;

/// A call has its answer.
pub(crate) fn call_finished(tool: &str, outcome: &'static str, latency: Duration) {
    #[cfg(feature = "metrics")]
    {
        metrics::counter!("platools_calls_total", "tool" => tool.to_owned(), "outcome" => outcome)
            .increment(1);
        metrics::histogram!("platools_call_duration_seconds", "tool" => tool.to_owned()).record(latency);
    }
}

/// So many calls run or wait now.
pub(crate) fn calls_in_flight(calls: usize) {
    #[cfg(feature = "metrics")]
    metrics::gauge!("platools_calls_in_flight").set(calls as f64);
}

/// A call was answered without running a handler.
pub(crate) fn call_refused(reason: &'static str) {
    #[cfg(feature = "metrics")]
    metrics::counter!("platools_calls_refused_total", "reason" => reason).increment(1);
}

/// A frame could not be read.
pub(crate) fn frame_malformed() {
    #[cfg(feature = "metrics")]
    metrics::counter!("platools_frames_malformed_total").increment(1);
}

/// The platform said `welcome`.
pub(crate) fn connected() {
    #[cfg(feature = "metrics")]
    {
        metrics::counter!("platools_connections_total").increment(1);
        metrics::gauge!("platools_connected").set(1.0);
    }
}

/// A connection ended, or could not be made.
pub(crate) fn disconnected() {
    #[cfg(feature = "metrics")]
    {
        metrics::counter!("platools_disconnects_total").increment(1);
        metrics::gauge!("platools_connected").set(0.0);
    }
}

/// An answer was sent again on another connection.
pub(crate) fn answer_redelivered() {
    #[cfg(feature = "metrics")]
    metrics::counter!("platools_answers_redelivered_total").increment(1);
}

/// An answer could not be delivered in time.
pub(crate) fn answer_lost() {
    #[cfg(feature = "metrics")]
    metrics::counter!("platools_answers_lost_total").increment(1);
}
