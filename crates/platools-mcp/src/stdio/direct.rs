//! Runs ordinary calls of an initialized session in one task each, without `rmcp`. Other messages go through `rmcp`, with
//! the same results.

use std::sync::{Arc, Mutex, PoisonError};

use rmcp::RoleServer;
use rmcp::model::ProgressToken;
use rmcp::service::TxJsonRpcMessage;
use tokio::sync::{mpsc, oneshot};

use super::lines::line_of;
use super::waiting::Waiting;
use crate::plain::PlainCall;
use crate::session::{Level, Shared};
use crate::{answer, calls, messages};
use platools::caller::{Progress, Report, ReportSink};
use platools::intake::CallRequest;

/// Runs calls of one client.
pub(super) struct Direct {
    shared: Arc<Shared>,
    level: Level,
}

impl Direct {
    pub(super) fn new(shared: &Arc<Shared>, level: &Level) -> Self {
        Self { shared: Arc::clone(shared), level: level.clone() }
    }

    /// Starts the call in `line` if it is an ordinary one; its answer goes to `output`. Returns whether it did.
    pub(super) fn takes(&self, line: &[u8], waiting: &Arc<Waiting>, output: &mpsc::Sender<Vec<u8>>) -> bool {
        let Some(call) = PlainCall::read(line, &self.shared) else { return false };
        let Some(cancelled) = waiting.add_call(&call.id) else { return false };
        let (shared, level) = (Arc::clone(&self.shared), self.level.clone());
        tokio::spawn(run(shared, level, call, cancelled, Arc::clone(waiting), output.clone()));
        true
    }
}

async fn run(
    shared: Arc<Shared>,
    level: Level,
    call: PlainCall,
    mut cancelled: oneshot::Receiver<()>,
    waiting: Arc<Waiting>,
    output: mpsc::Sender<Vec<u8>>,
) {
    let PlainCall { id, name, arguments, meta, structure } = call;
    let context = calls::context(&shared.server.caller, meta.traceparent.as_deref(), None);
    let steps = meta.progress_token.is_some();
    let reports = Arc::new(Reports {
        output: Mutex::new(Some(output.clone())),
        token: meta.progress_token,
        tool: name.clone(),
    });
    let progress = Progress::to(Arc::clone(&reports), steps, Some(level.get()));
    let until = async {
        let _ = (&mut cancelled).await;
    };
    let request = CallRequest::new(name, arguments, context).progress(progress);
    let answer = shared.server.door.run_until(request, until).await;
    reports.end();
    let line = answer::message(&id, answer, structure);
    // Reserved first: once a request no longer waits, its answer is in the queue.
    if let Ok(place) = output.reserve().await
        && waiting.remove_call(&id, &mut cancelled)
    {
        place.send(line);
    }
}

/// Writes the reports of one call among the answers, before its own.
struct Reports {
    /// `None` once the call has ended.
    output: Mutex<Option<mpsc::Sender<Vec<u8>>>>,
    token: Option<ProgressToken>,
    tool: String,
}

impl Reports {
    /// Drops all further reports, so that none follows the answer.
    fn end(&self) {
        drop(self.output.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

impl ReportSink for Reports {
    fn report(&self, report: Report) -> bool {
        let output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(output) = &*output else { return false };
        let Some(notification) = messages::notification(report, self.token.as_ref(), &self.tool) else {
            return false;
        };
        let Ok(place) = output.try_reserve() else { return false };
        place.send(line_of(&TxJsonRpcMessage::<RoleServer>::notification(notification)));
        true
    }

    fn is_closed(&self) -> bool {
        self.output
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .as_ref()
            .is_none_or(mpsc::Sender::is_closed)
    }
}
