//! Runs one `tools/call`: the caller, the reports, the cancellation.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ::http::HeaderMap;
use ::http::request::Parts;
use rmcp::RoleServer;
use rmcp::model::{CallToolRequestParams, CallToolResult, ErrorData, ProgressToken};
use rmcp::service::RequestContext;
use tokio::task::{JoinError, JoinHandle};
use tokio::time::sleep;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::answer;
use super::http::Presence;
use super::messages::{self, Client};
use super::session::Shared;
use platools::caller::{CallContext, LogLevel, Progress, Report, Reports};
use platools::intake::{Answer, CallRequest};
use platools::tool::{Arguments, nearest_name};

/// The header for an access token issued by the entity.
const ENTITY_TOKEN: &str = "X-Platos-Entity-Token";
/// The header for the user's token.
const USER_TOKEN: &str = "X-Platos-User-Token";

/// Runs a call that came through `rmcp`. Log messages of at least `level` are sent to the client.
///
/// # Errors
/// When the tool is unknown. A failed call is a result.
pub(crate) async fn call(
    shared: &Shared,
    params: CallToolRequestParams,
    request: RequestContext<RoleServer>,
    level: Option<LogLevel>,
) -> Result<CallToolResult, ErrorData> {
    let CallToolRequestParams { name, arguments, .. } = params;
    let mut catalog = shared.catalog();
    if catalog.structure(&name).is_none() {
        shared.server.until_ready().await;
        catalog = shared.catalog();
    }
    let structure = catalog.structure(&name).ok_or_else(|| unknown(&name, catalog.names()))?;
    let parts = request.extensions.get::<Parts>();
    let begun = parts.and_then(|parts| parts.extensions.get::<Adopted>()?.take());
    let token = request.meta.get_progress_token();
    let running = begun.unwrap_or_else(|| {
        let arguments = arguments.map(Arguments::from).unwrap_or_default();
        let headers = parts.map(|parts| &parts.headers);
        let context = context(&shared.server.caller, request.meta.get_traceparent(), headers);
        let presence = parts.and_then(|parts| parts.extensions.get::<Presence>().cloned());
        let heard = (token.is_some() || level.is_some()).then(|| Progress::channel(token.is_some(), level));
        Running::start(shared, name.clone().into(), arguments, context, presence, heard)
    });
    let answer = running.end(&request, token, level, &name).await?;
    Ok(answer::of(answer, structure))
}

/// A running call. Dropping it cancels the call.
pub(crate) struct Running {
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
pub(crate) struct Adopted(Arc<Mutex<Option<Running>>>);

impl Adopted {
    pub(crate) fn new(running: Running) -> Self {
        Self(Arc::new(Mutex::new(Some(running))))
    }

    fn take(&self) -> Option<Running> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Running {
    pub(crate) fn start(
        shared: &Shared,
        name: String,
        arguments: Arguments,
        context: CallContext,
        presence: Option<Presence>,
        heard: Option<(Progress, Reports)>,
    ) -> Self {
        let door = shared.server.door.clone();
        let (progress, reports) =
            heard.map_or_else(Default::default, |(progress, reports)| (progress, Some(reports)));
        let cancel = CancellationToken::new();
        let until = cancelled(cancel.clone(), presence);
        let request = CallRequest::new(name, arguments, context).progress(progress);
        let call = tokio::spawn(async move { door.run_until(request, until).await });
        Self { call, ended: None, first: None, reports, cancel: cancel.drop_guard() }
    }

    /// Returns the token that cancels the call.
    pub(crate) fn cancellation(&self) -> CancellationToken {
        self.cancel.token().clone()
    }

    /// Returns the answer if the call ends within `time` and without a report.
    pub(crate) async fn ends_within(&mut self, time: Duration) -> Option<Answer> {
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

    /// Sends the reports of the call and returns its answer.
    async fn end(
        self,
        request: &RequestContext<RoleServer>,
        token: Option<ProgressToken>,
        level: Option<LogLevel>,
        name: &str,
    ) -> Result<Answer, ErrorData> {
        let Self { mut call, ended, first, reports, cancel, .. } = self;
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
        let to = Client { peer: &request.peer, token, level, tool: name };
        let forward = messages::forward(first, &mut reports, &to, &stop);
        tokio::join!(call, forward).0
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

/// Builds the context of a call: the server's caller, overridden by the headers of the request.
pub(crate) fn context(
    caller: &CallContext,
    traceparent: Option<&str>,
    headers: Option<&HeaderMap>,
) -> CallContext {
    // The endpoint has refused headers that come twice or are not UTF-8.
    let header = |name| {
        headers.and_then(|headers: &HeaderMap| std::str::from_utf8(headers.get(name)?.as_bytes()).ok())
    };
    let mut context = caller.to_builder().call_id(format!("mcp-{:016x}", fastrand::u64(..)));
    if caller.source().is_none() {
        context = context.source("mcp_client");
    }
    if let Some(token) = header(ENTITY_TOKEN) {
        context = context.entity_token(token);
    }
    if let Some(token) = header(USER_TOKEN) {
        context = context.user_token(token);
    }
    if let Some(trace) = traceparent.or_else(|| header("traceparent")) {
        context = context.traceparent(trace);
    }
    context.build()
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

fn unknown<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> ErrorData {
    let shown: String = name.chars().take(100).collect();
    let text = match nearest_name(name, names) {
        Some(nearest) => format!("unknown tool: {shown} (did you mean `{nearest}`?)"),
        None => format!("unknown tool: {shown}"),
    };
    ErrorData::invalid_params(text, None)
}
