//! What is done with a session once its machines are up: reset, network, login, and what its user prepares.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use tokio::sync::OnceCell;

use super::{Progress, Session};
use crate::browser::LoginOptions;
use crate::error::Result;

/// A step of the user's own.
pub(super) type Prepare =
    Box<dyn Fn(Session) -> Pin<Box<dyn Future<Output = Result<()>> + Send>> + Send + Sync>;

/// Is told how far machines are.
pub(super) type Tell = Box<dyn Fn(&Progress) + Send + Sync>;

/// What a session's request asks for beyond its machines.
#[derive(Default)]
pub(super) struct Setup {
    /// Whether it is of a testcase, whose record begins by itself.
    pub(super) of_testcase: bool,
    pub(super) network: Option<bool>,
    pub(super) login: Option<LoginOptions>,
    pub(super) prepare: Vec<Prepare>,
    pub(super) progress: Option<Tell>,
    done: OnceCell<()>,
}

impl Setup {
    pub(super) fn progress(&self) -> &(dyn Fn(&Progress) + Send + Sync) {
        match &self.progress {
            Some(tell) => &**tell,
            None => &|_| {},
        }
    }
}

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

impl fmt::Debug for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Setup")
            .field("of_testcase", &self.of_testcase)
            .field("network", &self.network)
            .field("login", &self.login)
            .finish_non_exhaustive()
    }
}
