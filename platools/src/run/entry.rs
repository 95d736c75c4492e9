//! A tool with everything the host keeps about it: access rules, limits, health, pace.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use platools_net::ration::Ration;

use super::access::Access;
use super::health::Health;
use super::limits::ToolLimits;
use super::pace::Pace;
use crate::observe::{HostMetrics, ToolMetrics};
use crate::tool::{Tool, declaration};
use crate::wire::ToolHealth;

/// One tool in the table.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(super) tool: Tool,
    pub(super) access: Access,
    pub(super) limits: ToolLimits,
    pub(super) health: Health,
    pub(super) pace: Pace,
    metrics: ToolMetrics,
    /// Limits the log lines about calls that failed.
    pub(super) failures_logged: Ration,
    /// The bytes of the tool in a declaration.
    pub(super) declared_bytes: usize,
    enabled: AtomicBool,
    warned_of_size: AtomicBool,
}

impl Entry {
    /// `describe` is whether tools that do not say themselves describe their parameters.
    pub(super) fn new(tool: Tool, describe: bool, metrics: &HostMetrics) -> Self {
        let spec = tool.spec();
        Self {
            access: Access::new(spec),
            limits: ToolLimits::new(spec),
            health: Health::default(),
            pace: Pace::default(),
            metrics: ToolMetrics::new(metrics),
            failures_logged: Ration::default(),
            declared_bytes: declaration::size(spec, describe),
            enabled: AtomicBool::new(true),
            warned_of_size: AtomicBool::new(false),
            tool,
        }
    }

    pub(crate) fn name(&self) -> &str {
        self.tool.name()
    }

    /// Records an answered call in the metrics.
    pub(super) fn count(&self, outcome: &'static str, latency: Duration) {
        self.metrics.call_finished(self.name(), outcome, latency);
    }

    pub(super) fn is_enabled(&self) -> bool {
        self.enabled.load(Ordering::Relaxed)
    }

    /// Enables or disables the tool. Returns whether that changed anything.
    pub(super) fn enable(&self, enabled: bool) -> bool {
        self.enabled.swap(enabled, Ordering::Relaxed) != enabled
    }

    /// The health to report in a heartbeat, if it differs from what was reported last. `judge` is told why the tool is
    /// down here, and says why it is down at all.
    pub(crate) fn changed_health(
        &self,
        judge: impl FnOnce(Option<String>) -> Option<String>,
    ) -> Option<ToolHealth> {
        self.health.changed(judge(self.down_reason()))
    }

    /// The health at this moment; `None` for a tool that was never called and is not down.
    pub(super) fn current_health(&self) -> Option<ToolHealth> {
        self.health.current(self.down_reason())
    }

    /// Reports the health anew on the next heartbeat, since a new connection knows nothing of it.
    pub(crate) fn forget_reported_health(&self) {
        self.health.forget_reported();
    }

    pub(super) fn down_reason(&self) -> Option<String> {
        // The probe is the backend's code: a panic in it must not reach the connection.
        let down = catch_unwind(AssertUnwindSafe(|| self.tool.down_reason()));
        down.unwrap_or_else(|_| Some("the tool's health probe panicked".to_owned()))
    }

    /// Returns `true` the first time that a result of this tool exceeds what the platform passes on whole.
    pub(crate) fn is_first_large_result(&self) -> bool {
        !self.warned_of_size.swap(true, Ordering::Relaxed)
    }
}
