//! Delays before the next attempt to connect: exponential backoff with full jitter (protocol §2).

use std::time::Duration;

use platools_net::Backoff;

/// The backoff after a lost connection.
const LOST: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
/// The least standby after another host took over.
const STANDBY: Backoff = Backoff::new(Duration::from_secs(30), LONGEST_STANDBY).jitter(1.0..=2.0);
/// The maximum standby.
const LONGEST_STANDBY: Duration = Duration::from_secs(15 * 60);

/// Returns a random delay up to a bound that doubles with every `attempt`, from 1 s to 60 s.
pub(super) fn after_failure(attempt: u32, random: &mut fastrand::Rng) -> Duration {
    LOST.wait_with(attempt, random)
}

/// Returns 0.5 to 5 s: a platform that is being deployed returns soon.
pub(super) fn after_deploy(random: &mut fastrand::Rng) -> Duration {
    Duration::from_millis(random.u64(500..=5_000))
}

/// Returns 30 to 60 s: what was refused needs a person or a rotation, not frequent retries.
pub(super) fn after_refusal(random: &mut fastrand::Rng) -> Duration {
    Duration::from_millis(random.u64(30_000..=60_000))
}

/// Returns 30 to 60 s, doubled each `time` that another host takes over, up to 15 minutes.
pub(super) fn standby(time: u32, random: &mut fastrand::Rng) -> Duration {
    STANDBY.wait_with(time, random).min(LONGEST_STANDBY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_stay_within_their_bounds_and_use_them() {
        let mut random = fastrand::Rng::with_seed(7);
        for (attempt, bound) in [(0, 1), (1, 2), (5, 32), (6, 60), (40, 60), (u32::MAX, 60)] {
            let waits: Vec<_> = (0..2_000).map(|_| after_failure(attempt, &mut random)).collect();
            let longest = waits.iter().max().unwrap().as_secs_f64();
            assert!(longest <= f64::from(bound) && longest > f64::from(bound) * 0.95, "{attempt}: {longest}");
            assert!(waits.iter().min().unwrap().as_secs_f64() < f64::from(bound) * 0.05);
        }
        for (time, least, most) in
            [(0, 30, 60), (1, 60, 120), (3, 240, 480), (9, 900, 900), (u32::MAX, 900, 900)]
        {
            for _ in 0..1_000 {
                let wait = standby(time, &mut random).as_secs();
                assert!((least..=most).contains(&wait), "{time}: {wait}");
            }
        }
    }
}
