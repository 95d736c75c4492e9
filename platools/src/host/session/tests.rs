//! Sessions over an in-memory pipe, with paused time.

use std::sync::atomic::{AtomicUsize, Ordering};

use platools_net::transport::Transport;
use tokio::io::{AsyncWriteExt as _, DuplexStream, duplex};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use super::*;
use crate::caller::CallContext;
use crate::host::outbox::AnswerFrame;
use crate::host::{Host, HostState};
use crate::intake::CallRequest;
use crate::tool::{Arguments, Tool, ToolOutput, ToolSpec};
use crate::verify::{Secret, SigningKey};
use crate::wire::{Envelope, platform};
use crate::{HostHandle, Platools};

pub(in crate::host) const SECRET: &str = "0123456789abcdef";
const HOUR: Duration = Duration::from_secs(3_600);

fn host() -> Host {
    let tool = Tool::new(ToolSpec::new("nothing"), |_| async { Ok(ToolOutput::null()) });
    let builder = Platools::builder().url("ws://127.0.0.1:9/?entity=local").secret(SECRET);
    builder.tools([tool]).build().unwrap()
}

/// Runs a host's session on its end of the pipe.
async fn run(host: Host, stream: DuplexStream) -> Ending {
    let socket = WebSocketStream::from_raw_socket(Transport::new(Box::new(stream)), Role::Client, None).await;
    let mut status = Status::new(Arc::clone(&host.shared), host.state);
    let deadline = Instant::now() + host.shared.config.connect_timeout;
    Session::new(&host.shared, &mut status, socket, deadline).run().await
}

/// A platform that sends `welcome` and acknowledges heartbeats while `acknowledge` returns `true`.
async fn platform(stream: DuplexStream, heartbeats: &AtomicUsize, acknowledge: impl Fn(usize) -> bool) {
    let mut socket = WebSocketStream::from_raw_socket(stream, Role::Server, None).await;
    socket.send(Message::text(platform::welcome("c", &Scope::default()))).await.unwrap();
    while let Some(Ok(message)) = socket.next().await {
        let Message::Text(text) = message else { continue };
        if text.contains(r#""type":"heartbeat""#) {
            let seen = heartbeats.fetch_add(1, Ordering::Relaxed) + 1;
            if acknowledge(seen) {
                socket.send(Message::text(platform::heartbeat_ack())).await.unwrap();
            }
        }
    }
}

/// Asserts that an idle connection holds no state.
fn keeps_nothing(handle: &HostHandle) {
    assert!(handle.in_flight() == 0 && handle.shared.outbox.is_empty());
}

#[tokio::test(start_paused = true)]
async fn three_idle_hours_change_nothing() {
    let (near, far) = duplex(64 * 1024);
    let (host, heartbeats) = (host(), AtomicUsize::new(0));
    let handle = host.handle();
    tokio::select! {
        ending = run(host, near) => panic!("{ending}"),
        () = platform(far, &heartbeats, |_| true) => panic!("the host hung up"),
        () = tokio::time::sleep(HOUR * 3) => {}
    }
    assert_eq!(handle.state(), HostState::Active);
    // One every 30 s, within 10 %.
    let heartbeats = heartbeats.into_inner();
    assert!((324..=400).contains(&heartbeats), "{heartbeats}");
    keeps_nothing(&handle);
}

#[tokio::test(start_paused = true)]
async fn a_platform_that_falls_silent_is_left_after_two_intervals() {
    const ACKNOWLEDGED: usize = 100;
    let (near, far) = duplex(64 * 1024);
    let (host, heartbeats) = (host(), AtomicUsize::new(0));
    let (handle, silent) = (host.handle(), std::cell::Cell::new(None));
    let acknowledge = |seen| {
        if seen == ACKNOWLEDGED {
            silent.set(Some(Instant::now()));
        }
        seen <= ACKNOWLEDGED
    };
    let ending = tokio::select! {
        ending = run(host, near) => ending,
        () = platform(far, &heartbeats, acknowledge) => panic!("the host hung up"),
    };
    assert!(matches!(&ending, Ending::Lost(why) if why.contains("nothing arrived")), "{ending:?}");
    let after = silent.get().unwrap().elapsed().as_secs();
    assert!((60..=61).contains(&after), "{after} s");
    keeps_nothing(&handle);
}

