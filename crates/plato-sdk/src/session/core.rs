//! The state that a client and its sessions share: settings, connections, and the thread that keeps sessions.

use std::sync::{Arc, Mutex, PoisonError};

use super::keeper::Keeper;
use crate::api::Api;
use crate::config::Settings;
use crate::desktop::AgentHttp;
use crate::error::Result;

/// The inside of a [`Plato`](crate::Plato) client. The drop of its last holder waits until its sessions are closed.
pub(crate) struct Core {
    pub(crate) settings: Settings,
    pub(crate) api: Api,
    pub(super) agents: AgentHttp,
    keeper: Mutex<Option<Arc<Keeper>>>,
}

impl Core {
    pub(crate) fn new(settings: Settings) -> Result<Arc<Self>> {
        let (api, agents) = (Api::new(&settings)?, AgentHttp::new(&settings)?);
        Ok(Arc::new(Self { settings, api, agents, keeper: Mutex::new(None) }))
    }

    /// The thread that keeps sessions; it starts with the first one.
    pub(super) fn keeper(&self) -> Result<Arc<Keeper>> {
        let mut keeper = self.keeper.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(keeper) = &*keeper {
            return Ok(Arc::clone(keeper));
        }
        let started = Arc::new(Keeper::start(&self.settings)?);
        *keeper = Some(Arc::clone(&started));
        Ok(started)
    }

    fn running_keeper(&self) -> Option<Arc<Keeper>> {
        self.keeper.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) async fn close_all(&self) {
        if let Some(keeper) = self.running_keeper() {
            keeper.close_all().await;
        }
    }

    pub(crate) fn open_sessions(&self) -> usize {
        self.running_keeper().map_or(0, |keeper| keeper.open())
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        if let Some(keeper) = self.running_keeper() {
            keeper.leave(self.settings.close_grace);
        }
    }
}
