//! Why there is no connection, and what that means for the turn.

use std::time::Duration;

use serde_json::Value;

use crate::error::{Error, ErrorResponse, ProtocolError, RefreshOutcome, codes, shortened};
use crate::event::ErrorEvent;
use crate::http::Mask;
use crate::socket::FrameError;

/// What errors call a stream.
pub(super) const STREAM: &str = "stream /socket.io/";

/// The most of a connect error that a message quotes.
const QUOTED_BYTES: usize = 300;

/// Why a connection could not be made, or ended.
#[derive(Debug)]
pub(super) enum Failure {
    /// Another attempt may succeed.
    Lost {
        reason: String,
        retry_after: Option<Duration>,
        /// What the platform answered, where it did.
        error: Option<Error>,
    },
    /// The credentials were refused; others may not be.
    Refused(Box<ErrorResponse>),
    /// The session token is to be replaced before it expires.
    Expiring,
    /// The message had arrived before.
    Arrived,
    /// Not all of the turn was heard, and nothing more of it will be. This is why.
    Unheard(&'static str),
    /// No attempt will succeed.
    Fatal(Box<Error>),
}

impl Failure {
    pub(super) fn lost(reason: impl Into<String>) -> Self {
        Self::Lost { reason: reason.into(), retry_after: None, error: None }
    }

    pub(super) fn fatal(error: impl Into<Error>) -> Self {
        Self::Fatal(Box::new(error.into()))
    }

    pub(super) fn protocol(problem: impl Into<String>) -> Self {
        Self::fatal(ProtocolError::new(STREAM, problem))
    }

    /// What came that nobody who speaks the protocol sends.
    pub(super) fn unreadable(what: impl std::fmt::Display) -> Self {
        Self::protocol(format!("{what}: check what stands between this program and the platform"))
    }

    /// A connect error of the namespace.
    pub(super) fn of_namespace(namespace: &str, message: &str, data: &Value, mask: &Mask) -> Self {
        let status = status(data);
        let body = mask.apply(serde_json::json!({"message": message, "data": data}).to_string());
        let response = ErrorResponse::new(STREAM, status, &body, seconds(&data["retryAfterSeconds"]));
        if status.is_some() {
            return Self::from(response);
        }
        if is_about_credentials(message, data) {
            return Self::Refused(Box::new(response));
        }
        let advice = if message.contains("namespace") { ": check `socket_namespace`" } else { "" };
        let message = shortened(&mask.apply(message.to_owned()), QUOTED_BYTES);
        Self::protocol(format!("the platform refuses the namespace {namespace} with `{message}`{advice}"))
    }

    /// The same without credentials that the other side repeated, such as in the reason of a close frame.
    pub(super) fn masked(self, mask: &Mask) -> Self {
        match self {
            Self::Lost { reason, retry_after, error } => {
                Self::Lost { reason: mask.apply(reason), retry_after, error }
            }
            other => other,
        }
    }
}

/// Whether an `error` event is about the credentials that the session was opened with.
pub(super) fn is_refusal(error: &ErrorEvent) -> bool {
    if matches!(error.code.as_deref(), Some(codes::SESSION_EXPIRED | codes::SESSION_REVOKED_OR_EXPIRED)) {
        return true;
    }
    let extra = Value::Object(error.extra.clone());
    let code = serde_json::json!({"code": error.code});
    matches!(status(&extra), Some(401 | 403)) || is_about_credentials(error.text(), &code)
}

impl From<FrameError> for Failure {
    fn from(error: FrameError) -> Self {
        Self::unreadable(error)
    }
}

impl From<ErrorResponse> for Failure {
    fn from(response: ErrorResponse) -> Self {
        match response.status {
            Some(401 | 403) => Self::Refused(Box::new(response)),
            Some(429 | 500..) => Self::Lost {
                reason: response.to_string(),
                retry_after: response.retry_after,
                error: Some(response.into_error(RefreshOutcome::NotConfigured)),
            },
            _ => Self::fatal(response.into_error(RefreshOutcome::NotConfigured)),
        }
    }
}

/// An error of refused credentials, also where no status came with it.
pub(super) fn refused(response: ErrorResponse, refresh: RefreshOutcome) -> Error {
    Error::Auth { response: Box::new(response), refresh }
}

fn status(data: &Value) -> Option<u16> {
    let status = data.get("status").or_else(|| data.get("statusCode"))?;
    let status = status.as_u64().and_then(|status| u16::try_from(status).ok());
    status.filter(|status| (400..600).contains(status))
}

fn seconds(value: &Value) -> Option<Duration> {
    Duration::try_from_secs_f64(value.as_f64()?).ok()
}

fn is_about_credentials(message: &str, data: &Value) -> bool {
    let code = data["code"].as_str().unwrap_or_default();
    let text = format!("{message} {code}").to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
    // Models have tokens too: those are many, too many, or at their limit.
    has(&["unauth", "not auth", "missing auth", "forbidden", "jwt", "credential", "session token"])
        || (has(&["token"])
            && !has(&["tokens", "limit", "budget", "quota"])
            && has(&[
                "expired",
                "invalid",
                "missing",
                "revoked",
                "malformed",
                "required",
                "no token",
                "bad token",
            ]))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn kind(message: &str, data: &Value) -> &'static str {
        match Failure::of_namespace("/agent", message, data, &Mask::none()) {
            Failure::Lost { .. } => "lost",
            Failure::Refused(_) => "refused",
            Failure::Expiring | Failure::Arrived | Failure::Unheard(_) => "another",
            Failure::Fatal(error) => match *error {
                Error::NotFound(_) => "not found",
                Error::Protocol(_) => "protocol",
                _ => "another",
            },
        }
    }

    #[test]
    fn a_connect_error_is_what_its_status_says_or_else_its_text() {
        for (message, data, expected) in [
            ("no", json!({"status": 401}), "refused"),
            ("no", json!({"statusCode": 403}), "refused"),
            ("token expired", json!(null), "refused"),
            ("Invalid or expired session token.", json!(null), "refused"),
            ("Missing auth", json!(null), "refused"),
            ("External WS connections must provide a session token.", json!(null), "refused"),
            ("x", json!({"code": "unauthorized"}), "refused"),
            ("x", json!({"code": "TOKEN_INVALID"}), "refused"),
            ("token limit exceeded", json!(null), "protocol"),
            ("too many tokens required", json!(null), "protocol"),
            ("slow down", json!({"status": 429, "retryAfterSeconds": 2}), "lost"),
            ("oops", json!({"status": 503}), "lost"),
            ("no such agent", json!({"status": 404}), "not found"),
            ("Invalid namespace", json!(null), "protocol"),
            ("whatever", json!({"status": 7}), "protocol"),
        ] {
            assert_eq!(kind(message, &data), expected, "{message} {data}");
        }
        let Failure::Lost { retry_after, .. } =
            Failure::of_namespace("/a", "x", &json!({"status": 429, "retryAfterSeconds": 2}), &Mask::none())
        else {
            panic!("another failure")
        };
        assert_eq!(retry_after, Some(Duration::from_secs(2)));
    }
}
