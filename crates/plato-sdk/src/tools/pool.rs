//! The desktops of all conversations: started when the first call comes, closed when none comes any more.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use platools::{ToolCall, ToolError};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::AbortOnDropHandle;

use super::failure::refusal;
use super::policy::{Seat, SessionPerThread};
use super::seat::{Station, Turn, ended};
use super::settings::Settings;
use crate::client::Plato;
use crate::desktop::{Desktop, Size};
use crate::session::SessionRequest;

/// How a session for a desktop is asked for.
pub(super) type Recipe = dyn Fn(&Plato) -> SessionRequest + Send + Sync;

/// How often desktops that nobody uses are looked for, at most and at least.
const OFTEN: Duration = Duration::from_millis(10);
const SELDOM: Duration = Duration::from_secs(3600);

/// Where the desktop of a call comes from.
#[derive(Clone)]
pub(super) enum Source {
    /// There is one, and whoever calls shares it.
    Given(Arc<Station>),
    Pool(Arc<Pool>),
}

pub(super) struct Pool {
    plato: Plato,
    recipe: Box<Recipe>,
    policy: SessionPerThread,
    wish: Option<Size>,
    seats: Mutex<Seats>,
}

#[derive(Default)]
struct Seats {
    taken: HashMap<Seat, Taken>,
    /// Looks for desktops that nobody uses, while there are any.
    watcher: Option<AbortOnDropHandle<()>>,
    /// How many desktops were ever started.
    started: u64,
}

struct Taken {
    /// The number of its start, which tells it from one that was given up before.
    number: u64,
    since: Instant,
    state: watch::Receiver<State>,
    /// A start that nobody wants any more is broken off.
    _start: DropGuard,
}

#[derive(Clone)]
enum State {
    Starting,
    Ready(Arc<Station>),
    Failed(String),
}

/// The state of a desktop that was taken away.
pub(super) enum Dismissed {
    None,
    Starting,
    Ready(Arc<Station>),
}

impl Source {
    pub(super) fn given(desktop: Desktop, wish: Option<Size>) -> Self {
        Self::Given(Arc::new(Station::new(desktop, None, wish)))
    }

    /// A call's turn at its desktop, which is started if there is none.
    pub(super) async fn turn(&self, call: &ToolCall, settings: &Settings) -> Result<Turn, ToolError> {
        let came = Instant::now();
        let station = match self {
            Self::Given(station) => Arc::clone(station),
            Self::Pool(pool) => pool.station(call).await?,
        };
        Turn::at(station, came, settings.longest).await
    }
}

impl Taken {
    /// Whether its start came to no end, as when it panics or its runtime goes.
    fn is_stuck(&self) -> bool {
        self.state.has_changed().is_err()
    }

    /// Whether nobody has used it for so long. One that is being used, or starting, is not idle.
    fn is_idle(&self, now: Instant, limit: Duration) -> bool {
        match &*self.state.borrow() {
            State::Starting => self.is_stuck(),
            State::Ready(station) => Arc::strong_count(station) == 1 && station.idle(now) >= limit,
            State::Failed(_) => now.saturating_duration_since(self.since) >= limit,
        }
    }

    /// Whether it takes a place without being of use.
    fn is_over(&self) -> bool {
        match &*self.state.borrow() {
            State::Starting => self.is_stuck(),
            State::Ready(station) => station.is_over(),
            State::Failed(_) => true,
        }
    }
}

impl Pool {
    pub(super) fn new(
        plato: Plato,
        recipe: Box<Recipe>,
        policy: SessionPerThread,
        wish: Option<Size>,
    ) -> Arc<Self> {
        Arc::new(Self { plato, recipe, policy, wish, seats: Mutex::default() })
    }

