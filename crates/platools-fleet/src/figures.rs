//! How many calls a member answers, and how long they take.

use std::collections::VecDeque;

use crate::message::Figures;
use crate::time::{Time, ms};

/// The time over which figures are taken.
const WINDOW: Time = ms(10_000);
/// The most calls that they are taken from.
const MOST: usize = 4_096;

/// The calls that ended lately.
#[derive(Debug, Default)]
pub(crate) struct Latencies {
    recent: VecDeque<(Time, f32)>,
    /// All calls in the window, of which only the latest are in `recent`.
    buckets: VecDeque<(u64, u32)>,
}

impl Latencies {
    pub(crate) fn add(&mut self, now: Time, latency: Time) {
        self.recent.push_back((now, latency.as_secs_f32() * 1_000.0));
        if self.recent.len() > MOST {
            self.recent.pop_front();
        }
        let second = now.as_secs();
        match self.buckets.back_mut() {
            Some((last, count)) if *last == second => *count += 1,
            _ => self.buckets.push_back((second, 1)),
        }
    }

    pub(crate) fn figures(&mut self, now: Time, running: usize) -> Figures {
        while self.recent.front().is_some_and(|(at, _)| *at + WINDOW < now) {
            self.recent.pop_front();
        }
        let first = now.as_secs().saturating_sub(WINDOW.as_secs());
        while self.buckets.front().is_some_and(|(second, _)| *second < first) {
            self.buckets.pop_front();
        }
        let count: u32 = self.buckets.iter().map(|(_, count)| count).sum();
        let span = now.min(WINDOW).as_secs_f64().max(1.0);
        let mut sorted: Vec<f32> = self.recent.iter().map(|(_, latency)| *latency).collect();
        sorted.sort_unstable_by(f32::total_cmp);
        let quantile = |part: usize| {
            let index = (sorted.len() * part / 100).min(sorted.len().saturating_sub(1));
            sorted.get(index).copied().map_or(0.0, f64::from)
        };
        Figures {
            running,
            calls_per_second: f64::from(count) / span,
            p50_ms: quantile(50),
            p99_ms: quantile(99),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_those_of_the_last_seconds() {
        let mut latencies = Latencies::default();
        for number in 0..100 {
            latencies.add(ms(20_000 + number * 10), ms(number));
        }
        let figures = latencies.figures(ms(21_000), 3);
        assert_eq!((figures.running, figures.p50_ms, figures.p99_ms), (3, 50.0, 99.0));
        assert!((figures.calls_per_second - 10.0).abs() < 0.01, "{figures:?}");
        let later = latencies.figures(ms(60_000), 0);
        assert_eq!((later.calls_per_second, later.p50_ms), (0.0, 0.0));
    }
}
