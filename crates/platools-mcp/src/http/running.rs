//! A call that runs: it is cancelled when its client is gone, and may be handed over to `rmcp`.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rmcp::RoleServer;
use rmcp::model::{ErrorData, ProgressToken};
use rmcp::service::RequestContext;
use tokio::task::{JoinError, JoinHandle};
use tokio::time::sleep;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::presence::Presence;
use crate::call::ToolCall;
use crate::reports;
use platools::caller::{CallContext, LogLevel, Progress, Report, Reports};
use platools::intake::{Answer, CallRequest, Door};

/// A running call. Dropping it cancels the call.
pub(super) struct Running {
    call: JoinHandle<Answer>,
    /// The answer, if the call has ended already.
    ended: Option<Answer>,
    /// The oldest report that is not sent yet; later ones are in `reports`.
    first: Option<Report>,
    reports: Option<Reports>,
    cancel: DropGuard,
}

/// A call that was started before `rmcp` saw the request; the first to take it gets it.
#[derive(Clone)]
pub(super) struct StartedCall(Arc<Mutex<Option<Running>>>);

impl StartedCall {
    pub(super) fn new(running: Running) -> Self {
        Self(Arc::new(Mutex::new(Some(running))))
    }

    pub(super) fn take(&self) -> Option<Running> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Running {
    pub(super) fn start(
        door: &Door,
        call: ToolCall,
        context: CallContext,
        presence: Option<Presence>,
        reports: Option<(Progress, Reports)>,
    ) -> Self {
        let door = door.clone();
        let (progress, reports) =
            reports.map_or_else(Default::default, |(progress, reports)| (progress, Some(reports)));
        let cancel = CancellationToken::new();
        let until = cancelled(cancel.clone(), presence);
        let request = CallRequest::new(call.name, call.arguments, context).progress(progress);
        let call = tokio::spawn(async move { door.run_until(request, until).await });
        Self { call, ended: None, first: None, reports, cancel: cancel.drop_guard() }
    }

    /// Returns the token that cancels the call.
    pub(super) fn cancellation(&self) -> CancellationToken {
        self.cancel.token().clone()
    }

    /// Returns the answer if the call ends within `time` and without a report.
    pub(super) async fn ends_within(&mut self, time: Duration) -> Option<Answer> {
        tokio::select! {
            biased;
            report = reported(&mut self.reports) => self.first = Some(report),
            ended = &mut self.call => {
                let ended = ended.ok()?;
                self.first = self.reports.as_mut().and_then(Reports::try_next);
                if self.first.is_none() {
                    return Some(ended);
                }
                self.ended = Some(ended);
            }
            () = sleep(time) => {}
        }
        None
    }

    /// Sends the reports of the call, log messages of at least `level` among them, and returns its answer.
    pub(super) async fn end(
        self,
        request: &RequestContext<RoleServer>,
        token: Option<ProgressToken>,
        level: Option<LogLevel>,
        tool: &str,
    ) -> Result<Answer, ErrorData> {
        let Self { mut call, ended, first, reports, cancel } = self;
        let stop = CancellationToken::new();
        let call = async {
            let _stop = stop.clone().drop_guard();
            if let Some(ended) = ended {
                return Ok(ended);
            }
            tokio::select! {
                biased;
                ended = &mut call => return ended.map_err(|error| lost(&error)),
                () = request.ct.cancelled() => drop(cancel),
            }
            call.await.map_err(|error| lost(&error))
        };
        let Some(mut reports) = reports else { return call.await };
        // Reports are sent while the call runs; those left at its end are sent before the result.
        let forward = async {
            let mut first = first;
            while let Some(report) = match first.take() {
                Some(first) => Some(first),
                None => next(&mut reports, &stop).await,
            } {
                // A call that was started before the level was known reports every level.
                let is_wanted = match &report {
                    Report::Message { level: of, .. } => level.is_some_and(|least| *of >= least),
                    _ => true,
                };
                if is_wanted
                    && let Some(notification) = reports::notification(report, token.as_ref(), tool)
                    && request.peer.send_notification(notification).await.is_err()
                {
                    // The client is gone; the call goes on.
                    reports.close();
                    return;
                }
            }
        };
        tokio::join!(call, forward).0
    }
}

/// Returns the next report; after `stop`, those that are left.
async fn next(reports: &mut Reports, stop: &CancellationToken) -> Option<Report> {
    tokio::select! {
        biased;
        report = reports.next() => report,
        () = stop.cancelled() => {
            reports.close();
            reports.next().await
        }
    }
}

/// Returns the next report; never ends without one.
async fn reported(reports: &mut Option<Reports>) -> Report {
    if let Some(reports) = reports
        && let Some(report) = reports.next().await
    {
        return report;
    }
    std::future::pending().await
}

/// Describes a task that ended without an answer: calls are panic-isolated, so only the end of the runtime does that.
fn lost(error: &JoinError) -> ErrorData {
    tracing::error!("a call ended without an answer: {error}");
    ErrorData::internal_error("the call ended without an answer", None)
}

/// Ends when the call is cancelled or its client is gone.
async fn cancelled(cancel: CancellationToken, presence: Option<Presence>) {
    let gone = async {
        match &presence {
            Some(presence) => presence.gone().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = cancel.cancelled() => {}
        () = gone => {}
    }
}
