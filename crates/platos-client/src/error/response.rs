//! An answer that is no success.

use std::fmt;
use std::time::Duration;

use serde_json::Value;

use super::Error;

/// The most of a body that a message quotes.
const QUOTED_TEXT_BYTES: usize = 200;

/// The most that a message of the platform's may have.
const MESSAGE_BYTES: usize = 4 * 1024;

/// The most of a body that an error keeps.
const QUOTED_BODY_BYTES: usize = 64 * 1024;

/// What the platform answered. Credentials that it repeats are masked.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ErrorResponse {
    /// What was asked, without the query, such as `GET /api/v1/agent/agents`.
    pub request: String,
    /// The HTTP status; `None` where the refusal came over an open socket.
    pub status: Option<u16>,
    /// What the platform says: `message` or `error` of a JSON body, or what stands there instead.
    pub message: String,
    /// The body as it came, at most 64 KiB of it.
    pub body: String,
    /// How long the platform asks to wait.
    pub retry_after: Option<Duration>,
}

/// What came of asking for a fresh token after the platform refused the one there was.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RefreshOutcome {
    /// The client sends an API key, which nothing can refresh.
    DirectMode,
    /// Nobody to ask: `on_token_refresh` is not set.
    NotConfigured,
    /// The callback failed, with this text.
    Failed(String),
    /// The callback gave the same token again.
    SameToken,
    /// The fresh token was refused too.
    RefusedAgain,
}

impl fmt::Display for RefreshOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DirectMode => f.write_str("check the API key, and that it may act in this scope"),
            Self::NotConfigured => {
                f.write_str("mint a fresh session token, or set `on_token_refresh` to have it done")
            }
            Self::Failed(problem) => write!(f, "and there is no fresh session token: {problem}"),
            Self::SameToken => f.write_str("and `on_token_refresh` gave the same token again"),
            Self::RefusedAgain => {
                f.write_str("with a fresh session token too: check its scope and who signed it")
            }
        }
    }
}

impl fmt::Display for ErrorResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // More words follow in most places.
        let message = self.message.trim_end_matches('.');
        match self.status {
            Some(status) => write!(f, "{}: {status}: {message}", self.request),
            None => write!(f, "{}: {message}", self.request),
        }
    }
}

impl ErrorResponse {
    /// Reads the body of an answer.
    pub(crate) fn new(request: &str, status: Option<u16>, body: &str, retry_after: Option<Duration>) -> Self {
        let json = serde_json::from_str::<Value>(body).ok();
        let said = json.as_ref().and_then(said);
        let message = said.unwrap_or_else(|| in_place_of_a_message(status, json.as_ref(), body));
        let message = shortened(&message, MESSAGE_BYTES);
        let body = shortened(body, QUOTED_BODY_BYTES);
        Self { request: request.to_owned(), status, message, body, retry_after }
    }

    /// The error that belongs to the status.
    pub(crate) fn into_error(self, refresh: RefreshOutcome) -> Error {
        match self.status {
            Some(401 | 403) => Error::Auth { response: Box::new(self), refresh },
            Some(404) => Error::NotFound(Box::new(self)),
            Some(400 | 422) => {
                let errors = validation_errors(&self.body, &self.message);
                Error::Validation { response: Box::new(self), errors }
            }
            Some(429) => Error::RateLimited(Box::new(self)),
            Some(500..) => Error::Server(Box::new(self)),
            _ => Error::Status(Box::new(self)),
        }
    }
}

/// `message` or `error`; some servers give a list of texts there.
fn said(body: &Value) -> Option<String> {
    ["message", "error"].into_iter().find_map(|key| match &body[key] {
        Value::String(text) if !text.trim().is_empty() => Some(text.clone()),
        Value::Array(_) => Some(texts(&body[key]).join("; ")).filter(|text| !text.is_empty()),
        Value::Object(_) => body[key]["message"].as_str().map(ToOwned::to_owned),
        _ => None,
    })
}

