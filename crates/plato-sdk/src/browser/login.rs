//! Logging in to the apps of a session in the desktop's browser (plato-api §9).

use std::time::Duration;

use serde_json::json;
use tokio::time::sleep;

use super::cdp::Cdp;
use super::page::{COMMAND, Page};
use super::{Flow, chrome, step};
use crate::desktop::Screenshot;
use crate::error::{Error, Result};
use crate::session::{Environment, Session};

/// How long a desktop may take to boot, and a page to load.
const BOOT: Duration = Duration::from_secs(180);
const LOAD: Duration = Duration::from_secs(120);

/// How logging in is tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginOptions {
    /// How often a login that failed is tried again, after the page was loaded anew; 3 unless said otherwise.
    pub retries: u32,
    /// The pause before that; 2 s unless said otherwise.
    pub retry_delay: Duration,
}

impl Default for LoginOptions {
    fn default() -> Self {
        Self { retries: 3, retry_delay: Duration::from_secs(2) }
    }
}

/// What logging in came to.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Login {
    /// The environments whose login was run. Others need none, and their pages are open.
    pub logged_in: Vec<String>,
    /// The pictures that logins took, by the names that they gave them.
    pub screenshots: Vec<(String, Screenshot)>,
}

impl Session {
    /// Opens the app of every environment in a tab of the desktop's browser, and logs in where the environment has a
    /// flow of the name `login`. The browser is started if need be, and the last app is in front at the end.
    ///
    /// There is no request to Plato for that: the steps of the flow are done here, over the `DevTools` of the
    /// desktop's Chrome. Selectors are CSS, `xpath=…`, `text=…`, and CSS with `:has-text("…")` or `:visible` at its end.
    ///
    /// ```no_run
    /// # async fn run(plato: plato_sdk::Plato) -> plato_sdk::Result<()> {
    /// let session = plato.session().testcase("tc_abc123").start().await?;
    /// let login = session.login(&Default::default()).await?;
    /// println!("logged in to {:?}", login.logged_in);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`Error::NoEnvironment`] when there is no desktop, or an app has no URL; [`Error::Browser`] when the browser
    /// cannot be used, or a login fails that often.
    pub async fn login(&self, options: &LoginOptions) -> Result<Login> {
        let desktop = self.desktop()?;
        desktop.wait_until_ready(BOOT).await?;
        chrome::ensure(&desktop).await?;
        let apps: Vec<_> = self
            .environments()
            .into_iter()
            // What has no artifact is a bare machine, without an app.
            .filter(|env| env.artifact_id().is_some())
            .filter(|env| !env.is_desktop() && !env.is_proctor())
            .collect();
        let mut login = Login::default();
        if apps.is_empty() {
            return Ok(login);
        }
        let browser = chrome::connect(&desktop).await?;
        let mut last = None;
        for env in &apps {
            // The first one takes a tab that shows nothing, if there is one.
            let blank = if last.is_none() { Page::blank(&browser).await? } else { Vec::new() };
            let page = match blank.first() {
                Some(target) => Page::of(&browser, target).await?,
                None => Page::open(&browser).await?,
            };
            let url = env.public_url(None).await?;
            page.navigate(url.expose(), LOAD).await?;
            let flow = env.flows().await?.into_iter().find(|flow| flow.name == "login");
            if let Some(flow) = flow {
                log_in(&page, &flow, env, options, &mut login).await?;
                login.logged_in.push(env.alias().to_owned());
            }
            last = Some(page);
        }
        tidy(&browser, last.as_ref()).await?;
        Ok(login)
    }
}

async fn log_in(
    page: &Page<'_>,
    flow: &Flow,
    env: &Environment,
    options: &LoginOptions,
    login: &mut Login,
) -> Result<()> {
    let mut left = options.retries;
    loop {
        let mut taken = Vec::new();
        let mut keep = |name: Option<String>, picture| {
            let name = name.unwrap_or_else(|| format!("{}-{}.png", env.alias(), taken.len() + 1));
            taken.push((name, picture));
        };
        let run = step::run(page, flow, &mut keep).await;
        login.screenshots.append(&mut taken);
        let Err(error) = run else { return Ok(()) };
        if left == 0 {
            return Err(Error::Browser(format!("`{}` cannot be logged in to: {error}", env.alias())));
        }
        tracing::debug!(env = env.alias(), %error, "logging in again");
        left -= 1;
        sleep(options.retry_delay).await;
        page.reload(LOAD).await?;
    }
}

/// Closes the tabs that show nothing, and brings the last app to the front.
async fn tidy(browser: &Cdp, last: Option<&Page<'_>>) -> Result<()> {
    for target in Page::blank(browser).await? {
        if last.is_none_or(|page| page.target() != target) {
            browser.call(None, "Target.closeTarget", json!({"targetId": target}), COMMAND).await?;
        }
    }
    match last {
        Some(page) => page.bring_to_front().await,
        None => Ok(()),
    }
}
