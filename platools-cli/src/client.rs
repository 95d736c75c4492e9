//! The API of a development platform, as a client.

use std::time::Duration;

use clap::Args;
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::Url;

use crate::Failure;

/// How long an answer may take, a call's own time not counted.
const TIME: Duration = Duration::from_secs(10);

/// Which platform, and whose tools.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Where")]
pub(crate) struct Target {
    /// The development platform
    #[arg(long, env = "PLATOOLS_DEV_URL", default_value = "http://127.0.0.1:3100")]
    pub(crate) url: Url,
    /// Its API token, as `platools dev` prints it
    #[arg(long, env = "PLATOOLS_DEV_TOKEN", hide_env_values = true)]
    pub(crate) token: Option<String>,
    /// The entity; the one whose host is connected, unless there are several
    #[arg(long)]
    pub(crate) entity: Option<String>,
    /// The environment; the one whose host is connected, unless there are several
    #[arg(long)]
    pub(crate) env: Option<String>,
}

/// A development platform.
pub(crate) struct Client {
    http: reqwest::Client,
    base: Url,
    token: String,
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
    environments: Vec<Environment>,
}

#[derive(Deserialize)]
struct Environment {
    environment: String,
    connected: bool,
}

impl Client {
    pub(crate) fn new(target: &Target) -> Result<Self, Failure> {
        let token = target.token.clone().filter(|token| !token.is_empty()).ok_or_else(|| {
            Failure::Usage(
                "no API token: set PLATOOLS_DEV_TOKEN to what `platools dev` printed, or give --token"
                    .to_owned(),
            )
        })?;
        // Loopback, mostly, and never a proxy: the token is not for others.
        let http = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build();
        let http = http.map_err(|error| Failure::Usage(error.to_string()))?;
        Ok(Self { http, base: target.url.clone(), token })
    }

    /// Asks the API. `path` is taken in pieces, which are escaped.
    pub(crate) async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        body: Option<(String, Duration)>,
    ) -> Result<T, Failure> {
        let mut url = self.base.clone();
        let not_a_base = || Failure::Usage("--url cannot be used: write http://HOST:PORT".to_owned());
        url.path_segments_mut().map_err(|()| not_a_base())?.clear().extend(["api", "v1"]).extend(path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let mut request = self.http.request(method, url).bearer_auth(&self.token).timeout(TIME);
        if let Some((body, time)) = body {
            request = request.header("content-type", "application/json").body(body).timeout(TIME + time);
        }
        let answer = request.send().await.map_err(|error| self.unreachable(&error))?;
        let status = answer.status();
        let text = answer.text().await.map_err(|error| self.unreachable(&error))?;
        if status.is_success() {
            return serde_json::from_str(&text).map_err(|_| self.not_a_platform());
        }
        let refused: Option<Refused> = serde_json::from_str(&text).ok();
        Err(Failure::Usage(match (status, refused) {
            (StatusCode::UNAUTHORIZED, _) => {
                "the platform does not take this API token; a platform that was started again has another one"
                    .to_owned()
            }
            (_, Some(refused)) => refused.error.message,
            (_, None) => return Err(self.not_a_platform()),
        }))
    }

    /// The entity and environment that is meant: the one that was named, or the only one with a host.
    pub(crate) async fn seat(&self, target: &Target) -> Result<(String, String), Failure> {
        let Entities { entities } = self.ask(Method::GET, &["entities"], &[], None).await?;
        let fits =
            |wanted: &Option<String>, name: &str| wanted.as_deref().is_none_or(|wanted| wanted == name);
        let named = target.entity.is_some() && target.env.is_some();
        let seats: Vec<(&str, &str)> = entities
            .iter()
            .filter(|entity| fits(&target.entity, &entity.entity))
            .flat_map(|entity| entity.environments.iter().map(move |seat| (entity, seat)))
            .filter(|(_, seat)| fits(&target.env, &seat.environment) && (named || seat.connected))
            .map(|(entity, seat)| (entity.entity.as_str(), seat.environment.as_str()))
            .collect();
        match seats.as_slice() {
            [(entity, environment)] => Ok(((*entity).to_owned(), (*environment).to_owned())),
            [] if target.entity.is_some() || target.env.is_some() => Err(Failure::Usage(
                "no host is connected as that entity in that environment, or there is none of that name"
                    .to_owned(),
            )),
            [] => Err(Failure::Usage(
                "no host is connected; start one with the lines that `platools dev` printed".to_owned(),
            )),
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

    fn unreachable(&self, error: &reqwest::Error) -> Failure {
        let at = self.base.as_str().trim_end_matches('/');
        if error.is_timeout() {
            return Failure::Usage(format!("the platform at {at} does not answer in time"));
        }
        Failure::Usage(format!("there is no platform at {at}: start one with `platools dev`, or give --url"))
    }

    fn not_a_platform(&self) -> Failure {
        let at = self.base.as_str().trim_end_matches('/');
        Failure::Usage(format!("what answers at {at} is not a development platform; give its --url"))
    }
}

/// A text of an answer, or an empty one.
pub(crate) fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value.get(member).and_then(Value::as_str).unwrap_or_default()
}
