//! One `tools/call`: who is calling, how far it is, and when nobody waits for it any more.

use ::http::HeaderMap;
use ::http::request::Parts;
use rmcp::RoleServer;
use rmcp::model::{CallToolRequestParams, CallToolResult, ErrorData};
use rmcp::service::RequestContext;
use tokio_util::sync::CancellationToken;

use super::http::Presence;
use super::session::Shared;
use super::{answer, messages};
use crate::context::{CallContext, LogLevel, Progress};
use crate::tool::arguments::nearest;
use crate::tool::{Arguments, ToolResult};

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
    let arguments = arguments.map(Arguments::from).unwrap_or_default();
    let parts = request.extensions.get::<Parts>();
    let headers = parts.map(|parts| &parts.headers);
    let context = context(&shared.server.caller, request.meta.get_traceparent(), headers);
    let call_id = context.call_id().to_owned();

    let presence = parts.and_then(|parts| parts.extensions.get::<Presence>().cloned());
    let taken_back = taken_back(request.ct.clone(), presence);
    let dispatcher = &shared.server.toolbox.dispatcher;
    let token = request.meta.get_progress_token();
    let result = if token.is_none() && level.is_none() {
        dispatcher.call_until(taken_back, &name, arguments, context, Progress::default()).await
    } else {
        let (progress, mut reports) = Progress::new(token.is_some(), level);
        let stop = CancellationToken::new();
        let call = async {
            let _stop = stop.clone().drop_guard();
            dispatcher.call_until(taken_back, &name, arguments, context, progress).await
        };
        // Reports are sent while the call runs, and what waits at its end goes out before the result.
        let forward = messages::forward(&mut reports, &request.peer, token, &name, &stop);
        let (result, ()): (ToolResult, ()) = tokio::join!(call, forward);
        result
    };
    Ok(answer::of(result, structure, &call_id, shared.server.toolbox.show_internal_errors))
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

/// Ends when the client cancels the request, or is gone.
async fn taken_back(cancelled: CancellationToken, presence: Option<Presence>) {
    let gone = async {
        match &presence {
            Some(presence) => presence.gone().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = cancelled.cancelled() => {}
        () = gone => {}
    }
}

fn unknown<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> ErrorData {
    let shown: String = name.chars().take(100).collect();
    let text = match nearest(name, names) {
        Some(nearest) => format!("unknown tool: {shown} (did you mean `{nearest}`?)"),
        None => format!("unknown tool: {shown}"),
    };
    ErrorData::invalid_params(text, None)
}
