//! An upstream that is kept, and whose configuration may change without losing a call.
//!
//! Its tools stay declared while it is down: a call is answered at once and says when the upstream is tried again.
//! Declaring them away and back with every crash would make agents lose them, and the platform's list flap.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::OptionFuture;
use platools::{Tool, ToolSpec};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::config::UpstreamConfig;
use crate::lane::{Lane, LaneState};
use crate::memory::Memory;
use crate::name::Name;
use crate::pins::{Pins, WithheldTool};
use crate::remote::Remote;
use crate::tools::{Taken, ToolChanges, UpstreamChanges};

/// The state of an upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum UpstreamState {
    /// It was not reached yet.
    Starting,
    /// Its tools can be called.
    Up {
        /// How many tools are taken from it.
        tools: usize,
    },
    /// It cannot be reached.
    Down {
        /// Why.
        reason: String,
        /// When it is tried again.
        retry_at: std::time::Instant,
    },
    /// It was told to stop.
    Stopped,
}

/// An upstream MCP server, kept for as long as this exists.
///
/// ```no_run
/// use platools::Platools;
/// use platools_upstream::{ServerProgram, Upstream, UpstreamConfig, keep_in_step};
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let host = Platools::builder().tools([]).build_local()?;
/// let config = UpstreamConfig::program("files", ServerProgram::new("mcp-server-filesystem").arg("/srv/files"));
/// let upstream = Upstream::start(config);
/// tokio::spawn(keep_in_step(upstream.tools(), host.tools().clone()));
/// upstream.up().await;
/// // … and at the end:
/// upstream.stop().await;
/// # Ok(())
/// # }
/// ```
pub struct Upstream {
    shared: Arc<Shared>,
    tools: watch::Receiver<Vec<Tool>>,
    orders: watch::Sender<Order>,
    stop: CancellationToken,
    running: JoinHandle<()>,
}

/// How the upstream should be.
#[derive(Clone)]
struct Order {
    config: Arc<UpstreamConfig>,
    /// Another number asks for another connection.
    connection: u64,
}

/// State that the supervisor and the tools share.
struct Shared {
    name: Name,
    state: watch::Sender<UpstreamState>,
    /// The connection that calls go to.
    lane: Mutex<Arc<Lane>>,
    /// The connection that will replace it once it is up.
    next: Mutex<Option<Arc<Lane>>>,
    /// All calls, whatever the connection.
    calls: TaskTracker,
    /// Whether the server's tools are known, from itself or from the last run.
    is_known: AtomicBool,
    /// The tools that are withheld.
    withheld: Mutex<Vec<WithheldTool>>,
}

impl Upstream {
    /// Connects, and keeps connecting. Needs a tokio runtime.
    pub fn start(config: UpstreamConfig) -> Self {
        let config = Arc::new(config);
        let name = Name::new(&config.name);
        let lane = Lane::start(Arc::clone(&config), name.clone());
        let shared = Arc::new(Shared {
            name,
            state: watch::Sender::new(UpstreamState::Starting),
            lane: Mutex::new(Arc::clone(&lane)),
            next: Mutex::default(),
            calls: TaskTracker::new(),
            is_known: AtomicBool::new(false),
            withheld: Mutex::default(),
        });
        let stop = CancellationToken::new();
        let (orders, received) = watch::channel(Order { config: Arc::clone(&config), connection: 0 });
        // The task alone has the sender: tools live on in hosts, and those who follow have to learn of the end.
        let (sender, tools) = watch::channel(Vec::new());
        let mut supervisor = Supervisor {
            shared: Arc::clone(&shared),
            taken: Taken::new(sender),
            specs: Arc::default(),
            memory: Memory::of(&config),
            pins: None,
            orders: received,
            config,
            connection: 0,
            state: lane.subscribe(),
            next: None,
            leaving: TaskTracker::new(),
            stop: stop.clone(),
        };
        supervisor.pins = Pins::of(&supervisor.config);
        supervisor.remember();
        let running = tokio::spawn(supervisor.run());
        Self { shared, tools, orders, stop, running }
    }

