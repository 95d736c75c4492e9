//! The API of a development platform, as a client.

use std::time::Duration;

use clap::Args;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{Method, Request, StatusCode};
use platools_net::ProxyConfig;
use platools_net::SecretText;
use platools_net::client::{self, HttpClient, HttpError};
use platools_net::tls::client_config;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::Url;

use crate::Failure;

/// How long an answer may take, a call's own time not counted.
const TIME: Duration = Duration::from_secs(10);

/// The most of an answer that is read, in bytes.
const MAX_ANSWER: usize = 64 << 20;

/// How many tools are asked for at a time.
const PAGE: usize = 1_000;

/// Where `platools dev` listens unless it is told otherwise.
const URL: &str = "http://127.0.0.1:3100";

/// The variable with the API token.
const TOKEN: &str = "PLATOOLS_DEV_TOKEN";

/// The platform's URL; an empty variable counts as unset.
fn base(text: &str) -> Result<Url, String> {
    let url = Url::parse(if text.is_empty() { URL } else { text });
    url.ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
        .ok_or_else(|| "write http://HOST:PORT, or an MCP server's http://HOST:PORT/mcp".to_owned())
}

/// Which platform and whose tools, or which MCP server.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Where")]
pub(crate) struct Target {
    /// The development platform; or an MCP server, which is a URL with a path, such as http://127.0.0.1:3001/mcp
    #[arg(long, env = "PLATOOLS_DEV_URL", default_value = URL, value_parser = base)]
    pub(crate) url: Url,
    /// The platform's API token, as `platools dev` prints it [env: PLATOOLS_DEV_TOKEN]; or the MCP server's token
    /// [env: PLATOOLS_SERVE_TOKEN]
    #[arg(long)]
    pub(crate) token: Option<String>,
    /// The entity; the one whose host is connected, unless there are several
    #[arg(long)]
    pub(crate) entity: Option<String>,
    /// The environment; the one whose host is connected, unless there are several
    #[arg(long)]
    pub(crate) env: Option<String>,
}

impl Target {
    /// Whether it is an MCP server.
    pub(crate) fn is_mcp(&self) -> bool {
        self.url.path() != "/"
    }
}

/// A development platform.
pub(crate) struct Client {
    http: HttpClient,
    base: Url,
    token: SecretText,
}

/// An entity in an environment, with a host.
pub(crate) struct Seat {
    entity: String,
    environment: String,
}

impl Seat {
    /// Something of it, as a path of the API.
    pub(crate) fn path<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        [&["entities", &*self.entity, &*self.environment], more].concat()
    }
}

#[derive(Deserialize)]
struct Page {
    matching: usize,
    tools: Vec<Value>,
}

#[derive(Deserialize)]
struct Refused {
    error: Problem,
}

#[derive(Deserialize)]
struct Problem {
    message: String,
}

#[derive(Deserialize)]
struct Entities {
    entities: Vec<Entity>,
}

#[derive(Deserialize)]
struct Entity {
    entity: String,
    environments: Vec<Place>,
}

#[derive(Deserialize)]
struct Place {
    environment: String,
    connected: bool,
    callback_url: Option<String>,
}

impl Place {
    /// Whether its tools can be called: over the connection, or over HTTP.
    fn is_there(&self) -> bool {
        self.connected || self.callback_url.is_some()
    }
}

impl Client {
    pub(crate) fn new(target: &Target) -> Result<Self, Failure> {
        // Each kind of server has a variable of its own: no token goes to the wrong one.
        let variable = || std::env::var(TOKEN).ok();
        let token =
            target.token.clone().or_else(variable).filter(|token| !token.is_empty()).ok_or_else(|| {
                Failure::Usage(
                    "no API token: set PLATOOLS_DEV_TOKEN to what `platools dev` printed, or give --token"
                        .to_owned(),
                )
            })?;
        let proxy = ProxyConfig::from_env();
        let http = client_config(None).and_then(|tls| client::build(client::client_builder(tls, &proxy)));
        let http = http.map_err(|error| Failure::Usage(error.to_string()))?;
        Ok(Self {
            http: HttpClient::new(http, MAX_ANSWER).through(proxy),
            base: target.url.clone(),
            token: token.into(),
        })
    }

