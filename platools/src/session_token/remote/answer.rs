//! Parses the mint's response and checks it against the request.

use std::time::SystemTime;

use http::{Response, StatusCode};
use platools_net::retry_after;
use serde::Deserialize;

use crate::session_token::RemoteMintError;
use crate::session_token::{CheckedClaims, SessionScope, SessionToken, TokenError, decode_unverified};

/// Tolerated clock skew of the platform, in seconds.
const MAX_CLOCK_SKEW: u64 = 300;

/// Maximum length of the platform's message in an error, in characters.
const MAX_MESSAGE: usize = 200;

/// Returns the token of a response; `now` is in seconds since 1970.
pub(super) fn read(
    answer: &Response<Vec<u8>>,
    scope: &SessionScope,
    claims: &CheckedClaims,
    now: u64,
) -> Result<SessionToken, RemoteMintError> {
    let status = answer.status();
    match status {
        // The platform means 200, and its framework answers 201.
        StatusCode::OK | StatusCode::CREATED => token(answer.body(), scope, claims, now),
        StatusCode::BAD_REQUEST => Err(RemoteMintError::Refused { message: message(answer.body(), claims) }),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(RemoteMintError::Unauthorized),
        StatusCode::NOT_FOUND => Err(RemoteMintError::NotFound),
        StatusCode::SERVICE_UNAVAILABLE => {
            Err(RemoteMintError::CannotSign { retry_after: retry_after(answer.headers(), SystemTime::now()) })
        }
        StatusCode::TOO_MANY_REQUESTS => Err(RemoteMintError::TooManyRequests {
            retry_after: retry_after(answer.headers(), SystemTime::now()),
        }),
        _ if status.is_redirection() => Err(RemoteMintError::Redirected { status: status.as_u16() }),
        _ => Err(RemoteMintError::Status { status: status.as_u16() }),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Minted {
    token: String,
    expires_at: u64,
}

fn token(
    body: &[u8],
    scope: &SessionScope,
    claims: &CheckedClaims,
    now: u64,
) -> Result<SessionToken, RemoteMintError> {
    let not_a_token = |problem: &str| RemoteMintError::NotAToken { problem: problem.to_owned() };
    let minted: Minted = serde_json::from_slice(body).map_err(|_| {
        not_a_token(match body.trim_ascii_start().first() {
            Some(b'<') => "HTML",
            Some(b'{') => "JSON without `token` and `expiresAt`",
            Some(_) => "not JSON",
            None => "nothing",
        })
    })?;
    let inside =
        decode_unverified(&minted.token).map_err(|error: TokenError| not_a_token(&error.to_string()))?;

    // The user is required; members of the scope are checked if present.
    if inside.text("userId") != Some(claims.user_id()) {
        return Err(RemoteMintError::AnotherToken { claim: "userId" });
    }
    for (claim, id) in scope.ids() {
        if inside.claims.contains_key(claim) && inside.text(claim) != Some(id) {
            return Err(RemoteMintError::AnotherToken { claim });
        }
    }
    // Without the requested agent, the token would permit more than requested.
    if claims.agent_id().is_some() && inside.text("agentId") != claims.agent_id() {
        return Err(RemoteMintError::AnotherToken { claim: "agentId" });
    }
    let ends = inside.number("exp").ok_or_else(|| not_a_token("a token without `exp`"))?;
    // The platform may shorten the lifetime; a longer one, beyond clock skew, would permit more than requested.
    if ends > now.saturating_add(claims.lifetime_seconds()).saturating_add(MAX_CLOCK_SKEW) {
        return Err(RemoteMintError::AnotherToken { claim: "exp" });
    }
    // The earlier of the two, so that a frontend renews in time.
    let expires_at = ends.min(minted.expires_at);
    if expires_at <= now {
        return Err(RemoteMintError::Expired);
    }
    Ok(SessionToken::new(minted.token, expires_at))
}

/// The platform's words about what it does not like, as far as they can go into a log.
fn message(body: &[u8], claims: &CheckedClaims) -> String {
    #[derive(Deserialize)]
    struct Said {
        error: Option<serde_json::Value>,
        message: Option<serde_json::Value>,
    }
    let said: Option<Said> = serde_json::from_slice(body).ok();
    let texts = said.into_iter().flat_map(|said| [said.message, said.error]).flatten();
    let text = texts.into_iter().find_map(|value| value.as_str().map(str::to_owned)).unwrap_or_default();
    // A message that echoes secrets of the request must not reach the log.
    let repeats = text.contains("plt_ent_") || claims.user_token().is_some_and(|token| text.contains(token));
    if text.trim().is_empty() || repeats {
        return "it gave no reason; check the ids of organization, project and environment".to_owned();
    }
    text.chars().filter(|character| !character.is_control()).take(MAX_MESSAGE).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session_token::SessionClaims;

    fn message_of(body: &str) -> String {
        let claims = SessionClaims::for_user("usr_7").user_token("opaque-s3cret").check().unwrap();
        message(body.as_bytes(), &claims)
    }

    #[test]
    fn the_platforms_message_is_quoted_unless_it_contains_a_secret() {
        assert_eq!(message_of(r#"{"error":"userId is\n required"}"#), "userId is required");
        assert_eq!(message_of(r#"{"error":{"code":1},"message":"no"}"#), "no");
        assert_eq!(message_of(&format!(r#"{{"error":"{}"}}"#, "x".repeat(9_000))).len(), MAX_MESSAGE);
        for silent in
            ["", "<html>", "{}", r#"{"error":"bad opaque-s3cret"}"#, r#"{"error":"plt_ent_s3cret"}"#]
        {
            let message = message_of(silent);
            assert!(message.contains("gave no reason") && !message.contains("s3cret"), "{message}");
        }
    }
}