    /// Changes what is taken from the server and how it is declared, without another connection: name, prefix, selection,
    /// [`declared_as`](UpstreamConfig::declared_as), [`declare_tool`](UpstreamConfig::declare_tool) and
    /// [`pin`](UpstreamConfig::pin). Everything else of the configuration is left as it was.
    pub fn apply(&self, config: UpstreamConfig) {
        self.orders.send_modify(|order| order.config = Arc::new(config));
    }

    /// Connects anew, by another configuration. The old connection serves all calls until the new one is up, and ends when
    /// its last call has; tools that both have are not touched. A connection that is down is replaced at once.
    pub fn switch_to(&self, config: UpstreamConfig) {
        self.orders.send_modify(|order| {
            order.config = Arc::new(config);
            order.connection += 1;
        });
    }

    /// Its name.
    pub fn name(&self) -> String {
        self.shared.name.to_string()
    }

    /// Its current state.
    pub fn state(&self) -> UpstreamState {
        self.shared.state.borrow().clone()
    }

    /// The state of the connection that is to replace the current one once it is up, after
    /// [`switch_to`](Self::switch_to).
    pub fn replacement(&self) -> Option<UpstreamState> {
        self.shared.next().as_ref().map(|lane| match lane.state() {
            LaneState::Starting => UpstreamState::Starting,
            LaneState::Up(specs) => UpstreamState::Up { tools: specs.len() },
            LaneState::Down { reason, retry_at } => UpstreamState::Down { reason, retry_at },
            LaneState::Stopped => UpstreamState::Stopped,
        })
    }

    /// Returns whether its tools are known: the server has declared them, or they are [remembered](UpstreamConfig::remember_in).
    pub fn is_known(&self) -> bool {
        self.shared.is_known.load(Ordering::Acquire)
    }

    /// The tools that are withheld, since their definitions are not those that were accepted; none unless they are
    /// [pinned](UpstreamConfig::pin).
    pub fn withheld(&self) -> Vec<WithheldTool> {
        self.shared.withheld().clone()
    }

    /// Resolves once the first attempt has an outcome, and returns it.
    pub async fn first_outcome(&self) -> UpstreamState {
        self.when(|state| *state != UpstreamState::Starting).await
    }

    /// Resolves when it is up, or told to stop.
    pub async fn up(&self) -> UpstreamState {
        self.when(|state| matches!(state, UpstreamState::Up { .. } | UpstreamState::Stopped)).await
    }

    /// Resolves when it is not up.
    pub async fn down(&self) -> UpstreamState {
        self.when(|state| matches!(state, UpstreamState::Down { .. } | UpstreamState::Stopped)).await
    }

    async fn when(&self, wanted: impl FnMut(&UpstreamState) -> bool) -> UpstreamState {
        let mut state = self.shared.state.subscribe();
        let found = state.wait_for(wanted).await;
        found.map_or(UpstreamState::Stopped, |state| state.clone())
    }

    /// Tells when its state or its tools change, from now on.
    pub fn changes(&self) -> UpstreamChanges {
        UpstreamChanges { state: self.shared.state.subscribe(), tools: self.tools.clone() }
    }

    /// Its tools, now and whenever they change.
    pub fn tools(&self) -> ToolChanges {
        ToolChanges::new(self.tools.clone())
    }

    /// Resolves when no call of its tools waits for an answer.
    pub async fn idle(&self) {
        self.shared.calls.close();
        self.shared.calls.wait().await;
    }

    /// Ends the connection, and the program with all that it started. Its tools answer that it was stopped.
    pub async fn stop(mut self) {
        self.stop.cancel();
        let _ = (&mut self.running).await;
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream")
            .field("name", &self.name())
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}

impl Shared {
    fn lane(&self) -> MutexGuard<'_, Arc<Lane>> {
        self.lane.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self) -> MutexGuard<'_, Option<Arc<Lane>>> {
        self.next.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn withheld(&self) -> MutexGuard<'_, Vec<WithheldTool>> {
        self.withheld.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection for a call, counted there. Under the lock, so that a connection that is replaced gets no more.
    fn enter(&self) -> (Arc<Lane>, [TaskTrackerToken; 2]) {
        let lane = self.lane();
        (Arc::clone(&lane), [lane.enter(), self.calls.token()])
    }

