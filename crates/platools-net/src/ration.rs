//! A ration of log lines: what strangers can cause without end must not fill a disk.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How many lines one period has.
const LINES: u32 = 20;

/// How long a period lasts.
const PERIOD: Duration = Duration::from_secs(10);

/// Lets 20 lines through in 10 seconds, and counts the others.
#[derive(Debug, Default)]
pub struct Ration(Mutex<Period>);

#[derive(Debug, Default)]
struct Period {
    began: Option<Instant>,
    lines: u32,
    left_out: u64,
}

impl Ration {
    /// Asks for one line. Returns how many were left out since the last one, or `None` if this one is left out too.
    ///
    /// ```
    /// use platools_net::ration::Ration;
    ///
    /// let ration = Ration::default();
    /// let lines = (0..1_000).filter(|_| ration.line().is_some()).count();
    /// assert_eq!(lines, 20);
    /// ```
    pub fn line(&self) -> Option<u64> {
        self.line_at(Instant::now())
    }

    fn line_at(&self, now: Instant) -> Option<u64> {
        let mut period = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if period.began.is_none_or(|began| now.duration_since(began) >= PERIOD) {
            (period.began, period.lines) = (Some(now), 0);
        }
        if period.lines >= LINES {
            period.left_out += 1;
            return None;
        }
        period.lines += 1;
        Some(std::mem::take(&mut period.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_has_its_lines_and_the_next_one_says_what_was_left_out() {
        let (ration, start) = (Ration::default(), Instant::now());
        let lines = |at| (0..1_000).filter_map(|_| ration.line_at(at)).collect::<Vec<_>>();
        assert_eq!(lines(start), [0; LINES as usize]);
        assert_eq!(lines(start + PERIOD / 2), [0; 0]);
        let next = lines(start + PERIOD);
        assert_eq!((next[0], next.len()), (1_980, LINES as usize));
        assert!(next[1..].iter().all(|left_out| *left_out == 0));
    }
}
