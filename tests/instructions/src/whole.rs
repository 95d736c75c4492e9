//! The whole path of a call, from the frame to the answer: a host with one tool, on a runtime of one thread, and a
//! platform that sends so many calls at once and waits for all of their answers before it sends more.
//!
//! The host's clock stands still. It would run fifty times too fast under valgrind, and handlers that are quick would
//! look slow, which takes calls another way.

use std::error::Error;
use std::net::TcpListener;
use std::sync::Arc;

use load::{Calls, Connection, SECRET};
use platools::prelude::*;
use platools::tools;
use tokio::sync::Notify;

use super::callgrind::{Callgrind, Counted};
use super::steps::ARGUMENTS;

/// How many calls arrive together. Not more: under valgrind a batch of 64 lasts so long that the thread that watches
/// for handlers that block takes it for blocked.
pub(crate) const WINDOWS: [usize; 2] = [1, 16];

pub(crate) fn name(window: usize) -> String {
    if window == 1 { "whole call, alone".to_owned() } else { format!("whole call, {window} at once") }
}

/// Add two whole numbers.
#[tool(register = false)]
async fn add(a: i64, b: i64, note: String) -> i64 {
    let _ = note;
    a + b
}

/// End the process, and with it the count.
#[tool(register = false)]
async fn stop(end: State<Notify>) {
    end.notify_one();
}

/// Runs the host until it is told to stop.
pub(crate) fn host(address: &str) -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build()?;
    let end = Arc::new(Notify::new());
    let url = format!("ws://{address}?entity=speed");
    let tools = tools![add, stop];
    let host =
        Platools::builder().url(url).secret(SECRET).shared_state(Arc::clone(&end)).tools(tools).build()?;
    let (running, is_over) = std::sync::mpsc::channel::<()>();
    runtime.block_on(async {
        // While a blocking task runs, a clock that stands still does not jump to the next timer either.
        drop(tokio::task::spawn_blocking(move || is_over.recv()));
        tokio::select! {
            ended = host.run() => ended,
            () = end.notified() => Ok(()),
        }
    })?;
    drop(running);
    Ok(())
}

/// What the host takes for its start and so many calls, `window` at once.
pub(crate) fn count(
    callgrind: &Callgrind,
    name: &str,
    window: usize,
    calls: usize,
) -> Result<Counted, Box<dyn Error>> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let address = listener.local_addr()?.to_string();
    callgrind.count(name, &["host", &address], || drive(&listener, window, calls))
}

fn drive(listener: &TcpListener, window: usize, count: usize) -> Result<(), Box<dyn Error>> {
    let mut connection = Connection::accept(listener)?;
    // Rounded to whole windows, so that all of them are alike.
    let count = count / window * window;
    let calls = Calls::new("add", ARGUMENTS, count, 0);
    let mut replies = Vec::new();
    for first in (0..count).step_by(window) {
        replies.extend_from_slice(calls.frames(first, first + window));
        connection.send(&replies)?;
        replies.clear();
        let mut answered = 0;
        while answered < window {
            connection.receive()?;
            let more = connection.answers(|text| {
                assert!(text.starts_with(br#"{"type":"tool_result""#), "{}", String::from_utf8_lossy(text));
                answered += 1;
            });
            replies.extend(more);
        }
    }
    connection.send(Calls::new("stop", "{}", 1, count).frames(0, 1))?;
    Ok(())
}