    /// Asks the API. `path` is taken in pieces, which are escaped.
    pub(crate) async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        body: Option<(String, Duration)>,
    ) -> Result<T, Failure> {
        let (status, text) = self.send(method, path, query, body).await?;
        self.read(status, &text)
    }

    /// All tools of a host that have these words, with their schemas if wanted.
    pub(crate) async fn tools(
        &self,
        seat: &Seat,
        search: &str,
        schemas: bool,
    ) -> Result<Vec<Value>, Failure> {
        let mut tools = Vec::new();
        loop {
            let (offset, limit) = (tools.len().to_string(), PAGE.to_string());
            let schemas = if schemas { "true" } else { "false" };
            let query = [("search", search), ("offset", &*offset), ("limit", &*limit), ("schemas", schemas)];
            let page: Page = self.ask(Method::GET, &seat.path(&["tools"]), &query, None).await?;
            let is_last = page.tools.is_empty();
            tools.extend(page.tools);
            if is_last || tools.len() >= page.matching {
                return Ok(tools);
            }
        }
    }

    /// Whether a host has this tool.
    pub(crate) async fn has_tool(&self, seat: &Seat, tool: &str) -> Result<bool, Failure> {
        let (status, text) = self.send(Method::GET, &seat.path(&["tools", tool]), &[], None).await?;
        if status == StatusCode::NOT_FOUND {
            return Ok(false);
        }
        self.read(status, &text).map(|_: Value| true)
    }

    async fn send(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        body: Option<(String, Duration)>,
    ) -> Result<(StatusCode, String), Failure> {
        let mut url = self.base.clone();
        let not_a_base = || Failure::Usage("--url cannot be used: write http://HOST:PORT".to_owned());
        url.path_segments_mut().map_err(|()| not_a_base())?.clear().extend(["api", "v1"]).extend(path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let bearer = self.token.bearer();
        let bearer =
            bearer.map_err(|_| Failure::Usage("the API token cannot go into a header".to_owned()))?;
        let mut request = Request::builder().method(method).uri(url.as_str()).header(AUTHORIZATION, bearer);
        let mut time = TIME;
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let body = body.map(|(body, longer)| {
            time += longer;
            body.into_bytes()
        });
        let request = request.body(body.unwrap_or_default()).map_err(|_| not_a_base())?;
        let answer = self.http.send(request, time).await.map_err(|error| self.unreachable(&error))?;
        Ok((answer.status(), String::from_utf8_lossy(answer.body()).into_owned()))
    }

    fn read<T: DeserializeOwned>(&self, status: StatusCode, text: &str) -> Result<T, Failure> {
        if status.is_success() {
            return serde_json::from_str(text).map_err(|_| self.not_a_platform());
        }
        let refused: Option<Refused> = serde_json::from_str(text).ok();
        Err(match (status, refused) {
            (StatusCode::UNAUTHORIZED, _) => {
                let problem = "the platform does not take this API token: take the one that `platools dev` printed last";
                Failure::Usage(problem.to_owned())
            }
            // The host has gone meanwhile, for example.
            (StatusCode::CONFLICT, Some(refused)) => Failure::Failed(Some(refused.error.message)),
            (status, Some(refused)) if status.is_server_error() => {
                Failure::Failed(Some(refused.error.message))
            }
            (_, Some(refused)) => Failure::Usage(refused.error.message),
            (_, None) => self.not_a_platform(),
        })
    }

    /// The entity and environment that is meant: the one that was named, or the only one with a host or a callback.
    pub(crate) async fn seat(&self, target: &Target) -> Result<Seat, Failure> {
        let Entities { entities } = self.ask(Method::GET, &["entities"], &[], None).await?;
        let fits =
            |wanted: &Option<String>, name: &str| wanted.as_deref().is_none_or(|wanted| wanted == name);
        let names: Vec<&str> = entities.iter().map(|entity| entity.entity.as_str()).collect();
        known("entity", target.entity.as_deref(), &names)?;
        let environments = entities.first().map(|entity| &*entity.environments).unwrap_or_default();
        let names: Vec<&str> = environments.iter().map(|seat| seat.environment.as_str()).collect();
        known("environment", target.env.as_deref(), &names)?;
        let seats: Vec<(&str, &str)> = entities
            .iter()
            .filter(|entity| fits(&target.entity, &entity.entity))
            .flat_map(|entity| entity.environments.iter().map(move |seat| (entity, seat)))
            .filter(|(_, seat)| fits(&target.env, &seat.environment) && seat.is_there())
            .map(|(entity, seat)| (entity.entity.as_str(), seat.environment.as_str()))
            .collect();
        match seats.as_slice() {
            [(entity, environment)] => {
                Ok(Seat { entity: (*entity).to_owned(), environment: (*environment).to_owned() })
            }
            [] => {
                let said = |kind: &str, name: &Option<String>| {
                    name.as_ref().map(|name| format!(" {kind} `{name}`")).unwrap_or_default()
                };
                let whose = said("as entity", &target.entity) + &said("in environment", &target.env);
                Err(Failure::Failed(Some(format!(
                    "no host is connected{whose}; start one with the lines that `platools dev` printed"
                ))))
            }
            several => {
                let choices: Vec<_> =
                    several.iter().map(|(entity, env)| format!("--entity {entity} --env {env}")).collect();
                Err(Failure::Usage(format!(
                    "several hosts are connected, say which: {}",
                    choices.join(", or ")
                )))
            }
        }
    }

    fn unreachable(&self, error: &HttpError) -> Failure {
        let at = self.base.as_str().trim_end_matches('/');
        Failure::Failed(Some(match error {
            HttpError::Connect(reason) => {
                format!(
                    "there is no platform at {at} ({reason}): start one with `platools dev`, or give --url"
                )
            }
            HttpError::Timeout(_) => format!("the platform at {at} does not answer in time"),
            HttpError::Broken(reason) => {
                format!(
                    "the platform at {at} went away before it answered: {reason}; what was asked may have happened"
                )
            }
            _ => format!("the platform at {at}: {error}"),
        }))
    }

    pub(crate) fn not_a_platform(&self) -> Failure {
        let at = self.base.as_str().trim_end_matches('/');
        Failure::Usage(format!("what answers at {at} is not a development platform; give its --url"))
    }
}

/// Whether the platform has what was named.
fn known(kind: &str, wanted: Option<&str>, names: &[&str]) -> Result<(), Failure> {
    match wanted {
        Some(wanted) if !names.contains(&wanted) => Err(Failure::Usage(format!(
            "the platform has no {kind} `{wanted}`; choose one of {}",
            names.join(", ")
        ))),
        _ => Ok(()),
    }
}

/// A text of an answer, or an empty one.
pub(crate) fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value.get(member).and_then(Value::as_str).unwrap_or_default()
}
