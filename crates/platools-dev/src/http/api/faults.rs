//! Fault injection.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use platools::wire::{MAX_FRAME_BYTES, close};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::error::DevError;
use crate::event::Event;
use crate::http::app::App;
use crate::http::error::ApiError;
use crate::http::extract::{Body, Path};
use crate::http::view::{Call, kept};

/// The longest reason that fits into a close frame, in bytes.
const LONGEST_REASON: usize = 123;

/// The longest delay that a host may be told to wait, in milliseconds.
const LONGEST_DELAY_MS: u64 = 3_600_000;

/// A fault with its parameters.
#[derive(Deserialize, ToSchema)]
#[serde(tag = "fault", rename_all = "snake_case", deny_unknown_fields)]
pub(in crate::http) enum Fault {
    /// Cuts the TCP connection without a close.
    Drop,
    /// Neither reads nor writes while the connection stays open.
    Freeze,
    /// Ends `freeze`.
    Thaw,
    /// Closes as if another host had connected.
    Supersede,
    /// Closes with 1001 as for a deploy.
    GoingAway,
    /// Closes with any code and reason.
    Close {
        code: u16,
        #[serde(default)]
        reason: String,
    },
    /// Refuses the next registrations as too many.
    Throttle {
        declarations: u32,
        #[schema(maximum = 3_600_000)]
        retry_after_ms: u64,
    },
    /// Refuses the next registrations with `tool_register failed: TEXT`.
    RefuseRegistrations { declarations: u32, text: String },
    /// Leaves heartbeats without acknowledgement, or acknowledges them again.
    IgnoreHeartbeats { ignore: bool },
    /// Sends any text as a frame.
    SendText { text: String },
    /// Sends the last call once more, byte for byte.
    ReplayLast,
}

#[derive(Serialize, ToSchema)]
pub(in crate::http) struct Injected {
    fault: &'static str,
    /// The host's answer to `replay_last`.
    #[schema(required)]
    call: Option<Call>,
}

impl Fault {
    fn name(&self) -> &'static str {
        match self {
            Self::Drop => "drop",
            Self::Freeze => "freeze",
            Self::Thaw => "thaw",
            Self::Supersede => "supersede",
            Self::GoingAway => "going_away",
            Self::Close { .. } => "close",
            Self::Throttle { .. } => "throttle",
            Self::RefuseRegistrations { .. } => "refuse_registrations",
            Self::IgnoreHeartbeats { .. } => "ignore_heartbeats",
            Self::SendText { .. } => "send_text",
            Self::ReplayLast => "replay_last",
        }
    }

    fn check(&self) -> Result<(), ApiError> {
        let problem = match self {
            // Others are reserved, or mean that no close frame came at all.
            Self::Close { code, .. } if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) => {
                format!(
                    "`code` is {code}, which no side may send: choose 1000 to 1003, 1007 to 1014, or 3000 to 4999"
                )
            }
            Self::Close { reason, .. } if reason.len() > LONGEST_REASON => {
                format!(
                    "`reason` has {} bytes: at most {LONGEST_REASON} fit into a close frame",
                    reason.len()
                )
            }
            Self::Throttle { retry_after_ms, .. } if *retry_after_ms > LONGEST_DELAY_MS => {
                format!("`retry_after_ms` is {retry_after_ms}: choose at most {LONGEST_DELAY_MS}")
            }
            Self::SendText { text } | Self::RefuseRegistrations { text, .. }
                if text.len() > MAX_FRAME_BYTES =>
            {
                format!("`text` has {} bytes: a frame has at most {MAX_FRAME_BYTES}", text.len())
            }
            _ => return Ok(()),
        };
        Err(ApiError::bad_request("invalid_fault", problem))
    }
}

/// Make something go wrong
#[utoipa::path(
    post,
    path = "/api/v1/entities/{entity}/{environment}/faults",
    operation_id = "injectFault",
    request_body = Fault,
    responses((status = 200, description = "The fault is in effect", body = Injected), (status = 409))
)]
pub(in crate::http) async fn inject(
    State(app): State<App>,
    Path((entity, environment)): Path<(String, String)>,
    Body(request): Body<Fault>,
) -> Result<Json<Injected>, ApiError> {
    request.check()?;
    let entity = app.entity(&entity, &environment)?;
    let (faults, fault) = (entity.faults(), request.name());
    let announce = || app.shared.emit(Event::FaultInjected { key: entity.key().clone(), fault });
    let mut call = None;
    match request {
        Fault::Drop => faults.drop_connection()?,
        Fault::Freeze => faults.freeze()?,
        Fault::Thaw => faults.thaw()?,
        Fault::Supersede => faults.supersede()?,
        Fault::GoingAway => faults.close(close::GOING_AWAY, close::SHUTTING_DOWN)?,
        Fault::Close { code, reason } => faults.close(code, &reason)?,
        Fault::Throttle { declarations, retry_after_ms } => {
            faults.throttle_registrations(declarations, Duration::from_millis(retry_after_ms));
        }
        Fault::RefuseRegistrations { declarations, text } => {
            faults.refuse_registrations(declarations, text);
        }
        Fault::IgnoreHeartbeats { ignore } => faults.ignore_heartbeats(ignore),
        Fault::SendText { text } => faults.send_text(text)?,
        Fault::ReplayLast => {
            let last =
                app.shared.read(|state| state.seat(entity.key()).and_then(|seat| seat.last_call.clone()));
            let last = last.ok_or_else(|| DevError::NothingToReplay(entity.key().clone()))?;
            announce();
            let entry = match faults.repeat(last)?.answer_detached(None).await {
                Ok(exchanged) => kept(exchanged)?,
                Err(running) => running,
            };
            call = Some(Call::new(&entry, &entity.secret()));
            return Ok(Json(Injected { fault, call }));
        }
    }
    announce();
    Ok(Json(Injected { fault, call }))
}
