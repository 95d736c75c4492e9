//! Tools for an operator: the session behind the caller's desktop.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;

use platools::{Tool, ToolCall, ToolOutput, ToolResult, ToolSpec};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::time::{Instant, timeout};

use super::answer::{UNTYPED, text};
use super::failure::refusal;
use super::pool::{Dismissed, Pool};
use super::schema;
use super::seat::Turn;
use super::settings::Settings;
use crate::secrets::redact;
use crate::session::Session;
use crate::types::Outcome;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Evaluate {
    /// The answer that the testcase asks for.
    #[serde(default)]
    value: Option<Map<String, Value>>,
}

/// The work of a tool on a session.
type Work<'a> = Pin<Box<dyn Future<Output = ToolResult> + Send + 'a>>;

pub(super) fn tools(pool: &Arc<Pool>, settings: &Arc<Settings>) -> Vec<Tool> {
    let spec = |name: &str, description: &str| {
        ToolSpec::new(name).description(description).category("desktop session").allow([UNTYPED])
    };
    let start = {
        let pool = Arc::clone(pool);
        let spec = spec("session_start", "Start the desktop of this conversation now, if it has none yet.");
        Tool::new(spec, move |call: ToolCall| {
            let pool = Arc::clone(&pool);
            async move {
                let Nothing {} = call.arguments.parse()?;
                pool.forget_ended(&call)?;
                let station = pool.station(&call).await?;
                let screen = station.desktop.screen().await.map_err(refusal)?;
                let session_id = station.session()?.id();
                ToolOutput::json(&json!({"session_id": session_id, "screen": screen.to_string(),
                    "desktops_in_use": pool.len()}))
            }
        })
    };
    let reset = with_session(
        pool,
        settings,
        spec(
            "session_reset",
            "Put the data of all environments back, begin to note changes, and log in again.",
        )
        .destructive(true),
        |session, settings, call| Box::pin(reset_and_prepare(session, settings, call)),
    );
    let state = with_session(
        pool,
        settings,
        spec("session_state", "List what was changed in each environment since the last reset.")
            .read_only(true),
        |session, settings, call| {
            Box::pin(async move {
                let Nothing {} = call.arguments.parse()?;
                let states = session.state().await.map_err(refusal)?;
                let changes: BTreeMap<_, Vec<_>> = states
                    .into_iter()
                    .map(|(alias, state)| {
                        (alias, state.mutations().into_iter().map(|one| one.record).collect())
                    })
                    .collect();
                whole_or_counted(settings, &changes)
            })
        },
    );
    let evaluate = with_session(
        pool,
        settings,
        spec("session_evaluate", "Score the session by its testcase.").input_schema(schema::of::<Evaluate>()),
        |session, _, call| {
            Box::pin(async move {
                let Evaluate { value } = call.arguments.parse()?;
                let value = value.map(Value::Object);
                let scored = session.evaluate(value.as_ref()).await.map_err(refusal)?;
                let by: Vec<_> = scored.scored_by().iter().map(ToString::to_string).collect();
                ToolOutput::json(
                    &json!({"correct": scored.correct, "score": scored.score, "reason": scored.reason,
                "scored_by": by}),
                )
            })
        },
    );
    let close = {
        let (pool, settings) = (Arc::clone(pool), Arc::clone(settings));
        let spec =
            spec("session_close", "Close the desktop of this conversation; all that is on it is gone.");
        Tool::new(spec.destructive(true), move |call: ToolCall| {
            let (pool, settings) = (Arc::clone(&pool), Arc::clone(&settings));
            async move {
                let Nothing {} = call.arguments.parse()?;
                let said = match pool.dismiss(&call)? {
                    Dismissed::None => "there was no desktop",
                    Dismissed::Starting => "closed before it was up",
                    // Whatever goes on there: it is not wanted any more.
                    Dismissed::Ready(station) => {
                        station.session()?.close().await.map_err(refusal)?;
                        "closed"
                    }
                };
                Ok(text(&settings, said))
            }
        })
    };
    vec![start, reset, state, evaluate, close]
}

/// Puts the data back, and does again what that undoes.
async fn reset_and_prepare(session: &Session, settings: &Settings, call: &ToolCall) -> ToolResult {
    let came = Instant::now();
    let Nothing {} = call.arguments.parse()?;
    let outcomes = session.reset_each().await.map_err(refusal)?;
    let outcome = |outcome: Outcome| match outcome {
        Outcome { success: true, .. } => json!("done"),
        Outcome { message, .. } => json!(format!("failed: {}", redact(&message.unwrap_or_default()))),
    };
    let outcomes: BTreeMap<_, _> = outcomes.into_iter().map(|(alias, one)| (alias, outcome(one))).collect();
    if !session.is_prepared() {
        return ToolOutput::json(&json!({"reset": outcomes}));
    }
    // Apps have forgotten who was logged in.
    let left = settings.longest.saturating_sub(came.elapsed());
    let prepared = match timeout(left, session.prepare_again()).await {
        Ok(Ok(())) => "done".to_owned(),
        Ok(Err(error)) => format!("failed: {}", refusal(error).message()),
        Err(_) => "not finished in the time of a call: close the session and start another one".to_owned(),
    };
    ToolOutput::json(&json!({"reset": outcomes, "prepared": prepared}))
}

/// A tool for the session that the conversation has.
fn with_session<F>(pool: &Arc<Pool>, settings: &Arc<Settings>, spec: ToolSpec, work: F) -> Tool
where
    F: for<'a> Fn(&'a Session, &'a Settings, &'a ToolCall) -> Work<'a> + Send + Sync + 'static,
{
    let (pool, settings, work) = (Arc::clone(pool), Arc::clone(settings), Arc::new(work));
    Tool::new(spec, move |call: ToolCall| {
        let (pool, settings, work) = (Arc::clone(&pool), Arc::clone(&settings), Arc::clone(&work));
        async move {
            let turn = Turn::at(pool.existing(&call)?, Instant::now(), settings.longest).await?;
            work(turn.station().session()?, &settings, &call).await
        }
    })
}

/// All changes, or how many there are of each kind where all are too much for a result.
fn whole_or_counted(settings: &Settings, changes: &BTreeMap<String, Vec<Value>>) -> ToolResult {
    let whole = json!({"changes": changes});
    if whole.to_string().len() <= settings.budget {
        return ToolOutput::json(&whole);
    }
    let counts: BTreeMap<_, _> = changes.iter().map(|(alias, changes)| (alias, changes.len())).collect();
    ToolOutput::json(&json!({"too_many_to_list": counts}))
}