    /// A tool that calls `remote` of the server.
    fn tool(self: &Arc<Self>, remote: String, spec: ToolSpec) -> Tool {
        let (shared, about) = (Arc::clone(self), Arc::clone(self));
        let remote = Arc::new(Remote::new(remote));
        let declared = spec.input_schema.clone();
        let tool = Tool::new(spec, move |call| {
            let (shared, remote) = (Arc::clone(&shared), Arc::clone(&remote));
            let schema = remote.schema(&declared, &shared.name.get());
            let checked =
                schema.map_or_else(|| call.arguments.parse(), |schema| schema.check(&call.arguments));
            async move {
                let (lane, _counted) = shared.enter();
                lane.call(&remote.name, checked?, &call).await
            }
        });
        tool.down_while(move || {
            let lane = Arc::clone(&about.lane());
            lane.down_reason()
        })
    }
}

/// Carries out the orders: one connection, and at times another one that will replace it.
struct Supervisor {
    shared: Arc<Shared>,
    taken: Taken,
    /// The tools as the server declared them last.
    specs: Arc<Vec<ToolSpec>>,
    memory: Option<Memory>,
    /// The accepted definitions, if they are pinned.
    pins: Option<Pins>,
    orders: watch::Receiver<Order>,
    config: Arc<UpstreamConfig>,
    connection: u64,
    /// Of the current connection.
    state: watch::Receiver<LaneState>,
    next: Option<(Arc<Lane>, watch::Receiver<LaneState>)>,
    leaving: TaskTracker,
    stop: CancellationToken,
}

impl Supervisor {
    async fn run(mut self) {
        if self.shared.is_known.load(Ordering::Acquire) {
            // What a server declared last is what it was accepted with.
            self.pin().await;
        }
        self.note_withheld().await;
        loop {
            let accepted = OptionFuture::from(self.pins.as_ref().map(Pins::accepted_elsewhere));
            tokio::select! {
                biased;
                () = self.stop.cancelled() => break,
                Ok(()) = self.orders.changed() => self.on_order().await,
                Some(()) = accepted => self.on_accepted().await,
                () = is_up(&mut self.next) => self.switch(),
                Ok(()) = self.state.changed() => self.on_state().await,
                () = due(self.memory.as_ref()) => self.write().await,
            }
        }
        let lane = Arc::clone(&self.shared.lane());
        if let Some((next, _)) = self.next.take() {
            next.end().await;
        }
        lane.end().await;
        self.leaving.close();
        self.leaving.wait().await;
        self.shared.state.send_replace(UpstreamState::Stopped);
    }

    async fn on_order(&mut self) {
        let order = self.orders.borrow_and_update().clone();
        let was_pinned = self.config.pin;
        self.config = order.config;
        let is_known = self.shared.is_known.load(Ordering::Acquire);
        let is_renamed = self.shared.name.set(&self.config.name);
        if let Some(memory) = self.memory.as_mut().filter(|_| is_renamed) {
            memory.rename(&self.config.name);
            if is_known {
                memory.write(&self.specs).await;
            }
        }
        if self.config.pin != was_pinned {
            self.pins = Pins::of(&self.config);
        } else if let Some(pins) = self.pins.as_mut().filter(|_| is_renamed) {
            pins.rename(&self.config.name).await;
        }
        if order.connection != self.connection {
            self.connection = order.connection;
            let lane = Lane::start(Arc::clone(&self.config), self.shared.name.clone());
            if let Some((superseded, _)) = self.next.take() {
                self.let_go(superseded);
            }
            let state = lane.subscribe();
            self.set_next(Some((lane, state)));
            let is_up = matches!(*self.state.borrow(), LaneState::Up(_));
            if !is_up {
                self.switch();
            }
        }
        if is_known {
            self.pin().await;
            self.take();
            self.note_withheld().await;
        }
    }

