//! Metrics of calls and connections (feature `metrics`; without it, these functions do nothing).
//!
//! The documentation of the crate lists all metrics. Those of a host have its entity as a label, since one process may
//! have several hosts. What is counted for every call has its keys made beforehand: such a call allocates nothing here.
//! Keys are kept rather than counters, since the recorder may be installed after the host was built.

#![cfg_attr(
    not(feature = "metrics"),
    allow(unused_variables, clippy::unused_self, reason = "nothing is counted")
)]

#[cfg(feature = "metrics")]
use std::sync::{Arc, OnceLock};
use std::time::Duration;

#[cfg(feature = "metrics")]
use metrics::{Key, Label, Level, Metadata, SharedString};

use crate::caller::CURRENT;

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
            ("platools_hosts", "Hosts by entity and the state of their connection."),
        ] {
            metrics::describe_gauge!(name, text);
        }
        for (name, text) in [
            ("platools_calls_total", "Calls that ended, by entity, tool and outcome."),
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

/// The metrics of one host. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct HostMetrics(#[cfg(feature = "metrics")] Arc<HostKeys>);

#[cfg(feature = "metrics")]
#[derive(Debug)]
struct HostKeys {
    /// `None` for a host without a platform, or without an entity of its own: its metrics have no such label.
    entity: Option<SharedString>,
    in_flight: Key,
    waiting: Key,
}

impl HostMetrics {
    pub(crate) fn new(entity: Option<&str>) -> Self {
        Self(
            #[cfg(feature = "metrics")]
            {
                let entity = entity.map(|entity| SharedString::from_shared(entity.into()));
                let key = |name: &'static str| Key::from_parts(name, labels(entity.as_ref(), []));
                let (in_flight, waiting) = (key("platools_calls_in_flight"), key("platools_calls_waiting"));
                Arc::new(HostKeys { entity, in_flight, waiting })
            },
        )
    }

    // The gauges go up and down instead of being set, so that several hosts of one entity add up.

    /// Counts a call in flight, or no longer.
    pub(crate) fn call_in_flight(&self, entered: bool) {
        figure!(step(&self.0.in_flight, entered));
    }

    /// Counts a waiting call, or no longer.
    pub(crate) fn call_waiting(&self, entered: bool) {
        figure!(step(&self.0.waiting, entered));
    }

    /// Counts a host in a state, or no longer.
    pub(crate) fn host_state(&self, state: &'static str, entered: bool) {
        figure!(step(&Key::from_parts("platools_hosts", self.labels([("state", state.into())])), entered));
    }

    /// Counts a call that was answered without running a handler.
    pub(crate) fn call_refused(&self, reason: &'static str) {
        figure!(self.count("platools_calls_refused_total", [("reason", reason.into())]));
    }

    /// Counts a malformed frame.
    pub(crate) fn frame_malformed(&self) {
        figure!(self.count("platools_frames_malformed_total", []));
    }

    /// Counts a connection that the platform welcomed.
    pub(crate) fn connected(&self) {
        figure!(self.count("platools_connections_total", []));
    }

    /// Counts a connection that ended or failed.
    pub(crate) fn disconnected(&self) {
        figure!(self.count("platools_disconnects_total", []));
    }

    /// Counts an answer that was resent on another connection.
    pub(crate) fn answer_redelivered(&self) {
        figure!(self.count("platools_answers_redelivered_total", []));
    }

    /// Counts an answer that could not be delivered in time.
    pub(crate) fn answer_lost(&self) {
        figure!(self.count("platools_answers_lost_total", []));
    }

    /// Counts a result that had no room and was replaced by an error.
    pub(crate) fn answer_replaced(&self) {
        figure!(self.count("platools_answers_replaced_total", []));
    }

    /// Counts an argument in which a JSON text was decoded.
    fn argument_decoded(&self) {
        figure!(self.count("platools_arguments_decoded_total", []));
    }

    /// Counts a declaration of tools that the platform refused.
    pub(crate) fn registration_rejected(&self) {
        figure!(self.count("platools_registrations_rejected_total", []));
    }

    #[cfg(feature = "metrics")]
    fn count<const N: usize>(&self, name: &'static str, more: [(&'static str, SharedString); N]) {
        metrics::counter!(name, self.labels(more)).increment(1);
    }

    #[cfg(feature = "metrics")]
    fn labels<const N: usize>(&self, more: [(&'static str, SharedString); N]) -> Vec<Label> {
        labels(self.0.entity.as_ref(), more)
    }
}

impl Default for HostMetrics {
    /// Those of a host without an entity.
    fn default() -> Self {
        Self::new(None)
    }
}

/// The metrics of the calls of one tool of a host.
#[derive(Debug)]
pub(crate) struct ToolMetrics {
    #[cfg(feature = "metrics")]
    host: HostMetrics,
    /// Made at the first call, since most of many tools are never called.
    #[cfg(feature = "metrics")]
    keys: OnceLock<ToolKeys>,
}

#[cfg(feature = "metrics")]
#[derive(Debug)]
struct ToolKeys {
    tool: SharedString,
    succeeded: Key,
    duration: Key,
}

impl ToolMetrics {
    pub(crate) fn new(host: &HostMetrics) -> Self {
        Self {
            #[cfg(feature = "metrics")]
            host: host.clone(),
            #[cfg(feature = "metrics")]
            keys: OnceLock::new(),
        }
    }

    /// Records an answered call of the tool.
    pub(crate) fn call_finished(&self, tool: &str, outcome: &'static str, latency: Duration) {
        figure!({
            let keys = self.keys.get_or_init(|| ToolKeys::new(&self.host, tool));
            let failed;
            let ended = if outcome == SUCCEEDED {
                &keys.succeeded
            } else {
                failed = ended_key(&self.host, &keys.tool, outcome);
                &failed
            };
            metrics::with_recorder(|recorder| {
                recorder.register_counter(ended, &METADATA).increment(1);
                recorder.register_histogram(&keys.duration, &METADATA).record(latency);
            });
        });
    }
}

/// The outcome of a call that succeeded.
pub(crate) const SUCCEEDED: &str = "ok";

#[cfg(feature = "metrics")]
impl ToolKeys {
    fn new(host: &HostMetrics, tool: &str) -> Self {
        let tool = SharedString::from_shared(tool.into());
        let duration = host.labels([("tool", tool.clone())]);
        Self {
            succeeded: ended_key(host, &tool, SUCCEEDED),
            duration: Key::from_parts("platools_call_duration_seconds", duration),
            tool,
        }
    }
}

/// The key of the calls of a tool that ended this way.
#[cfg(feature = "metrics")]
fn ended_key(host: &HostMetrics, tool: &SharedString, outcome: &'static str) -> Key {
    let labels = host.labels([("tool", tool.clone()), ("outcome", outcome.into())]);
    Key::from_parts("platools_calls_total", labels)
}

#[cfg(feature = "metrics")]
static METADATA: Metadata<'static> = Metadata::new(module_path!(), Level::INFO, Some(module_path!()));

#[cfg(feature = "metrics")]
fn labels<const N: usize>(
    entity: Option<&SharedString>,
    more: [(&'static str, SharedString); N],
) -> Vec<Label> {
    let entity = entity.map(|entity| Label::new("entity", entity.clone()));
    entity.into_iter().chain(more.map(|(name, value)| Label::new(name, value))).collect()
}

#[cfg(feature = "metrics")]
fn step(key: &Key, up: bool) {
    let gauge = metrics::with_recorder(|recorder| recorder.register_gauge(key, &METADATA));
    if up { gauge.increment(1.0) } else { gauge.decrement(1.0) }
}

/// Counts an argument in which a JSON text was decoded, for the host of the running call: arguments do not know it.
pub(crate) fn argument_decoded() {
    let host = CURRENT.try_with(|scope| scope.metrics().clone()).unwrap_or_default();
    host.argument_decoded();
}
