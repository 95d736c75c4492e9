//! Each state of the connection under a paused clock: how long it lasts, and what ends it.

use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;
use tokio_tungstenite::accept_async;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use super::*;
use crate::host::session::tests::{SECRET, call};
use crate::tool::{Tool, ToolSpec};
use crate::wire::{Scope, close, platform};
use crate::{HostHandle, Platools};

const HOUR: Duration = Duration::from_secs(3_600);
/// How long a platform is content with a connection.
const A_WHILE: Duration = Duration::from_secs(40);

/// What the platform does with a connection.
#[derive(Clone, Copy)]
enum Act {
    /// Answers nothing.
    Silent,
    /// Answers the upgrade with 403.
    Forbid,
    /// Upgrades, and says nothing.
    Upgrade,
    /// Upgrades, and closes before a welcome.
    Refuse(&'static str),
    /// Says `welcome`, and nothing else.
    Welcome,
    /// Says `welcome`, and is gone after a while.
    Vanish,
    /// Says `welcome`, and closes after a while.
    Close(u16, &'static str),
    /// Says `welcome`, calls a tool that never ends, and closes for another connection after a while.
    Supersede,
}

async fn serve(mut stream: TcpStream, act: Act) {
    match act {
        Act::Silent => {
            let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
            return;
        }
        Act::Forbid => {
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n").await;
            return;
        }
        _ => {}
    }
    let mut socket = accept_async(stream).await.unwrap();
    if !matches!(act, Act::Upgrade | Act::Refuse(_)) {
        socket.send(Message::text(platform::welcome("c", &Scope::default()))).await.unwrap();
    }
    let frame =
        |code: u16, reason| Some(CloseFrame { code: code.into(), reason: Utf8Bytes::from_static(reason) });
    let closed = match act {
        Act::Refuse(reason) => frame(close::REFUSED, reason),
        Act::Vanish => return sleep(A_WHILE).await,
        Act::Close(code, reason) => {
            sleep(A_WHILE).await;
            frame(code, reason)
        }
        Act::Supersede => {
            sleep(A_WHILE).await;
            socket.send(call("endless-states", "endless")).await.unwrap();
            frame(close::NORMAL, close::SUPERSEDED)
        }
        _ => None,
    };
    if closed.is_some() {
        let _ = socket.close(closed).await;
    }
    while socket.next().await.is_some_and(|message| message.is_ok()) {}
}

/// A state, and how long it lasts, in milliseconds.
type Stay = (HostState, RangeInclusive<u64>);

const AT_ONCE: RangeInclusive<u64> = 0..=10;
const FOR_A_WHILE: RangeInclusive<u64> = 40_000..=40_010;

/// Runs a host against a platform that does this with one connection after the other, and `meanwhile`; asserts its
/// states, from the first one on. A state that is final lasts for ever.
async fn expect(acts: &[Act], meanwhile: impl AsyncFnOnce(&HostHandle), expected: &[Stay]) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/?entity=local", listener.local_addr().unwrap());
    let endless = Tool::new(ToolSpec::new("endless"), |_| std::future::pending());
    let host = Platools::builder().url(&url).secret(SECRET).tools([endless]).build().unwrap();
    let handle = host.handle();
    let mut events = handle.events();
    let accepted = AtomicUsize::new(0);
    let platform = async {
        for act in acts.iter().copied().chain(std::iter::repeat(Act::Silent)) {
            let (stream, _) = listener.accept().await.unwrap();
            // A frame must not wait for the real time of an acknowledgement while the clock runs ahead.
            stream.set_nodelay(true).unwrap();
            accepted.fetch_add(1, Ordering::Relaxed);
            serve(stream, act).await;
        }
    };
    let observe = async {
        let mut stays = Vec::new();
        let (mut state, mut since) = (HostState::Connecting, Instant::now());
        while stays.len() < expected.len() && !state.is_final() {
            if let HostEvent::State(next) = events.next().await.unwrap() {
                stays.push((state, since.elapsed()));
                (state, since) = (next, Instant::now());
            }
        }
        if state.is_final() {
            let dialled = accepted.load(Ordering::Relaxed);
            sleep(HOUR).await;
            assert_eq!((handle.state(), accepted.load(Ordering::Relaxed)), (state, dialled));
            stays.push((state, since.elapsed()));
        }
        stays
    };
    let running = tokio::spawn(host.run_until(std::future::pending()));
    let meanwhile = async {
        meanwhile(&handle).await;
        std::future::pending::<()>().await;
    };
    let stays = tokio::select! {
        stays = observe => stays,
        () = platform => unreachable!("it goes on for ever"),
        () = meanwhile => unreachable!("it waits for ever"),
    };
    running.abort();
    let fits = |((state, lasted), (wanted, within)): (&(HostState, Duration), &Stay)| {
        state == wanted && within.contains(&(lasted.as_millis() as u64))
    };
    assert!(
        stays.len() == expected.len() && stays.iter().zip(expected).all(fits),
        "{stays:?} instead of {expected:?}"
    );
}

async fn nothing(_: &HostHandle) {}

/// Shuts the host down a while after it is in this state.
fn shut_down_in(state: HostState, after: Duration) -> impl AsyncFnOnce(&HostHandle) {
    async move |handle: &HostHandle| {
        assert!(handle.wait_for(state).await);
        sleep(after).await;
        handle.shutdown().await;
    }
}

const SECOND: Duration = Duration::from_secs(1);
const FOR_EVER: RangeInclusive<u64> = 3_600_000..=u64::MAX;
const STOPPED: Stay = (HostState::Stopped, FOR_EVER);

#[tokio::test(start_paused = true)]
async fn connecting_ends_with_the_socket_or_the_time_limit_or_a_shutdown() {
    use HostState::{Authenticating, BackingOff, Connecting, Draining};
    expect(&[Act::Silent], nothing, &[(Connecting, 15_000..=15_010), (BackingOff, 0..=1_010)]).await;
    expect(&[Act::Upgrade], nothing, &[(Connecting, AT_ONCE), (Authenticating, 14_990..=15_010)]).await;
    let shutdown = shut_down_in(Connecting, SECOND);
    expect(&[Act::Silent], shutdown, &[(Connecting, 1_000..=1_010), (Draining, AT_ONCE), STOPPED]).await;
}

#[tokio::test(start_paused = true)]
async fn authenticating_ends_with_the_welcome_or_the_time_limit_or_a_shutdown() {
    use HostState::{Active, Authenticating, BackingOff, Connecting, Draining};
    let (connecting, authenticating) = ((Connecting, AT_ONCE), (Authenticating, AT_ONCE));
    let (late, lost) = ((Authenticating, 14_990..=15_010), (BackingOff, 0..=1_010));
    expect(&[Act::Upgrade], nothing, &[connecting.clone(), late, lost]).await;
    let active = (Active, FOR_A_WHILE);
    expect(&[Act::Vanish], nothing, &[connecting.clone(), authenticating, active]).await;
    let shutdown = shut_down_in(Authenticating, SECOND);
    let draining = (Draining, 0..=2_010);
    expect(&[Act::Upgrade], shutdown, &[connecting, (Authenticating, 1_000..=1_010), draining, STOPPED])
        .await;
}

/// The states before the first welcome, and then these.
fn welcomed(rest: &[Stay]) -> Vec<Stay> {
    [&[(HostState::Connecting, AT_ONCE), (HostState::Authenticating, AT_ONCE)], rest].concat()
}

#[tokio::test(start_paused = true)]
async fn active_ends_when_the_platform_closes_or_falls_silent_or_at_a_shutdown() {
    use HostState::{Active, BackingOff, Draining};
    let silent = welcomed(&[(Active, 60_000..=61_000), (BackingOff, 0..=1_010)]);
    expect(&[Act::Welcome], nothing, &silent).await;
    expect(&[Act::Vanish], nothing, &welcomed(&[(Active, FOR_A_WHILE), (BackingOff, 0..=1_010)])).await;
    let stopped = welcomed(&[(Active, 1_000..=1_010), (Draining, AT_ONCE), STOPPED]);
    expect(&[Act::Welcome], shut_down_in(Active, SECOND), &stopped).await;
}

#[tokio::test(start_paused = true)]
async fn superseded_ends_with_the_running_calls() {
    use HostState::{Active, Standby, Superseded};
    let calls = welcomed(&[(Active, FOR_A_WHILE), (Superseded, 28_000..=30_000), (Standby, 30_000..=60_010)]);
    expect(&[Act::Supersede], nothing, &calls).await;
    let idle = welcomed(&[(Active, FOR_A_WHILE), (Superseded, AT_ONCE), (Standby, 30_000..=60_010)]);
    expect(&[Act::Close(close::NORMAL, close::SUPERSEDED)], nothing, &idle).await;
}

#[tokio::test(start_paused = true)]
async fn backing_off_lasts_as_long_as_the_end_of_the_connection_suggests_or_until_a_shutdown() {
    use HostState::{Active, BackingOff, Connecting, Draining};
    let ends = [
        (Act::Vanish, 0..=1_010),
        (Act::Close(close::GOING_AWAY, "server shutting down"), 500..=5_010),
        (Act::Close(close::REFUSED, close::INVALID_SECRET), 30_000..=60_010),
    ];
    for (act, wait) in ends {
        let expected = welcomed(&[(Active, FOR_A_WHILE), (BackingOff, wait), (Connecting, 15_000..=15_010)]);
        expect(&[act], nothing, &expected).await;
    }
    let forbidden = [(Connecting, AT_ONCE), (BackingOff, 30_000..=60_010), (Connecting, 15_000..=15_010)];
    expect(&[Act::Forbid], nothing, &forbidden).await;
    let shutdown = shut_down_in(BackingOff, SECOND);
    let stopped = [(Connecting, AT_ONCE), (BackingOff, 1_000..=1_010), (Draining, AT_ONCE), STOPPED];
    expect(&[Act::Forbid], shutdown, &stopped).await;
}

#[tokio::test(start_paused = true)]
async fn standby_ends_in_time_or_when_it_is_told_to_take_over_or_at_a_shutdown() {
    use HostState::{Active, Connecting, Draining, Standby, Superseded};
    let superseded = &[Act::Close(close::NORMAL, close::SUPERSEDED)];
    let stands_by = |rest: &[Stay]| {
        let before = [(Active, FOR_A_WHILE), (Superseded, AT_ONCE)];
        welcomed(&[&before, rest].concat())
    };
    let dials = (Connecting, 15_000..=15_010);
    expect(superseded, nothing, &stands_by(&[(Standby, 30_000..=60_010), dials.clone()])).await;
    let take_over = async |handle: &HostHandle| {
        assert!(handle.wait_for(Standby).await);
        sleep(SECOND).await;
        assert!(handle.take_over());
    };
    expect(superseded, take_over, &stands_by(&[(Standby, 1_000..=1_010), dials])).await;
    let stopped = stands_by(&[(Standby, 1_000..=1_010), (Draining, AT_ONCE), STOPPED]);
    expect(superseded, shut_down_in(Standby, SECOND), &stopped).await;
}

#[tokio::test(start_paused = true)]
async fn draining_ends_with_the_calls_or_its_time_and_stopped_lasts() {
    use HostState::{Active, Draining};
    let draining = |lasts| welcomed(&[(Active, 1_000..=1_010), (Draining, lasts), STOPPED]);
    expect(&[Act::Welcome], shut_down_in(Active, SECOND), &draining(AT_ONCE)).await;
    for (duration, lasts) in [(5, 4_000..=4_010), (HOUR.as_secs(), 25_000..=27_010)] {
        let calls = async |handle: &HostHandle| {
            assert!(handle.wait_for(Active).await);
            let arguments = crate::tool::Arguments::empty();
            let context = crate::caller::CallContext::builder().build();
            let shared = &handle.shared;
            let running = shared.dispatcher().admit_local("endless", arguments, context, |scope| scope);
            let running = running.unwrap();
            let shutdown = async {
                sleep(SECOND).await;
                handle.shutdown().await;
            };
            let end = async {
                sleep(Duration::from_secs(duration)).await;
                drop(running);
            };
            tokio::join!(shutdown, end);
        };
        expect(&[Act::Welcome], calls, &draining(lasts)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn fatal_lasts() {
    use HostState::{Authenticating, Connecting, Fatal};
    let fatal = [(Connecting, AT_ONCE), (Authenticating, AT_ONCE), (Fatal, FOR_EVER)];
    for reason in [close::INVALID_SECRET, close::MISSING_ENTITY] {
        expect(&[Act::Refuse(reason)], nothing, &fatal).await;
    }
}
