//! Requests that no method stands for yet.

use http::Method;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::client::PlatosClient;
use crate::error::{ConfigError, Error};
use crate::http::{Answer, Call, Effect};

/// A request to any path of the platform, with the client's credentials, scope, timeouts and errors.
///
/// `GET`, `HEAD`, `OPTIONS`, `PUT` and `DELETE` are retried as the policy says; all others only under an
/// [idempotency key](Self::idempotency_key), or when nothing of it was done: without a connection, or after a 429 that
/// says how long to wait.
///
/// ```
/// # async fn example(client: platos_client::PlatosClient) -> Result<(), platos_client::Error> {
/// use platos_client::RawRequest;
///
/// let answer = client.raw(RawRequest::get("/api/v1/agent/tools").query("limit", "5")).await?;
/// println!("{}: {}", answer.status(), answer.json::<serde_json::Value>()?);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct RawRequest {
    method: Method,
    path: String,
    query: Vec<(String, String)>,
    body: Option<Value>,
    key: Option<String>,
}

impl RawRequest {
    fn new(method: Method, path: impl Into<String>) -> Self {
        Self { method, path: path.into(), query: Vec::new(), body: None, key: None }
    }

    /// Asks for something. The path begins with a slash and is under the base URL.
    pub fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path)
    }

    /// Sends something.
    pub fn post(path: impl Into<String>) -> Self {
        Self::new(Method::POST, path)
    }

    /// Replaces something.
    pub fn put(path: impl Into<String>) -> Self {
        Self::new(Method::PUT, path)
    }

    /// Changes a part of something.
    pub fn patch(path: impl Into<String>) -> Self {
        Self::new(Method::PATCH, path)
    }

    /// Deletes something.
    pub fn delete(path: impl Into<String>) -> Self {
        Self::new(Method::DELETE, path)
    }

    /// Asks for the head of an answer alone.
    pub fn head(path: impl Into<String>) -> Self {
        Self::new(Method::HEAD, path)
    }

    /// Asks what may be asked.
    pub fn options(path: impl Into<String>) -> Self {
        Self::new(Method::OPTIONS, path)
    }

    /// Uses any method, such as `PURGE`. One that is not known to be repeatable is retried as a `POST` is.
    ///
    /// # Errors
    /// When there can be no method of that name.
    pub fn method(method: &str, path: impl Into<String>) -> Result<Self, ConfigError> {
        let expected = "a method such as GET or PURGE";
        let method = Method::from_bytes(method.as_bytes());
        let method = method.map_err(|_| ConfigError::Setting { setting: "method", expected })?;
        Ok(Self::new(method, path))
    }

    /// A parameter of the query.
    pub fn query(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.query.push((name.into(), value.into()));
        self
    }

    /// The body.
    pub fn json(mut self, body: impl Into<Value>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// Under which key the platform knows this request again; with one it is retried. Only some routes know keys: that of
    /// a streamed turn, and those of the operators' API.
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    fn into_call(self) -> Result<Call, ConfigError> {
        let path = self.path.strip_prefix('/').ok_or(ConfigError::Path("does not begin with a slash"))?;
        if path.contains(['?', '#']) {
            return Err(ConfigError::Path("has a query or a fragment: use `.query(name, value)`"));
        }
        let segments: Vec<_> = path.split('/').map(ToOwned::to_owned).collect();
        if segments.iter().any(|segment| matches!(segment.as_str(), "." | "..")) {
            return Err(ConfigError::Path("has a segment of dots, which leads elsewhere"));
        }
        let effect = match self.key {
            Some(key) => Effect::keyed(key)?,
            None if self.method.is_idempotent() => Effect::Repeatable,
            None => Effect::Once,
        };
        Ok(Call { method: self.method, segments, query: self.query, body: self.body, effect, time: None })
    }
}

/// The answer to a [`RawRequest`].
#[derive(Debug)]
pub struct RawAnswer(Answer);

impl RawAnswer {
    /// The status, from 200 to 299.
    pub fn status(&self) -> u16 {
        self.0.status
    }

    /// The body.
    pub fn text(&self) -> &str {
        &self.0.body
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// When it is not what is asked for.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        self.0.one()
    }
}

impl PlatosClient {
    /// Sends a request that no method stands for yet.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn raw(&self, request: RawRequest) -> Result<RawAnswer, Error> {
        self.send(request.into_call()?).await.map(RawAnswer)
    }
}
