//! Admission, batches and the watch under many orders of threads: each call runs once and is handed over once, within
//! the limits, whether or not another one blocks its thread.

use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use shuttle::future::block_on;
use shuttle::rand::Rng as _;

use super::admission::Admission;
use super::entry::Entry;
use super::watch::{Rescue, Watch};
use super::{Batch, Dispatcher, Finished, Limits, Rules, Sink, ToolTable};
use crate::caller::CallContext;
use crate::observe::HostMetrics;
use crate::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use crate::sync::{Condvar, Mutex, explore, thread};
use crate::tool::{Arguments, Registry, Tool, ToolOutput, ToolSpec};

fn tool(name: &str) -> Tool {
    Tool::new(ToolSpec::new(name), |_| async { Ok(ToolOutput::null()) })
}

fn small() -> Limits {
    Limits { max_running: 1, max_waiting: 1, max_argument_bytes: 3, ..Limits::default() }
}

#[test]
fn places_are_never_exceeded_and_never_leak() {
    explore(1_500, || {
        let (admission, entry) = (
            Arc::new(Admission::new(&small(), HostMetrics::default())),
            Arc::new(Entry::new(tool("call"), false, &HostMetrics::default())),
        );
        let running = Arc::new(AtomicUsize::new(0));
        let callers = [(); 3].map(|()| {
            let (admission, entry, running) =
                (Arc::clone(&admission), Arc::clone(&entry), Arc::clone(&running));
            thread::spawn(move || {
                let presence = admission.count(1).unwrap();
                let Ok(ticket) = admission.enter(&entry, presence) else { return false };
                let (place, presence) = ticket.split();
                let permits = block_on(place.permits());
                assert_eq!(running.fetch_add(1, Ordering::SeqCst), 0, "one place");
                running.fetch_sub(1, Ordering::SeqCst);
                drop(permits);
                drop(presence);
                true
            })
        });
        block_on(admission.drained());
        let ran = callers.map(|thread| thread.join().unwrap());
        assert!(ran.into_iter().filter(|ran| *ran).count() >= 2, "one runs, and one may wait");
        assert_eq!(admission.in_flight(), 0);
        let first = admission.enter(&entry, admission.count(3).unwrap()).unwrap();
        assert!(first.is_running());
        drop(first);
        let first = admission.enter(&entry, admission.count(1).unwrap()).unwrap();
        let waiting = [(); 2].map(|()| {
            let (admission, entry) = (Arc::clone(&admission), Arc::clone(&entry));
            thread::spawn(move || admission.enter(&entry, admission.count(1).unwrap()).ok())
        });
        let waiting = waiting.map(|thread| thread.join().unwrap());
        assert!(first.is_running() && waiting.iter().flatten().count() == 1, "one may wait");
    });
}

#[test]
fn no_call_runs_after_the_host_is_closed_and_drained() {
    explore(1_500, || {
        let (admission, entry) = (
            Arc::new(Admission::new(&small(), HostMetrics::default())),
            Arc::new(Entry::new(tool("call"), false, &HostMetrics::default())),
        );
        let drained = Arc::new(AtomicBool::new(false));
        let callers = [(); 2].map(|()| {
            let (admission, entry, drained) =
                (Arc::clone(&admission), Arc::clone(&entry), Arc::clone(&drained));
            thread::spawn(move || {
                let Ok(presence) = admission.count(1) else { return };
                let (place, _presence) = admission.enter(&entry, presence).unwrap().split();
                let _permits = block_on(place.permits());
                assert!(!drained.load(Ordering::SeqCst));
            })
        });
        admission.close();
        block_on(admission.drained());
        drained.store(true, Ordering::SeqCst);
        for thread in callers {
            thread.join().unwrap();
        }
    });
}

/// A poll that can wait until it is told to be late.
#[derive(Default)]
struct Late {
    told: Mutex<usize>,
    changed: Condvar,
}

impl Late {
    fn told(&self) -> usize {
        *self.told.lock().unwrap()
    }

    fn wait(&self) {
        drop(self.changed.wait_while(self.told.lock().unwrap(), |told| *told == 0).unwrap());
    }
}

impl Rescue for Late {
    fn rescue(self: Arc<Self>) {
        *self.told.lock().unwrap() += 1;
        self.changed.notify_all();
    }