fn in_place_of_a_message(status: Option<u16>, json: Option<&Value>, body: &str) -> String {
    let start = body.trim_start();
    let reason = status.and_then(|status| http::StatusCode::from_u16(status).ok());
    let reason = reason.and_then(|status| status.canonical_reason()).unwrap_or("no success");
    if start.is_empty() || json.is_some() {
        reason.to_owned()
    } else if start.starts_with('<') {
        format!("{reason} (a page, not JSON: it may come from something in front of the platform)")
    } else {
        shortened(start, QUOTED_TEXT_BYTES)
    }
}

fn validation_errors(body: &str, message: &str) -> Vec<String> {
    let Ok(body) = serde_json::from_str::<Value>(body) else { return Vec::new() };
    let mut errors = texts(&body["validationErrors"]);
    // Where they stand in `message`, the message says them already.
    errors.retain(|error| error != message);
    errors
}

/// The texts of a list; whatever is no text, as JSON.
fn texts(list: &Value) -> Vec<String> {
    let entries = list.as_array().map(Vec::as_slice).unwrap_or_default();
    entries.iter().map(|entry| entry.as_str().map_or_else(|| entry.to_string(), ToOwned::to_owned)).collect()
}

/// At most `limit` bytes of a text, cut between characters.
pub(crate) fn shortened(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let end = (0..=limit).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    format!("{}…", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(status: u16, body: &str) -> Error {
        ErrorResponse::new("GET /x", Some(status), body, None).into_error(RefreshOutcome::NotConfigured)
    }

    #[test]
    fn every_status_has_its_variant() {
        for (status, name) in [
            (401, "Auth"),
            (403, "Auth"),
            (404, "NotFound"),
            (400, "Validation"),
            (422, "Validation"),
            (429, "RateLimited"),
            (500, "Server"),
            (503, "Server"),
            (302, "Status"),
            (409, "Status"),
        ] {
            let error = error(status, r#"{"message":"no"}"#);
            assert!(format!("{error:?}").starts_with(name), "{status}: {error:?}");
            assert_eq!(
                (error.status(), error.body()),
                (Some(status), Some(r#"{"message":"no"}"#)),
                "{status}"
            );
            assert!(error.to_string().starts_with(&format!("GET /x: {status}: no")), "{error}");
        }
    }

    #[test]
    fn the_message_is_found_wherever_servers_put_it() {
        for (body, message) in [
            (r#"{"message":"a","error":"b"}"#, "a"),
            (r#"{"error":"b"}"#, "b"),
            (r#"{"message":["x must be a string","y is missing"]}"#, "x must be a string; y is missing"),
            (r#"{"error":{"message":"deep"}}"#, "deep"),
            (r#"{"message":"  "}"#, "Conflict"),
            ("", "Conflict"),
            ("[]", "Conflict"),
            ("plain words", "plain words"),
        ] {
            assert_eq!(error(409, body).response().unwrap().message, message, "{body}");
        }
        let page = error(502, "<html><body>nginx</body></html>");
        assert!(page.to_string().contains("Bad Gateway (a page, not JSON"), "{page}");
        let endless = serde_json::json!({"message": "x".repeat(1 << 20)}).to_string();
        assert!(error(409, &endless).to_string().len() < 5_000);
        let long = "é".repeat(500);
        assert!(error(409, &long).response().unwrap().message.len() < 210);
    }

    #[test]
    fn validation_errors_are_listed() {
        let Error::Validation { errors, .. } =
            error(422, r#"{"message":"bad","validationErrors":["agentId: unknown",{"path":"title"}]}"#)
        else {
            panic!("another error")
        };
        assert_eq!(errors, ["agentId: unknown", r#"{"path":"title"}"#]);
        let text = error(400, r#"{"message":"bad","validationErrors":["agentId: unknown"]}"#).to_string();
        assert_eq!(text, "GET /x: 400: bad: agentId: unknown");
    }
}
