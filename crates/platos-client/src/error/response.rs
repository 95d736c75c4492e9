//! An answer that is no success.

use std::fmt;
use std::time::Duration;

use serde_json::Value;

use super::{Error, codes};

/// The most of a body that a message quotes.
const QUOTED_TEXT_BYTES: usize = 200;

/// The most that a message of the platform's may have.
const MESSAGE_BYTES: usize = 4 * 1024;

/// What errors call the sending of a file.
pub(crate) const UPLOAD: &str = "PUT the attachment";

/// How a message about a route begins that no known platform has.
const NOT_OFFERED: &str = "this platform does not offer that";

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
    /// What is wrong, as a word for programs; see [`codes`](crate::codes).
    pub code: Option<String>,
    /// Which of several limits was reached, such as `user_per_minute`.
    pub limit_scope: Option<String>,
    /// How much that limit is.
    pub limit: Option<u64>,
    /// What the platform's operators find the failure by.
    pub error_id: Option<String>,
    /// What they find its trace by.
    pub trace_ref: Option<String>,
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
    /// Only an operator may do this, so that no fresh token of the same kind would help.
    NeedsOperator,
    /// The session token is for another agent, and so would be a fresh one.
    OtherAgent,
    /// The environment wants an access key besides the credentials, or another one.
    NeedsAccessKey,
}

impl fmt::Display for RefreshOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DirectMode => f.write_str(
                "check the API key and all four ids of the scope; platforms take them only from servers that reach them \
                 without a proxy between, through one use a session token",
            ),
            Self::NotConfigured => {
                f.write_str("mint a fresh session token, or set `on_token_refresh` to have it done")
            }
            Self::Failed(problem) => write!(f, "and there is no fresh session token: {problem}"),
            Self::SameToken => f.write_str("and `on_token_refresh` gave the same token again"),
            Self::RefusedAgain => {
                f.write_str("with a fresh session token too: check its scope and who signed it")
            }
            Self::NeedsOperator => f.write_str(
                "this needs an operator's token, which the platform itself signs for a member; tokens that an entity \
                 mints are an end user's",
            ),
            Self::NeedsAccessKey => {
                f.write_str("give the environment's access key, `platos_live_…`, to `ClientBuilder::access_key`, or set PLATOS_ACCESS_KEY")
            }
            Self::OtherAgent => f.write_str(
                "this needs a token for that agent: leave `agentId` out of the token, or name the agent that it is for",
            ),
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
        let mut response = Self { body: shortened(body, QUOTED_BODY_BYTES), ..Self::plain(request, message) };
        response.status = status;
        let json = json.unwrap_or_default();
        response.retry_after = retry_after.or_else(|| asked_to_wait(&json));
        response.code = code(&json);
        let word = |value: &Value| value.as_str().map(|text| shortened(text, MESSAGE_BYTES));
        response.limit_scope = word(&json["scope"]);
        response.limit = json["limit"].as_u64();
        response.error_id = word(&json["error"]["errorId"]);
        response.trace_ref = word(&json["error"]["traceRef"]);
        response
    }

    /// A refusal without an answer.
    pub(crate) fn plain(request: &str, message: String) -> Self {
        Self {
            request: request.to_owned(),
            status: None,
            message,
            body: String::new(),
            retry_after: None,
            code: None,
            limit_scope: None,
            limit: None,
            error_id: None,
            trace_ref: None,
        }
    }

    /// The refusal in an answer that says that it is a success, as older platforms and some routes of newer ones
    /// send it: `{"error": "Thread not found", "status": 404}`.
    pub(crate) fn in_success(request: &str, body: &str) -> Option<Self> {
        // Most successes are no refusals, and some are large.
        if !body.trim_start().starts_with('{') || !body.contains("\"error\"") {
            return None;
        }
        let json = serde_json::from_str::<Value>(body).ok()?;
        let status = json["error"].as_str().and(json["status"].as_u64())?;
        let status = u16::try_from(status).ok().filter(|status| (400..600).contains(status))?;
        Some(Self::new(request, Some(status), body, None))
    }

    /// Whether it is the route that the platform does not have, and not what was asked for.
    pub(crate) fn is_missing_route(&self) -> bool {
        self.status == Some(404) && self.message.starts_with("Cannot ")
    }

    /// Whether it comes from something before the platform.
    pub(crate) fn is_page(&self) -> bool {
        self.body.trim_start().starts_with('<')
    }

    /// The same for what no known platform has, with what comes nearest.
    pub(crate) fn not_offered(self, nearest: &str) -> Self {
        Self { message: format!("{NOT_OFFERED}: {nearest}"), ..self }
    }

    pub(super) fn is_not_offered(&self) -> bool {
        self.message.starts_with(NOT_OFFERED)
    }

    /// What a fresh token of the same kind cannot cure.
    pub(crate) fn incurable(&self) -> Option<RefreshOutcome> {
        match self.code.as_deref()? {
            codes::OPERATOR_ONLY => Some(RefreshOutcome::NeedsOperator),
            codes::AGENT_SCOPE_MISMATCH | codes::INVALID_AGENT_SCOPE => Some(RefreshOutcome::OtherAgent),
            codes::INVALID_ACCESS_KEY => Some(RefreshOutcome::NeedsAccessKey),
            _ => None,
        }
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
            Some(500 | 502..) => Error::Server(Box::new(self)),
            _ => Error::Status(Box::new(self)),
        }
    }
}