    fn seats(&self) -> MutexGuard<'_, Seats> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn seat(&self, call: &ToolCall) -> Result<Seat, ToolError> {
        self.policy.sharing.seat(call)
    }

    /// The desktop of a conversation, which is started if it has none.
    pub(super) async fn station(self: &Arc<Self>, call: &ToolCall) -> Result<Arc<Station>, ToolError> {
        let seat = self.seat(call)?;
        let (number, mut state) = self.take(&seat)?;
        let begin = Instant::now();
        let is_done = |state: &State| !matches!(state, State::Starting);
        let done = match timeout(self.policy.start_wait, state.wait_for(is_done)).await {
            Ok(Ok(done)) => done.clone(),
            Ok(Err(_)) => State::Failed("its start was broken off: call again".to_owned()),
            Err(_) => State::Starting,
        };
        match done {
            State::Ready(station) if station.is_over() => {
                self.free(&seat, number);
                Err(ended())
            }
            State::Ready(station) => Ok(station),
            State::Failed(problem) => {
                self.free(&seat, number);
                Err(ToolError::user(format!("no desktop could be started: {problem}")))
            }
            State::Starting => Err(ToolError::user(format!(
                "the desktop is still starting, {} s were waited for it: call again",
                begin.elapsed().as_secs()
            ))),
        }
    }

    /// The desktop that a conversation has; none is started.
    ///
    /// # Errors
    /// When it has none that is up.
    pub(super) fn existing(&self, call: &ToolCall) -> Result<Arc<Station>, ToolError> {
        let seat = self.seat(call)?;
        let state = self.seats().taken.get(&seat).map(|taken| taken.state.borrow().clone());
        match state {
            Some(State::Ready(station)) => Ok(station),
            Some(State::Starting) => Err(ToolError::user("the desktop is still starting: call again")),
            Some(State::Failed(_)) | None => {
                Err(ToolError::user("this conversation has no desktop: the first use of one starts it"))
            }
        }
    }

    /// Forgets a conversation's desktop that is of no use any more, if it has one.
    pub(super) fn forget_ended(&self, call: &ToolCall) -> Result<(), ToolError> {
        let seat = self.seat(call)?;
        let number = self.seats().taken.get(&seat).filter(|taken| taken.is_over()).map(|taken| taken.number);
        if let Some(number) = number {
            self.free(&seat, number);
        }
        Ok(())
    }

    /// Takes the desktop away from a conversation.
    pub(super) fn dismiss(&self, call: &ToolCall) -> Result<Dismissed, ToolError> {
        let seat = self.seat(call)?;
        let taken = self.seats().taken.remove(&seat);
        let state = taken.map(|taken| taken.state.borrow().clone());
        Ok(match state {
            Some(State::Ready(station)) => Dismissed::Ready(station),
            Some(State::Starting) => Dismissed::Starting,
            Some(State::Failed(_)) | None => Dismissed::None,
        })
    }

    /// Frees a seat from one desktop; one that came after it stays.
    fn free(&self, seat: &Seat, number: u64) {
        let mut seats = self.seats();
        let is_it = seats.taken.get(seat).is_some_and(|taken| taken.number == number);
        let freed = if is_it { seats.taken.remove(seat) } else { None };
        drop(seats);
        // Not under the lock: with the last of it a session is closed.
        drop(freed);
    }

    /// The state of a conversation's desktop; its start is set off if there is none.
    fn take(self: &Arc<Self>, seat: &Seat) -> Result<(u64, watch::Receiver<State>), ToolError> {
        // Dropped last, so not under the lock.
        let mut _idle = Vec::new();
        let mut seats = self.seats();
        if let Some(taken) = seats.taken.get(seat) {
            return Ok((taken.number, taken.state.clone()));
        }
        let now = Instant::now();
        if seats.taken.len() >= self.policy.max_sessions {
            let limit = self.policy.idle_timeout;
            _idle = seats.retire(|taken| taken.is_over() || taken.is_idle(now, limit));
        }
        if seats.taken.len() >= self.policy.max_sessions {
            return Err(ToolError::overloaded(format!(
                "all {} desktops are in use: call again in a few minutes, or close one",
                self.policy.max_sessions
            )));
        }
        seats.started += 1;
        let number = seats.started;
        let (sender, state) = watch::channel(State::Starting);
        let wanted = CancellationToken::new();
        // The call that began it may be given up; others will come.
        let start = start(Arc::downgrade(self), seat.clone(), number, sender);
        let broken_off = wanted.clone().cancelled_owned();
        tokio::spawn(async move {
            tokio::select! {
                biased;
                () = broken_off => {}
                () = start => {}
            }
        });
        let taken = Taken { number, since: now, state: state.clone(), _start: wanted.drop_guard() };
        seats.taken.insert(seat.clone(), taken);
        // One that went down with its runtime is replaced.
        if seats.watcher.as_ref().is_none_or(AbortOnDropHandle::is_finished) {
            seats.watcher = Some(AbortOnDropHandle::new(tokio::spawn(watch_idle(Arc::downgrade(self)))));
        }
        Ok((number, state))
    }

    /// How many desktops there are, starting ones included.
    pub(super) fn len(&self) -> usize {
        self.seats().taken.len()
    }
}

