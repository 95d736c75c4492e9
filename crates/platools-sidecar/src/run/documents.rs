//! The documents that servers have: fetched, asked for again now and then, and remembered. What cannot be fetched is tried
//! again with growing waits; its tools stay those of the last good copy.
//!
//! Whoever keeps them waits for [`Documents::changed`] and makes another plan then. Must not know how tools are declared.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use platools::host::StateDir;
use platools_net::Backoff;
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use crate::document::{Copy, FETCH, FetchError, Remotes, forget_unused};
use crate::plan::DocumentPlan;

/// The waits between attempts, as for MCP servers.
const BACKOFF: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60)).jitter(0.5..=1.0);

/// The longest wait that a server may ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(3_600);

/// The documents of servers that a plan names.
#[derive(Debug)]
pub(crate) struct Documents {
    remotes: Remotes,
    state_dir: Option<StateDir>,
    kept: Vec<Kept>,
    /// How often a document came that is another one.
    changes: watch::Sender<u64>,
    seen: watch::Receiver<u64>,
}

/// A document that is kept.
#[derive(Debug)]
struct Kept {
    orders: watch::Sender<Order>,
    state: Arc<Mutex<State>>,
    _keeping: AbortOnDropHandle<()>,
}

/// How it is to be kept.
#[derive(Debug, Clone)]
struct Order {
    plan: DocumentPlan,
    /// Another number asks for an attempt at once.
    round: u64,
}

/// How it went last.
#[derive(Debug, Clone, Default)]
struct State {
    has_tried: bool,
    problem: Option<String>,
}

/// The state of a document, in words.
#[derive(Debug, Clone, serde::Serialize)]
pub(crate) struct DocumentView {
    name: String,
    state: &'static str,
    /// How many tools are made of it, whatever the state.
    tools: usize,
    /// When the document came that is in use.
    #[serde(skip_serializing_if = "Option::is_none")]
    fetched: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

impl Documents {
    /// None yet. Copies are kept in the state directory, where there is one.
    pub(crate) fn new(remotes: Remotes, state_dir: Option<StateDir>) -> Self {
        let (changes, seen) = watch::channel(0);
        Self { remotes, state_dir, kept: Vec::new(), changes, seen }
    }

    /// Goes over to these documents. One that is kept already is asked for at once only if how it is fetched changed.
    pub(crate) fn change(&mut self, plans: &[DocumentPlan]) {
        let mut old: Vec<Option<Kept>> = self.kept.drain(..).map(Some).collect();
        for plan in plans {
            let fits = |kept: &Kept| kept.orders.borrow().plan.id == plan.id;
            let found = old.iter_mut().find(|kept| kept.as_ref().is_some_and(fits)).and_then(Option::take);
            let kept = match found {
                None => self.keep(plan.clone()),
                Some(kept) => {
                    kept.orders.send_if_modified(|order| {
                        let known = &order.plan;
                        let is_other = known.remote.fingerprint != plan.remote.fingerprint
                            || known.refresh != plan.refresh
                            || (!plan.is_there && known.is_there);
                        order.plan = plan.clone();
                        is_other
                    });
                    kept
                }
            };
            self.kept.push(kept);
        }
        if let Some(directory) = &self.state_dir {
            forget_unused(directory, plans.iter().map(|plan| &plan.id));
        }
    }

    /// Asks all servers at once.
    pub(crate) fn refresh(&self) {
        for kept in &self.kept {
            kept.orders.send_modify(|order| order.round += 1);
        }
    }

    /// Resolves when a document came that is another one than before.
    pub(crate) async fn changed(&mut self) {
        // This has the sender.
        let _ = self.seen.changed().await;
    }

    /// How they are.
    pub(crate) fn views(&self) -> Vec<DocumentView> {
        let view = |kept: &Kept| {
            let order = kept.orders.borrow();
            let State { has_tried, problem } = state(&kept.state).clone();
            let (fetched, tools) = self.remotes.look(&order.plan.id).unzip();
            DocumentView {
                name: order.plan.file.name.clone(),
                state: match problem {
                    Some(_) => "down",
                    None if has_tried => "up",
                    None => "starting",
                },
                tools: tools.unwrap_or_default(),
                fetched: fetched.map(|at| humantime::format_rfc3339_seconds(at).to_string()),
                problem,
            }
        };
        self.kept.iter().map(view).collect()
    }

