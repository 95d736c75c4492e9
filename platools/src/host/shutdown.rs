//! Shutdown: the first signal starts a graceful one, which tells how far it is; the second one stops the host at once.

use std::convert::Infallible;
use std::future::Future;
use std::sync::atomic::Ordering;
use std::time::Duration;

use platools_net::signals::Signals;
use tokio::time::sleep;

use super::{HostError, Shared};
use crate::tool::format_duration;

/// The time between two lines about running calls.
const COUNT_DOWN: Duration = Duration::from_secs(5);

/// Runs the host until it ends. The first signal shuts it down, the second one drops it.
pub(super) async fn guard(
    mut signals: Signals,
    shared: &Shared,
    host: impl Future<Output = Result<(), HostError>>,
) -> Result<(), HostError> {
    let mut host = std::pin::pin!(host);
    let stop = &shared.stop;
    shared.stops_at_second_signal.store(true, Ordering::Relaxed);
    loop {
        tokio::select! {
            result = &mut host => return result,
            _ = signals.next() => {
                if stop.is_cancelled() {
                    return Err(HostError::Interrupted { running: shared.dispatcher().in_flight() });
                }
                stop.cancel();
            }
        }
    }
}

/// Logs every few seconds of a shutdown how many calls still run, and for how long they may. Never ends.
pub(super) async fn count_down(shared: &Shared) -> Infallible {
    shared.shutdown.cancelled().await;
    let mut left = shared.config.shutdown_grace;
    while left > COUNT_DOWN {
        sleep(COUNT_DOWN).await;
        left -= COUNT_DOWN;
        let running = shared.dispatcher().in_flight();
        if running > 0 {
            let left = format_duration(left);
            tracing::info!(entity = shared.url.entity(), "{}, {left} left", still_run(running));
        }
    }
    // The end of the grace period has lines of its own.
    std::future::pending().await
}

/// How many calls run, as the beginning of a sentence.
pub(super) fn calls_run(running: usize) -> String {
    if running == 1 { "1 call is running".to_owned() } else { format!("{running} calls are running") }
}

fn still_run(running: usize) -> String {
    if running == 1 { "1 call still runs".to_owned() } else { format!("{running} calls still run") }
}
