//! One call: as many requests as its policy allows, and one fresh token.

use std::time::{Duration, SystemTime};

use http::header::{ACCEPT, CONTENT_TYPE, DATE};
use http::{HeaderMap, HeaderValue, Request};
use platools_net::{HttpError, Streamed, retry_after};
use serde_json::Value;
use url::Url;

use super::{Answer, Call, Effect, Issued};
use crate::client::PlatosClient;
use crate::config::RetryPolicy;
use crate::error::{
    ConfigError, Error, ErrorResponse, NetworkError, NetworkErrorKind, ProtocolError, RefreshOutcome, UPLOAD,
};

/// The most of an answer that is read, in bytes.
pub(crate) const MAX_ANSWER_BYTES: usize = 64 << 20;

const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// The most of a refusal that is read where a stream was asked for, in bytes.
const MAX_REFUSAL_BYTES: usize = 1 << 20;

/// What asking for a stream came to.
#[derive(Debug)]
pub(crate) enum Opened {
    Stream(Streamed),
    Refused(ErrorResponse),
}

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
                        return Ok(Answer {
                            request,
                            status: 204,
                            body,
                            mask,
                            is_repeated: true,
                            date: None,
                        });
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

    /// The credential for a connection, which is used for longer than a moment.
    pub(crate) async fn issue_lasting(&self, name: &str) -> Result<Issued, Error> {
        self.shared.credentials.issue_lasting().await.map_err(|refresh| {
            let response = ErrorResponse::plain(name, "there is no session token yet".to_owned());
            Error::Auth { response: Box::new(response), refresh }
        })
    }

    /// How long to wait before the call is sent again, if it is.
    fn wait(&self, effect: &Effect, error: &Error, retries: u32) -> Option<Duration> {
        let policy = &self.shared.config.retry;
        // A limit refuses before anything is done. Where the platform does not say for how long, the caller knows better.
        let refused = matches!(error, Error::RateLimited(_)) && error.retry_after().is_some();
        let again = *effect != Effect::Once || is_unsent(error) || refused;
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
        let answer = match self.request(call, &url, issued) {
            Ok(request) => self.shared.http.send(request, self.time(call)).await,
            Err(error) => Err(error),
        };
        let (parts, body) = answer.map_err(|error| failure(error, name))?.into_parts();
        Ok(self.outcome(name, parts.status.as_u16(), &parts.headers, &body, issued))
    }

    /// How long one attempt of a call may take.
    fn time(&self, call: &Call) -> Duration {
        call.time.unwrap_or_default().max(self.shared.config.timeout)
    }

    fn request(&self, call: &Call, url: &Url, issued: &Issued) -> Result<Request<Vec<u8>>, HttpError> {
        let mut request = Request::builder().method(call.method.clone()).uri(url.as_str());
        if call.body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        if let Effect::Keyed(key) = &call.effect {
            request = request.header(IDEMPOTENCY_KEY, key);
        }
        let body = call.body.as_ref().map(Value::to_string).unwrap_or_default();
        let request = request.body(body.into_bytes());
        let mut request = request.map_err(|error| HttpError::Request(error.to_string()))?;
        request.headers_mut().extend(self.headers(issued));
        Ok(request)
    }

    /// Sends a call once, and hands over the answer to be read piece by piece.
    pub(crate) async fn open(&self, call: &Call, issued: &Issued) -> Result<Opened, Error> {
        let name = call.name();
        let failed = |error| failure(error, &name);
        let mut request = self.request(call, &self.url(call), issued).map_err(failed)?;
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
        let mut answer = self.shared.http.open(request, self.time(call)).await.map_err(failed)?;
        let kind = answer.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        if answer.status().is_success() && kind.is_some_and(|kind| kind.starts_with("text/event-stream")) {
            return Ok(Opened::Stream(answer));
        }
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let mut body = Vec::new();
        let reading = async {
            while let Some(chunk) = answer.chunk().await? {
                body.extend_from_slice(&chunk);
                if body.len() > MAX_REFUSAL_BYTES {
                    break;
                }
            }
            Ok(())
        };
        let read = tokio::time::timeout(self.shared.config.timeout, reading).await;
        read.unwrap_or(Ok(())).map_err(failed)?;
        match self.outcome(&name, status, &headers, &body, issued) {
            Outcome::Refused(response) => Ok(Opened::Refused(response)),
            Outcome::Success(answer) => Err(answer.protocol(
                "the answer is no stream of events: check that the base URL is a Platos agent API".to_owned(),
            )),
        }
    }

    fn outcome(&self, name: &str, status: u16, headers: &HeaderMap, body: &[u8], issued: &Issued) -> Outcome {
        let (body, mask) = (String::from_utf8_lossy(body).into_owned(), self.mask(issued));
        let request = name.to_owned();
        if (200..300).contains(&status) {
            if let Some(refused) = ErrorResponse::in_success(name, &body) {
                return Outcome::Refused(ErrorResponse::new(name, refused.status, &mask.apply(body), None));
            }
            let date = headers.get(DATE).and_then(|date| httpdate::parse_http_date(date.to_str().ok()?).ok());
            return Outcome::Success(Answer { request, status, body, mask, is_repeated: false, date });
        }
        let wait = retry_after(headers, SystemTime::now());
        Outcome::Refused(ErrorResponse::new(name, Some(status), &mask.apply(body), wait))
    }
}

/// Whether nothing of the request can have been sent.
pub(crate) fn is_unsent(error: &Error) -> bool {
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
            let advice = if name == UPLOAD {
                "check that this program can reach the store that the platform keeps files in"
            } else {
                "check the base URL, and that the platform is up"
            };
            let message = format!("no connection could be made ({reason}): {advice}");
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
        error @ HttpError::Broken(_) => {
            let message = format!("{error}; the platform may have done it all the same");
            network(NetworkErrorKind::Broken, message)
        }
    }
}
