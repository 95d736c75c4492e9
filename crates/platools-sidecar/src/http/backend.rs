//! A server: its headers, its secrets and its limits. Requests go out from here, and nowhere else.

use std::fmt;
use std::time::Duration;

use http::header::{ACCEPT_ENCODING, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, LOCATION};
use http::response::Parts;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use platools::ToolError;
use platools::verify::SigningKey;
use platools_net::client::connect_reason;
use platools_net::ration::Ration;
use platools_net::{Backoff, BodyError, BodyLimits, Proxy, SecretText, innermost_reason};
use url::Url;

use super::answer::Answer;
use super::body::{self, UnpackError, Unpacked};
use super::egress::Refused;
use super::outgoing::Outgoing;
use super::signature;
use crate::caller::{Caller, Fact};
use crate::memory::{Counted, crowded};

/// How many redirects of one request are followed.
const MAX_REDIRECTS: usize = 5;

/// The first wait before a request is tried again; it doubles, and half of it is random.
const FIRST_WAIT: Duration = Duration::from_millis(100);

/// The wait that doubling stops at: a call has 28 s for all of its attempts.
const LONGEST_BACKOFF: Duration = Duration::from_secs(30);

/// The longest wait that a backend may ask for before a request is tried again.
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// A server that tools ask.
pub(crate) struct Backend {
    /// What it is called in answers: ``the backend `orders` ``.
    pub(crate) label: String,
    pub(crate) client: reqwest::Client,
    /// The proxy through which it is asked, if there is one.
    pub(crate) proxy: Option<Proxy>,
    /// Where it is; requests never go to another scheme, host or port.
    pub(crate) base: Url,
    /// Headers of every request, secrets among them.
    pub(crate) headers: HeaderMap,
    /// What it is told about the caller.
    pub(crate) forward: Vec<Fact>,
    pub(crate) sign: Option<SigningKey>,
    /// The most of an answer that is read, in bytes.
    pub(crate) max_response: usize,
    /// How often a request that may be repeated is tried again.
    pub(crate) retries: u32,
    /// Limits the log lines about calls that it failed.
    pub(crate) logged: Ration,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Failure {
    /// Nobody was reached: nothing was sent.
    Unreachable(String),
    /// The connection broke, or what came is not HTTP.
    Broken(String),
    /// The answer is longer than it may be.
    TooLarge,
    /// All answers that are being read are too many bytes together.
    Crowded,
    /// It is not what its headers say.
    Unreadable(String),
    /// It leads somewhere else.
    Redirect(String),
    /// The address is one that may not be reached.
    Refused(String),
}

impl From<BodyError> for Failure {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::TooLarge { .. } => Self::TooLarge,
            error => Self::Broken(error.to_string()),
        }
    }
}

impl From<UnpackError> for Failure {
    fn from(error: UnpackError) -> Self {
        match error {
            UnpackError::TooLarge => Self::TooLarge,
            UnpackError::Crowded => Self::Crowded,
            UnpackError::Unreadable(problem) => Self::Unreadable(problem),
        }
    }
}

impl Backend {
    /// Sends a request and reads the answer, whatever its status is. A request that may be repeated is tried again
    /// when it met a backend that was not there or not well.
    ///
    /// # Errors
    /// When there is no answer; the text says what the model can do about it, the log says why.
    pub(crate) async fn send(&self, outgoing: &Outgoing, caller: &Caller) -> Result<Answer, ToolError> {
        let backoff = Backoff::new(FIRST_WAIT, LONGEST_BACKOFF).jitter(0.5..=1.0);
        for attempt in 0.. {
            let is_last = attempt >= self.retries || !outgoing.is_repeatable();
            let outcome = self.attempt(outgoing, caller).await?;
            let asked = match &outcome {
                Ok(answer) if is_unwell(answer.status) => answer.retry_after(),
                Err(Failure::Unreachable(_) | Failure::Broken(_)) => None,
                _ => return self.concluded(outcome),
            };
            if is_last || asked.is_some_and(|asked| asked > LONGEST_WAIT) {
                return self.concluded(outcome);
            }
            let entity = caller.fact(Fact::EntityId).unwrap_or_default().to_owned();
            metrics::counter!("platools_sidecar_retries_total", "entity" => entity).increment(1);
            tokio::time::sleep(asked.unwrap_or_else(|| backoff.wait(attempt))).await;
        }
        Err(ToolError::internal("no attempt was made"))
    }

