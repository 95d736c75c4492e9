//! One `tools/call`: who is calling, how far it is, and when nobody waits for it any more.

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
use crate::caller::{CallContext, LogLevel, Progress, Report, Reports};
use crate::intake::{Answer, CallRequest};
use crate::tool::{Arguments, nearest_name};

/// The header with an access token that the entity issued.
const ENTITY_TOKEN: &str = "X-Platos-Entity-Token";
/// The header with the user's token.
const USER_TOKEN: &str = "X-Platos-User-Token";

/// Runs a call that came through `rmcp`. Messages of at least `level` go to the client.
///
/// # Errors
/// When there is no such tool. A call that fails is a result.
pub(super) async fn call(
    shared: &Shared,
    params: CallToolRequestParams,
    request: RequestContext<RoleServer>,
    level: Option<LogLevel>,
) -> Result<CallToolResult, ErrorData> {
    let CallToolRequestParams { name, arguments, .. } = params;
    let catalog = shared.catalog();
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

/// A call on its way. Dropped, it is taken back.
pub(super) struct Running {
    call: JoinHandle<Answer>,
    /// Its answer, when that is known already.
    ended: Option<Answer>,
    /// A report that is not sent yet, and those behind it.
    first: Option<Report>,
    reports: Option<Reports>,
    taken_back: DropGuard,
}

/// A call that began before `rmcp` knew of it, for whoever takes it first.
#[derive(Clone)]
pub(super) struct Adopted(Arc<Mutex<Option<Running>>>);

impl Adopted {
    pub(super) fn new(running: Running) -> Self {
        Self(Arc::new(Mutex::new(Some(running))))
    }

    fn take(&self) -> Option<Running> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Running {
    pub(super) fn start(
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
        let taken_back = CancellationToken::new();
        let until = unwanted(taken_back.clone(), presence);
        let request = CallRequest::new(name, arguments, context).progress(progress);
        let call = tokio::spawn(async move { door.run_until(request, until).await });
        Self { call, ended: None, first: None, reports, taken_back: taken_back.drop_guard() }
    }

    /// What takes the call back.
    pub(super) fn taken_back(&self) -> CancellationToken {
        self.taken_back.token().clone()
    }

    /// The answer, if it comes within `time` and before any report.
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

    /// The answer, with all reports before it.
    async fn end(
        self,
        request: &RequestContext<RoleServer>,
        token: Option<ProgressToken>,
        level: Option<LogLevel>,
        name: &str,
    ) -> Result<Answer, ErrorData> {
        let Self { mut call, ended, first, reports, taken_back, .. } = self;
        let stop = CancellationToken::new();
        let call = async {
            let _stop = stop.clone().drop_guard();
            if let Some(ended) = ended {
                return Ok(ended);
            }
            tokio::select! {
                biased;
                ended = &mut call => return ended.map_err(lost),
                () = request.ct.cancelled() => drop(taken_back),
            }
            call.await.map_err(lost)
        };
        let Some(mut reports) = reports else { return call.await };
        // Reports are sent while the call runs, and what waits at its end goes out before the result.
        let to = Client { peer: &request.peer, token, level, tool: name };
        let forward = messages::forward(first, &mut reports, &to, &stop);
        tokio::join!(call, forward).0
    }
}

/// The next report.
async fn reported(reports: &mut Option<Reports>) -> Report {
    if let Some(reports) = reports
        && let Some(report) = reports.next().await
    {
        return report;
    }
    std::future::pending().await
}

/// A call panics nowhere, so its task ends without an answer only with the runtime.
fn lost(error: JoinError) -> ErrorData {
    tracing::error!("a call ended without an answer: {error}");
    ErrorData::internal_error("the call ended without an answer", None)
}

/// Who is calling: as the server was told, as far as the request does not say otherwise.
pub(super) fn context(
    caller: &CallContext,
    traceparent: Option<&str>,
    headers: Option<&HeaderMap>,
) -> CallContext {
    let header = |name| headers.and_then(|headers: &HeaderMap| headers.get(name)?.to_str().ok());
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

/// Ends when the call is taken back, or its client is gone.
async fn unwanted(taken_back: CancellationToken, presence: Option<Presence>) {
    let gone = async {
        match &presence {
            Some(presence) => presence.gone().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = taken_back.cancelled() => {}
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
