//! The calls of one client on streams: each runs in a task of its own.

use std::sync::{Arc, Mutex, PoisonError};

use rmcp::RoleServer;
use rmcp::model::{ErrorData, ProgressToken, ProtocolVersion, ServerJsonRpcMessage};
use rmcp::service::TxJsonRpcMessage;
use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;

use super::lines::{Output, line_of};
use super::requests::Requests;
use crate::answer;
use crate::call::ToolCall;
use crate::reports;
use crate::server::ServerState;
use crate::session::Level;
use platools::caller::{Progress, Report, ReportSink};
use platools::intake::CallRequest;

/// Runs calls of one client.
pub(super) struct Calls {
    pub(super) state: Arc<ServerState>,
    pub(super) level: Level,
    pub(super) requests: Arc<Requests>,
    pub(super) output: Output,
    pub(super) tasks: TaskTracker,
}

impl Calls {
    /// Starts the call, whose answer or error goes to the output.
    pub(super) fn start(self: &Arc<Self>, call: ToolCall, cancelled: oneshot::Receiver<()>) {
        let calls = Arc::clone(self);
        self.tasks.spawn(async move { calls.run(call, cancelled).await });
    }

    async fn run(&self, call: ToolCall, mut cancelled: oneshot::Receiver<()>) {
        let id = call.id.clone();
        let line = match self.answer(call, &mut cancelled).await {
            Ok(line) => line,
            Err(error) => line_of(&ServerJsonRpcMessage::error(error, Some(id.clone()))),
        };
        // Reserved first: once a request no longer waits, its answer is in the queue.
        if let Ok(place) = self.output.reserve().await
            && self.requests.remove_call(&id, &mut cancelled)
        {
            place.send(line);
        }
    }

    /// Runs the call and returns its answer as a line.
    async fn answer(
        &self,
        call: ToolCall,
        cancelled: &mut oneshot::Receiver<()>,
    ) -> Result<Vec<u8>, ErrorData> {
        check_version(&call)?;
        let structure = tokio::select! {
            biased;
            structure = self.state.structure(&call.name) => structure?,
            _ = &mut *cancelled => return Ok(Vec::new()),
        };
        let context = call.context(&self.state.server.caller).build();
        let (level, is_typed) = (self.level.of(&call), call.is_without_handshake());
        let token = call.meta.get_progress_token();
        let steps = token.is_some();
        let output = Mutex::new(Some(self.output.clone()));
        let reports = Arc::new(Reports { output, token, tool: call.name.clone() });
        let progress = Progress::to(Arc::clone(&reports), steps, level);
        let request = CallRequest::new(call.name, call.arguments, context).progress(progress);
        let until = async {
            let _ = cancelled.await;
        };
        let answer = self.state.server.door.run_until(request, until).await;
        reports.end();
        Ok(answer::message(&call.id, answer, structure, is_typed))
    }
}

/// Checks the version of the protocol that the request names, as `rmcp` does for other requests.
fn check_version(call: &ToolCall) -> Result<(), ErrorData> {
    let Some(version) = call.meta.protocol_version() else { return Ok(()) };
    if !ProtocolVersion::KNOWN_VERSIONS.contains(&version) {
        return Err(ErrorData::unsupported_protocol_version(version, ProtocolVersion::KNOWN_VERSIONS));
    }
    match call.meta.missing_required_keys(&version) {
        missing if missing.is_empty() => Ok(()),
        missing => Err(incomplete(&missing)),
    }
}

/// Creates the error for a request that lacks metadata which its version of the protocol requires.
pub(super) fn incomplete(missing: &[&str]) -> ErrorData {
    let missing = missing.join(", ");
    ErrorData::invalid_params(
        format!("request _meta is missing or has malformed required fields: {missing}"),
        None,
    )
}

/// Writes the reports of one call among the answers, before its own.
struct Reports {
    /// `None` once the call has ended.
    output: Mutex<Option<Output>>,
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
        let Some(notification) = reports::notification(report, self.token.as_ref(), &self.tool) else {
            return false;
        };
        let Ok(place) = output.try_reserve() else { return false };
        place.send(line_of(&TxJsonRpcMessage::<RoleServer>::notification(notification)));
        true
    }

    fn is_closed(&self) -> bool {
        self.output.lock().unwrap_or_else(PoisonError::into_inner).as_ref().is_none_or(Output::is_closed)
    }
}
