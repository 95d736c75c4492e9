//! Answers under many orders of threads: none is missed or lost, each once, and all memory is given back.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Poll;

use shuttle::future::block_on;
use shuttle::rand::Rng as _;
use shuttle::thread;
use tokio::time::Instant;

use super::budget::Budget;
use super::driver::{Status, is_worth_waiting};
use super::events::Events;
use super::outbox::{AnswerFrame, Outbox};
use super::{Host, Platools};
use crate::caller::CallContext;
use crate::run::{Limits, Sink as _};
use crate::sync::explore;
use crate::tool::{Arguments, Tool, ToolOutput, ToolSpec};

const ANSWERS: usize = 2;

fn limits(max_unsent_bytes: usize, max_kept_bytes: usize) -> Limits {
    Limits { max_unsent_bytes, max_kept_bytes, ..Limits::default() }
}

fn answer(call_id: &str, bytes: usize) -> AnswerFrame {
    AnswerFrame::new(call_id.into(), "x".repeat(bytes).into(), Instant::now())
}

/// A connection that is lost now and then takes what two threads push.
#[test]
fn every_answer_is_sent_once_and_in_order_and_gives_its_memory_back() {
    explore(3_000, || {
        let outbox = Arc::new(Outbox::new(Events::default(), &limits(1, 1 << 20)));
        let pushing = ["a", "b"].map(|name| {
            let outbox = Arc::clone(&outbox);
            thread::spawn(move || {
                for number in 0..ANSWERS {
                    outbox.push(answer(&format!("{name}{number}"), 10));
                }
            })
        });
        let mut arrived: Vec<AnswerFrame> = Vec::new();
        block_on(std::future::poll_fn(|context| {
            loop {
                let mut taken = VecDeque::new();
                outbox.poll_take(context, &mut taken);
                if taken.is_empty() {
                    return Poll::Pending;
                }
                let sent = taken.into_iter().map(AnswerFrame::sent);
                if shuttle::rand::thread_rng().gen_bool(0.3) {
                    outbox.put_back(sent.collect());
                } else {
                    arrived.extend(sent);
                }
                if arrived.len() == 2 * ANSWERS {
                    return Poll::Ready(());
                }
            }
        }));
        for thread in pushing {
            thread.join().unwrap();
        }
        for name in ["a", "b"] {
            let own = arrived.iter().map(|answer| answer.texts().0).filter(|id| id.starts_with(name));
            assert_eq!(own.collect::<Vec<_>>(), [format!("{name}0"), format!("{name}1")]);
        }
        assert!(outbox.is_empty() && !outbox.is_full(), "nothing is unsent");
        drop(arrived);
        let large = (1 << 20) - 1;
        assert_eq!(outbox.fit(answer("c", large)).texts().1.len(), large, "nothing is kept");
    });
}

#[test]
fn calls_that_wait_for_room_go_on_when_answers_are_sent_or_dropped_or_the_limit_is_raised() {
    explore(2_000, || {
        let budget = Budget::new(&limits(10, 100));
        let mut sent = budget.take(4).unwrap();
        let dropped = budget.insist(8);
        let waiting = [(); 2].map(|()| {
            let budget = Arc::clone(&budget);
            thread::spawn(move || block_on(budget.has_room()))
        });
        let (raised, by_raise) = (Arc::clone(&budget), shuttle::rand::thread_rng().gen_bool(0.3));
        let threads = [
            thread::spawn(move || {
                sent.set_sent(true);
                // The connection is lost before it has arrived.
                sent.set_sent(false);
                sent.set_sent(true);
            }),
            thread::spawn(move || if by_raise { std::mem::forget(dropped) } else { drop(dropped) }),
            thread::spawn(move || raised.set_limits(&limits(if by_raise { 20 } else { 9 }, 100))),
        ];
        for thread in threads.into_iter().chain(waiting) {
            thread.join().unwrap();
        }
        assert!(!budget.is_full());
    });
}

#[test]
fn answers_that_come_together_never_take_more_than_the_bound() {
    explore(1_000, || {
        let budget = Budget::new(&limits(100, 10));
        let taking = [(); 3].map(|()| {
            let budget = Arc::clone(&budget);
            thread::spawn(move || budget.take(5).ok())
        });
        let taken = taking.map(|thread| thread.join().unwrap());
        assert_eq!(taken.iter().flatten().count(), 2);
        drop(taken);
        assert!(budget.take(10).is_ok());
    });
}

/// A host that shuts down without a connection.
#[test]
fn a_call_that_ends_is_in_flight_until_its_answer_is_in_the_outbox() {
    explore(500, || {
        let nothing = Tool::new(ToolSpec::new("nothing"), |_| async { Ok(ToolOutput::null()) });
        let builder = Platools::builder().url("ws://127.0.0.1:9/?entity=local").secret("0123456789abcdef");
        let Host { shared, state, .. } = builder.tools([nothing]).build().unwrap();
        let status = Status::new(Arc::clone(&shared), state);
        let context = CallContext::builder().build();
        let call = shared.dispatcher().admit_local("nothing", Arguments::empty(), context, |scope| scope);
        let call = call.unwrap();
        let ending = Arc::clone(&shared);
        let thread = thread::spawn(move || {
            let mut calls = vec![call.finish(Ok(ToolOutput::null()))];
            ending.finished(&mut calls);
        });
        for _ in 0..3 {
            assert!(is_worth_waiting(&shared, &status, Instant::now()));
        }
        thread.join().unwrap();
        assert_eq!((shared.dispatcher().in_flight(), shared.outbox.len()), (0, 1));
    });
}