    /// The outcome of the last attempt, which an operator learns of where it is the backend's failure.
    fn concluded(&self, outcome: Result<Answer, Failure>) -> Result<Answer, ToolError> {
        let answer = outcome.map_err(|failure| self.explain(&failure))?;
        if answer.status.is_server_error()
            && let Some(left_out) = self.logged.line()
        {
            let (host, status) = (self.base.host_str(), answer.status.as_u16());
            let left_out = (left_out > 0).then_some(left_out);
            tracing::warn!(host, status, left_out, "a backend failed");
        }
        Ok(answer)
    }

    /// One attempt, with the redirects it is sent on.
    ///
    /// # Errors
    /// When the request cannot be made at all.
    async fn attempt(
        &self,
        outgoing: &Outgoing,
        caller: &Caller,
    ) -> Result<Result<Answer, Failure>, ToolError> {
        let mut url = self.url(outgoing)?;
        for _ in 0..=MAX_REDIRECTS {
            let request = self.request(outgoing, &url, caller)?;
            let answer = match self.exchange(request).await {
                Ok(answer) => answer,
                Err(failure) => return Ok(Err(failure)),
            };
            if !answer.status.is_redirection() || answer.status == StatusCode::NOT_MODIFIED {
                return Ok(Ok(answer));
            }
            match self.redirected(&url, &answer, &outgoing.method) {
                Ok(next) => url = next,
                Err(problem) => return Ok(Err(Failure::Redirect(problem))),
            }
        }
        Ok(Err(Failure::Redirect(format!("it redirected more than {MAX_REDIRECTS} times"))))
    }

    /// The URL of a request.
    fn url(&self, outgoing: &Outgoing) -> Result<Url, ToolError> {
        let mut url = self.base.clone();
        let path = format!("{}{}", self.base.path().trim_end_matches('/'), outgoing.path);
        url.set_path(&path);
        // Values are encoded before; this holds whatever became of them.
        if !path.is_empty() && url.path() != path {
            return Err(ToolError::invalid_arguments(
                "an argument would lead to another path than the tool's",
            ));
        }
        url.set_query((!outgoing.query.is_empty()).then_some(outgoing.query.as_str()));
        Ok(url)
    }

