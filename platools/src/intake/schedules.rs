//! Call ids under many orders of threads: a call that comes several times, by two doors, runs once, and everyone who
//! asked gets its answer.

use std::sync::Arc;

use shuttle::future::block_on;
use shuttle::rand::Rng as _;
use tokio::time::Instant;

use super::calls::{Calls, Fingerprint, Known};
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::{Mutex, explore, thread};
use crate::wire::CallBody;

fn fingerprint(calls: &Calls) -> Fingerprint {
    let body = r#"{"method":"tools/call","params":{"name":"tool","arguments":{}}}"#;
    calls.fingerprint("tool", CallBody::parse(body).unwrap().params())
}

#[test]
fn a_call_runs_once_and_its_answer_goes_to_everyone_who_asked() {
    explore(1_500, || {
        let calls = Arc::new(Calls::default());
        let call = fingerprint(&calls);
        let (runs, written) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(0)));
        let over_http = shuttle::rand::thread_rng().gen_bool(0.5);
        let doors = [(); 3].map(|()| {
            Some(Instant::now()).filter(|_| !over_http || shuttle::rand::thread_rng().gen_bool(0.5))
        });
        let deliveries = doors.map(|asked| {
            let (calls, runs, written) = (Arc::clone(&calls), Arc::clone(&runs), Arc::clone(&written));
            thread::spawn(move || match calls.claim("call", call, asked) {
                Known::New(call_id) => {
                    runs.fetch_add(1, Ordering::SeqCst);
                    let finishing = calls.finish_all([(&*call_id, "answer")], Instant::now());
                    if asked.is_some() || finishing.asked_again().is_some() {
                        *written.lock().unwrap() += 1;
                    }
                    drop(finishing);
                    false
                }
                Known::Running => asked.is_some(),
                known => {
                    assert_eq!(known, Known::Answered("answer".to_owned()));
                    false
                }
            })
        });
        if !over_http && runs.load(Ordering::SeqCst) == 1 && !calls.is_running("call") {
            assert_eq!(*written.lock().unwrap(), 1, "nothing else is written under the id before the answer");
        }
        let waits_at_the_socket = deliveries.map(|thread| thread.join().unwrap()).contains(&true);
        assert_eq!(runs.load(Ordering::SeqCst), 1);
        let written = *written.lock().unwrap();
        assert!(written <= 1 && (written == 1 || !waits_at_the_socket));
    });
}

#[test]
fn the_end_of_the_last_call_is_noticed() {
    explore(1_000, || {
        let calls = Arc::new(Calls::default());
        let call = fingerprint(&calls);
        for call_id in ["finished", "released"] {
            assert_eq!(calls.claim(call_id, call, None), Known::New(call_id.into()));
        }
        let ending = [
            {
                let calls = Arc::clone(&calls);
                thread::spawn(move || calls.finish("finished", "answer"))
            },
            {
                let calls = Arc::clone(&calls);
                thread::spawn(move || calls.release("released"))
            },
        ];
        block_on(calls.answered());
        assert_eq!(calls.running(), 0);
        for thread in ending {
            thread.join().unwrap();
        }
    });
}
