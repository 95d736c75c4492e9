//! One call: as many requests as its policy allows, and one fresh token.

use std::time::{Duration, SystemTime};

use http::header::CONTENT_TYPE;
use http::{HeaderMap, Request};
use platools_net::{HttpError, retry_after};
use serde_json::Value;
use url::Url;

use super::{Answer, Call, Effect, Issued};
use crate::client::PlatosClient;
use crate::config::RetryPolicy;
use crate::error::{
    ConfigError, Error, ErrorResponse, NetworkError, NetworkErrorKind, ProtocolError, RefreshOutcome,
};

/// The most of an answer that is read, in bytes.
pub(crate) const MAX_ANSWER_BYTES: usize = 64 << 20;

const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// What one request came to.
enum Outcome {
    Success(Answer),
    Refused(ErrorResponse),
}

impl PlatosClient {
    /// In direct mode every call needs a scope with all of its ids, before anything is sent.
    pub(crate) fn check_scope(&self) -> Result<(), ConfigError> {
        match (&self.shared.credentials, &self.scope) {
            (super::Credentials::Direct(_), None) => Err(ConfigError::MissingScope),
            (super::Credentials::Direct(_), Some(scope)) if scope.user_id.is_none() => {
                Err(ConfigError::MissingUser)
            }
            _ => Ok(()),
        }
    }

    /// Sends a call until it succeeds, or its policy says that it is enough.
    pub(crate) async fn send(&self, call: Call) -> Result<Answer, Error> {
        self.check_scope()?;
        let url = self.url(&call);
        let name = call.name();
        let mut issued = self.issue(&name).await?;
        let (mut retries, mut renewed) = (0, false);
        // Whether an attempt that failed may have been carried out all the same.
        let mut done_perhaps = false;
        loop {
            let error = match self.attempt(&call, url.clone(), &name, &issued).await {
                Ok(Outcome::Success(answer)) => {
                    let is_repeated = call.effect == Effect::Removal && done_perhaps;
                    return Ok(Answer { is_repeated, ..answer });
                }
                Ok(Outcome::Refused(response)) => match response.status {
                    Some(401 | 403) if response.incurable().is_some() => {
                        let outcome = response.incurable().unwrap_or(RefreshOutcome::RefusedAgain);
                        return Err(response.into_error(outcome));
                    }
                    Some(status @ (401 | 403)) if !renewed => {
                        match self.shared.credentials.renew(&issued, status).await {
                            Ok(fresh) => {
                                (issued, renewed) = (fresh, true);
                                continue;
                            }
                            Err(outcome) => return Err(response.into_error(outcome)),
                        }
                    }
                    // It is gone: an earlier attempt was carried out, and only its answer got lost.
                    Some(404) if call.effect == Effect::Removal && done_perhaps => {
                        let (request, body, mask) = (name, String::new(), self.mask(&issued));
                        return Ok(Answer { request, status: 204, body, mask, is_repeated: true });
                    }
                    _ => response.into_error(RefreshOutcome::RefusedAgain),
                },
                Err(error) => error,
            };
            let Some(wait) = self.wait(&call.effect, &error, retries) else { return Err(error) };
            retries += 1;
            done_perhaps |= !is_unsent(&error) && error.status() != Some(429);
            tracing::debug!(request = name, retries, wait_ms = wait.as_millis(), %error, "trying again");
            tokio::time::sleep(wait).await;
        }
    }

    /// The credential to begin with.
    pub(crate) async fn issue(&self, name: &str) -> Result<Issued, Error> {
        self.shared.credentials.issue().await.map_err(|refresh| {
            let response = ErrorResponse::plain(name, "there is no session token yet".to_owned());
            Error::Auth { response: Box::new(response), refresh }
        })
    }

    /// How long to wait before the call is sent again, if it is.
    fn wait(&self, effect: &Effect, error: &Error, retries: u32) -> Option<Duration> {
        let policy = &self.shared.config.retry;
        let again = *effect != Effect::Once || is_unsent(error);
        if retries >= policy.max_retries || !error.is_transient() || !again {
            return None;
        }
        waited(policy, error.retry_after(), retries)
    }

    fn url(&self, call: &Call) -> Url {
        let mut url = self.shared.config.base.join(call.segments.iter().map(String::as_str));
        if !call.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&call.query);
        }
        url
    }

    async fn attempt(&self, call: &Call, url: Url, name: &str, issued: &Issued) -> Result<Outcome, Error> {
        let mut request = Request::builder().method(call.method.clone()).uri(url.as_str());
        if call.body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        if let Effect::Keyed(key) = &call.effect {
            request = request.header(IDEMPOTENCY_KEY, key);
        }
        let body = call.body.as_ref().map(Value::to_string).unwrap_or_default();
        let answer = match request.body(body.into_bytes()) {
            Ok(mut request) => {
                request.headers_mut().extend(self.headers(issued));
                self.shared.http.send(request, self.shared.config.timeout).await
            }
            Err(error) => Err(HttpError::Request(error.to_string())),
        };
        let (parts, body) = answer.map_err(|error| failure(error, name))?.into_parts();
        Ok(self.outcome(name, parts.status.as_u16(), &parts.headers, &body, issued))
    }

    fn outcome(&self, name: &str, status: u16, headers: &HeaderMap, body: &[u8], issued: &Issued) -> Outcome {
        let (body, mask) = (String::from_utf8_lossy(body).into_owned(), self.mask(issued));
        let request = name.to_owned();
        if (200..300).contains(&status) {
            if let Some(refused) = ErrorResponse::in_success(name, &body) {
                return Outcome::Refused(ErrorResponse::new(name, refused.status, &mask.apply(body), None));
            }
            return Outcome::Success(Answer { request, status, body, mask, is_repeated: false });
        }
        let wait = retry_after(headers, SystemTime::now());
        Outcome::Refused(ErrorResponse::new(name, Some(status), &mask.apply(body), wait))
    }
}

/// Whether nothing of the request can have been sent.
fn is_unsent(error: &Error) -> bool {
    matches!(error, Error::Network(error) if error.kind == NetworkErrorKind::Connect)
}

/// The policy's wait, or the one that the platform asked for; `None` where that is too long.
pub(crate) fn waited(policy: &RetryPolicy, asked: Option<Duration>, retries: u32) -> Option<Duration> {
    match asked {
        Some(asked) => (asked <= policy.longest_retry_after).then_some(asked),
        None => Some(policy.backoff.wait(retries)),
    }
}

pub(super) fn failure(error: HttpError, name: &str) -> Error {
    let network = |kind, message| NetworkError::new(name, kind, message).into();
    match error {
        HttpError::Connect(reason) => {
            let message = format!(
                "no connection could be made ({reason}): check the base URL, and that the platform is up"
            );
            network(NetworkErrorKind::Connect, message)
        }
        HttpError::Timeout(time) => {
            let time = time.as_secs_f64();
            let message = format!("no answer within {time} s; the platform may have done it all the same");
            network(NetworkErrorKind::Timeout, message)
        }
        HttpError::TooLarge { limit } => {
            let problem = format!("the answer has more than {limit} bytes: ask for less with `limit`");
            ProtocolError::new(name, problem).into()
        }
        error @ HttpError::Request(_) => ProtocolError::new(name, error.to_string()).into(),
        error @ HttpError::Broken(_) => network(NetworkErrorKind::Broken, error.to_string()),
    }
}
