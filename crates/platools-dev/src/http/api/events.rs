//! Events of the platform as server-sent events, which can be resumed.

use std::collections::VecDeque;
use std::convert::Infallible;

use axum::Extension;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event as Sse, KeepAlive};
use futures_util::stream::{self, Stream, StreamExt as _};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use utoipa::openapi::Object;
use utoipa::{IntoParams, ToSchema};

use crate::event::{Ending, Event};
use crate::http::app::{App, Stopping};
use crate::http::error::ApiError;
use crate::http::extract::Query;
use crate::http::openapi::one_of;
use crate::http::time::{milliseconds, rfc3339};
use crate::journal::{Resumed, Stamped};

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct Wanted {
    /// Begin with so many of the last events, if there is no `Last-Event-ID`.
    #[param(default = 0)]
    #[serde(default)]
    recent: usize,
}

/// The data of an event.
#[derive(ToSchema)]
#[schema(as = Event)]
#[expect(dead_code, reason = "`write` makes it")]
struct Data {
    #[schema(schema_with = kinds)]
    r#type: String,
    #[schema(format = DateTime, nullable = false)]
    at: Option<String>,
    #[schema(nullable = false)]
    entity: Option<String>,
    #[schema(nullable = false)]
    environment: Option<String>,
}

/// All kinds of events.
const KINDS: [&str; 19] = [
    "hello",
    "missed",
    "connected",
    "refused",
    "disconnected",
    "registered",
    "throttled",
    "registration_refused",
    "visibility",
    "heartbeat",
    "called",
    "answered",
    "timed_out",
    "abandoned",
    "recorded",
    "fault",
    "secret_rotated",
    "unexpected_answer",
    "malformed_frame",
];

fn kinds() -> Object {
    one_of(&KINDS)
}

// Ids are `{run}-{number}`.
/// Events, as server-sent events
#[utoipa::path(
    get,
    path = "/api/v1/events",
    operation_id = "events",
    params(
        (
            "Last-Event-ID" = Option<String>, Header, nullable = false,
            description = "The id of the last event that was seen: the stream goes on behind it."
        ),
        Wanted
    ),
    responses((
        status = 200,
        description = "A stream that does not end. The first event is `hello`; its `complete` says whether nothing was \
            missed since `Last-Event-ID`. `missed` tells a reader that it was too slow. Every event carries JSON with \
            `type`, and mostly `at`, `entity` and `environment`.",
        content_type = "text/event-stream",
        body = Data
    ))
)]
pub(in crate::http) async fn stream(
    State(app): State<App>,
    Query(Wanted { recent }): Query<Wanted>,
    Extension(Stopping(stopping)): Extension<Stopping>,
    headers: HeaderMap,
) -> Result<axum::response::Sse<impl Stream<Item = Result<Sse, Infallible>>>, ApiError> {
    let run = app.shared.journal.run.clone();
    let Resumed { missed, is_complete, last, receiver } =
        app.shared.journal.resume(position(&headers, &run), recent);
    let mut hello =
        Sse::default().event("hello").data(json!({"type": "hello", "complete": is_complete}).to_string());
    if missed.is_empty() {
        hello = hello.id(format!("{run}-{last}"));
    }
    let waiting = VecDeque::from(missed);
    let happening = stream::unfold((waiting, receiver, run), |(mut waiting, mut receiver, run)| async move {
        let event = match waiting.pop_front() {
            Some(stamped) => write(&run, &stamped),
            None => next(&mut receiver, &run).await?,
        };
        Some((event, (waiting, receiver, run)))
    });
    let events = stream::once(async { hello }).chain(happening).map(Ok);
    let events = events.take_until(stopping.cancelled_owned());
    Ok(axum::response::Sse::new(events).keep_alive(KeepAlive::default()))
}

/// The number of the last event that the client saw, if it is one of this run.
fn position(headers: &HeaderMap, run: &str) -> Option<u64> {
    let id = headers.get("last-event-id")?.to_str().ok()?;
    let (other, number) = id.split_once('-')?;
    (other == run).then(|| number.parse().ok()).flatten()
}

