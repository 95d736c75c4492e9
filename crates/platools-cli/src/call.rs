//! `call`: one signed call of a connected host's tool, or a call of an MCP server's.

use std::time::Duration;

use clap::Args;
use http::Method;
use platools_toolkit::cli::output::{self, Output, WriteError};
use platools_toolkit::cli::{Caller, duration};
use serde::{Deserialize, Deserializer};
use serde_json::json;
use serde_json::value::RawValue;

use crate::Failure;
use crate::client::{Client, Target, text};
use crate::mcp::Server;

/// The longest time that the platform waits for an answer.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(600);

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The tool
    tool: String,
    /// The arguments: a JSON object, `@FILE` to read one from a file, or `-` from standard input
    #[arg(long, short, value_name = "JSON|@FILE|-", default_value = "{}", allow_hyphen_values = true)]
    params: String,
    /// Everything about the call as one JSON object: result or error, latency, frames, signature
    #[arg(long)]
    json: bool,
    /// How long to wait for the answer, up to 10m
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = timeout)]
    timeout: Duration,
    #[command(flatten)]
    caller: Caller,
    #[command(flatten)]
    target: Target,
}

/// A time that the platform waits for an answer, if it is asked to.
fn timeout(text: &str) -> Result<Duration, String> {
    let time = duration(text)?;
    let allowed = Duration::from_millis(1)..=LONGEST_TIMEOUT;
    if allowed.contains(&time) { Ok(time) } else { Err("choose a time from 1ms to 10m".to_owned()) }
}

pub(crate) async fn run(options: &Options, output: &Output) -> Result<(), Failure> {
    if !options.caller.role.is_empty() {
        let problem = "--role makes an identity without a token, which only a call inside of a backend's own program \
                       can have; give a --user-token with that role";
        return Err(Failure::Usage(problem.to_owned()));
    }
    let params = output::read_params(&options.params).map_err(Failure::Usage)?;
    if options.target.is_mcp() {
        if !is_nobody(&options.caller) {
            let problem = "an MCP server says itself who is calling: leave out the options about the caller";
            return Err(Failure::Usage(problem.to_owned()));
        }
        let server = Server::connect(&options.target).await?;
        return server.call(&options.tool, &params, options.timeout, options.json, output).await;
    }
    let client = Client::new(&options.target)?;
    let seat = client.seat(&options.target).await?;
    if !client.has_tool(&seat, &options.tool).await? {
        let tools = client.tools(&seat, "", false).await?;
        let names: Vec<&str> = tools.iter().map(|tool| text(tool, "name")).collect();
        return Err(Failure::Usage(output::unknown_tool(&options.tool, &names)));
    }
    let body = body(options, params)?;
    let whole: Box<RawValue> =
        client.ask(Method::POST, &seat.path(&["calls"]), &[], Some((body, options.timeout))).await?;
    let call: Answered = serde_json::from_str(whole.get()).map_err(|_| client.not_a_platform())?;
    if options.json {
        show(output, &whole, |whole| output.json(whole))?;
    }
    match call.outcome {
        Outcome::Result => {
            if let (false, Some(result)) = (options.json, &call.result) {
                show(output, result, |result| output.value(result))?;
            }
            Ok(())
        }
        Outcome::TimedOut => {
            Err(Failure::Failed((!options.json).then(|| "the host did not answer in time".to_owned())))
        }
        Outcome::Error => Err(Failure::Failed((!options.json).then_some(call.message).flatten())),
    }
}

/// Whether nothing is said about who is calling.
fn is_nobody(caller: &Caller) -> bool {
    let Caller { user, user_token, entity_token, role, agent, thread, context, .. } = caller;
    [user, user_token, entity_token, agent, thread].into_iter().all(Option::is_none)
        && role.is_empty()
        && context.is_empty()
}

/// What is read of a call that is over. The result is the host's: any JSON, also such as no value holds.
#[derive(Deserialize)]
struct Answered {
    outcome: Outcome,
    #[serde(default, deserialize_with = "present")]
    result: Option<Box<RawValue>>,
    message: Option<String>,
}

/// A `null` is a result, too.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Deserialize::deserialize(deserializer).map(Some)
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    Result,
    Error,
    TimedOut,
}

/// Shows JSON, and as it is written what cannot be read as a value: half a character, a number beyond all bounds,
/// endless nesting.
fn show(
    output: &Output,
    text: &RawValue,
    as_value: impl FnOnce(&serde_json::Value) -> Result<(), WriteError>,
) -> Result<(), WriteError> {
    match serde_json::from_str(text.get()) {
        Ok(value) => as_value(&value),
        Err(_) => output.foreign(text.get()),
    }
}

/// The request: the arguments go into it to the byte, since the bytes are signed.
fn body(options: &Options, params: String) -> Result<String, Failure> {
    let usage = |error: &dyn std::fmt::Display| Failure::Usage(error.to_string());
    let arguments = RawValue::from_string(params).map_err(|error| usage(&error))?;
    let caller = &options.caller;
    let context = caller.context().map_err(|error| usage(&error))?;
    let mut request = serde_json::Map::new();
    for (name, value) in [("user", &caller.user), ("agent", &caller.agent), ("thread", &caller.thread)] {
        if let Some(value) = value {
            request.insert(name.to_owned(), value.as_str().into());
        }
    }
    for (name, token) in [("user_token", context.user_token()), ("entity_token", context.entity_token())] {
        if let Some(token) = token {
            request.insert(name.to_owned(), token.into());
        }
    }
    if !caller.context.is_empty() {
        request.insert("context".to_owned(), context.context().clone().into());
    }
    let timeout_ms = options.timeout.as_millis() as u64;
    request.insert("options".to_owned(), json!({"timeout_ms": timeout_ms}));
    request.insert("tool".to_owned(), options.tool.as_str().into());
    let request = serde_json::to_string(&request).map_err(|error| usage(&error))?;
    let rest = request.strip_prefix('{').unwrap_or_default();
    Ok(format!(r#"{{"arguments":{arguments},{rest}"#))
}