    fn is_stuck(&self, _since: Duration) {}
}

#[test]
fn every_poll_that_blocks_is_told_of_once() {
    explore(1_500, || {
        let watch = Watch::default();
        let blocking = [(); 2].map(|()| {
            let watch = watch.clone();
            thread::spawn(move || {
                let [quick, late] = [(); 2].map(|()| Arc::new(Late::default()));
                drop(watch.begin(Arc::clone(&quick) as _));
                let watched = watch.begin(Arc::clone(&late) as _);
                late.wait();
                drop(watched);
                (quick, late)
            })
        });
        for (quick, late) in blocking.map(|thread| thread.join().unwrap()) {
            assert!(quick.told() <= 1 && late.told() == 1);
        }
    });
}

/// Collects the ids of calls. Full at times.
#[derive(Default)]
struct Collected {
    ids: Mutex<Vec<String>>,
    changed: Condvar,
}

impl Collected {
    /// Waits, as a handler must not, until these calls were handed over.
    fn wait_for(&self, ids: &[&str]) {
        let is_missing = |there: &mut Vec<String>| !ids.iter().all(|id| there.iter().any(|one| one == id));
        drop(self.changed.wait_while(self.ids.lock().unwrap(), is_missing).unwrap());
    }
}

impl Sink for Collected {
    fn is_full(&self) -> bool {
        shuttle::rand::thread_rng().gen_bool(0.1)
    }

    async fn has_room(&self) {
        shuttle::future::yield_now().await;
    }

    fn finished(&self, calls: &mut Vec<Finished>) {
        self.ids.lock().unwrap().extend(calls.iter().map(|call| call.call_id.to_string()));
        self.changed.notify_all();
    }
}

const CALLS: [&str; 7] = ["first", "blocks", "behind", "waits", "later", "alone", "last"];

#[test]
fn each_call_of_a_batch_runs_once_and_is_handed_over_once() {
    explore(600, || {
        let sink = Arc::new(Collected::default());
        let started = Arc::new(Mutex::new(Vec::new()));
        let mut registry = Registry::new();
        registry
            .extend(CALLS.map(|name| {
                let (started, sink) = (Arc::clone(&started), Arc::clone(&sink));
                Tool::new(ToolSpec::new(name), move |_| {
                    let (started, sink) = (Arc::clone(&started), Arc::clone(&sink));
                    async move {
                        started.lock().unwrap().push(name);
                        match name {
                            // Those around it are rescued.
                            "blocks" => sink.wait_for(&["first", "behind", "waits"]),
                            "waits" => shuttle::future::yield_now().await,
                            _ => {}
                        }
                        Ok(ToolOutput::null())
                    }
                })
            }))
            .unwrap();
        let rules = Rules {
            is_authenticated: false,
            strict_access: false,
            is_declared: false,
            describe_parameters: false,
        };
        let tools = ToolTable::new(registry, Arc::default(), rules, HostMetrics::default()).unwrap();
        let dispatcher = Dispatcher::new(tools, Arc::default(), None, Limits::default());
        let mut batch = Batch::new(Watch::default(), Arc::clone(&sink));
        let push = |names: &[&str], batch: &mut Batch<Collected>| {
            for name in names {
                let context = CallContext::builder().call_id(*name).build();
                let call = dispatcher.admit_local(name, Arguments::empty(), context, |scope| scope).unwrap();
                if *name != "alone" {
                    call.entry.pace.record(Duration::from_micros(1));
                }
                batch.push(call);
            }
        };
        push(&CALLS[..4], &mut batch);
        let mut is_started = false;
        block_on(std::future::poll_fn(|context| {
            if std::mem::replace(&mut is_started, true) {
                return Poll::Ready(());
            }
            assert!(batch.start(Some(context.waker())));
            Poll::Pending
        }));
        // With the buffers of the first, perhaps, which may not be over.
        push(&CALLS[4..], &mut batch);
        batch.start(None);
        sink.wait_for(&CALLS);
        block_on(dispatcher.drained());
        for ids in [
            &mut *sink.ids.lock().unwrap(),
            &mut started.lock().unwrap().drain(..).map(str::to_owned).collect(),
        ] {
            ids.sort_unstable();
            let mut expected = CALLS;
            expected.sort_unstable();
            assert_eq!(*ids, expected);
        }
    });
}
