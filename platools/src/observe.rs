//! Metrics of calls and connections (feature `metrics`; without it, these functions do nothing).
//!
//! The documentation of the crate lists all metrics.

#![cfg_attr(not(feature = "metrics"), allow(unused_variables, reason = "nothing is counted"))]

use std::time::Duration;

/// Runs its code only with the feature `metrics`.
#[cfg(feature = "metrics")]
macro_rules! figure {
    ($code:expr) => {
        $code
    };
}
#[cfg(not(feature = "metrics"))]
macro_rules! figure {
    ($code:expr) => {};
}

/// Tells an installed recorder what the figures are, and which version this is.
pub(crate) fn describe() {
    figure!({
        metrics::gauge!("platools_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
        metrics::describe_gauge!("platools_build_info", "The version of platools, as a label.");
        metrics::describe_histogram!(
            "platools_call_duration_seconds",
            metrics::Unit::Seconds,
            "The time from the arrival of a call to its result."
        );
        for (name, text) in [
            ("platools_calls_in_flight", "Calls that run or wait."),
            ("platools_calls_waiting", "Calls that wait for a place."),
            ("platools_hosts", "Hosts by the state of their connection."),
        ] {
            metrics::describe_gauge!(name, text);
        }
        for (name, text) in [
            ("platools_calls_total", "Calls that ended, by tool and outcome."),
            ("platools_calls_refused_total", "Calls that were answered without running, by the reason."),
            ("platools_frames_malformed_total", "Frames that could not be read."),
            ("platools_connections_total", "Connections that the platform welcomed."),
            ("platools_disconnects_total", "Connections that ended or failed."),
            ("platools_answers_redelivered_total", "Answers that were sent again on another connection."),
            ("platools_answers_lost_total", "Answers that could not be delivered in time."),
            ("platools_answers_replaced_total", "Results without room, replaced by an error."),
            ("platools_arguments_decoded_total", "Arguments in which a JSON text was decoded."),
            ("platools_registrations_rejected_total", "Declarations of tools that the platform refused."),
        ] {
            metrics::describe_counter!(name, text);
        }
    });
}

/// Records an answered call.
pub(crate) fn call_finished(tool: &str, outcome: &'static str, latency: Duration) {
    figure!({
        metrics::counter!("platools_calls_total", "tool" => tool.to_owned(), "outcome" => outcome)
            .increment(1);
        metrics::histogram!("platools_call_duration_seconds", "tool" => tool.to_owned()).record(latency);
    });
}

// The gauges go up and down instead of being set, so that several hosts of one process add up.

/// Counts a call in flight, or no longer.
pub(crate) fn call_in_flight(entered: bool) {
    figure!(step(&metrics::gauge!("platools_calls_in_flight"), entered));
}

/// Counts a waiting call, or no longer.
pub(crate) fn call_waiting(entered: bool) {
    figure!(step(&metrics::gauge!("platools_calls_waiting"), entered));
}

/// Counts a host in a state, or no longer.
pub(crate) fn host_state(state: &'static str, entered: bool) {
    figure!(step(&metrics::gauge!("platools_hosts", "state" => state), entered));
}

#[cfg(feature = "metrics")]
fn step(gauge: &metrics::Gauge, up: bool) {
    if up { gauge.increment(1.0) } else { gauge.decrement(1.0) }
}

/// Counts a call that was answered without running a handler.
pub(crate) fn call_refused(reason: &'static str) {
    figure!(metrics::counter!("platools_calls_refused_total", "reason" => reason).increment(1));
}

/// Counts a malformed frame.
pub(crate) fn frame_malformed() {
    figure!(metrics::counter!("platools_frames_malformed_total").increment(1));
}

/// Counts a connection that the platform welcomed.
pub(crate) fn connected() {
    figure!(metrics::counter!("platools_connections_total").increment(1));
}

/// Counts a connection that ended or failed.
pub(crate) fn disconnected() {
    figure!(metrics::counter!("platools_disconnects_total").increment(1));
}

/// Counts an answer that was resent on another connection.
pub(crate) fn answer_redelivered() {
    figure!(metrics::counter!("platools_answers_redelivered_total").increment(1));
}

/// Counts an answer that could not be delivered in time.
pub(crate) fn answer_lost() {
    figure!(metrics::counter!("platools_answers_lost_total").increment(1));
}

/// Counts a result that had no room and was replaced by an error.
pub(crate) fn answer_replaced() {
    figure!(metrics::counter!("platools_answers_replaced_total").increment(1));
}

/// Counts an argument in which a JSON text was decoded.
pub(crate) fn argument_decoded() {
    figure!(metrics::counter!("platools_arguments_decoded_total").increment(1));
}

/// Counts a declaration of tools that the platform refused.
pub(crate) fn registration_rejected() {
    figure!(metrics::counter!("platools_registrations_rejected_total").increment(1));
}
