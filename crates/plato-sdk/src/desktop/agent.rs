//! The agent in a desktop's machine: four requests over HTTP, without any password (plato-api §2.2, §8).

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::HeaderValue;
use http::header::ACCEPT;
use platools_net::ProxyConfig;
use rustls::ClientConfig;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::OnceCell;
use url::Url;

use super::cut::cut;
use super::status::Wire;
use super::{DesktopStatus, Size};
use crate::api::read_json;
use crate::config::{Retries, Settings};
use crate::error::{Error, Result};
use crate::http::{Ask, HttpClient, HttpOptions, Method, Repeat, client_config, repeatedly};
use crate::secrets::redact;

/// The most of an answer that is read: the largest picture that is of use, and some.
const MAX_BODY: usize = 24 << 20;

/// The most of an agent's own words that an error repeats, in characters.
const MAX_COMPLAINT: usize = 4000;

/// A black first picture is the screensaver's (plato-api §8.9). It is ended by its name, which the kernel cuts after 15
/// characters: `pkill -f` would find the shell that runs this, too, and end it.
const NO_SCREENSAVER: &str = "export DISPLAY=${DISPLAY:-:0}; xset s off -dpms s noblank 2>/dev/null; \
    xfconf-query -c xfce4-screensaver -p /saver/enabled -n -t bool -s false 2>/dev/null; \
    timeout 1 xfce4-screensaver-command --deactivate 2>/dev/null; pkill -x xfce4-screensav 2>/dev/null; true";

/// How the agents of all desktops are asked.
#[derive(Debug, Clone)]
pub(crate) struct AgentHttp {
    http: HttpClient,
    proxy: ProxyConfig,
    tls: Arc<ClientConfig>,
    retries: Retries,
    timeout: Duration,
}

impl AgentHttp {
    pub(crate) fn new(settings: &Settings) -> Result<Self> {
        let http = HttpClient::new(&HttpOptions {
            ca_file: settings.ca_file.as_deref(),
            proxy: &settings.proxy,
            connect_timeout: settings.connect_timeout,
            max_body: MAX_BODY,
            // The gateway drops idle connections, and a request on one of those is lost.
            keep_connections: false,
        })?;
        let tls = Arc::new(client_config(settings.ca_file.as_deref())?);
        Ok(Self {
            http,
            tls,
            proxy: settings.proxy.clone(),
            retries: settings.retries.clone(),
            timeout: settings.desktop_timeout,
        })
    }

    /// For what is no request: the browser's WebSocket.
    pub(crate) fn tls(&self) -> &Arc<ClientConfig> {
        &self.tls
    }

    /// For what is no request, too.
    pub(crate) fn proxy(&self) -> &ProxyConfig {
        &self.proxy
    }

    /// Fetches a JSON document from a port of the machine.
    pub(crate) async fn get_json(&self, operation: &'static str, url: Url) -> Result<Value> {
        let ask = Ask {
            operation,
            method: Method::Get,
            url,
            headers: vec![(ACCEPT, HeaderValue::from_static("application/json"))],
            body: None,
            timeout: self.timeout,
        };
        repeatedly(&self.retries, Repeat::Safe, || async {
            read_json(operation, &self.http.send(&ask).await?)
        })
        .await
    }
}

/// One desktop's agent.
#[derive(Debug)]
pub(super) struct Agent {
    http: AgentHttp,
    base: Url,
    is_windows: bool,
    woken: OnceCell<()>,
    resolution: Mutex<Option<Size>>,
}

/// The agent's answer to all requests but `status` (plato-api §8.2).
#[derive(Debug, Default, Deserialize)]
pub(super) struct ToolResult {
    #[serde(default)]
    pub(super) output: Option<String>,
    #[serde(default)]
    pub(super) error: Option<String>,
    #[serde(default)]
    pub(super) base64_image: Option<String>,
}

impl ToolResult {
    /// The agent's error, redacted and shortened for an error of this crate.
    pub(super) fn complaint(&self) -> Option<String> {
        let text = self.error.as_deref().map(str::trim).filter(|error| !error.is_empty())?;
        // In this order: half of an id is not seen to be one.
        Some(cut(&redact(text), MAX_COMPLAINT).0)
    }
}

impl Agent {
    pub(super) fn new(http: AgentHttp, base: Url, is_windows: bool) -> Self {
        Self { http, base, is_windows, woken: OnceCell::new(), resolution: Mutex::new(None) }
    }

    pub(super) fn is_windows(&self) -> bool {
        self.is_windows
    }

    pub(super) fn http(&self) -> &AgentHttp {
        &self.http
    }

