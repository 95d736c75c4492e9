//! Bursts of large answers: each call gets its result, or an error that says why not.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use load::{Answers, Calls, Connection, SECRET};
use platools::host::{HostEvent, HostEvents};
use platools::run::Limits;
use platools::{Platools, Tool, ToolOutput, ToolSpec, tools};
use tests::sizes::{self, large};
use tokio::sync::Semaphore;

/// A host with the tool `large`, which answers `bytes` bytes once the gate lets it, and what the platform sees of it.
struct Burst {
    started: Arc<AtomicUsize>,
    gate: Arc<Semaphore>,
    events: HostEvents,
    /// Blocks; a host is connected to it.
    connection: Connection,
}

async fn burst(bytes: usize, limits: Limits) -> Burst {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let (started, gate) = (Arc::<AtomicUsize>::default(), Arc::new(Semaphore::new(0)));
    let (count, open) = (Arc::clone(&started), Arc::clone(&gate));
    let tool = Tool::new(ToolSpec::new("large"), move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        let open = Arc::clone(&open);
        async move {
            let _open = open.acquire().await.unwrap();
            Ok(ToolOutput::text("x".repeat(bytes)))
        }
    });
    let url = format!("ws://{}?entity=bursts", listener.local_addr().unwrap());
    let host = Platools::builder().url(url).secret(SECRET).limits(limits).tools([tool]).build().unwrap();
    let events = host.handle().events();
    tokio::spawn(host.run());
    let connection = tokio::task::spawn_blocking(move || Connection::accept(&listener)).await.unwrap();
    Burst { started, gate, events, connection: connection.unwrap() }
}

/// Reads the answers of all calls.
fn answers(connection: &mut Connection, count: usize, bytes: usize) -> Answers {
    let mut answers = Answers::of(count, bytes);
    answers.read_all(connection).expect("the host answers");
    answers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_of_large_answers_is_slowed_down_and_each_call_gets_its_result() {
    const COUNT: usize = 400;
    let Burst { started, gate, mut connection, .. } = burst(256 << 10, Limits::default()).await;
    gate.add_permits(COUNT);
    let answers = tokio::task::spawn_blocking(move || {
        connection.send(Calls::new("large", "{}", COUNT, 0).frames(0, COUNT)).unwrap();
        while started.load(Ordering::SeqCst) < COUNT / 2 {
            std::thread::yield_now();
        }
        answers(&mut connection, COUNT, 256 << 10)
    });
    assert_eq!(answers.await.unwrap().results(), COUNT);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_that_end_at_once_beyond_all_bounds_are_answered_with_an_error_that_says_so() {
    const COUNT: usize = 40;
    let mut limits = Limits::default();
    (limits.max_unsent_bytes, limits.max_kept_bytes) = (4 << 20, 16 << 20);
    let Burst { started, gate, mut events, mut connection } = burst(1 << 20, limits).await;
    connection.send(Calls::new("large", "{}", COUNT, 0).frames(0, COUNT)).unwrap();
    while started.load(Ordering::SeqCst) < COUNT {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    gate.add_permits(COUNT);
    // Nothing is read before: what the host holds is all that ended, but for what the socket takes.
    let replaced = loop {
        match events.next().await {
            Some(HostEvent::AnswerReplaced { call_id, bytes }) => break (call_id, bytes),
            Some(_) => {}
            None => panic!("the host is gone"),
        }
    };
    assert!(replaced.1 > 1 << 20, "{replaced:?}");
    let answers =
        tokio::task::spawn_blocking(move || answers(&mut connection, COUNT, 1 << 20)).await.unwrap();
    let (results, errors) = (answers.results(), answers.errors());
    assert!(results >= 15 && !errors.is_empty(), "{results} results, {} errors", errors.len());
    for error in errors {
        assert!(error.contains("overloaded: the tool ran, but its result of 1.0 MiB was dropped"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_superseded_host_answers_the_calls_that_it_runs() {
    const COUNT: usize = 20;
    let Burst { started, gate, mut connection, .. } = burst(100_000, Limits::default()).await;
    connection.send(Calls::new("large", "{}", COUNT, 0).frames(0, COUNT)).unwrap();
    while started.load(Ordering::SeqCst) < COUNT {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let mut close = vec![0x88, 30, 0x03, 0xe8];
    close.extend_from_slice(b"superseded by new connection");
    connection.send(&close).unwrap();
    gate.add_permits(COUNT);
    let answers = tokio::task::spawn_blocking(move || answers(&mut connection, COUNT, 100_000));
    assert_eq!(answers.await.unwrap().results(), COUNT);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_with_results_of_any_size_get_their_own_or_the_error_that_names_it() {
    // Of `soak --sizes`, a minute's worth in some seconds: with room for everything, and with hardly any.
    let mut tight = Limits::default();
    (tight.max_unsent_bytes, tight.max_kept_bytes) = (1 << 20, 12 << 20);
    for (limits, at_once, is_roomy) in [(Limits::default(), 8, true), (tight, 64, false)] {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let url = format!("ws://{}?entity=sizes", listener.local_addr().unwrap());
        let host =
            Platools::builder().url(url).secret(SECRET).limits(limits).tools(tools![large]).build().unwrap();
        tokio::spawn(host.run_until(std::future::pending()));
        let soaked = tokio::task::spawn_blocking(move || {
            let mut connection = Connection::accept(&listener).unwrap();
            let mut random = fastrand::Rng::with_seed(7);
            let soaked = sizes::soak(
                &mut connection,
                |made| made < 120,
                at_once,
                Duration::from_millis(100),
                &mut random,
            );
            (soaked.unwrap(), connection)
        });
        let (answers, _connection) = soaked.await.unwrap();
        assert_eq!((answers.calls(), answers.unanswered()), (120, 0));
        assert_eq!(sizes::unexplained(&answers).next(), None);
        assert!(!is_roomy || answers.errors().is_empty(), "{:?}", answers.errors());
        assert!(answers.results() > 60, "{} results", answers.results());
    }
}
