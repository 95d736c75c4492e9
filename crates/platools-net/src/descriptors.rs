//! File descriptors: how many this process may have, and a few that are kept for a connection that has to come back.
//!
//! The limit is the process's own, so what is kept here is kept once for all of it. Must not know what a descriptor is
//! for. On other systems than Unix there is no such limit, and everything here does nothing.

use std::io;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

#[cfg(unix)]
use std::{fs::File, os::fd::OwnedFd};

#[cfg(unix)]
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The soft limit to ask for when the system refuses the hard one: some refuse a limit that they call infinite.
#[cfg(unix)]
const MODEST: u64 = 10_240;

/// The limits as they were before [`raise`].
#[cfg(unix)]
static BEFORE: OnceLock<Rlimit> = OnceLock::new();

static RESERVE: Mutex<Reserve> = Mutex::new(Reserve { wanted: 0, lent: 0, held: Vec::new() });

/// Descriptors that are open only to be given up.
#[derive(Debug)]
struct Reserve {
    wanted: usize,
    /// How many borrowers there are. While there is one, nothing is taken back.
    lent: usize,
    held: Vec<Spare>,
}

#[cfg(unix)]
type Spare = OwnedFd;
#[cfg(not(unix))]
type Spare = std::convert::Infallible;

impl Reserve {
    fn refill(&mut self) {
        while self.lent == 0 && self.held.len() < self.wanted {
            match spare() {
                Ok(spare) => self.held.push(spare),
                // What is missing is taken at the next occasion.
                Err(_) => return,
            }
        }
    }
}

fn reserve() -> MutexGuard<'static, Reserve> {
    RESERVE.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(unix)]
fn spare() -> io::Result<Spare> {
    Ok(File::open("/dev/null")?.into())
}

#[cfg(not(unix))]
fn spare() -> io::Result<Spare> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Raises the soft limit to the hard one, and returns the limit that holds then; `None` if there is none. For programs,
/// at their start: a library leaves the limits of its process alone.
pub fn raise() -> Option<usize> {
    #[cfg(unix)]
    {
        let before = BEFORE.get_or_init(|| getrlimit(Resource::Nofile));
        if before.current != before.maximum {
            let raised = |current| setrlimit(Resource::Nofile, Rlimit { current, maximum: before.maximum });
            // A limit that cannot be raised stays as it is.
            let _ = raised(before.maximum).or_else(|_| raised(Some(MODEST)));
        }
    }
    limit()
}

/// Gives a program that was just started the soft limit that this process had before [`raise`]: programs that use
/// `select` break above 1 024. Linux only; elsewhere it inherits the raised limit.
pub fn restore_in(program: Option<u32>) {
    #[cfg(target_os = "linux")]
    if let (Some(before), Some(id)) = (BEFORE.get(), program)
        && let Some(id) = i32::try_from(id).ok().and_then(rustix::process::Pid::from_raw)
    {
        // The program may be gone already.
        let _ = rustix::process::prlimit(Some(id), Resource::Nofile, *before);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = program;
}

/// Returns how many descriptors this process may have; `None` if that is not limited.
pub fn limit() -> Option<usize> {
    #[cfg(unix)]
    return getrlimit(Resource::Nofile).current.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX));
    #[cfg(not(unix))]
    None
}

/// Returns how many connections a listener may keep: one of `parts` equal parts of the limit, and `most` at most.
pub fn share(parts: usize, most: usize) -> usize {
    limit().map_or(most, |limit| (limit / parts.max(1)).max(1).min(most))
}

/// Keeps `count` descriptors open from now on, which [`lend`] gives up for a moment. At most an eighth of the limit.
pub fn keep(count: usize) {
    let mut reserve = reserve();
    reserve.wanted = share(8, count);
    let wanted = reserve.wanted;
    reserve.held.truncate(wanted);
    reserve.refill();
}

/// Takes back descriptors that were used up, if there are any again. To be called now and then.
pub fn refill() {
    reserve().refill();
}

/// Gives up the kept descriptors, so that a connection can be made although everything else is used up. They are taken
/// back when the result is dropped.
pub fn lend() -> Lent {
    let mut reserve = reserve();
    reserve.lent += 1;
    reserve.held.clear();
    Lent(())
}

/// Descriptors are given up as long as this exists.
#[derive(Debug)]
#[must_use = "the descriptors are taken back when this is dropped"]
pub struct Lent(());

impl Drop for Lent {
    fn drop(&mut self) {
        let mut reserve = reserve();
        reserve.lent -= 1;
        reserve.refill();
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_lent_and_taken_back() {
        let held = || reserve().held.len();
        keep(3);
        assert_eq!(held(), 3);
        let (one, two) = (lend(), lend());
        assert_eq!(held(), 0);
        drop(one);
        refill();
        assert_eq!(held(), 0, "it is still lent");
        drop(two);
        assert_eq!(held(), 3);
        keep(0);
        assert_eq!(held(), 0);
    }

    #[test]
    fn a_listener_gets_a_part_of_the_limit() {
        let limit = limit().unwrap();
        assert_eq!((share(2, usize::MAX), share(2, 3), share(usize::MAX, 3)), (limit / 2, 3, 1));
    }
}
