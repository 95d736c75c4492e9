//! What to do next, by what the platform said.

use std::time::Duration;

use super::{ErrorResponse, UPLOAD, codes};
use crate::event::ErrorEvent;

/// The codes of turns that may well succeed a little later.
pub(super) const PASSING: [&str; 4] =
    [codes::RATE_LIMIT, codes::TURN_IN_PROGRESS, codes::SERVICE_UNAVAILABLE, codes::PROVIDER_UNAVAILABLE];

const CHECK_ID: &str = "; check the id, and that it belongs to the scope of the credentials";

/// Of something that is not there.
pub(super) fn missing(response: &ErrorResponse) -> &'static str {
    if response.is_not_offered() {
        ""
    } else if response.is_missing_route() {
        "; the platform has no such route: check the base URL, or it is an older one, which cannot do this"
    } else if response.is_page() {
        "; check the base URL, and what stands between this program and the platform"
    } else {
        CHECK_ID
    }
}

/// Of what the platform does not take: some refuse with 400 what is not there.
pub(super) fn invalid(response: &ErrorResponse) -> &'static str {
    if response.message.to_ascii_lowercase().contains("not found") { CHECK_ID } else { "" }
}

/// Of a status that says little by itself.
pub(super) fn status(response: &ErrorResponse) -> &'static str {
    if response.request == UPLOAD {
        return "upload it again: the place that the platform gave is for this one file, and for 15 minutes";
    }
    match (response.code.as_deref(), response.status) {
        (Some(codes::THREAD_FORK_LIMIT), _) => "archive one of the thread's forks first",
        (Some(codes::CONVERSATION_REVISION_NOT_SUPPORTED), _) => "send another message instead",
        (Some(codes::ATTACHMENT_QUOTA_EXCEEDED), _) => {
            "the organization has no room for it: delete some first"
        }
        (_, Some(200..300)) => {
            "the platform took the request and did nothing: mend what it says, then ask again"
        }
        (_, Some(409)) => "look at how it stands now, and ask for something that fits",
        (_, Some(413)) => "send less at once",
        (_, Some(501)) => "this platform cannot do that",
        _ => "check the base URL, and what stands between this program and the platform",
    }
}

/// What the agent said of a turn that failed, and what to do about it.
pub(super) fn turn(message: &str, event: &ErrorEvent) -> String {
    let advice = match event.code.as_deref() {
        Some(codes::RATE_LIMIT) => wait(event.retry_after()),
        Some(codes::BUDGET_CAP) => "raise the budget, or wait for its next period".to_owned(),
        Some(codes::TURN_IN_PROGRESS) => "wait until the thread's turn is done, or stop it".to_owned(),
        Some(codes::SERVICE_UNAVAILABLE) => "try again later".to_owned(),
        Some(codes::PROVIDER_UNAVAILABLE) => {
            "try again later, or with another model: `NewMessage::model_label`".to_owned()
        }
        Some(codes::STRUCTURED_OUTPUT_INVALID) => {
            "ask again, or with an easier schema: `validation_errors` of the event says what did not fit"
                .to_owned()
        }
        _ => return message.to_owned(),
    };
    let limit = limit(event.scope.as_deref(), event.limit);
    format!("{}{limit}; {advice}", message.trim_end_matches('.'))
}

/// Which limit it is, where the platform says so.
pub(super) fn limit(scope: Option<&str>, limit: Option<u64>) -> String {
    match (scope, limit) {
        (Some(scope), Some(limit)) => format!(" ({scope}, {limit})"),
        (Some(scope), None) => format!(" ({scope})"),
        (None, Some(limit)) => format!(" (limit {limit})"),
        (None, None) => String::new(),
    }
}

/// How long to wait.
pub(super) fn wait(after: Option<Duration>) -> String {
    match after {
        Some(after) => format!("wait for {} s before the next one", after.as_secs_f64()),
        None => "send fewer at a time".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::error::{Error, RefreshOutcome};
    use crate::event::AgentEvent;

    #[test]
    fn every_shape_of_refusal_says_what_to_do_next() {
        for (status, body, code, says) in [
            (404, r#"{"error":"Agent not found","agentId":"a"}"#, None, "Agent not found; check the id"),
            (
                404,
                r#"{"statusCode":404,"message":"Cannot GET /x"}"#,
                None,
                "no such route: check the base URL",
            ),
            (
                400,
                r#"{"statusCode":400,"message":"Thread not found"}"#,
                None,
                "Thread not found; check the id",
            ),
            (404, "<html>nginx</html>", None, "; check the base URL"),
            (
                409,
                r#"{"code":"THREAD_FORK_LIMIT","message":"10."}"#,
                Some("THREAD_FORK_LIMIT"),
                "archive one",
            ),
            (
                409,
                r#"{"code":"conversation_revision_not_supported","statusCode":409,"message":"no","retryable":false}"#,
                Some("conversation_revision_not_supported"),
                "no; send another message",
            ),
            (409, r#"{"error":"exists"}"#, Some("exists"), "look at how it stands now"),
            (
                413,
                r#"{"error":"payload_too_large","limit":262144}"#,
                Some("payload_too_large"),
                "payload_too_large; send less at once",
            ),
            (
                429,
                r#"{"error":"rate_limited","message":"Slow down.","retryAfterSeconds":7}"#,
                Some("rate_limited"),
                "Slow down; wait for 7 s",
            ),
            (
                429,
                r#"{"error":"slow down","limit":20,"retryAfter":3}"#,
                None,
                "slow down (limit 20); wait for 3 s",
            ),
            (500, r#"{"statusCode":500,"message":"Internal server error"}"#, None, "try again later"),
            (501, r#"{"error":"unsupported","message":"no"}"#, Some("unsupported"), "cannot do that"),
            (302, "", None, "Found; check the base URL"),
        ] {
            let error = ErrorResponse::new("GET /x", Some(status), body, None);
            let error = error.into_error(RefreshOutcome::NotConfigured);
            assert_eq!(error.code(), code, "{body}");
            assert!(error.to_string().contains(says), "{error}");
            let is_transient = status == 429 || status == 500;
            assert_eq!(error.is_transient(), is_transient, "{error}");
        }
    }

    #[test]
    fn a_turn_that_failed_says_what_to_do_next() {
        let failed = |fields: serde_json::Value| {
            let AgentEvent::Error(event) = AgentEvent::from_json(fields) else { panic!("another event") };
            let (message, event) = (event.text().to_owned(), Box::new(event));
            Error::Turn { message, text: String::new(), event }
        };
        let limited = failed(json!({"type": "error", "code": "rate_limit", "message": "Too many.",
            "scope": "user_per_minute", "limit": 20, "retryAfterSeconds": 7}));
        let says = "the turn failed: Too many (user_per_minute, 20); wait for 7 s before the next one";
        assert_eq!((limited.to_string().as_str(), limited.is_transient()), (says, true));
        for (code, says, is_transient) in [
            ("budget_cap", "raise the budget", false),
            ("turn_in_progress", "or stop it", true),
            ("provider_unavailable", "model_label", true),
            ("service_unavailable", "later", true),
            ("structured_output_invalid", "an easier schema", false),
        ] {
            let error = failed(json!({"type": "error", "code": code, "message": "No."}));
            assert!(error.to_string().contains(says), "{error}");
            assert_eq!(error.is_transient(), is_transient, "{error}");
        }
        let plain = failed(json!({"type": "error", "message": "The model is gone."}));
        assert_eq!(plain.to_string(), "the turn failed: The model is gone.");
    }
}
