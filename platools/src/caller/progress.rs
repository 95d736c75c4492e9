//! Progress reports and log messages of a running call to its caller.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc;

/// How many reports wait for a client that takes them slowly; further ones are dropped.
const CHANNEL_CAPACITY: usize = 64;

/// Reports the progress of a call to its caller, if that is an MCP client that requested it. For all other callers,
/// including the platform, reports are discarded at no cost.
///
/// Injected into tools by type. Reports never block and never fail; if the client is too slow, reports are dropped.
/// Cheap to clone.
///
/// ```
/// use platools::caller::LogLevel;
/// use platools::{Progress, tool};
///
/// /// Import orders.
/// #[tool(register = false)]
/// async fn import(progress: Progress, orders: Vec<String>) -> usize {
///     let total = orders.len();
///     for (index, order) in orders.iter().enumerate() {
///         progress.report_with(index as f64, total as f64, format!("order {order}"));
///         // …
///     }
///     progress.log(LogLevel::Info, format!("{total} orders imported"));
///     total
/// }
/// ```
#[derive(Clone, Default)]
pub struct Progress(Option<Arc<Listener>>);

struct Listener<T: ?Sized = dyn ReportSink> {
    /// Progress of the last report; `None` if the client did not request progress.
    reached: Option<Mutex<f64>>,
    /// The minimum severity that the client requested.
    level: Option<LogLevel>,
    to: T,
}

/// Takes the reports of a call, for the door that the call came through.
pub trait ReportSink: Send + Sync {
    /// Takes a report, if there is room for it; returns whether there was. Must not block.
    fn report(&self, report: Report) -> bool;

    /// Whether the client takes no more reports.
    fn is_closed(&self) -> bool;
}

impl ReportSink for mpsc::Sender<Report> {
    fn report(&self, report: Report) -> bool {
        self.try_send(report).is_ok()
    }

    fn is_closed(&self) -> bool {
        mpsc::Sender::is_closed(self)
    }
}

impl<T: ReportSink + ?Sized> ReportSink for Arc<T> {
    fn report(&self, report: Report) -> bool {
        (**self).report(report)
    }

    fn is_closed(&self) -> bool {
        (**self).is_closed()
    }
}

/// What a handler reports while its call runs.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Report {
    /// How far the call is.
    Step {
        /// How much is done, in whatever unit.
        done: f64,
        /// How much there is to do, if that is known.
        total: Option<f64>,
        /// What is being done, for people.
        message: Option<String>,
    },
    /// A message for the client.
    Message {
        /// How severe it is.
        level: LogLevel,
        /// The text.
        text: String,
    },
}

/// The reports of one call; see [`Progress::channel`].
#[derive(Debug)]
pub struct Reports(mpsc::Receiver<Report>);

impl Reports {
    /// The next report; `None` once the call has ended and all were taken. Cancel safe.
    pub async fn next(&mut self) -> Option<Report> {
        self.0.recv().await
    }

    /// Takes no further reports; those that wait can still be taken.
    pub fn close(&mut self) {
        self.0.close();
    }

    /// The next report, if one is there already.
    pub fn try_next(&mut self) -> Option<Report> {
        self.0.try_recv().ok()
    }
}

/// The severity of a message, as in syslog.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LogLevel {
    /// Details for debugging.
    Debug,
    /// Normal operation.
    Info,
    /// Normal but significant.
    Notice,
    /// A potential problem.
    Warning,
    /// A failure.
    Error,
    /// A critical failure of a component.
    Critical,
    /// Immediate action is required.
    Alert,
    /// The system is unusable.
    Emergency,
}

impl Progress {
    /// Reports for a call that a door lets in, and their receiver: the steps of the call if `steps`, and messages of at
    /// least `level`. Up to 64 wait; further ones are dropped.
    pub fn channel(steps: bool, level: Option<LogLevel>) -> (Self, Reports) {
        let (sender, receiver) = mpsc::channel(CHANNEL_CAPACITY);
        (Self::to(sender, steps, level), Reports(receiver))
    }

