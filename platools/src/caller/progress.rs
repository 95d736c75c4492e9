//! How far a call is, told to whoever waits for it.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc;

/// How many reports wait for a client that takes them slowly; beyond that they are left out.
#[cfg(feature = "mcp")]
const WAITING: usize = 64;

/// Tells the caller how far a call is, where its door has somebody who listens: an MCP client that asked for it.
/// Everywhere else, and on the platform's WebSocket, reports go nowhere and cost nothing.
///
/// A parameter of a tool, taken by type. Reports never block and never fail; when the client takes them more slowly
/// than they come, some are left out. Cheap to clone.
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

struct Listener<T: ?Sized = dyn Listen> {
    /// How far the call was at the last report, when the client wants such reports.
    reached: Option<Mutex<f64>>,
    /// The least severe message that the client wants.
    level: Option<LogLevel>,
    to: T,
}

/// A door that takes reports.
pub(crate) trait Listen: Send + Sync {
    /// Takes a report, if there is room for it. Never waits.
    fn hear(&self, report: Report) -> bool;

    /// Whether nobody wants reports any more.
    fn is_gone(&self) -> bool;
}

impl Listen for mpsc::Sender<Report> {
    fn hear(&self, report: Report) -> bool {
        self.try_send(report).is_ok()
    }

    fn is_gone(&self) -> bool {
        self.is_closed()
    }
}

impl<T: Listen + ?Sized> Listen for Arc<T> {
    fn hear(&self, report: Report) -> bool {
        (**self).hear(report)
    }

    fn is_gone(&self) -> bool {
        (**self).is_gone()
    }
}

/// What a handler said.
#[cfg_attr(not(feature = "mcp"), expect(dead_code, reason = "nobody reads them"))]
pub(crate) enum Report {
    Step { done: f64, total: Option<f64>, message: Option<String> },
    Message { level: LogLevel, text: String },
}

/// How severe a message is, in the words of syslog.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LogLevel {
    /// For whoever looks for a mistake.
    Debug,
    /// What happens in the ordinary course.
    Info,
    /// Ordinary, and worth a look.
    Notice,
    /// Something that may become a problem.
    Warning,
    /// Something failed.
    Error,
    /// A part of the system failed.
    Critical,
    /// Somebody has to act at once.
    Alert,
    /// The system cannot be used.
    Emergency,
}

impl Progress {
    /// A sender of reports to whoever holds the receiver: about the way done, if `steps`, and messages of at least
    /// that level.
    #[cfg(feature = "mcp")]
    pub(crate) fn new(steps: bool, level: Option<LogLevel>) -> (Self, mpsc::Receiver<Report>) {
        let (reports, receiver) = mpsc::channel(WAITING);
        (Self::heard_by(reports, steps, level), receiver)
    }

    /// The same, to any door.
    #[cfg(feature = "mcp")]
    pub(crate) fn heard_by(to: impl Listen + 'static, steps: bool, level: Option<LogLevel>) -> Self {
        let reached = steps.then(|| Mutex::new(f64::NEG_INFINITY));
        Self(Some(Arc::new(Listener { reached, level, to })))
    }

    /// Whether somebody wants to hear how far the call is. Worth asking only before costly work.
    pub fn is_heard(&self) -> bool {
        self.0.as_ref().is_some_and(|listener| listener.reached.is_some() && !listener.to.is_gone())
    }

    /// Says how far the call is: `done` of `total`, in whatever unit, if the whole is known. A report that is not
    /// beyond the last one is left out, as is one that is no finite number.
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

    /// The same in words, too: `reading page 3`.
    pub fn report_with(&self, done: f64, total: impl Into<Option<f64>>, message: impl Into<String>) {
        if self.is_heard() {
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
            if listener.to.hear(report) {
                *reached = done;
            }
        }
    }

    /// Sends the client a message, if it wants those of that level. Not a place for secrets, and no replacement of
    /// the program's own log.
    pub fn log(&self, level: LogLevel, text: impl Into<String>) {
        let Some(listener) = &self.0 else { return };
        if listener.level.is_some_and(|least| level >= least) {
            listener.to.hear(Report::Message { level, text: text.into() });
        }
    }
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Progress").field("is_heard", &self.is_heard()).finish()
    }
}

#[cfg(all(test, feature = "mcp"))]
mod tests {
    use super::*;

    fn steps(receiver: &mut mpsc::Receiver<Report>) -> Vec<f64> {
        let mut steps = Vec::new();
        while let Ok(report) = receiver.try_recv() {
            if let Report::Step { done, .. } = report {
                steps.push(done);
            }
        }
        steps
    }

    #[test]
    fn reports_only_go_forward() {
        let (progress, mut receiver) = Progress::new(true, None);
        assert!(progress.is_heard());
        for done in [1.0, 1.0, 0.5, f64::NAN, f64::INFINITY, 2.0] {
            progress.report(done, None);
        }
        progress.log(LogLevel::Emergency, "nobody asked");
        assert_eq!(steps(&mut receiver), [1.0, 2.0]);
    }

    #[test]
    fn a_slow_listener_misses_reports_and_delays_nobody() {
        let (progress, mut receiver) = Progress::new(true, None);
        for done in 0..1_000 {
            progress.report_with(f64::from(done), 1_000.0, "step");
        }
        assert_eq!(steps(&mut receiver).len(), WAITING);
        drop(receiver);
        progress.report(2_000.0, None);
        assert!(!progress.is_heard());
    }

    #[test]
    fn messages_below_the_wanted_level_are_left_out() {
        let (progress, mut receiver) = Progress::new(false, Some(LogLevel::Warning));
        progress.report(1.0, None);
        progress.log(LogLevel::Notice, "a");
        progress.log(LogLevel::Error, "b");
        assert!(
            matches!(receiver.try_recv(), Ok(Report::Message { level: LogLevel::Error, text }) if text == "b")
        );
        assert!(receiver.try_recv().is_err());
    }
}
