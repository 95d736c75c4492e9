//! Logging in to the apps of a session: which ones, where they are, and by which flow.

use super::environment::Environment;
use super::handle::Session;
use crate::browser::{App, Browser, LOGIN, Login, LoginOptions, log_in_on, log_in_with, prepare_desktop};
use crate::error::{Error, Result};
use crate::types::Flow;

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
        prepare_desktop(&desktop).await?;
        if apps.is_empty() {
            return Ok(Login::default());
        }
        log_in_on(&desktop, &described(&apps, options).await?, options).await
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
        let apps = described(&self.apps_for(options)?, options).await?;
        log_in_with(browser, &apps, options).await
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

/// The addresses and the flows of apps.
async fn described(envs: &[Environment], options: &LoginOptions) -> Result<Vec<App>> {
    let mut apps = Vec::new();
    for env in envs {
        let url = env.public_url(options.port).await?;
        let flow = flow(env, &options.flow).await?;
        apps.push(App { alias: env.alias().to_owned(), url, flow });
    }
    Ok(apps)
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
