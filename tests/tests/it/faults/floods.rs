//! Floods: what comes without end takes neither the log nor the memory of a host.

use std::time::Instant;

use futures_util::{SinkExt as _, StreamExt as _};
use platools::wire::{Scope, platform};
use platools_dev::DevPlatform;
use serde_json::json;
use tests::process::{Process, resident};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, accept_async};

use super::answer;
use crate::support::{GUARD, conformance_host, finished, terminate};

#[tokio::test]
async fn no_flood_of_frames_fills_the_log() {
    const FRAMES: usize = 3_000;
    // Of each ration: 20 in 10 s.
    const LINES: usize = 20;
    let platform = DevPlatform::start().await.unwrap();
    let (url, secret) = (platform.url(), platform.secret());
    let host = conformance_host(&[("PLATOS_URL", &url), ("PLATOS_SECRET", secret.expose())]);
    platform.wait_for_tool("add").await.unwrap();
    let began = Instant::now();
    let deep = format!(r#"{{"type":"x","a":{}{}}}"#, "[".repeat(1_000), "]".repeat(1_000));
    for frame in [
        r#"{"type":"tool_call","call_id":"c","tool_name":"add","params":{}}"#,
        r#"{"type":"tool_call","call_id":"c","tool_name":"add"}"#,
        r#"{"type":"tool_call"}"#,
        "not even JSON",
        &deep,
        r#"{"type":"error","error":"tool_register failed: the database is away"}"#,
        r#"{"type":"error","error":"tool_register failed: duplicate_tool_name:add"}"#,
        r#"{"type":"error","error":"something"}"#,
        r#"{"type":"tool_health_alert","tool":"add","status":"down"}"#,
        r#"{"type":"register_throttled","retry_after_ms":300000}"#,
        r#"{"type":"tools_registered","count":1}"#,
        r#"{"type":"something new"}"#,
        r#"{"type":"welcome"}"#,
    ] {
        for _ in 0..FRAMES {
            platform.faults().send_text(frame).unwrap();
        }
        assert_eq!(answer(&platform, "add", json!({"a": 1, "b": 2})).await, json!(3), "{frame}");
    }
    let periods = usize::try_from(began.elapsed().as_secs()).unwrap() / 10 + 2;
    terminate(&host);
    let (succeeded, written) = finished(host).await;
    assert!(succeeded, "{written}");
    let count = |text: &str| written.lines().filter(|line| line.contains(text)).count();
    let (refused, malformed, all) = (count("a call is refused"), count("malformed frame"), count(""));
    assert!((1..=LINES * periods).contains(&refused), "{refused} of {periods} periods: {written}");
    // The first, the second, the fourth, …
    assert!((1..=20).contains(&malformed), "{malformed}");
    assert!(all < 2 * LINES * periods + malformed + 20, "{all} lines in {periods} periods: {written}");
}

/// The platform's end of a connection, after `welcome`.
async fn welcomed(listener: &TcpListener) -> WebSocketStream<TcpStream> {
    let (stream, _) = timeout(GUARD, listener.accept()).await.expect("in time").unwrap();
    let mut socket = accept_async(stream).await.unwrap();
    socket.send(Message::text(platform::welcome("c", &Scope::default()))).await.unwrap();
    while !matches!(socket.next().await.unwrap().unwrap(), Message::Text(text) if text.contains("tool_register"))
    {
    }
    socket
}

#[tokio::test]
async fn a_flood_of_pings_takes_no_memory() {
    const PINGS: usize = 600_000;
    const MOST: u64 = 32 << 20;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/?entity=orders", listener.local_addr().unwrap());
    let host = conformance_host(&[("PLATOS_URL", &url), ("PLATOS_SECRET", "s3cret-s3cret-s3cret")]);
    let id = host.id();
    let _host = Process::new(host);
    let mut socket = welcomed(&listener).await;
    let Ok(before) = resident(id) else {
        eprintln!("SKIPPED: there is no /proc to read the memory of a process from");
        return;
    };
    // Nothing is read meanwhile.
    let mut pings = vec![0x89, 125];
    pings.resize(127, b'x');
    let pings = pings.repeat(1_000);
    for _ in 0..PINGS / 1_000 {
        timeout(GUARD, socket.get_mut().write_all(&pings)).await.expect("in time").unwrap();
    }
    let grown = resident(id).unwrap().saturating_sub(before);
    println!("{PINGS} pings of {} MB: {} MiB", PINGS * 127 / 1_000_000, grown >> 20);
    assert!(grown < MOST, "{} MiB", grown >> 20);
    drop(socket);
    let _again = welcomed(&listener).await;
}