    fn request(
        &self,
        outgoing: &Outgoing,
        url: &Url,
        caller: &Caller,
    ) -> Result<reqwest::Request, ToolError> {
        let mut headers = self.headers.clone();
        headers.entry(ACCEPT_ENCODING).or_insert(HeaderValue::from_static(body::ACCEPTED));
        for (name, value) in &outgoing.headers {
            headers.insert(name, value.clone());
        }
        for fact in &self.forward {
            if let Some((name, value)) = caller.header(*fact)? {
                headers.insert(name, value);
            }
        }
        let body = outgoing.body.as_ref().map_or(&[][..], |body| &body.bytes);
        if let Some(body) = &outgoing.body {
            let content_type = HeaderValue::try_from(&body.content_type).map_err(ToolError::from)?;
            headers.insert(CONTENT_TYPE, content_type);
        }
        if let Some(key) = &self.sign {
            signature::sign(key, &outgoing.method, url, &mut headers, body);
        }
        let mut request = reqwest::Request::new(outgoing.method.clone(), url.clone());
        if let Some(body) = &outgoing.body {
            *request.body_mut() = Some(body.bytes.clone().into());
        } else if matches!(outgoing.method, Method::POST | Method::PUT | Method::PATCH) {
            // Some servers insist on a length.
            headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        *request.headers_mut() = headers;
        Ok(request)
    }

    async fn exchange(&self, request: reqwest::Request) -> Result<Answer, Failure> {
        let response = self.client.execute(request).await.map_err(|error| self.failure(&error))?;
        let (Parts { status, headers, .. }, body) = Response::<reqwest::Body>::from(response).into_parts();
        let (body, counted) = match self.body(&headers, body).await {
            // Of an error, the status says enough.
            Err(Failure::Unreadable(_)) if !status.is_success() => Default::default(),
            read => read?,
        };
        Ok(Answer { status, headers, body, _counted: counted })
    }

    async fn body(&self, headers: &HeaderMap, body: reqwest::Body) -> Result<(Vec<u8>, Counted), Failure> {
        let mut unpacked = Unpacked::new(headers, self.max_response, Counted::default())?;
        let limits = BodyLimits::new(self.max_response);
        limits.read_pieces(body, |piece| unpacked.push(piece).map_err(Failure::from)).await?;
        Ok(unpacked.finish()?)
    }

    /// Where an answer leads, on the same server.
    fn redirected(&self, from: &Url, answer: &Answer, method: &Method) -> Result<Url, String> {
        let location = answer.headers.get(LOCATION).and_then(|location| location.to_str().ok());
        let Some(location) = location else { return Err("it redirected without saying where".to_owned()) };
        let Ok(next) = from.join(location) else { return Err("it redirected to what is no URL".to_owned()) };
        if next.origin() != self.base.origin() {
            let host = next.host_str().unwrap_or("another scheme");
            return Err(format!(
                "it redirected to another server ({host}), which is not followed: name the right URL in the file"
            ));
        }
        if !method.is_safe() {
            return Err(format!(
                "it redirected a {method}, which is not followed: name the right URL in the file"
            ));
        }
        Ok(next)
    }

    /// What an error means; its text never holds the URL.
    fn failure(&self, error: &reqwest::Error) -> Failure {
        let mut innermost: &dyn std::error::Error = error;
        while let Some(source) = innermost.source() {
            if source.is::<Refused>() {
                return Failure::Refused(source.to_string());
            }
            innermost = source;
        }
        if error.is_connect() {
            Failure::Unreachable(connect_reason(error, self.proxy.as_ref()))
        } else {
            Failure::Broken(innermost_reason(error))
        }
    }

    fn explain(&self, failure: &Failure) -> ToolError {
        let label = &self.label;
        let (text, detail) = match failure {
            Failure::Unreachable(detail) => {
                (format!("{label} cannot be reached at the moment: try again later"), detail.clone())
            }
            Failure::Broken(detail) => {
                (format!("{label} did not answer: the connection broke; try again later"), detail.clone())
            }
            Failure::TooLarge => {
                let limit = self.max_response;
                let text = format!("{label} answered with more than {limit} bytes: ask for less at once");
                (text, "`max_response` is the limit".to_owned())
            }
            Failure::Crowded => return crowded(),
            Failure::Unreadable(problem) => {
                (format!("the answer of {label} cannot be read: {problem}"), problem.clone())
            }
            Failure::Redirect(problem) => (format!("{label} cannot be asked: {problem}"), problem.clone()),
            Failure::Refused(detail) => {
                (format!("{label} cannot be asked: its address is refused"), detail.clone())
            }
        };
        if let Some(left_out) = self.logged.line() {
            let left_out = (left_out > 0).then_some(left_out);
            tracing::warn!(host = self.base.host_str(), detail, left_out, "no answer of a backend");
        }
        ToolError::user(text)
    }
}

/// Whether another attempt may meet a backend that is well again.
fn is_unwell(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT
            | StatusCode::TOO_MANY_REQUESTS
    )
}

/// A header with a secret in it.
pub(crate) fn bearer(token: &SecretText) -> Result<HeaderValue, String> {
    token
        .bearer()
        .map_err(|_| format!("the token for `{AUTHORIZATION}` has characters that no header can carry"))
}

impl fmt::Debug for Backend {
    /// Without its headers.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backend").field("label", &self.label).finish_non_exhaustive()
    }
}
