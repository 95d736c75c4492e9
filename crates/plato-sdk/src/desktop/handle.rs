//! The program's hold on a desktop.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use tokio::time::{Instant, sleep};
use url::Url;

use super::agent::{Agent, AgentHttp};
use super::{DesktopStatus, Size};
use crate::config::DesktopUrl;
use crate::error::{EnvFailure, Error, Result, TransportErrorKind};
use crate::secrets::{JobId, SecretUrl};

/// The ports of a desktop's machine (plato-api §1).
const AGENT: u16 = 9000;
const LIVEVIEW: u16 = 6080;
const DEVTOOLS: u16 = 9224;

/// How often a desktop that boots is looked at.
const BOOT_POLL: Duration = Duration::from_secs(2);

/// The port of `DevTools`, inside of the machine and outside.
pub(crate) fn devtools_port() -> u16 {
    DEVTOOLS
}

/// A desktop of a session. It does not keep the session open: once that is closed, it answers no more. Cheap to clone.
///
/// ```no_run
/// # async fn run(session: plato_sdk::Session) -> plato_sdk::Result<()> {
/// use plato_sdk::Size;
///
/// let desktop = session.desktop()?.scaled_to(Size::new(1280, 720));
/// let shot = desktop.screenshot().await?;
/// std::fs::write("screen.png", shot.png()).unwrap();
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Desktop {
    pub(super) agent: Arc<Agent>,
    pub(super) model: Option<Size>,
    alias: String,
    liveview: Url,
    devtools: Url,
}

impl Desktop {
    /// The desktop of a job.
    pub(crate) fn of(
        job: &JobId,
        alias: &str,
        is_windows: bool,
        urls: &DesktopUrl,
        agents: &AgentHttp,
    ) -> Result<Self> {
        let at = |port| urls.of(job, port);
        let mut liveview = at(LIVEVIEW)?;
        liveview.set_query(Some("resize=scale&autoconnect=true"));
        let agent = Agent::new(agents.clone(), at(AGENT)?, is_windows);
        Ok(Self {
            agent: Arc::new(agent),
            model: None,
            alias: alias.to_owned(),
            liveview,
            devtools: at(DEVTOOLS)?,
        })
    }

    /// The environment's name.
    pub fn alias(&self) -> &str {
        &self.alias
    }

    /// Whether it is Windows.
    pub fn is_windows(&self) -> bool {
        self.agent.is_windows()
    }

    /// Scales points and screenshots, as if the screen had another size: points are pixels of that
    /// screen, and screenshots have that size. For models that see small pictures better than large ones.
    pub fn scaled_to(&self, size: Size) -> Self {
        Self { model: Some(size), ..self.clone() }
    }

    /// Asks for the agent's status.
    ///
    /// # Errors
    /// When it cannot be reached; [`wait_until_ready`](Self::wait_until_ready) waits for it.
    pub async fn status(&self) -> Result<DesktopStatus> {
        self.agent.status().await
    }

    /// Waits until the agent answers; Windows needs 40 s and more after its session is ready.
    ///
    /// # Errors
    /// [`Error::NotReady`] when the time is up, with what was wrong last; at once when the answer is one that waiting
    /// does not change.
    pub async fn wait_until_ready(&self, timeout: Duration) -> Result<DesktopStatus> {
        let start = Instant::now();
        loop {
            let error = match self.agent.status_once().await {
                Ok(status) => return Ok(status),
                Err(error) => error,
            };
            let booting = match &error {
                Error::Api(error) => matches!(error.status(), 502..=504),
                Error::Transport(error) => error.kind() != TransportErrorKind::TooLarge,
                _ => false,
            };
            if !booting {
                return Err(error);
            }
            let left = timeout.saturating_sub(start.elapsed());
            if left.is_zero() {
                let pending = vec![EnvFailure::new(&*self.alias, &error.to_string())];
                return Err(Error::NotReady { waited: timeout, pending });
            }
            sleep(BOOT_POLL.min(left)).await;
        }
    }

    /// Where a person can watch, and take over, in a browser. Whoever has it can too.
    pub fn liveview_url(&self) -> SecretUrl {
        self.liveview.clone().into()
    }

    /// Where the `DevTools` of the desktop's Chrome are.
    pub fn cdp_url(&self) -> SecretUrl {
        self.devtools.clone().into()
    }

    pub(crate) fn devtools(&self) -> &Url {
        &self.devtools
    }

    pub(crate) fn tls(&self) -> &Arc<ClientConfig> {
        self.agent.http().tls()
    }

    /// Which proxies connections to the machine go through.
    pub(crate) fn proxy(&self) -> &platools_net::ProxyConfig {
        self.agent.http().proxy()
    }

    pub(crate) async fn devtools_json(
        &self,
        operation: &'static str,
        path: &str,
    ) -> Result<serde_json::Value> {
        let mut url = self.devtools.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path.split('/'));
        }
        self.agent.http().get_json(operation, url).await
    }
}

impl fmt::Debug for Desktop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desktop")
            .field("alias", &self.alias)
            .field("model", &self.model)
            .finish_non_exhaustive()
    }
}
