//! A door of one's own: calls come in as lines of JSON on standard input, and answers go out on standard output.
//!
//! ```sh
//! echo '{"id": 1, "user": "usr_7", "tool": "greet", "arguments": {"name": "Ada"}}' | cargo run -p examples --bin door
//! ```
//!
//! Limits, access rules, timeouts and panic isolation are those of every other door. At the end of input the running
//! calls are answered first.

use std::io::{self, Write as _};

use platools::intake::{CallRequest, Door};
use platools::prelude::*;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::task::JoinSet;

/// Greet somebody by name.
#[tool]
async fn greet(ctx: CallContext, name: String) -> String {
    format!("Hello {name}, says {}.", ctx.user_id())
}

/// A line of the input.
#[derive(Deserialize)]
struct Line {
    id: Value,
    user: String,
    tool: String,
    arguments: serde_json::Map<String, Value>,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let host = Platools::builder().build_local()?;
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    let mut calls = JoinSet::new();
    while let Some(text) = lines.next_line().await? {
        match serde_json::from_str(&text) {
            Ok(line) => drop(calls.spawn(answer(host.door(), line))),
            Err(error) => print(&json!({"error": format!("not a call: {error}")}))?,
        }
    }
    for printed in calls.join_all().await {
        printed?;
    }
    Ok(())
}

/// Runs one call and prints its answer.
async fn answer(door: Door, line: Line) -> io::Result<()> {
    // Whoever may write to our standard input is the user that they say: a real door verifies its callers here.
    let caller = CallContext::builder().user_id(line.user).build();
    let request = CallRequest::new(line.tool, line.arguments.into(), caller);
    let outcome = match door.call(request) {
        Ok(running) => running.await.outcome,
        Err(failure) => Err(failure),
    };
    match outcome {
        Ok(output) => print(&json!({"id": line.id, "result": output.to_value()})),
        Err(failure) => print(&json!({"id": line.id, "error": failure.text()})),
    }
}

/// Writes one line. Nobody may read it, or the disk may be full: that is an error, and no panic.
fn print(value: &Value) -> io::Result<()> {
    writeln!(io::stdout(), "{value}")
}
