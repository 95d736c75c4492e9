//! Setting a session up once its machines are ready: reset, network, login, and the user's own steps.

use super::handle::Session;
use crate::error::Result;

impl Session {
    /// Does it, once; after a failure it is begun anew.
    pub(super) async fn set_up(&self) -> Result<()> {
        let setup = self.setup();
        let steps = async || {
            // A reset after the login would undo it, and the record is to hold what logging in changes.
            if setup.of_testcase || setup.login.is_some() {
                self.reset().await?;
            }
            self.join_network(setup.network).await?;
            self.prepare_again().await
        };
        setup.done.get_or_try_init(steps).await.map(|&()| ())
    }

    /// Whether a reset undoes more than the data.
    pub(crate) fn is_prepared(&self) -> bool {
        self.setup().login.is_some() || !self.setup().prepare.is_empty()
    }

    /// Logs in and prepares, as the session's request asks for: what a reset has undone.
    pub(crate) async fn prepare_again(&self) -> Result<()> {
        let setup = self.setup();
        if let Some(options) = &setup.login {
            let login = self.login(options).await?;
            tracing::debug!(session = self.id(), logged_in = ?login.logged_in, "logged in");
        }
        for prepare in &setup.prepare {
            prepare(self.clone()).await?;
        }
        Ok(())
    }
}
