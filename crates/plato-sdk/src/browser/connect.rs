//! Connecting to a browser by the address of its `DevTools`.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use platools_net::ProxyConfig;
use platools_net::policy;
use serde_json::Value;
use tokio::time::{Instant, sleep};
use url::Url;

use super::cdp::Cdp;
use crate::api::read_json;
use crate::desktop::Desktop;
use crate::error::{Error, Result};
use crate::http::{Ask, HttpClient, HttpOptions, Method, client_config};

/// The first request to a browser: its answer names the WebSocket on which the browser takes commands.
const VERSION: &str = "GET /json/version";

/// How long a browser may take until it answers, and how often it is looked at.
const START: Duration = Duration::from_secs(60);
const LOOK_PAUSE: Duration = Duration::from_millis(500);

/// How long one look may take.
const LOOK: Duration = Duration::from_secs(10);

/// The most of an answer that is read.
const MAX_BODY: usize = 1 << 20;

/// A browser to log in with, such as one on this machine that was started with `--remote-debugging-port=9222`. It goes
/// on when this is dropped: only the connection is closed.
///
/// ```no_run
/// # async fn run(session: plato_sdk::Session) -> plato_sdk::Result<()> {
/// use plato_sdk::{Browser, LoginOptions};
///
/// let browser = Browser::connect("http://127.0.0.1:9222").await?;
/// let login = session.login_in(&browser, &LoginOptions::default()).await?;
/// println!("logged in to {:?}", login.logged_in);
/// # Ok(()) }
/// ```
pub struct Browser {
    cdp: Cdp,
}

impl Browser {
    /// Connects to the `DevTools` at an address, `http://…` or `https://…`, or straight to their WebSocket, `ws://…` or
    /// `wss://…`. A browser that is being started is waited for, for a minute at most. Proxies are those of the
    /// environment, as for a client.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] when it is no such address, or one of another machine without encryption: passwords go
    /// over it. [`Error::Browser`] and others when no browser is reached there.
    pub async fn connect(cdp_url: &str) -> Result<Self> {
        let base = address(cdp_url)?;
        let proxy = ProxyConfig::from_env();
        let socket = if matches!(base.scheme(), "ws" | "wss") {
            base
        } else {
            let http = HttpClient::new(&HttpOptions {
                ca_file: None,
                proxy: &proxy,
                connect_timeout: LOOK,
                max_body: MAX_BODY,
                keep_connections: false,
            })?;
            socket_of(&base, &version(&http, &base).await?)?
        };
        let tls = Arc::new(client_config(None)?);
        Ok(Self { cdp: Cdp::connect(&socket, &tls, &proxy).await? })
    }

    /// Connects to a desktop's Chrome.
    pub(super) async fn of(desktop: &Desktop) -> Result<Self> {
        let version = desktop.devtools_json(VERSION, "json/version").await?;
        let socket = socket_of(desktop.devtools(), &version)?;
        Ok(Self { cdp: Cdp::connect(&socket, desktop.tls(), desktop.proxy()).await? })
    }

    pub(super) fn cdp(&self) -> &Cdp {
        &self.cdp
    }
}

impl fmt::Debug for Browser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Its address opens it.
        f.debug_struct("Browser").finish_non_exhaustive()
    }
}

/// Reads an address; the rule about plain text is the one of all addresses.
fn address(text: &str) -> Result<Url> {
    let text = text.trim();
    let (as_http, scheme) = match (text.strip_prefix("ws://"), text.strip_prefix("wss://")) {
        (Some(rest), _) => (format!("http://{rest}"), Some("ws")),
        (_, Some(rest)) => (format!("https://{rest}"), Some("wss")),
        _ => (text.to_owned(), None),
    };
    let invalid = |problem: String| Error::InvalidInput(format!("the browser's address {problem}"));
    let mut url = policy::http_url(&as_http, false).map_err(|error| invalid(error.to_string()))?;
    if let Some(scheme) = scheme {
        url.set_scheme(scheme).map_err(|()| invalid("is no WebSocket's".to_owned()))?;
    }
    Ok(url)
}

/// Asks a browser for its version until it answers, since one that was just started needs a while.
async fn version(http: &HttpClient, base: &Url) -> Result<Value> {
    let mut url = base.clone();
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend(["json", "version"]);
    }
    let ask =
        Ask { operation: VERSION, method: Method::Get, url, headers: Vec::new(), body: None, timeout: LOOK };
    let start = Instant::now();
    loop {
        let error = match http.send(&ask).await {
            Ok(answer) => match read_json(VERSION, &answer) {
                Err(Error::Api(error)) if matches!(error.status(), 502..=504) => Error::Api(error),
                read => return read,
            },
            Err(error) => error.into(),
        };
        if start.elapsed() >= START {
            let waited = START.as_secs();
            return Err(Error::Browser(format!("no browser is reached within {waited} s: {error}")));
        }
        sleep(LOOK_PAUSE).await;
    }
}

/// Where the WebSocket is. The browser knows itself by an address inside of its machine: of that, only the path is of
/// use.
fn socket_of(base: &Url, version: &Value) -> Result<Url> {
    let inside = version["webSocketDebuggerUrl"].as_str().and_then(|url| Url::parse(url).ok());
    let inside = inside.ok_or_else(|| {
        let problem = "no `webSocketDebuggerUrl`".to_owned();
        Error::UnexpectedAnswer { operation: VERSION, problem }
    })?;
    let mut url = base.clone();
    url.set_path(inside.path());
    let scheme = if url.scheme() == "https" { "wss" } else { "ws" };
    url.set_scheme(scheme)
        .map_err(|()| Error::Browser("the browser's address is no web address".to_owned()))?;
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_other_machines_are_encrypted() {
        for (text, wish) in [
            ("http://127.0.0.1:9222", "http://127.0.0.1:9222/"),
            (" ws://localhost:9222/devtools/browser/1", "ws://localhost:9222/devtools/browser/1"),
            ("wss://browser.example/x", "wss://browser.example/x"),
        ] {
            assert_eq!(address(text).unwrap().as_str(), wish);
        }
        for (text, part) in [
            ("http://browser.example:9222", "is not encrypted"),
            ("ws://10.0.0.7:9222/devtools", "is not encrypted"),
            ("127.0.0.1:9222", "the browser's address"),
            ("https://me:secret@browser.example", "user name or password"),
        ] {
            let error = address(text).unwrap_err().to_string();
            assert!(error.contains(part) && !error.contains("secret@"), "{text}: {error}");
        }
    }

    #[test]
    fn of_what_the_browser_says_of_itself_only_the_path_is_taken() {
        let version = serde_json::json!({"webSocketDebuggerUrl": "ws://localhost:9225/devtools/browser/7"});
        let base = Url::parse("https://job--9224.connect.plato.so").unwrap();
        let socket = socket_of(&base, &version).unwrap();
        assert_eq!(socket.as_str(), "wss://job--9224.connect.plato.so/devtools/browser/7");
        assert!(socket_of(&base, &Value::Null).unwrap_err().to_string().contains("webSocketDebuggerUrl"));
    }
}
