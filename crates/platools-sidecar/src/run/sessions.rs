//! The listener that hands out session tokens, as long as the file has one.

use std::net::SocketAddr;

use axum::Router;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::daemon::SidecarError;
use super::listener::{listen, serve};
use crate::fingerprint::Fingerprint;
use crate::plan::SessionTokensPlan;

/// The listener, where there is one. Its rules change between two requests; another address is listened on
/// before the old one is left.
#[derive(Debug)]
pub(super) struct Sessions {
    listening: Option<Listening>,
    listeners: TaskTracker,
    stop: CancellationToken,
}

#[derive(Debug)]
struct Listening {
    address: SocketAddr,
    made_of: Fingerprint,
    router: watch::Sender<Router>,
    stop: CancellationToken,
}

impl Sessions {
    /// None yet. What will listen is one of `listeners`, and ends with `stop`.
    pub(super) fn new(listeners: &TaskTracker, stop: &CancellationToken) -> Self {
        Self { listening: None, listeners: listeners.clone(), stop: stop.clone() }
    }

    /// Goes over to what a plan says.
    ///
    /// # Errors
    /// When the address cannot be listened on; nothing has changed then.
    pub(super) async fn change(&mut self, plan: Option<SessionTokensPlan>) -> Result<(), SidecarError> {
        let Some(plan) = plan else {
            if let Some(old) = self.listening.take() {
                tracing::info!(address = %old.address, "session tokens are no longer handed out");
                old.stop.cancel();
            }
            return Ok(());
        };
        let SessionTokensPlan { listen: address, router, fingerprint: made_of } = plan;
        match &mut self.listening {
            Some(old) if old.made_of == made_of => return Ok(()),
            Some(old) if old.address == address => {
                drop(old.router.send_replace(router));
                old.made_of = made_of;
                tracing::info!(%address, "session tokens are handed out as the file says now");
                return Ok(());
            }
            _ => {}
        }
        let listener = listen("session_tokens", address).await?;
        let (router, routers) = watch::channel(router);
        let stop = self.stop.child_token();
        self.listeners.spawn(serve(listener, move || routers.borrow().clone(), stop.clone()));
        if let Some(old) = self.listening.replace(Listening { address, made_of, router, stop }) {
            old.stop.cancel();
        }
        Ok(())
    }
}
