//! Plato's control plane (plato-api §4): a method for a request, and nothing between them.
//!
//! This room knows paths, queries and bodies. It must not know what a session is being used for, who waits for it,
//! nor anything of desktops.

mod catalogue;
mod jobs;
mod read;
mod sessions;

use http::header::HeaderName;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

pub(crate) use self::read::read_json;
pub(crate) use self::sessions::UrlKind;
use crate::config::{Retries, Settings};
use crate::error::Error;
use crate::http::{Ask, HttpClient, HttpOptions, Method, Repeat, repeatedly};
use crate::secrets::{ApiKey, JobId};

/// The most of an answer that is read: a state can be large.
const MAX_BODY: usize = 64 << 20;

static API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// The control plane. Cheap to clone; clones share their connections.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    http: HttpClient,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    base: Url,
    key: ApiKey,
    retries: Retries,
    timeout: Duration,
}

/// A request without its body: `GET /jobs/{job_id}/state`, its ids, and its query.
#[derive(Debug)]
pub(crate) struct Endpoint {
    operation: &'static str,
    url: Url,
    repeat: Repeat,
    timeout: Duration,
}

impl Endpoint {
    /// Adds a pair to the query.
    fn query(mut self, name: &str, value: impl AsRef<str>) -> Self {
        self.url.query_pairs_mut().append_pair(name, value.as_ref());
        self
    }

    /// Adds a pair to the query if there is a value.
    fn query_if(self, name: &str, value: Option<impl AsRef<str>>) -> Self {
        match value {
            Some(value) => self.query(name, value),
            None => self,
        }
    }

    /// It may be sent twice.
    fn repeatable(mut self) -> Self {
        self.repeat = Repeat::Safe;
        self
    }

    /// The server takes up to `time` on purpose.
    fn holding(mut self, time: Duration) -> Self {
        self.timeout = self.timeout.max(time + Duration::from_secs(30));
        self
    }

    /// It is of no use if it takes longer than this.
    fn within(mut self, time: Duration) -> Self {
        self.timeout = self.timeout.min(time);
        self
    }
}

impl Api {
    pub(crate) fn new(settings: &Settings) -> Result<Self, Error> {
        let http = HttpClient::new(&HttpOptions {
            ca_file: settings.ca_file.as_deref(),
            proxy: &settings.proxy,
            connect_timeout: settings.connect_timeout,
            max_body: MAX_BODY,
            keep_connections: true,
        })?;
        let shared = Shared {
            base: settings.base.clone(),
            key: settings.key.clone(),
            retries: settings.retries.clone(),
            timeout: settings.request_timeout,
        };
        Ok(Self { http, shared: Arc::new(shared) })
    }

    /// A request by its method and path; each `{…}` in the path is replaced by the next of `ids`.
    fn endpoint(&self, operation: &'static str, ids: &[&str]) -> Endpoint {
        let mut url = self.shared.base.clone();
        let mut ids = ids.iter();
        let path = operation.split_once(' ').map_or(operation, |(_, path)| path);
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(["api", "v2"]);
            for segment in path.split('/').skip(1) {
                let id = if segment.starts_with('{') { ids.next() } else { None };
                segments.push(id.copied().unwrap_or(segment));
            }
        }
        let repeat = if operation.starts_with("GET ") { Repeat::Safe } else { Repeat::IfUnsent };
        Endpoint { operation, url, repeat, timeout: self.shared.timeout }
    }

    /// Sends a request without a body.
    async fn ask<T: DeserializeOwned>(&self, endpoint: Endpoint) -> Result<T, Error> {
        self.send(endpoint, None).await
    }

    /// Sends a request with a body.
    async fn tell<T: DeserializeOwned>(&self, endpoint: Endpoint, body: &impl Serialize) -> Result<T, Error> {
        let body = serde_json::to_vec(body)
            .map_err(|error| Error::InvalidInput(format!("this cannot be written as JSON: {error}")))?;
        self.send(endpoint, Some(body)).await
    }

    async fn send<T: DeserializeOwned>(&self, endpoint: Endpoint, body: Option<Vec<u8>>) -> Result<T, Error> {
        let method = if endpoint.operation.starts_with("GET ") { Method::Get } else { Method::Post };
        let key = self.shared.key.header()?;
        let ask = Ask {
            operation: endpoint.operation,
            method,
            url: endpoint.url,
            headers: vec![(API_KEY.clone(), key)],
            body,
            timeout: endpoint.timeout,
        };
        repeatedly(&self.shared.retries, endpoint.repeat, || async {
            let answer = self.http.send(&ask).await?;
            tracing::debug!(operation = ask.operation, status = answer.status, "Plato answered");
            read_json(ask.operation, &answer)
        })
        .await
    }
}

/// Ids and texts that go into a query as a comma separated list.
fn commas(values: &[String]) -> Option<String> {
    (!values.is_empty()).then(|| values.join(","))
}

/// A job id as a part of a path.
fn id(job: &JobId) -> &str {
    job.as_str()
}
