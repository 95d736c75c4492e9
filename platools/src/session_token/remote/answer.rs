//! Reads what the mint answered, and holds it against what was asked for.

use std::time::SystemTime;

use http::{Response, StatusCode};
use platools_net::retry_after;
use serde::Deserialize;

use super::RemoteMintError;
use crate::session_token::{CheckedClaims, SessionScope, SessionToken, TokenError, decode_unverified};

/// How far the platform's clock may be ahead, in seconds.
const CLOCKS_APART: u64 = 300;

/// The most of the platform's own words that an error repeats, in characters.
const MAX_MESSAGE: usize = 200;

/// The token in an answer, at a time in seconds since 1970.
pub(super) fn read(
    answer: &Response<Vec<u8>>,
    scope: &SessionScope,
    claims: &CheckedClaims,
    now: u64,
) -> Result<SessionToken, RemoteMintError> {
    let status = answer.status();
    match status {
        StatusCode::OK => token(answer.body(), scope, claims, now),
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

    // Who the token is for has to be said; of the scope, whatever is said has to be right.
    if inside.text("userId") != Some(claims.user_id()) {
        return Err(RemoteMintError::AnotherToken { claim: "userId" });
    }
    for (claim, id) in scope.ids() {
        if inside.claims.contains_key(claim) && inside.text(claim) != Some(id) {
            return Err(RemoteMintError::AnotherToken { claim });
        }
    }
    // Without its pin the token would open more than was asked for.
    if claims.agent_id().is_some() && inside.text("agentId") != claims.agent_id() {
        return Err(RemoteMintError::AnotherToken { claim: "agentId" });
    }
    let ends = inside.number("exp").ok_or_else(|| not_a_token("a token without `exp`"))?;
    // The platform may make a life shorter; one that is longer than was asked for, clocks aside, opens more.
    if ends > now.saturating_add(claims.lifetime_seconds()).saturating_add(CLOCKS_APART) {
        return Err(RemoteMintError::AnotherToken { claim: "exp" });
    }
    // Whichever is earlier: a frontend that believes it renews in time either way.
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
    // A server that repeats what it was sent would put it into the log.
    let repeats = text.contains("plt_ent_") || claims.user_token().is_some_and(|token| text.contains(token));
    if text.trim().is_empty() || repeats {
        return "it does not say which; check the ids of organization, project and environment".to_owned();
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
    fn the_platforms_words_are_repeated_unless_they_repeat_a_secret() {
        assert_eq!(message_of(r#"{"error":"userId is\n required"}"#), "userId is required");
        assert_eq!(message_of(r#"{"error":{"code":1},"message":"no"}"#), "no");
        assert_eq!(message_of(&format!(r#"{{"error":"{}"}}"#, "x".repeat(9_000))).len(), MAX_MESSAGE);
        for silent in
            ["", "<html>", "{}", r#"{"error":"bad opaque-s3cret"}"#, r#"{"error":"plt_ent_s3cret"}"#]
        {
            let message = message_of(silent);
            assert!(message.contains("does not say") && !message.contains("s3cret"), "{message}");
        }
    }
}
