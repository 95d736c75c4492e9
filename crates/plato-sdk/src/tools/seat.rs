//! A desktop while conversations use it: calls come one after the other, and points are of the picture that the
//! caller saw last.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use platools::ToolError;
use tokio::sync::OwnedMutexGuard;
use tokio::time::{Instant, timeout_at};

use super::failure::refusal;
use crate::desktop::{Desktop, Point, Scaling, Size};
use crate::error::{Error, Result};
use crate::session::Session;

/// The tolerance of a call's time, so that a pause of all of it is not refused for a millisecond.
const SLACK: Duration = Duration::from_secs(1);

/// A desktop, and the session that it is of if that is to end with it.
pub(super) struct Station {
    /// One call after the other: a mouse has one place.
    free: Arc<tokio::sync::Mutex<()>>,
    pub(super) desktop: Desktop,
    session: Option<Session>,
    /// The size that pictures have unless they have to be smaller; the real one if nobody said otherwise.
    wish: Option<Size>,
    /// The size of the picture that was shown last.
    shown: Mutex<Option<Size>>,
    /// When the last call ended.
    used: Mutex<Instant>,
}

impl Station {
    pub(super) fn new(desktop: Desktop, session: Option<Session>, wish: Option<Size>) -> Self {
        let (free, used) = (Arc::default(), Mutex::new(Instant::now()));
        Self { free, desktop, session, wish, shown: Mutex::default(), used }
    }

    /// Whether it is of no use any more.
    pub(super) fn is_over(&self) -> bool {
        self.session.as_ref().is_some_and(|session| !session.health().is_usable())
    }

    /// For how long nobody has used it.
    pub(super) fn idle(&self, now: Instant) -> Duration {
        if self.free.try_lock().is_err() {
            return Duration::ZERO;
        }
        now.saturating_duration_since(*lock(&self.used))
    }

    /// The session that ends with it.
    ///
    /// # Errors
    /// When it is somebody else's.
    pub(super) fn session(&self) -> Result<&Session, ToolError> {
        self.session.as_ref().ok_or_else(|| ToolError::user("the session of this desktop is not kept here"))
    }

    /// The size that pictures of a screen are to have.
    pub(super) fn target(&self, real: Size) -> Size {
        self.wish.map_or(real, |wish| real.within(wish))
    }

    pub(super) fn showed(&self, size: Size) {
        *lock(&self.shown) = Some(size);
    }
}

/// One call's turn at a desktop.
pub(super) struct Turn {
    station: Arc<Station>,
    _free: OwnedMutexGuard<()>,
    /// The picture that the caller had seen when it called: what came of the call before it is not in it.
    seen: Option<Size>,
    came: Instant,
    deadline: Instant,
}

impl Turn {
    /// Waits for the turn of a call that came at some time and may take `time` from then on.
    ///
    /// # Errors
    /// When that is too little, or the desktop ends in the meantime.
    pub(super) async fn at(station: Arc<Station>, came: Instant, time: Duration) -> Result<Self, ToolError> {
        let seen = *lock(&station.shown);
        let now = Instant::now();
        let deadline = came.checked_add(time).unwrap_or(now + Duration::from_secs(86_400)).max(now);
        let Ok(free) = timeout_at(deadline, Arc::clone(&station.free).lock_owned()).await else {
            return Err(ToolError::user(
                "the desktop is still busy with calls that came before this one, which was not begun: call again",
            ));
        };
        if station.is_over() {
            return Err(ended());
        }
        Ok(Self { station, _free: free, seen, came, deadline })
    }

    pub(super) fn station(&self) -> &Station {
        &self.station
    }

    pub(super) fn desktop(&self) -> &Desktop {
        &self.station.desktop
    }

    /// The time that is left, in whole seconds and at least one.
    pub(super) fn seconds_left(&self) -> u64 {
        let left = self.deadline.saturating_duration_since(Instant::now());
        left.as_millis().div_ceil(1000).max(1) as u64
    }

    /// Refuses what would outlast the call, before anything is sent.
    ///
    /// # Errors
    /// When less time is left.
    pub(super) fn has(&self, what: &str, time: Duration) -> Result<(), ToolError> {
        if time <= self.deadline.saturating_duration_since(Instant::now()) + SLACK {
            return Ok(());
        }
        let (wanted, gone, left) = (time.as_secs_f64(), self.came.elapsed().as_secs(), self.seconds_left());
        Err(ToolError::user(format!(
            "nothing was done: {gone} s went by until the desktop was free, and {left} s are left of this call, too \
             little for a `{what}` of {wanted} s: call again"
        )))
    }

    /// The way between what the model sees and the screen.
    pub(super) async fn scaling(&self) -> Result<Scaling> {
        let real = self.desktop().screen().await?;
        Ok(Scaling::new(self.seen.unwrap_or_else(|| self.station.target(real)), real))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        *lock(&self.station.used) = Instant::now();
    }
}

/// The point on the screen that is meant by one on the picture.
///
/// # Errors
/// When it is not on the picture.
pub(super) fn on_screen(point: Point, scaling: Scaling) -> Result<Point, ToolError> {
    if scaling.model().contains(point) {
        return Ok(scaling.to_real(point));
    }
    let Size { width, height } = scaling.model();
    Err(refusal(Error::InvalidInput(format!(
        "{point} is not on the picture that was shown, which is {width}x{height}: x goes from 0 to {}, y from 0 to {}",
        width.saturating_sub(1),
        height.saturating_sub(1)
    ))))
}

/// The error for a desktop whose session has ended.
pub(super) fn ended() -> ToolError {
    ToolError::user("the desktop has ended, with all that was on it: the next call starts another one")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
