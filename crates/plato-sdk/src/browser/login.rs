//! Logging in to the apps of a session, in its desktop's browser or in one that is given (plato-api §9).

use std::time::Duration;

use serde_json::json;
use tokio::time::sleep;

use super::cdp::Cdp;
use super::page::{COMMAND, Page};
use super::{Browser, Flow, chrome, step};
use crate::desktop::Screenshot;
use crate::error::{Error, Result};
use crate::session::{Environment, Session};

/// How long a desktop may take to boot, and a page to load.
const BOOT: Duration = Duration::from_secs(180);
const LOAD: Duration = Duration::from_secs(120);

/// The flow that a login is, unless it is said.
const LOGIN: &str = "login";

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

/// What logging in came to.
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

impl Session {
    /// Opens the app of every environment in a tab of the desktop's browser, and logs in where the environment has a
    /// flow of the name `login`. The browser is started if need be, and the last app is in front at the end.
    ///
    /// There is no request to Plato for that: the steps of the flow are done here, over the `DevTools` of the
    /// desktop's Chrome. Selectors are CSS, `xpath=…`, `text=…`, and CSS with `:has-text("…")` or `:visible` at its end.
    /// [`SessionRequest::login`](crate::SessionRequest::login) does it while the session is started.
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
        let apps = self.apps_for(options)?;
        let desktop = self.desktop().map_err(|error| match error {
            Error::NoEnvironment(problem) => {
                Error::NoEnvironment(format!("{problem}, or log in with a browser of your own by `login_in`"))
            }
            error => error,
        })?;
        desktop.wait_until_ready(BOOT).await?;
        chrome::ensure(&desktop).await?;
        if apps.is_empty() {
            return Ok(Login::default());
        }
        let browser = Browser::of(&desktop).await?;
        let (login, pages) = open(browser.cdp(), &apps, options).await?;
        tidy(browser.cdp(), &pages, pages.last()).await?;
        Ok(login)
    }

    /// Logs in to the apps of a session without a desktop, in a browser of the caller, as [`login`](Self::login) does in
    /// the desktop's. Tabs are opened in the browser's own window, so that whoever uses it next finds them. An app may go
    /// on loading after its last step: it is loaded once more, unless the login has to be fast. The tab of the first app
    /// is in front at the end.
    ///
    /// ```no_run
    /// # async fn run(session: plato_sdk::Session) -> plato_sdk::Result<()> {
    /// use plato_sdk::{Browser, LoginOptions};
    ///
    /// let browser = Browser::connect("http://127.0.0.1:9222").await?;
    /// let options = LoginOptions { alias: Some("crm".into()), fast: true, ..LoginOptions::default() };
    /// session.login_in(&browser, &options).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`Error::InvalidInput`] when the session has a desktop, whose browser it is that its apps belong into; otherwise
    /// as [`login`](Self::login).
    pub async fn login_in(&self, browser: &Browser, options: &LoginOptions) -> Result<Login> {
        if self.has_desktop() {
            return Err(Error::InvalidInput(
                "this session has a desktop, and its apps belong into the desktop's own browser: use `login`"
                    .to_owned(),
            ));
        }
        let apps = self.apps_for(options)?;
        let (login, pages) = open(browser.cdp(), &apps, options).await?;
        if !options.fast {
            for page in &pages {
                page.settle().await;
            }
        }
        tidy(browser.cdp(), &pages, pages.first()).await?;
        Ok(login)
    }

    /// The environments that are to be logged in to.
    fn apps_for(&self, options: &LoginOptions) -> Result<Vec<Environment>> {
        let Some(alias) = &options.alias else { return Ok(self.apps()) };
        let env = self.environment(alias)?;
        if env.is_desktop() {
            return Err(Error::InvalidInput(format!("the environment `{alias}` is a desktop, and no app")));
        }
        Ok(vec![env])
    }
}

/// Opens a tab for each app, and logs in where there is a flow for it.
async fn open<'a>(
    browser: &'a Cdp,
    apps: &[Environment],
    options: &LoginOptions,
) -> Result<(Login, Vec<Page<'a>>)> {
    let (mut login, mut pages) = (Login::default(), Vec::new());
    for env in apps {
        // The first one takes a tab that shows nothing, if there is one.
        let blank = if pages.is_empty() { Page::blank(browser).await? } else { Vec::new() };
        let page = match blank.first() {
            Some(target) => Page::of(browser, target).await?,
            None => Page::open(browser).await?,
        };
        let url = env.public_url(options.port).await?;
        let opened = page.navigate(url.expose(), LOAD, options.fast).await;
        match flow(env, &options.flow).await? {
            Some(flow) => {
                log_in(&page, &flow, env, (url.expose(), opened), options, &mut login).await?;
                login.logged_in.push(env.alias().to_owned());
            }
            None => opened?,
        }
        login.pages.push((env.alias().to_owned(), page.target().to_owned()));
        pages.push(page);
    }
    Ok((login, pages))
}

/// The flow of a name, if the app has any.
async fn flow(env: &Environment, name: &str) -> Result<Option<Flow>> {
    let flows = env.flows().await?;
    let names: Vec<_> = flows.iter().map(|flow| format!("`{}`", flow.name)).collect();
    let flow = flows.into_iter().find(|flow| flow.name == name);
    if flow.is_none() && !names.is_empty() && name != LOGIN {
        // Without it the app would be in another state than was asked for.
        return Err(Error::Browser(format!(
            "`{}` has no flow `{name}`; it has: {}",
            env.alias(),
            names.join(", ")
        )));
    }
    Ok(flow)
}

/// Runs a flow on a page whose address was opened already, or could not be.
async fn log_in(
    page: &Page<'_>,
    flow: &Flow,
    env: &Environment,
    (url, mut opened): (&str, Result<()>),
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
        let run = match opened {
            Ok(()) => step::run(page, flow, options.fast, &mut keep).await,
            Err(error) => Err(error),
        };
        login.screenshots.append(&mut taken);
        let Err(error) = run else { return Ok(()) };
        if left == 0 {
            return Err(Error::Browser(format!("`{}` cannot be logged in to: {error}", env.alias())));
        }
        tracing::debug!(env = env.alias(), %error, "logging in again");
        left -= 1;
        sleep(options.retry_delay).await;
        // Where the failed attempt has led to is no place to begin.
        opened = page.navigate(url, LOAD, options.fast).await;
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