    /// Reports that go to `sink`: the steps of the call if `steps`, and messages of at least `level`.
    pub fn to(sink: impl ReportSink + 'static, steps: bool, level: Option<LogLevel>) -> Self {
        let reached = steps.then(|| Mutex::new(f64::NEG_INFINITY));
        Self(Some(Arc::new(Listener { reached, level, to: sink })))
    }

    /// Returns whether the caller receives reports. Useful only to skip the costly preparation of a report.
    pub fn is_enabled(&self) -> bool {
        self.0.as_ref().is_some_and(|listener| listener.reached.is_some() && !listener.to.is_closed())
    }

    /// Reports progress: `done` of `total`, in any unit; `total` may be unknown. Reports that do not advance beyond the
    /// last one or are not finite are dropped.
    ///
    /// ```
    /// # use platools::Progress;
    /// # let progress = Progress::default();
    /// progress.report(3.0, 10.0);
    /// progress.report(4.0, None);
    /// ```
    pub fn report(&self, done: f64, total: impl Into<Option<f64>>) {
        self.send(done, total.into(), None);
    }

    /// Reports progress with a message, such as `reading page 3`.
    pub fn report_with(&self, done: f64, total: impl Into<Option<f64>>, message: impl Into<String>) {
        if self.is_enabled() {
            self.send(done, total.into(), Some(message.into()));
        }
    }

    fn send(&self, done: f64, total: Option<f64>, message: Option<String>) {
        let Some(listener) = &self.0 else { return };
        let Some(reached) = &listener.reached else { return };
        if !done.is_finite() {
            return;
        }
        let mut reached = reached.lock().unwrap_or_else(PoisonError::into_inner);
        if done > *reached {
            let report = Report::Step { done, total: total.filter(|total| total.is_finite()), message };
            // Sent under the lock, so that reports of several threads stay in order.
            if listener.to.report(report) {
                *reached = done;
            }
        }
    }

    /// Sends the client a message, if it requested that level. Must not contain secrets, and does not replace the
    /// program's own log.
    pub fn log(&self, level: LogLevel, text: impl Into<String>) {
        let Some(listener) = &self.0 else { return };
        if listener.level.is_some_and(|least| level >= least) {
            listener.to.report(Report::Message { level, text: text.into() });
        }
    }
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Progress").field("is_enabled", &self.is_enabled()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(receiver: &mut Reports) -> Vec<f64> {
        let mut steps = Vec::new();
        while let Some(report) = receiver.try_next() {
            if let Report::Step { done, .. } = report {
                steps.push(done);
            }
        }
        steps
    }

    #[test]
    fn reports_only_go_forward() {
        let (progress, mut receiver) = Progress::channel(true, None);
        assert!(progress.is_enabled());
        for done in [1.0, 1.0, 0.5, f64::NAN, f64::INFINITY, 2.0] {
            progress.report(done, None);
        }
        progress.log(LogLevel::Emergency, "not requested");
        assert_eq!(steps(&mut receiver), [1.0, 2.0]);
    }

    #[test]
    fn a_slow_receiver_misses_reports_and_delays_nothing() {
        let (progress, mut receiver) = Progress::channel(true, None);
        for done in 0..1_000 {
            progress.report_with(f64::from(done), 1_000.0, "step");
        }
        assert_eq!(steps(&mut receiver).len(), CHANNEL_CAPACITY);
        drop(receiver);
        progress.report(2_000.0, None);
        assert!(!progress.is_enabled());
    }

    #[test]
    fn messages_below_the_requested_level_are_dropped() {
        let (progress, mut receiver) = Progress::channel(false, Some(LogLevel::Warning));
        progress.report(1.0, None);
        progress.log(LogLevel::Notice, "a");
        progress.log(LogLevel::Error, "b");
        let report = Report::Message { level: LogLevel::Error, text: "b".to_owned() };
        assert_eq!((receiver.try_next(), receiver.try_next()), (Some(report), None));
    }
}
