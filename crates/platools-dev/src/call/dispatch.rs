//! A call over HTTP: the request that says what a frame says, and what a response becomes (protocol §6).

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response};
use platools::ToolOutput;
use platools::wire::Inbound;
use serde_json::value::RawValue;

use super::report::{Content, SignatureParts, rate_limit};
use crate::random;

/// The wait that a 429 without an integer `Retry-After` stands for, in seconds.
const RETRY_SECONDS: u64 = 30;

/// The agent of a call without one.
const NO_AGENT: &str = "default";

/// A call as it is posted. The body is the signed text.
pub(crate) struct Post {
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Post {
    /// The request for the call in this frame.
    ///
    /// # Errors
    /// The name of a header whose value cannot be sent.
    pub(crate) fn of(frame: &str) -> Result<Self, &'static str> {
        let Ok(Inbound::ToolCall(call)) = Inbound::parse(frame) else { return Err("of a call") };
        let body = SignatureParts::of_call(&call).body();
        let envelope = call.envelope().to_envelope();
        let traceparent = format!("00-{}-{}-01", random::nonce(), &random::nonce()[..16]);
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        for (name, value) in [
            ("x-platos-timestamp", envelope.timestamp),
            ("x-platos-nonce", envelope.nonce),
            ("x-platos-signature", envelope.signature),
            ("x-platos-organization-id", envelope.organization_id),
            ("x-platos-project-id", envelope.project_id),
            ("x-platos-environment-id", envelope.environment_id),
            ("x-platos-entity-id", envelope.entity_id),
            ("x-platos-user-id", envelope.user_id),
            ("x-platos-user-token", envelope.user_token),
            ("x-platos-agent-id", Some(envelope.agent_id.unwrap_or_else(|| NO_AGENT.to_owned()))),
            ("x-platos-thread-id", Some(envelope.thread_id.unwrap_or_default())),
            ("x-platos-call-id", envelope.call_id),
            ("x-platos-entity-token", envelope.entity_token),
            ("traceparent", Some(traceparent)),
        ] {
            if let Some(value) = value {
                // A token is not shown where headers are printed.
                let mut value = HeaderValue::from_bytes(value.as_bytes()).map_err(|_| name)?;
                value.set_sensitive(name.ends_with("-token"));
                headers.insert(HeaderName::from_static(name), value);
            }
        }
        Ok(Self { headers, body })
    }
}

/// Maps a response to a call over HTTP to its outcome, by its status (protocol §6).
pub(crate) fn outcome(response: &Response<Vec<u8>>) -> Content {
    let status = response.status();
    let body = String::from_utf8_lossy(response.body());
    match status.as_u16() {
        200..=299 if body.trim().is_empty() => {
            Content::Error(format!("the entity's callback answered {} without a result", status.as_u16()))
        }
        200..=299 => match serde_json::from_str::<&RawValue>(&body) {
            Ok(result) => match ToolOutput::json(result) {
                Ok(result) => Content::Result(result.into_json()),
                Err(error) => Content::Error(error.to_string()),
            },
            Err(_) => Content::Error(format!(
                "the entity's callback answered {} with something that is not JSON",
                status.as_u16()
            )),
        },
        429 => {
            let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
            let seconds = retry_after.and_then(|value| value.trim().parse().ok()).unwrap_or(RETRY_SECONDS);
            Content::Error(rate_limit(seconds))
        }
        status => Content::Error(format!("HTTP {status}: {body}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::report::rate_limit_seconds;

    fn said(status: u16, retry_after: Option<&str>, body: &str) -> Result<String, String> {
        let mut response = Response::builder().status(status);
        if let Some(value) = retry_after {
            response = response.header(RETRY_AFTER, value);
        }
        match outcome(&response.body(body.as_bytes().to_vec()).unwrap()) {
            Content::Result(result) => Ok(result),
            Content::Error(error) => Err(error),
            Content::TimedOut => panic!("a response is no timeout"),
        }
    }

    #[test]
    fn a_response_becomes_what_the_server_makes_of_it() {
        for result in ["3", "null", r#"{"a":[1,{}]}"#, r#""text""#, " true\n"] {
            assert_eq!(said(200, None, result), Ok(result.trim().to_owned()));
        }
        assert_eq!(said(201, None, "1"), Ok("1".to_owned()));
        for (body, part) in [("", "without a result"), (" ", "without a result"), ("done", "not JSON")] {
            assert!(said(200, None, body).unwrap_err().contains(part), "{body:?}");
        }
        assert!(said(204, None, "").unwrap_err().contains("204"));
        let wait = |retry_after| said(429, retry_after, "slow down").unwrap_err();
        assert_eq!(wait(Some("7")), "rate_limit: retry in 7s");
        assert_eq!(wait(None), "rate_limit: retry in 30s");
        assert_eq!(wait(Some("Wed, 21 Oct 2026 07:28:00 GMT")), "rate_limit: retry in 30s");
        assert_eq!(wait(Some("1.5")), "rate_limit: retry in 30s");
        assert_eq!(said(422, None, "not today"), Err("HTTP 422: not today".to_owned()));
        assert_eq!(said(503, Some("3"), "down"), Err("HTTP 503: down".to_owned()));
        assert_eq!(said(304, None, ""), Err("HTTP 304: ".to_owned()));
        assert_eq!(rate_limit_seconds(&rate_limit(7)), Some(7));
    }
}