    fn keep(&self, plan: DocumentPlan) -> Kept {
        let (orders, received) = watch::channel(Order { plan, round: 0 });
        let state = Arc::default();
        let keeper = Keeper {
            remotes: self.remotes.clone(),
            state_dir: self.state_dir.clone(),
            orders: received,
            state: Arc::clone(&state),
            changes: self.changes.clone(),
            saved: None,
        };
        Kept { orders, state, _keeping: AbortOnDropHandle::new(tokio::spawn(keeper.run())) }
    }
}

fn state(state: &Mutex<State>) -> std::sync::MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps one document.
struct Keeper {
    remotes: Remotes,
    state_dir: Option<StateDir>,
    orders: watch::Receiver<Order>,
    state: Arc<Mutex<State>>,
    changes: watch::Sender<u64>,
    /// What was written into the state directory.
    saved: Option<Arc<Copy>>,
}

impl Keeper {
    async fn run(mut self) {
        let mut failures = 0;
        let first = self.orders.borrow_and_update().plan.clone();
        // One that was fetched for the plan just now is not fetched twice.
        let mut wait = match self.remotes.confirmed(&first.id) {
            Some(age) => {
                self.save(&first).await;
                state(&self.state).has_tried = true;
                first.refresh.saturating_sub(age)
            }
            None => Duration::ZERO,
        };
        loop {
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                changed = self.orders.changed() => if changed.is_err() { return },
            }
            let plan = self.orders.borrow_and_update().plan.clone();
            let outcome = self.remotes.update(&plan.id, &plan.remote, &plan.file, FETCH).await;
            wait = match outcome {
                Ok(copy) => {
                    failures = 0;
                    self.succeeded(&plan, copy.is_some()).await;
                    plan.refresh.mul_f64(0.9 + 0.1 * fastrand::f64())
                }
                Err(error) => {
                    let asked = error.retry_after.unwrap_or_default().min(LONGEST_WAIT);
                    let wait = BACKOFF.wait(failures).max(asked);
                    failures = failures.saturating_add(1);
                    self.failed(&plan, error, wait);
                    wait
                }
            };
        }
    }

    async fn succeeded(&mut self, plan: &DocumentPlan, is_other: bool) {
        let document = &plan.file.name;
        let State { problem, .. } =
            std::mem::replace(&mut *state(&self.state), State { has_tried: true, problem: None });
        let outcome = if is_other { "changed" } else { "unchanged" };
        count(document, outcome);
        if is_other {
            let tools = self.remotes.look(&plan.id).map_or(0, |(_, tools)| tools);
            tracing::info!(document, tools, "the document of the server is another one");
            self.changes.send_modify(|changes| *changes += 1);
        } else if problem.is_some() {
            tracing::info!(document, "the server has the document again, and it is the one that is known");
        }
        self.save(plan).await;
    }

    fn failed(&self, plan: &DocumentPlan, error: FetchError, wait: Duration) {
        count(&plan.file.name, "failed");
        let reason = error.reason;
        let known = std::mem::replace(
            &mut *state(&self.state),
            State { has_tried: true, problem: Some(reason.clone()) },
        );
        // Once for each reason: it is tried again and again.
        if known.problem.as_ref() != Some(&reason) {
            let (document, wait_ms) = (&plan.file.name, wait.as_millis());
            let then = match self.remotes.look(&plan.id) {
                Some(_) => "the tools are those of its last copy until it comes",
                None => "it has no tools until it comes",
            };
            tracing::warn!(document, reason, wait_ms, "the document of a server is tried again: {then}");
        }
    }

    /// Writes the copy into the state directory, unless it is there. What goes wrong is in the log, and tried again when the
    /// server was asked the next time.
    async fn save(&mut self, plan: &DocumentPlan) {
        let (Some(directory), Some(copy)) = (self.state_dir.clone(), self.remotes.copy(&plan.id)) else {
            return;
        };
        if self.saved.as_ref().is_some_and(|saved| Arc::ptr_eq(saved, &copy)) {
            return;
        }
        let (id, stored) = (plan.id.clone(), Arc::clone(&copy));
        let stored = tokio::task::spawn_blocking(move || stored.store(&directory, &id));
        match stored.await.unwrap_or_else(|error| Err(std::io::Error::other(error))) {
            Ok(()) => self.saved = Some(copy),
            Err(error) => tracing::warn!(
                document = plan.file.name,
                %error,
                "the copy of the document cannot be written: after a restart it has no tools until it comes"
            ),
        }
    }
}

/// Counts a request for a document.
fn count(document: &str, outcome: &'static str) {
    let document = document.to_owned();
    metrics::counter!("platools_sidecar_document_fetches_total", "document" => document, "outcome" => outcome)
        .increment(1);
}
