//! Calling a tool.

use std::time::{Duration, SystemTime};

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use jiff::Timestamp;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;
use utoipa::ToSchema;
use utoipa::openapi::Object;

use super::{Caller, session_tokens};
use crate::call::tamper::Tamper;
use crate::http::app::App;
use crate::http::error::ApiError;
use crate::http::extract::{Body, Path};
use crate::http::openapi::one_of;
use crate::http::view::{Call, shown};

/// The longest time that an answer is waited for, in milliseconds.
const LONGEST_WAIT_MS: u64 = 600_000;

/// A call to make.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct CallRequest {
    tool: String,
    /// Kept to the byte; the bytes are signed. Default: `{}`.
    #[schema(value_type = Object, required = false)]
    arguments: Option<Box<RawValue>>,
    /// The `_context`.
    #[schema(value_type = Object, required = false)]
    context: Option<Value>,
    /// Default: `user_dev`.
    #[schema(nullable = false)]
    user: Option<String>,
    /// Default: `agent_dev`.
    #[schema(nullable = false)]
    agent: Option<String>,
    /// Default: empty.
    #[schema(nullable = false)]
    thread: Option<String>,
    #[schema(nullable = false)]
    user_token: Option<String>,
    #[schema(nullable = false)]
    entity_token: Option<String>,
    #[schema(nullable = false)]
    call_id: Option<String>,
    #[serde(default)]
    #[schema(inline)]
    options: Options,
}

impl CallRequest {
    /// Takes the user from a session token, as the platform does for the agent that acts for them.
    fn act_for(&mut self, caller: Caller) -> Result<(), ApiError> {
        if self.user.is_some() || self.user_token.is_some() {
            let message = "`user` and `user_token` come from the session token: leave them out of the body";
            return Err(ApiError::bad_request("two_users", message));
        }
        if let Some(pinned) = caller.agent {
            if self.agent.as_ref().is_some_and(|agent| *agent != pinned) {
                let message = format!("the session token is for the agent `{pinned}` alone");
                return Err(ApiError::new(StatusCode::UNAUTHORIZED, "another_agent", message));
            }
            self.agent = Some(pinned);
        }
        self.user = Some(caller.user);
        self.user_token = caller.user_token;
        Ok(())
    }
}

#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Options {
    #[serde(default, deserialize_with = "tamper")]
    #[schema(schema_with = tampers, required = false)]
    tamper: Option<Tamper>,
    /// Sign without a nonce.
    #[serde(default)]
    legacy: bool,
    /// The time the call says it was signed at.
    #[serde(default, deserialize_with = "time")]
    #[schema(value_type = String, format = DateTime, required = false)]
    signed_at: Option<SystemTime>,
    #[schema(minimum = 1, maximum = 600_000, nullable = false)]
    timeout_ms: Option<u64>,
    /// How long the response waits for the answer; then it is 202 with the running call, which goes on. Default: to its end.
    #[schema(nullable = false)]
    wait_ms: Option<u64>,
}

fn tampers() -> Object {
    one_of(&Tamper::ALL.map(Tamper::as_str))
}

/// Call a tool and wait for the answer
#[utoipa::path(
    post,
    path = "/api/v1/entities/{entity}/{environment}/calls",
    operation_id = "callTool",
    params((
        "X-Platos-Session-Token" = Option<String>, Header, nullable = false,
        description = "A session token of this entity and environment: the user, the user's token and the agent come from it."
    )),
    request_body = CallRequest,
    responses(
        (status = 200, description = "The call was sent; `outcome` says how it ended", body = Call),
        (status = 202, description = "The call was sent, and still runs after `wait_ms`", body = Call),
        (status = 409)
    )
)]
pub(in crate::http) async fn call(
    State(app): State<App>,
    Path((entity, environment)): Path<(String, String)>,
    headers: HeaderMap,
    Body(mut request): Body<CallRequest>,
) -> Result<Response, ApiError> {
    let entity = app.entity(&entity, &environment)?;
    if let Some(caller) = session_tokens::caller(&app, &entity, &headers)? {
        request.act_for(caller)?;
    }
    let CallRequest {
        tool,
        arguments,
        context,
        user,
        agent,
        thread,
        user_token,
        entity_token,
        call_id,
        options,
    } = request;
    let mut call = entity.calling(&tool);
    if let Some(arguments) = arguments {
        call = call.arguments_text(arguments.get());
    }
    if let Some(context) = context {
        call = call.context(context);
    }
    if let Some(user) = user {
        call = call.user(user);
    }
    if let Some(agent) = agent {
        call = call.agent(agent);
    }
    if let Some(thread) = thread {
        call = call.thread(thread);
    }
    if let Some(token) = user_token {
        call = call.user_token(token);
    }
    if let Some(token) = entity_token {
        call = call.entity_token(token);
    }
    if let Some(call_id) = call_id {
        call = call.call_id(call_id);
    }
    let Options { tamper, legacy, signed_at, timeout_ms, wait_ms } = options;
    if let Some(tamper) = tamper {
        call = call.tamper(tamper);
    }
    if legacy {
        call = call.legacy();
    }
    if let Some(time) = signed_at {
        call = call.signed_at(time);
    }
    if let Some(timeout) = timeout_ms {
        if !(1..=LONGEST_WAIT_MS).contains(&timeout) {
            let message = format!("`timeout_ms` is {timeout}: choose 1 to {LONGEST_WAIT_MS}");
            return Err(ApiError::bad_request("invalid_timeout", message));
        }
        call = call.pending_time(Duration::from_millis(timeout));
    }
    let answered = call.start()?.answer_detached(wait_ms.map(Duration::from_millis)).await;
    shown(answered, &entity.secret())
}

fn tamper<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Tamper>, D::Error> {
    let Some(name) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
    let known = Tamper::ALL.into_iter().find(|tamper| tamper.as_str() == name);
    known.map(Some).ok_or_else(|| {
        let names: Vec<_> = Tamper::ALL.iter().map(|tamper| tamper.as_str()).collect();
        serde::de::Error::custom(format!("`tamper` is `{name}`: choose one of {}", names.join(", ")))
    })
}

fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SystemTime>, D::Error> {
    let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
    let time: Timestamp = text.parse().map_err(|_| {
        serde::de::Error::custom("`signed_at` is no time: write it like 2026-11-21T12:00:00Z")
    })?;
    Ok(Some(time.into()))
}
