//! Silence, pings, and readers who take their time.

use std::time::{Duration, Instant};

use platos_client::testing::{DoubleOptions, PlatosDouble, Script};
use platos_client::{AgentEvent, Error, NetworkErrorKind, NewThread, PlatosClient, StreamLimits};
use serde_json::json;

use super::support::{GUARD, all, hi, short};

fn with_limits(platos: &PlatosDouble, limits: StreamLimits) -> PlatosClient {
    platos.builder().stream_limits(limits).session_token(platos.session_token()).build().unwrap()
}

#[tokio::test]
async fn pings_are_answered_for_as_long_as_a_turn_takes() {
    let (interval, timeout) = (Duration::from_millis(50), Duration::from_millis(100));
    let platos = PlatosDouble::start_with(DoubleOptions::default().ping(interval, timeout)).await.unwrap();
    platos.script(Script::new().token("a").pause(Duration::from_millis(600)).token("b").done());
    let (events, error) = all(platos.client().threads().send("thr_1", hi())).await;
    assert!(error.is_none(), "{error:?}");
    assert_eq!(short(&events), "connected 'a' 'b' done");
    let pongs = platos.frames().iter().filter(|frame| *frame == "3").count();
    assert!(pongs >= 4, "{pongs} pongs");
}

#[tokio::test]
async fn a_turn_that_is_never_done_ends_after_the_idle_timeout() {
    let (interval, timeout) = (Duration::from_millis(50), Duration::from_secs(5));
    let platos = PlatosDouble::start_with(DoubleOptions::default().ping(interval, timeout)).await.unwrap();
    let client = with_limits(&platos, StreamLimits::default().idle_timeout(Duration::from_millis(400)));
    // Each event begins it anew.
    let paused = |script: Script, text: &str| script.token(text).pause(Duration::from_millis(250));
    platos.script(["a", "b", "c"].into_iter().fold(Script::new(), paused));
    let began = Instant::now();
    let (events, error) = all(client.threads().send("thr_1", hi())).await;
    assert_eq!(short(&events), "connected 'a' 'b' 'c'");
    let error = error.unwrap();
    let Error::Network(network) = &error else { panic!("{error:?}") };
    assert!(network.kind == NetworkErrorKind::Idle && !error.is_transient());
    assert!(error.to_string().contains("no event of the turn for 0.4 s"), "{error}");
    assert!(began.elapsed() >= Duration::from_millis(900), "it gave up too early");

    platos.script(Script::new());
    let (events, error) = all(client.threads().send("thr_1", hi())).await;
    assert!(matches!(error, Some(Error::Network(_))) && short(&events) == "connected", "{error:?}");
    // What was wrong is said rather than that nothing came.
    platos.script(Script::new().event(json!({"type": "error", "message": "no budget"})));
    let (_, error) = all(client.threads().send("thr_1", hi())).await;
    assert_eq!(error.unwrap().to_string(), "the turn failed: no budget");
}

#[tokio::test]
async fn waiting_for_an_approval_is_not_idle() {
    let platos = PlatosDouble::start().await.unwrap();
    let client = with_limits(&platos, StreamLimits::default().idle_timeout(Duration::from_millis(150)));
    platos.script(Script::new().approval(
        "apr_1",
        "delete",
        Script::new().token("yes").done(),
        Script::new(),
    ));
    let mut turn = client.threads().send("thr_1", hi());
    while !matches!(turn.next().await, Some(Ok(AgentEvent::ApprovalNeeded(_)))) {}
    tokio::time::sleep(Duration::from_millis(500)).await;
    client.approvals().resolve("apr_1", platos_client::Decision::approve()).await.unwrap();
    assert_eq!(turn.text().await.unwrap(), "yes");
}

#[tokio::test]
async fn a_slow_reader_loses_nothing_and_keeps_the_connection() {
    let (interval, timeout) = (Duration::from_millis(100), Duration::from_millis(200));
    let platos = PlatosDouble::start_with(DoubleOptions::default().ping(interval, timeout)).await.unwrap();
    let client = with_limits(&platos, StreamLimits::default().waiting_events(8));
    let words: Vec<_> = (0..40).map(|number| number.to_string()).collect();
    let script = words.iter().fold(Script::new(), |script, word| script.token(word));
    platos.script(script.done());
    let mut turn = client.threads().send("thr_1", hi());
    // Much longer than the platform waits for a pong.
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    let mut read = Vec::new();
    while let Some(event) = tokio::time::timeout(GUARD, turn.next()).await.unwrap() {
        read.push(event.unwrap());
        tokio::time::sleep(Duration::from_millis(15)).await;
    }
    let expected: Vec<_> = words.iter().map(|word| format!("'{word}'")).collect();
    assert_eq!(short(&read), format!("connected {} done", expected.join(" ")));
    assert_eq!(platos.requests().len(), 1, "it was one connection all along");
}

#[tokio::test]
async fn a_slow_reader_whose_connection_breaks_gets_all_that_had_come_and_the_rest() {
    let (interval, timeout) = (Duration::from_millis(60), Duration::from_millis(60));
    let platos = PlatosDouble::start_with(DoubleOptions::default().ping(interval, timeout)).await.unwrap();
    let limits = StreamLimits::default().waiting_events(1).poll_interval(Duration::from_millis(20));
    let client = with_limits(&platos, limits);
    let thread = client.threads().create(NewThread::with_agent("agt_writer")).await.unwrap();
    platos.script(Script::new().tokens("a b c d e ").drop_connection().tokens("f g ").done());
    let mut turn = client.threads().send(&thread.id, "Hi");
    let mut read = String::new();
    while let Some(event) = tokio::time::timeout(GUARD, turn.next()).await.unwrap() {
        if let AgentEvent::Token(token) = event.unwrap() {
            read.push_str(&token.text);
        }
        // Many pongs go into the connection that is gone.
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
    assert_eq!(read, "a b c d e f g ");
}

#[tokio::test]
async fn a_reader_who_does_not_read_holds_the_platform_back() {
    let platos = PlatosDouble::start().await.unwrap();
    let event = json!({"type": "token", "text": "x".repeat(10_000)});
    // 500 MB, if anybody took them.
    platos.script(Script::new().repeat(event, 50_000, None).done());
    let limits = StreamLimits::default().waiting_events(1_000_000).waiting_bytes(100_000);
    let mut turn = with_limits(&platos, limits).threads().send("thr_1", hi());
    let mut waiting = 0;
    tokio::time::sleep(Duration::from_millis(500)).await;
    while turn.try_next().is_some() {
        waiting += 1;
    }
    // Those that wait, and a few that came while they were counted.
    assert!((5..100).contains(&waiting), "{waiting} events were waiting");
}