/// The word for programs, wherever it stands.
fn code(body: &Value) -> Option<String> {
    let is_word = |text: &&str| {
        !text.is_empty() && text.chars().all(|letter| letter.is_ascii_alphabetic() || letter == '_')
    };
    let error = body["error"].as_str().filter(is_word);
    // Where a status stands beside it, `error` is the status in words.
    let error = if body.get("statusCode").is_some() { None } else { error };
    let code = body["error"]["code"].as_str().or(body["code"].as_str()).or(error)?;
    Some(shortened(code, QUOTED_TEXT_BYTES))
}

/// How long the body asks to wait, in seconds.
fn asked_to_wait(body: &Value) -> Option<Duration> {
    let fields = [&body["retryAfterSeconds"], &body["retryAfter"], &body["error"]["retryAfterSec"]];
    let seconds = fields.into_iter().find_map(Value::as_f64)?;
    Duration::try_from_secs_f64(seconds).ok()
}

/// `message` or `error`; some servers give a list of texts there.
fn said(body: &Value) -> Option<String> {
    ["message", "error"].into_iter().find_map(|key| match &body[key] {
        Value::String(text) if !text.trim().is_empty() => Some(text.clone()),
        Value::Array(_) => Some(texts(&body[key]).join("; ")).filter(|text| !text.is_empty()),
        Value::Object(error) => ["message", "body", "title"]
            .iter()
            .find_map(|key| error.get(*key)?.as_str())
            .map(ToOwned::to_owned),
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
    for field in body["error"]["fields"].as_array().into_iter().flatten() {
        let text = |name: &str| field[name].as_str().unwrap_or_default();
        errors.push(format!("{}: {}", text("field"), text("message")));
    }
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
    fn the_code_is_found_wherever_servers_put_it() {
        for (body, code) in [
            (r#"{"error":"OPERATOR_ONLY","message":"no"}"#, Some("OPERATOR_ONLY")),
            (r#"{"code":"THREAD_NOT_FOUND","message":"no"}"#, Some("THREAD_NOT_FOUND")),
            (r#"{"code":"rate_limit","error":"slow down"}"#, Some("rate_limit")),
            (r#"{"error":{"code":"FORBIDDEN_SCOPE","title":"No"}}"#, Some("FORBIDDEN_SCOPE")),
            (r#"{"statusCode":401,"message":"no","error":"Unauthorized"}"#, None),
            (r#"{"error":"Agent not found","agentId":"a"}"#, None),
            ("<html>", None),
        ] {
            assert_eq!(error(409, body).code(), code, "{body}");
        }
        let v1 = r#"{"error":{"code":"RATE_LIMITED","title":"Slow down","body":"Too many turns.","errorId":"err_1",
            "traceRef":"tr_1","version":1,"fields":[{"field":"title","code":"LONG","message":"too long"}],
            "retryAfterSec":7}}"#;
        let limited = error(429, v1);
        let response = limited.response().unwrap();
        assert_eq!(
            (response.error_id.as_deref(), response.trace_ref.as_deref()),
            (Some("err_1"), Some("tr_1"))
        );
        assert_eq!(
            (response.message.as_str(), limited.retry_after()),
            ("Too many turns.", Some(Duration::from_secs(7)))
        );
        let Error::Validation { errors, .. } = error(400, v1) else { panic!("another error") };
        assert_eq!(errors, ["title: too long"]);
        let scoped = error(
            429,
            r#"{"code":"rate_limit","scope":"user_per_minute","limit":30,"retryAfterSeconds":12}"#,
        );
        let response = scoped.response().unwrap();
        assert_eq!((response.limit_scope.as_deref(), response.limit), (Some("user_per_minute"), Some(30)));
        assert!(scoped.to_string().contains("user_per_minute"), "{scoped}");
    }

    #[test]
    fn a_success_that_is_a_refusal_is_one() {
        let refused =
            ErrorResponse::in_success("GET /x", r#"{"error":"Thread not found","status":404}"#).unwrap();
        assert_eq!((refused.status, refused.message.as_str()), (Some(404), "Thread not found"));
        for body in [
            r#"{"status":"failed","error":"the tool is away"}"#,
            r#"{"error":null,"status":404}"#,
            r#"{"error":"x","status":200}"#,
            r#"[{"error":"x","status":404}]"#,
            r#"{"id":"t","status":"active"}"#,
        ] {
            assert_eq!(ErrorResponse::in_success("GET /x", body), None, "{body}");
        }
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