#[tokio::test(start_paused = true)]
async fn a_platform_that_sends_and_reads_nothing_is_left() {
    let (near, far) = duplex(64 * 1024);
    let host = host();
    let started = Instant::now();
    host.shared.outbox.push(AnswerFrame::new("c1".into(), "{}".into(), started));
    let platform = async {
        let mut socket = WebSocketStream::from_raw_socket(far, Role::Server, None).await;
        socket.send(Message::text(platform::welcome("c", &Scope::default()))).await.unwrap();
        loop {
            tokio::time::sleep(Duration::from_secs(5)).await;
            socket.send(Message::text(r#"{"type":"news"}"#)).await.unwrap();
        }
    };
    let ending = tokio::select! {
        ending = run(host, near) => ending,
        () = platform => unreachable!("it goes on for ever"),
    };
    assert!(matches!(&ending, Ending::Lost(why) if why.contains("read nothing")), "{ending:?}");
    let after = started.elapsed().as_secs();
    assert!((60..=121).contains(&after), "{after} s");
}

/// The replies to many pings fill the buffer of the WebSocket, so that a heartbeat finds no room in it. With few pings it
/// finds room there, and the pipe takes no more.
#[tokio::test(start_paused = true)]
async fn a_heartbeat_waits_for_room_among_the_replies_to_unread_pings() {
    const BUFFER: usize = 16 * 1024;
    // As long as two heartbeats may be apart.
    const UNREAD: Duration = Duration::from_secs(40);
    let ping = [&[0x89, 125][..], &[b'x'; 125]].concat();
    for (pings, reads_in_the_end) in [(100, true), (100, false), (4, false)] {
        let (near, far) = duplex(4 * 1024);
        let host = host();
        let config = WebSocketConfig::default().write_buffer_size(0).max_write_buffer_size(BUFFER);
        let near = Transport::new(Box::new(near));
        let socket = WebSocketStream::from_raw_socket(near, Role::Client, Some(config)).await;
        let mut status = Status::new(Arc::clone(&host.shared), host.state);
        let deadline = Instant::now() + host.shared.config.connect_timeout;
        let session = Session::new(&host.shared, &mut status, socket, deadline).run();
        let platform = async {
            let mut socket = welcomed(far).await;
            let began = Instant::now();
            while !reads_in_the_end || began.elapsed() < UNREAD {
                socket.get_mut().write_all(&ping.repeat(pings)).await.unwrap();
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            let heartbeat = async {
                while let Some(Ok(message)) = socket.next().await {
                    if message.to_text().is_ok_and(|text| text.contains(r#""type":"heartbeat""#)) {
                        return;
                    }
                }
                panic!("the host hung up")
            };
            timeout(Duration::from_secs(1), heartbeat).await.expect("it is sent as soon as there is room");
        };
        let started = Instant::now();
        tokio::select! {
            ending = session => {
                assert!(!reads_in_the_end, "{ending:?}");
                assert!(matches!(&ending, Ending::Lost(why) if why.contains("read nothing")), "{ending:?}");
                assert!((60..=181).contains(&started.elapsed().as_secs()), "{:?}", started.elapsed());
            }
            () = platform => assert!(reads_in_the_end),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_crowded_outbox_is_no_obstacle_to_the_next_welcome() {
    let (near, far) = duplex(64 * 1024);
    let (host, heartbeats) = (host(), AtomicUsize::new(0));
    let handle = host.handle();
    for index in 0..5 {
        let answer =
            AnswerFrame::new(format!("call-{index}").into(), "x".repeat(7 << 20).into(), Instant::now());
        host.shared.outbox.push(answer);
    }
    assert!(host.shared.outbox.is_crowded());
    tokio::select! {
        ending = run(host, near) => panic!("{ending}"),
        () = platform(far, &heartbeats, |_| true) => panic!("the host hung up"),
        () = tokio::time::sleep(HOUR) => {}
    }
    assert_eq!(handle.state(), HostState::Active);
    keeps_nothing(&handle);
}

/// The last answers of a flood go out without a ping; the one behind them goes out with the close.
#[tokio::test(start_paused = true)]
async fn a_pong_in_a_shutdown_proves_the_answers_where_nobody_answers_the_close() {
    let (near, far) = duplex(64 * 1024);
    let host = host();
    let shared = Arc::clone(&host.shared);
    let answer = |call_id: &str| AnswerFrame::new(call_id.into(), call_id.to_owned().into(), Instant::now());
    let platform = async {
        let mut socket = WebSocketStream::from_raw_socket(far, Role::Server, None).await;
        socket.send(Message::text(platform::welcome("c", &Scope::default()))).await.unwrap();
        shared.outbox.push(answer("first"));
        while let Some(Ok(message)) = socket.next().await {
            match message {
                // Right behind the ping of the first.
                Message::Ping(_) if !shared.shutdown.is_cancelled() => shared.outbox.push(answer("last")),
                Message::Text(text) if text == "last" => {
                    socket.flush().await.unwrap();
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    shared.shutdown.cancel();
                }
                Message::Close(_) => return,
                _ => {}
            }
        }
    };
    let (ending, ()) = tokio::join!(run(host, near), platform);
    assert_eq!(ending, Ending::Drained);
    assert!(shared.outbox.is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_shutdowns_time_is_said_to_the_platform() {
    let (near, far) = duplex(64 * 1024);
    let host = host();
    let context = CallContext::builder().build();
    let stubborn =
        host.shared.dispatcher().admit_local("nothing", Arguments::empty(), context, |scope| scope).unwrap();
    host.shared.shutdown.cancel();
    let platform = async {
        let mut socket = WebSocketStream::from_raw_socket(far, Role::Server, None).await;
        socket.send(Message::text(platform::welcome("c", &Scope::default()))).await.unwrap();
        let mut last = None;
        while let Some(Ok(message)) = socket.next().await {
            last = Some(message);
        }
        last
    };
    let (ending, last) = tokio::join!(run(host, near), platform);
    assert_eq!(ending, Ending::Drained);
    assert!(
        matches!(&last, Some(Message::Close(Some(close))) if close.code == CloseCode::Normal),
        "{last:?}"
    );
    drop(stubborn);
}

/// A platform that has welcomed the host and read its declaration.
async fn welcomed(far: DuplexStream) -> WebSocketStream<DuplexStream> {
    let mut socket = WebSocketStream::from_raw_socket(far, Role::Server, None).await;
    socket.send(Message::text(platform::welcome("c", &Scope::default()))).await.unwrap();
    let registration = socket.next().await.unwrap().unwrap();
    assert!(registration.to_text().unwrap().contains("tool_register"));
    socket
}

/// All that comes before the end of the connection.
async fn rest(socket: &mut WebSocketStream<DuplexStream>) -> Vec<Message> {
    let mut seen = Vec::new();
    while let Some(Ok(message)) = socket.next().await {
        seen.push(message);
    }
    seen
}

/// The close of a platform that has another connection of the same entity.
fn superseded() -> CloseFrame {
    CloseFrame { code: CloseCode::Normal, reason: Utf8Bytes::from_static(crate::wire::close::SUPERSEDED) }
}

/// A signed call without arguments, whose id is also its nonce.
pub(in crate::host) fn call(call_id: &str, tool: &str) -> Message {
    let key = SigningKey::new(&Secret::new(SECRET).unwrap());
    let timestamp = format!("{:.3}", jiff::Timestamp::now());
    let envelope = Envelope {
        signature: Some(key.sign_call(&timestamp, Some(call_id), tool, "{}")),
        timestamp: Some(timestamp),
        nonce: Some(call_id.to_owned()),
        call_id: Some(call_id.to_owned()),
        ..Envelope::default()
    };
    Message::text(platform::tool_call(call_id, tool, "{}", &envelope))
}

/// A host whose tool `slow` waits for the gate, and whose tool `endless` never ends.
fn slow_host(grace: Duration) -> (Host, Arc<tokio::sync::Semaphore>) {
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    let open = Arc::clone(&gate);
    let slow = Tool::new(ToolSpec::new("slow"), move |_| {
        let open = Arc::clone(&open);
        async move {
            let _open = open.acquire().await;
            Ok(ToolOutput::null())
        }
    });
    let endless = Tool::new(ToolSpec::new("endless"), |_| std::future::pending());
    let builder = Platools::builder().url("ws://127.0.0.1:9/?entity=local").secret(SECRET);
    (builder.shutdown_grace(grace).tools([slow, endless]).build().unwrap(), gate)
}

/// A call of `endless` that came by another door.
fn endless(shared: &Arc<Shared>) -> tokio::task::JoinHandle<()> {
    let request = CallRequest::new("endless", Arguments::empty(), CallContext::builder().build());
    let running = shared.intake.door().call(request).unwrap();
    tokio::spawn(async move { drop(running.await) })
}

/// A platform that has another connection closes the old one, and still reads what comes before the reply.
#[tokio::test(start_paused = true)]
async fn a_superseded_connection_answers_its_running_calls_before_it_closes() {
    let (near, far) = duplex(64 * 1024);
    let (host, gate) = slow_host(Duration::from_secs(25));
    let (handle, shared) = (host.handle(), Arc::clone(&host.shared));
    let elsewhere = endless(&shared);
    let answer = |call_id: &str| AnswerFrame::new(call_id.into(), call_id.to_owned().into(), Instant::now());
    let platform = async {
        let mut socket = welcomed(far).await;
        socket.send(call("slow-1", "slow")).await.unwrap();
        socket.close(Some(superseded())).await.unwrap();
        tokio::time::sleep(Duration::from_secs(20)).await;
        let mut seen = Vec::new();
        for call_id in ["first", "second"] {
            shared.outbox.push(answer(call_id));
            seen.push(socket.next().await.unwrap().unwrap());
        }
        assert!(handle.state() == HostState::Superseded && handle.take_over(), "it can be told to come back");
        gate.add_permits(1);
        let opened = Instant::now();
        while let Some(Ok(message)) = socket.next().await {
            seen.push(message);
        }
        assert!(opened.elapsed() < Duration::from_secs(1), "calls of other doors are not waited for");
        seen
    };
    let (ending, seen) = tokio::join!(run(host, near), platform);
    assert_eq!(ending, Ending::Superseded);
    let texts: Vec<_> =
        seen.iter().filter(|message| message.is_text()).map(|text| text.to_text().unwrap()).collect();
    assert!(texts[..2] == ["first", "second"] && texts.len() == 3, "{texts:?}");
    assert!(texts[2].contains(r#""type":"tool_result","call_id":"slow-1""#), "{texts:?}");
    assert!(seen.last().unwrap().is_close());
    assert!(shared.outbox.is_empty(), "the platform has read everything");
    elsewhere.abort();
}

/// The welcome, and the close behind it, before the host writes anything.
#[tokio::test(start_paused = true)]
async fn a_superseded_connection_declares_no_tools() {
    let (near, far) = duplex(64 * 1024);
    let (host, gate) = slow_host(Duration::from_secs(25));
    gate.add_permits(1);
    let platform = async {
        let mut socket = WebSocketStream::from_raw_socket(far, Role::Server, None).await;
        socket.feed(Message::text(platform::welcome("c", &Scope::default()))).await.unwrap();
        socket.feed(call("slow-declares", "slow")).await.unwrap();
        socket.close(Some(superseded())).await.unwrap();
        let mut seen = Vec::new();
        while let Some(Ok(message)) = socket.next().await {
            seen.push(message.to_string());
        }
        seen
    };
    let (ending, seen) = tokio::join!(run(host, near), platform);
    assert_eq!(ending, Ending::Superseded);
    assert!(seen[0].contains(r#""call_id":"slow-declares""#), "{seen:?}");
    assert!(!seen.iter().any(|message| message.contains("tool_register")), "{seen:?}");
}

/// A host that takes over refuses what the one before has run.
#[tokio::test]
async fn a_successor_knows_the_nonces_of_the_host_before_it() {
    let (old, new) = (host(), host());
    assert!(old.handle().hand_over_to(&new.handle()));
    let frame = call("handed-over", "nothing").into_text().unwrap();
    let Inbound::ToolCall(call) = Inbound::parse(&frame).unwrap() else { unreachable!() };
    let verify = |host: &Host| {
        host.shared.intake.verifier().verify(&call, &Scope::default(), SystemTime::now()).map(drop)
    };
    verify(&old).unwrap();
    assert_eq!(verify(&new).unwrap_err().reason(), "nonce_replay");
}

/// The close arrives while the library has written a part of an answer.
#[tokio::test(start_paused = true)]
async fn a_superseded_connection_ends_the_answer_that_it_is_writing() {
    const BYTES: usize = 1 << 20;
    let (near, far) = duplex(64 * 1024);
    let (host, gate) = slow_host(Duration::from_secs(25));
    let shared = Arc::clone(&host.shared);
    let platform = async {
        let mut socket = welcomed(far).await;
        socket.send(call("slow-1", "slow")).await.unwrap();
        for call_id in ["large-1", "large-2"] {
            let text = format!("{call_id}{}", "x".repeat(BYTES));
            shared.outbox.push(AnswerFrame::new(call_id.into(), text.into(), Instant::now()));
        }
        // The host has filled the pipe, and goes on only when something is read.
        tokio::time::sleep(Duration::from_secs(1)).await;
        socket.close(Some(superseded())).await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        gate.add_permits(1);
        rest(&mut socket).await
    };
    let (ending, seen) = tokio::join!(run(host, near), platform);
    assert_eq!(ending, Ending::Superseded);
    let texts: Vec<_> =
        seen.iter().filter(|message| message.is_text()).map(|text| text.to_text().unwrap()).collect();
    for call_id in ["large-1", "large-2"] {
        assert!(texts.iter().any(|text| text.starts_with(call_id) && text.len() == BYTES + call_id.len()));
    }
    assert!(texts.len() == 3 && texts[2].contains(r#""call_id":"slow-1""#), "{} answers", texts.len());
    assert!(seen.last().unwrap().is_close());
    assert!(shared.outbox.is_empty(), "the platform has read everything");
}

#[tokio::test(start_paused = true)]
async fn a_superseded_connection_waits_no_longer_than_the_platform_or_the_shutdown() {
    for (grace, least, most) in [(25, 28, 30), (3, 13, 16)] {
        let (near, far) = duplex(64 * 1024);
        let (host, _gate) = slow_host(Duration::from_secs(grace));
        let shared = Arc::clone(&host.shared);
        let platform = async {
            let mut socket = welcomed(far).await;
            socket.send(call("endless-1", "endless")).await.unwrap();
            socket.close(Some(superseded())).await.unwrap();
            let closed = Instant::now();
            let stop = async {
                tokio::time::sleep(Duration::from_secs(10)).await;
                shared.shutdown.cancel();
                std::future::pending::<()>().await;
            };
            tokio::select! {
                () = async { while socket.next().await.is_some_and(|message| message.is_ok()) {} } => {}
                () = stop => unreachable!("it waits for ever"),
            }
            closed.elapsed()
        };
        let (ending, waited) = tokio::join!(run(host, near), platform);
        assert_eq!(ending, Ending::Superseded);
        assert!((least..most).contains(&waited.as_secs()), "{waited:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_superseded_before_its_welcome_gets_no_answers() {
    let (near, far) = duplex(64 * 1024);
    let host = host();
    let shared = Arc::clone(&host.shared);
    shared.outbox.push(AnswerFrame::new("kept".into(), "kept".into(), Instant::now()));
    let platform = async {
        let mut socket = WebSocketStream::from_raw_socket(far, Role::Server, None).await;
        socket.close(Some(superseded())).await.unwrap();
        rest(&mut socket).await
    };
    let (ending, seen) = tokio::join!(run(host, near), platform);
    assert_eq!(ending, Ending::Superseded);
    assert!(seen.iter().all(Message::is_close), "{seen:?}");
    assert_eq!(shared.outbox.len(), 1, "it is for the next connection");
}

/// The last answers of a flood go out without a ping; the reply to the close proves them.
#[tokio::test(start_paused = true)]
async fn an_answered_close_proves_that_the_last_answers_arrived() {
    let (near, far) = duplex(64 * 1024);
    let host = host();
    let shared = Arc::clone(&host.shared);
    let answer = |call_id: &str| AnswerFrame::new(call_id.into(), call_id.to_owned().into(), Instant::now());
    let platform = async {
        let mut socket = welcomed(far).await;
        shared.outbox.push(answer("first"));
        let mut last = false;
        while let Some(Ok(message)) = socket.next().await {
            match message {
                Message::Ping(_) => {
                    shared.outbox.push(answer("last"));
                    shared.shutdown.cancel();
                }
                Message::Text(text) => last |= text == "last",
                _ => {}
            }
        }
        last
    };
    let (ending, last) = tokio::join!(run(host, near), platform);
    assert!(ending == Ending::Drained && last, "{ending:?}");
    assert!(shared.outbox.is_empty());
}

/// Answers every declaration with an error, and counts the declarations.
async fn refuse_declarations(stream: DuplexStream, reason: &str, declarations: &AtomicUsize) {
    let mut socket = WebSocketStream::from_raw_socket(stream, Role::Server, None).await;
    socket.send(Message::text(platform::welcome("c", &Scope::default()))).await.unwrap();
    while let Some(Ok(message)) = socket.next().await {
        let Message::Text(text) = message else { continue };
        if text.contains(r#""type":"heartbeat""#) {
            socket.send(Message::text(platform::heartbeat_ack())).await.unwrap();
        } else if text.contains("tool_register") {
            declarations.fetch_add(1, Ordering::Relaxed);
            let error = format!(r#"{{"type":"error","error":"tool_register failed: {reason}"}}"#);
            socket.send(Message::text(error)).await.unwrap();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_declaration_is_told_and_repeated_only_if_that_may_help() {
    for (reason, repeated) in
        [("duplicate_tool_name:nothing", 1..=1), ("tool_name_required", 1..=1), ("deadlock detected", 6..=9)]
    {
        let (near, far) = duplex(64 * 1024);
        let (host, declarations) = (host(), AtomicUsize::new(0));
        let handle = host.handle();
        let mut events = handle.events();
        tokio::select! {
            ending = run(host, near) => panic!("{ending}"),
            () = refuse_declarations(far, reason, &declarations) => panic!("the host hung up"),
            () = tokio::time::sleep(HOUR) => {}
        }
        assert_eq!(handle.registration(), Registration::Rejected { reason: reason.to_owned() });
        let told = loop {
            if let HostEvent::RegistrationRejected { reason, retry_after } = events.next().await.unwrap() {
                break (reason, retry_after);
            }
        };
        let is_permanent = repeated == (1..=1);
        assert_eq!(told, (reason.to_owned(), (!is_permanent).then_some(Duration::from_secs(30))));
        let declarations = declarations.into_inner();
        assert!(repeated.contains(&declarations), "{reason}: {declarations} declarations in an hour");
    }
}

#[tokio::test(start_paused = true)]
async fn what_changes_around_a_refusal_is_declared_at_once() {
    for (reason, before) in
        [("duplicate_tool_name:nothing", true), ("deadlock detected", true), ("deadlock detected", false)]
    {
        let (near, far) = duplex(64 * 1024);
        let host = host();
        let shared = Arc::clone(&host.shared);
        let change = async || {
            let more = Tool::new(ToolSpec::new("more"), |_| async { Ok(ToolOutput::null()) });
            shared.dispatcher().tools().insert(more).unwrap();
            tokio::time::sleep(Duration::from_millis(10)).await;
        };
        let platform = async {
            let mut socket = welcomed(far).await;
            if before {
                change().await;
            }
            let error = format!(r#"{{"type":"error","error":"tool_register failed: {reason}"}}"#);
            socket.send(Message::text(error)).await.unwrap();
            if !before {
                tokio::time::sleep(Duration::from_secs(1)).await;
                change().await;
            }
            let changed = Instant::now();
            let next = socket.next().await.unwrap().unwrap();
            assert!(next.to_text().unwrap().contains(r#""name":"more""#), "{next}");
            changed.elapsed()
        };
        tokio::select! {
            ending = run(host, near) => panic!("{ending}"),
            waited = platform => assert!(waited < Duration::from_secs(1), "{reason}: {waited:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_tools_are_declared_again_while_the_connection_before_may_still_be_closed() {
    for (predecessor_may_be_open, count) in [(true, 5), (false, 1)] {
        let (near, far) = duplex(64 * 1024);
        let host = host();
        let mut status = Status::new(Arc::clone(&host.shared), host.state);
        status.predecessor_may_be_open = predecessor_may_be_open;
        let declared = std::sync::Mutex::new(Vec::new());
        let started = Instant::now();
        let platform = async {
            let mut socket = WebSocketStream::from_raw_socket(far, Role::Server, None).await;
            socket.send(Message::text(platform::welcome("c", &Scope::default()))).await.unwrap();
            while let Some(Ok(message)) = socket.next().await {
                match message {
                    Message::Text(text) if text.contains("tool_register") => {
                        declared.lock().unwrap().push(started.elapsed());
                    }
                    Message::Text(_) => socket.send(Message::text(platform::heartbeat_ack())).await.unwrap(),
                    _ => {}
                }
            }
        };
        let socket =
            WebSocketStream::from_raw_socket(Transport::new(Box::new(near)), Role::Client, None).await;
        let deadline = Instant::now() + Duration::from_secs(15);
        tokio::select! {
            ending = Session::new(&host.shared, &mut status, socket, deadline).run() => panic!("{ending}"),
            () = platform => panic!("the host hung up"),
            () = tokio::time::sleep(HOUR) => {}
        }
        let declared = declared.into_inner().unwrap();
        assert_eq!(declared.len(), count, "{declared:?}");
        let last = declared.last().unwrap();
        assert!(!predecessor_may_be_open || (30..45).contains(&last.as_secs()), "{declared:?}");
    }
}
