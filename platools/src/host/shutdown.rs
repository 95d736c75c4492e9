//! Signals: the first one starts a graceful shutdown, the second one stops the host at once.

use std::future::Future;

use platools_net::signals::Signals;

use super::{HostError, Shared};

/// Runs the host until it ends. The first signal shuts it down, the second one drops it.
pub(super) async fn guard(
    mut signals: Signals,
    shared: &Shared,
    host: impl Future<Output = Result<(), HostError>>,
) -> Result<(), HostError> {
    let mut host = std::pin::pin!(host);
    let shutdown = &shared.shutdown;
    loop {
        tokio::select! {
            result = &mut host => return result,
            _ = signals.next() => {
                if shutdown.is_cancelled() {
                    return Err(HostError::Interrupted { running: shared.dispatcher().in_flight() });
                }
                shutdown.cancel();
            }
        }
    }
}
