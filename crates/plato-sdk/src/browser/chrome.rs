//! Getting to the desktop's Chrome: is it up, bring it up, connect (plato-api §8.6).

use std::time::Duration;

use tokio::time::{Instant, sleep};
use url::Url;

use super::cdp::Cdp;
use crate::desktop::{Desktop, devtools_port};
use crate::error::{Error, Result};

/// How long a Chrome that is started may take until it answers; Windows takes longer.
const START: Duration = Duration::from_secs(60);
const START_ON_WINDOWS: Duration = Duration::from_secs(90);

/// How often one is looked at that may be coming up by itself, and how often one that was started.
const LOOKS: u32 = 5;
const LOOK_PAUSE: Duration = Duration::from_secs(1);
const START_PAUSE: Duration = Duration::from_secs(2);

/// What the machine writes when nothing answers.
const NOTHING: &str = "__NO_CDP__";

/// A new Chrome in the place of whatever was there. Machines wake with old clocks, and do not trust certificates of
/// today (plato-api §10.6).
const RELAUNCH: &str = "export DISPLAY=${DISPLAY:-:0}; pkill -f remote-debugging-port 2>/dev/null; sleep 1; \
    nohup $(command -v google-chrome || command -v google-chrome-stable || command -v chromium) \
    --remote-debugging-port=9225 --user-data-dir=/tmp/plato-chrome --ignore-certificate-errors --no-first-run \
    --no-default-browser-check --window-size=1280,720 about:blank >/tmp/plato-chrome.log 2>&1 &";

const RELAUNCH_ON_WINDOWS: &str = "Get-Process chrome -ErrorAction SilentlyContinue | Stop-Process -Force; \
    Start-Sleep 1; Start-Process chrome -ArgumentList '--remote-debugging-port=9225',\
    '--user-data-dir=C:\\Windows\\Temp\\plato-chrome','--ignore-certificate-errors','--no-first-run',\
    '--no-default-browser-check','--window-size=1280,720','about:blank'";

fn probe(desktop: &Desktop, port: u16) -> String {
    let url = format!("http://localhost:{port}/json/version");
    if desktop.is_windows() {
        return format!(
            "try {{ (Invoke-WebRequest -UseBasicParsing -TimeoutSec 2 {url}).Content }} catch {{ '{NOTHING}' }}"
        );
    }
    format!("curl -sf --max-time 2 {url} 2>/dev/null || echo {NOTHING}")
}

/// Makes sure that the desktop's Chrome answers.
pub(super) async fn ensure(desktop: &Desktop) -> Result<()> {
    let question = probe(desktop, devtools_port());
    let is_up = async || -> Result<bool> {
        let said = desktop.bash(question.as_str()).await?.stdout;
        Ok(!said.trim().is_empty() && !said.contains(NOTHING))
    };
    if is_up().await? {
        return Ok(());
    }
    for _ in 0..LOOKS {
        sleep(LOOK_PAUSE).await;
        if is_up().await? {
            return Ok(());
        }
    }
    let (relaunch, budget) =
        if desktop.is_windows() { (RELAUNCH_ON_WINDOWS, START_ON_WINDOWS) } else { (RELAUNCH, START) };
    tracing::info!(desktop = desktop.alias(), "starting Chrome");
    let start = Instant::now();
    desktop.bash(relaunch).await?;
    while !is_up().await? {
        if start.elapsed() >= budget {
            return Err(Error::Browser(format!(
                "Chrome on the desktop does not answer {} s after it was started: look at \
                 /tmp/plato-chrome.log there",
                budget.as_secs()
            )));
        }
        sleep(START_PAUSE).await;
    }
    Ok(())
}

/// Connects to the desktop's Chrome.
pub(super) async fn connect(desktop: &Desktop) -> Result<Cdp> {
    let version = desktop.devtools_json("GET /json/version", "json/version").await?;
    let inside = version["webSocketDebuggerUrl"].as_str().and_then(|url| Url::parse(url).ok());
    let inside = inside.ok_or_else(|| {
        let problem = "no `webSocketDebuggerUrl`".to_owned();
        Error::UnexpectedAnswer { operation: "GET /json/version", problem }
    })?;
    // The browser knows itself by an address inside of its machine: of that, only the path is of use.
    let mut url = desktop.devtools().clone();
    url.set_path(inside.path());
    let scheme = if url.scheme() == "https" { "wss" } else { "ws" };
    url.set_scheme(scheme)
        .map_err(|()| Error::Browser("the desktop's address is no web address".to_owned()))?;
    Cdp::connect(&url, desktop.tls(), desktop.proxy()).await
}