    /// Takes over what was accepted in the meantime.
    async fn on_accepted(&mut self) {
        if let Some(pins) = &mut self.pins {
            pins.read_again();
        }
        self.take();
        self.note_withheld().await;
    }

    /// Accepts the first definitions of the server that are seen, where they are pinned.
    async fn pin(&mut self) {
        if let Some(pins) = &mut self.pins {
            pins.begin(&self.specs).await;
        }
    }

    /// Says which tools are withheld, here and to whoever accepts them.
    async fn note_withheld(&mut self) {
        let withheld = self.taken.withheld();
        *self.shared.withheld() = withheld.iter().map(|(_, tool)| tool.clone()).collect();
        if let Some(pins) = &mut self.pins {
            pins.wait(withheld.iter().map(|(spec, _)| spec)).await;
        }
    }

    fn set_next(&mut self, next: Option<(Arc<Lane>, watch::Receiver<LaneState>)>) {
        *self.shared.next() = next.as_ref().map(|(lane, _)| Arc::clone(lane));
        self.next = next;
    }

    /// Goes over to the next connection, whatever its state.
    fn switch(&mut self) {
        let Some((lane, mut state)) = self.next.take() else { return };
        self.set_next(None);
        let old = std::mem::replace(&mut *self.shared.lane(), lane);
        tracing::info!(upstream = %self.shared.name, "the MCP server's new connection replaces the old one");
        self.let_go(old);
        state.mark_changed();
        self.state = state;
        if let Some(memory) = &mut self.memory {
            memory.reached_by(self.shared.lane().config());
        }
    }

    /// Has a connection end once its calls are over.
    fn let_go(&self, lane: Arc<Lane>) {
        let stop = self.stop.clone();
        self.leaving.spawn(async move {
            tokio::select! {
                () = lane.leave() => {}
                () = stop.cancelled() => lane.end().await,
            }
        });
    }

    async fn on_state(&mut self) {
        let state = self.state.borrow_and_update().clone();
        let state = match state {
            LaneState::Starting => UpstreamState::Starting,
            LaneState::Up(specs) => {
                self.specs = specs;
                self.pin().await;
                let tools = self.take();
                self.note_withheld().await;
                self.shared.is_known.store(true, Ordering::Release);
                if let Some(memory) = &mut self.memory {
                    memory.save(&self.specs).await;
                }
                UpstreamState::Up { tools }
            }
            // The other one is no worse.
            LaneState::Down { .. } if self.next.is_some() => return self.switch(),
            LaneState::Down { reason, retry_at } => UpstreamState::Down { reason, retry_at },
            LaneState::Stopped => return,
        };
        self.shared.state.send_if_modified(|known| {
            let changes = *known != state;
            *known = state;
            changes
        });
    }

    /// Makes tools of what the server declares, tells those who follow if something is new, and counts the tools.
    fn take(&mut self) -> usize {
        let shared = &self.shared;
        self.taken
            .take(&self.config, self.pins.as_ref(), &self.specs, |remote, spec| shared.tool(remote, spec))
    }

    /// Takes the tools of the last run until the server declares its own.
    fn remember(&mut self) {
        if let Some(specs) = self.memory.as_mut().and_then(Memory::load) {
            self.specs = Arc::new(specs);
            self.take();
            self.shared.is_known.store(true, Ordering::Release);
        }
    }

    /// Tries again to write what could not be written.
    async fn write(&mut self) {
        if let Some(memory) = &mut self.memory {
            memory.write(&self.specs).await;
        }
    }
}

/// Resolves when a write that failed is to be tried again; never without one.
async fn due(memory: Option<&Memory>) {
    match memory.and_then(Memory::retry_at) {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Resolves when the next connection is up; never without one.
async fn is_up(next: &mut Option<(Arc<Lane>, watch::Receiver<LaneState>)>) {
    let Some((_, state)) = next else { return std::future::pending().await };
    if state.wait_for(|state| matches!(state, LaneState::Up(_))).await.is_err() {
        std::future::pending::<()>().await;
    }
}