impl Seats {
    /// Takes away what is of no use.
    fn retire(&mut self, is_useless: impl Fn(&Taken) -> bool) -> Vec<Taken> {
        self.taken.extract_if(|_, taken| is_useless(taken)).map(|(_, taken)| taken).collect()
    }
}

/// Starts a desktop for a conversation. When this is dropped on its way, what was started is closed.
async fn start(pool: Weak<Pool>, seat: Seat, number: u64, sender: watch::Sender<State>) {
    let Some((request, wish)) = pool.upgrade().map(|pool| ((pool.recipe)(&pool.plato), pool.wish)) else {
        return;
    };
    let started = async {
        let session = request.start().await?;
        let desktop = session.desktop()?;
        Ok(Arc::new(Station::new(desktop, Some(session), wish)))
    };
    let state = match started.await {
        Ok(station) => State::Ready(station),
        Err(error) => {
            tracing::warn!(%error, "a desktop could not be started");
            State::Failed(refusal(error).message().to_owned())
        }
    };
    let Some(pool) = pool.upgrade() else { return };
    // Under the lock, so that nobody sends it away in between. Whom nobody wants any more is closed by being dropped.
    let seats = pool.seats();
    if seats.taken.get(&seat).is_some_and(|taken| taken.number == number) {
        sender.send_replace(state);
        drop(seats);
    } else {
        drop(seats);
        drop(state);
    }
}

/// Looks for desktops that nobody uses, for as long as there are any.
async fn watch_idle(pool: Weak<Pool>) {
    loop {
        let pause = {
            let Some(pool) = pool.upgrade() else { return };
            let limit = pool.policy.idle_timeout;
            let now = Instant::now();
            let mut seats = pool.seats();
            let idle = seats.retire(|taken| taken.is_idle(now, limit));
            let watcher = if seats.taken.is_empty() { seats.watcher.take() } else { None };
            drop(seats);
            drop(idle);
            if watcher.is_some() {
                return;
            }
            (limit / 10).clamp(OFTEN, SELDOM)
        };
        sleep(pause).await;
    }
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use super::*;
    use crate::testing::{Boot, FakePlato};
    use crate::types::Env;

    #[tokio::test]
    async fn a_seat_is_freed_from_the_desktop_that_is_meant_and_not_from_its_successor() {
        let fake = FakePlato::start();
        fake.boot("ubuntu-vm", Boot::Never);
        let recipe = |plato: &Plato| plato.session().env(Env::simulator("ubuntu-vm"));
        let pool = Pool::new(fake.client(), Box::new(recipe), SessionPerThread::default(), None);
        let seat = Seat::Everyone;
        let (first, _) = pool.take(&seat).unwrap();
        pool.free(&seat, first);
        let (second, _) = pool.take(&seat).unwrap();
        // A second call that saw the first one fail.
        pool.free(&seat, first);
        assert_eq!((pool.take(&seat).unwrap().0, pool.len()), (second, 1));
        pool.free(&seat, second);
        assert_eq!(pool.len(), 0);
        fake.all_closed().await;
    }
}