    /// The size that the agent said last.
    pub(super) fn resolution(&self) -> Option<Size> {
        *self.resolution.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of a picture's size. When it is not the size that the agent said, the screen may have changed, and
    /// the agent is asked again when it matters.
    pub(super) fn saw(&self, size: Size) {
        let mut resolution = self.resolution.lock().unwrap_or_else(PoisonError::into_inner);
        if *resolution != Some(size) {
            *resolution = None;
        }
    }

    pub(super) async fn status(self: &Arc<Self>) -> Result<DesktopStatus> {
        if self.woken.initialized() {
            return self.ask_status(&self.http.retries).await;
        }
        let mut first = None;
        self.wake_with(&mut first, &self.http.retries).await?;
        match first {
            Some(status) => Ok(status),
            // Somebody else woke it in the meantime.
            None => self.ask_status(&self.http.retries).await,
        }
    }

    /// The status, asked once and never again.
    pub(super) async fn status_once(self: &Arc<Self>) -> Result<DesktopStatus> {
        let mut first = None;
        if !self.woken.initialized() {
            self.wake_with(&mut first, &Retries::never()).await?;
        }
        match first {
            Some(status) => Ok(status),
            None => self.ask_status(&Retries::never()).await,
        }
    }

    async fn ask_status(&self, retries: &Retries) -> Result<DesktopStatus> {
        let ask = self.request("GET /status", Method::Get, "status", None, Duration::ZERO);
        let status: Wire = self.send(&ask, Repeat::Safe, retries).await?;
        let status = DesktopStatus::from(status);
        if status.resolution.is_some() {
            *self.resolution.lock().unwrap_or_else(PoisonError::into_inner) = status.resolution;
        }
        Ok(status)
    }

    /// Before the first request of any kind: is it there, and off with its screensaver.
    async fn wake_with(
        self: &Arc<Self>,
        status: &mut Option<DesktopStatus>,
        retries: &Retries,
    ) -> Result<()> {
        let wake = async {
            *status = Some(self.ask_status(retries).await?);
            if !self.is_windows {
                let agent = Arc::clone(self);
                // Nobody waits for it, and nothing depends on it.
                tokio::spawn(async move {
                    let body = json!({"command": NO_SCREENSAVER, "restart": false, "timeout": 120});
                    let ask = agent.request("POST /bash", Method::Post, "bash", Some(&body), Duration::ZERO);
                    let done: Result<ToolResult> =
                        agent.send(&ask, Repeat::IfUnsent, &Retries::never()).await;
                    if let Err(error) = done {
                        tracing::debug!(%error, "the screensaver is left on");
                    }
                });
            }
            Ok(())
        };
        self.woken.get_or_try_init(|| wake).await.map(|&()| ())
    }

    /// Sends a request that the agent answers with a tool's result; it takes `time` on purpose.
    pub(super) async fn tool(
        self: &Arc<Self>,
        operation: &'static str,
        body: &Value,
        repeat: Repeat,
        time: Duration,
    ) -> Result<ToolResult> {
        self.wake_with(&mut None, &self.http.retries).await?;
        let path = operation.rsplit('/').next().unwrap_or_default();
        let ask = self.request(operation, Method::Post, path, Some(body), time);
        self.send(&ask, repeat, &self.http.retries).await
    }

    fn request(
        &self,
        operation: &'static str,
        method: Method,
        path: &str,
        body: Option<&Value>,
        time: Duration,
    ) -> Ask {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push(path);
        }
        Ask {
            operation,
            method,
            url,
            headers: vec![(ACCEPT, HeaderValue::from_static("application/json"))],
            body: body.map(|body| body.to_string().into_bytes()),
            timeout: self.http.timeout + time,
        }
    }

    async fn send<T: serde::de::DeserializeOwned>(
        &self,
        ask: &Ask,
        repeat: Repeat,
        retries: &Retries,
    ) -> Result<T> {
        repeatedly(retries, repeat, || async {
            let answer = self.http.http.send(ask).await?;
            read_json::<T>(ask.operation, &answer)
        })
        .await
        .map_err(|error| match error {
            // A page of HTML is the gateway's, which knows no such machine.
            Error::Api(error) if error.is_gone() || (error.status() == 404 && error.body().is_none()) => {
                Error::Gone(format!("its desktop answers with status {}", error.status()))
            }
            error => error,
        })
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_shell_switches_the_screensaver_off_by_commands_that_all_run() {
        let programs = [("xset", 0), ("xfconf-query", 1), ("timeout", 1), ("pkill", 1)];
        let expected = "xset s off -dpms s noblank\n\
            xfconf-query -c xfce4-screensaver -p /saver/enabled -n -t bool -s false\n\
            timeout 1 xfce4-screensaver-command --deactivate\n\
            pkill -x xfce4-screensav\n";
        assert_eq!(crate::stub_shell::run(NO_SCREENSAVER, &programs), expected);
    }
}