async fn next(receiver: &mut Receiver<Stamped>, run: &str) -> Option<Sse> {
    match receiver.recv().await {
        Ok(stamped) => Some(write(run, &stamped)),
        Err(RecvError::Lagged(missed)) => {
            Some(Sse::default().event("missed").data(json!({"type": "missed", "missed": missed}).to_string()))
        }
        Err(RecvError::Closed) => None,
    }
}

fn write(run: &str, stamped: &Stamped) -> Sse {
    let Stamped { number, at, event } = stamped;
    let (kind, mut data) = describe(event);
    debug_assert!(KINDS.contains(&kind), "{kind}");
    data["type"] = kind.into();
    data["at"] = rfc3339(*at).into();
    Sse::default().id(format!("{run}-{number}")).event(kind).data(data.to_string())
}

/// The kind of an event, and its further data.
fn describe(event: &Event) -> (&'static str, Value) {
    let (kind, key, mut data) = match event {
        Event::Connected { key, connection_id } => {
            ("connected", Some(key), json!({"connection_id": connection_id}))
        }
        Event::Refused { reason } => ("refused", None, json!({"reason": reason})),
        Event::Disconnected { key, connection_id, ending } => {
            let mut data = describe_ending(ending);
            data["connection_id"] = connection_id.as_str().into();
            ("disconnected", Some(key), data)
        }
        Event::Registered { key, counts } => (
            "registered",
            Some(key),
            json!({"count": counts.count, "new_tools": counts.new_tools, "updated": counts.updated, "pruned": counts.pruned}),
        ),
        Event::Throttled { key, retry_after } => {
            ("throttled", Some(key), json!({"retry_after_ms": milliseconds(*retry_after)}))
        }
        Event::RegistrationRefused { key, text } => {
            ("registration_refused", Some(key), json!({"text": text}))
        }
        Event::Visibility { key, visible } => ("visibility", Some(key), json!({"visible": visible})),
        Event::Heartbeat { key, tools } => ("heartbeat", Some(key), json!({"tools": tools})),
        Event::Called { key, call_id, tool, over_http } => {
            ("called", Some(key), json!({"call_id": call_id, "tool": tool, "over_http": over_http}))
        }
        Event::Answered { key, call_id, ok } => {
            ("answered", Some(key), json!({"call_id": call_id, "ok": ok}))
        }
        Event::TimedOut { key, call_id } => ("timed_out", Some(key), json!({"call_id": call_id})),
        Event::Abandoned { key, call_id } => ("abandoned", Some(key), json!({"call_id": call_id})),
        Event::Recorded { key, call_id, id } => {
            ("recorded", Some(key), json!({"call_id": call_id, "id": id}))
        }
        Event::FaultInjected { key, fault } => ("fault", Some(key), json!({"fault": fault})),
        Event::SecretRotated { entity } => ("secret_rotated", None, json!({"entity": entity})),
        // Without the frame, which may hold secrets of its sender.
        Event::UnexpectedAnswer { key, call_id, .. } => {
            ("unexpected_answer", Some(key), json!({"call_id": call_id}))
        }
        Event::MalformedFrame { key, problem } => ("malformed_frame", Some(key), json!({"problem": problem})),
    };
    if let Some(key) = key {
        data["entity"] = key.entity.as_str().into();
        data["environment"] = key.environment.as_str().into();
    }
    (kind, data)
}

fn describe_ending(ending: &Ending) -> Value {
    match ending {
        Ending::ClosedByHost { code, reason } => {
            json!({"ending": "closed_by_host", "code": code, "reason": reason})
        }
        Ending::ClosedByPlatform { code, reason } => {
            json!({"ending": "closed_by_platform", "code": code, "reason": reason})
        }
        Ending::Cut => json!({"ending": "cut"}),
        Ending::FrameTooLarge => json!({"ending": "frame_too_large"}),
        Ending::Broken { problem } => json!({"ending": "broken", "problem": problem}),
    }
}
