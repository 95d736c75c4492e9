//! Logging in to apps, in a desktop's browser or in one that is given (plato-api §9).

use std::time::Duration;

use serde_json::json;
use tokio::time::sleep;

use super::cdp::Cdp;
use super::connect::Browser;
use super::page::{COMMAND, Page};
use super::{chrome, step};
use crate::desktop::{Desktop, Screenshot};
use crate::error::{Error, Result};
use crate::secrets::SecretUrl;
use crate::types::Flow;

/// How long a desktop may take to boot, and a page to load.
const BOOT: Duration = Duration::from_secs(180);
const LOAD: Duration = Duration::from_secs(120);

/// The name of the flow that logs in, by default.
pub(crate) const LOGIN: &str = "login";

/// How logging in is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginOptions {
    /// The name of the flow; `login` unless said otherwise. An app without flows needs none, and is opened only. One
    /// with flows must have a flow of that name, unless it is `login`.
    pub flow: String,
    /// The only environment to log in to; all that have an app unless said otherwise.
    pub alias: Option<String>,
    /// Leaves out what takes time and does nothing: the pauses of a flow, and what it looks at after its last click,
    /// text or address. A login that fails there is not noticed.
    pub fast: bool,
    /// The port of the app, where it is not its usual one.
    pub port: Option<u16>,
    /// How often a login that failed is tried again, from the app's address on; 3 unless said otherwise.
    pub retries: u32,
    /// The pause before that; 2 s unless said otherwise.
    pub retry_delay: Duration,
}

impl Default for LoginOptions {
    fn default() -> Self {
        Self {
            flow: LOGIN.to_owned(),
            alias: None,
            fast: false,
            port: None,
            retries: 3,
            retry_delay: Duration::from_secs(2),
        }
    }
}

/// The result of logging in.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Login {
    /// The environments whose login was run. Others need none, and their pages are open.
    pub logged_in: Vec<String>,
    /// The tab of each environment, by the id of its `DevTools` target.
    pub pages: Vec<(String, String)>,
    /// The pictures that logins took, by the names that they gave them.
    pub screenshots: Vec<(String, Screenshot)>,
}

/// An app to log in to.
pub(crate) struct App {
    pub(crate) alias: String,
    pub(crate) url: SecretUrl,
    /// The steps of its login, if it has any.
    pub(crate) flow: Option<Flow>,
}

/// Waits until a desktop's Chrome answers, and starts it if need be.
pub(crate) async fn prepare_desktop(desktop: &Desktop) -> Result<()> {
    desktop.wait_until_ready(BOOT).await?;
    chrome::ensure(desktop).await
}

/// Logs in to apps in a desktop's browser; the last one is in front at the end.
pub(crate) async fn log_in_on(desktop: &Desktop, apps: &[App], options: &LoginOptions) -> Result<Login> {
    let browser = Browser::of(desktop).await?;
    let (login, pages) = open(browser.cdp(), apps, options).await?;
    tidy(browser.cdp(), &pages, pages.last()).await?;
    Ok(login)
}

/// Logs in to apps in a browser of the caller; the first one is in front at the end.
pub(crate) async fn log_in_with(browser: &Browser, apps: &[App], options: &LoginOptions) -> Result<Login> {
    let (login, pages) = open(browser.cdp(), apps, options).await?;
    if !options.fast {
        for page in &pages {
            page.settle().await;
        }
    }
    tidy(browser.cdp(), &pages, pages.first()).await?;
    Ok(login)
}

/// Opens a tab for each app, and logs in where there is a flow for it.
async fn open<'a>(browser: &'a Cdp, apps: &[App], options: &LoginOptions) -> Result<(Login, Vec<Page<'a>>)> {
    let (mut login, mut pages) = (Login::default(), Vec::new());
    for app in apps {
        // The first one takes a tab that shows nothing, if there is one.
        let blank = if pages.is_empty() { Page::blank(browser).await? } else { Vec::new() };
        let page = match blank.first() {
            Some(target) => Page::of(browser, target).await?,
            None => Page::open(browser).await?,
        };
        let opened = page.navigate(app.url.expose(), LOAD, options.fast).await;
        match &app.flow {
            Some(flow) => {
                log_in(&page, flow, app, opened, options, &mut login).await?;
                login.logged_in.push(app.alias.clone());
            }
            None => opened?,
        }
        login.pages.push((app.alias.clone(), page.target().to_owned()));
        pages.push(page);
    }
    Ok((login, pages))
}

/// Runs a flow on a page whose address was opened already, or could not be.
async fn log_in(
    page: &Page<'_>,
    flow: &Flow,
    app: &App,
    mut opened: Result<()>,
    options: &LoginOptions,
    login: &mut Login,
) -> Result<()> {
    let mut left = options.retries;
    loop {
        let mut taken = Vec::new();
        let mut keep = |name: Option<String>, picture| {
            let name = name.unwrap_or_else(|| format!("{}-{}.png", app.alias, taken.len() + 1));
            taken.push((name, picture));
        };
        let run = match opened {
            Ok(()) => step::run(page, flow, options.fast, &mut keep).await,
            Err(error) => Err(error),
        };
        login.screenshots.append(&mut taken);
        let Err(error) = run else { return Ok(()) };
        if left == 0 {
            return Err(Error::Browser(format!("`{}` cannot be logged in to: {error}", app.alias)));
        }
        tracing::debug!(env = app.alias, %error, "logging in again");
        left -= 1;
        sleep(options.retry_delay).await;
        // Where the failed attempt has led to is no place to begin.
        opened = page.navigate(app.url.expose(), LOAD, options.fast).await;
    }
}

/// Closes the tabs that show nothing, and brings one to the front.
async fn tidy(browser: &Cdp, pages: &[Page<'_>], front: Option<&Page<'_>>) -> Result<()> {
    for target in Page::blank(browser).await? {
        if !pages.iter().any(|page| page.target() == target) {
            browser.call(None, "Target.closeTarget", json!({"targetId": target}), COMMAND).await?;
        }
    }
    match front {
        Some(page) => page.bring_to_front().await,
        None => Ok(()),
    }
}
