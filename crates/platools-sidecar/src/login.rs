//! Who is logged in, as the endpoint for session tokens asks: the backend's own login, or a server that knows a secret.

use std::fmt;
use std::time::Duration;

use axum::http::header::{AUTHORIZATION, COOKIE};
use axum::http::request::Parts;
use platools::session_token::SessionClaims;
use platools_net::{BodyError, BodyLimits, SecretText, innermost_reason};
use serde::Deserialize;
use url::Url;

/// How long the backend's login check may take.
const LOGIN: Duration = Duration::from_secs(10);

/// The most of its answer that is read, in bytes.
const MAX_ANSWER: usize = 64 * 1024;

/// The header in which a trusted server names the user.
const USER: &str = "x-platos-user-id";

/// Who says for whom a token is minted.
#[derive(Clone)]
pub(crate) enum Login {
    /// The backend, asked with the request's own credentials.
    Backend { url: Url, client: reqwest::Client },
    /// A server that knows this secret.
    Shared(SecretText),
}

/// Why it cannot be found out who is logged in. Its text is for the log.
#[derive(Debug, thiserror::Error)]
#[error("the login check {0}")]
pub(crate) struct LoginError(String);

/// What the login check answers with.
#[derive(Deserialize)]
struct LoggedIn {
    user_id: String,
    name: Option<String>,
}

impl Login {
    /// Whether a request comes from a server that knows the secret.
    pub(crate) fn is_trusted_server(&self, request: &Parts) -> bool {
        let Self::Shared(secret) = self else { return false };
        let presented =
            header(request, AUTHORIZATION.as_str()).and_then(|value| value.strip_prefix("Bearer "));
        presented.is_some_and(|presented| secret.matches(presented))
    }

    /// For whom a token is minted; `None` when nobody is logged in.
    pub(crate) async fn claims(&self, request: &Parts) -> Result<Option<SessionClaims>, LoginError> {
        let Self::Backend { url, client } = self else {
            let is_trusted = self.is_trusted_server(request);
            let user = header(request, USER).filter(|user| is_trusted && !user.is_empty());
            return Ok(user.map(SessionClaims::for_user));
        };
        let mut asked = client.get(url.clone()).timeout(LOGIN);
        for name in [AUTHORIZATION, COOKIE] {
            for value in request.headers.get_all(&name) {
                asked = asked.header(&name, value);
            }
        }
        let failed = |reason: String| LoginError(format!("did not answer: {reason}"));
        let answer = asked.send().await.map_err(|error| failed(innermost_reason(&error)))?;
        match answer.status().as_u16() {
            200 => {}
            401 | 403 => return Ok(None),
            status => return Err(LoginError(format!("answered {status}, expected 200 or 401"))),
        }
        let body = BodyLimits::new(MAX_ANSWER).read(reqwest::Body::from(answer)).await;
        let body = body.map_err(|error| match error {
            BodyError::TooLarge { .. } => LoginError("answered with more than 64 KiB".to_owned()),
            error => failed(error.to_string()),
        })?;
        let user: LoggedIn = serde_json::from_slice(&body)
            .map_err(|_| LoginError("did not answer with {\"user_id\": \"…\"}".to_owned()))?;
        let claims = SessionClaims::for_user(user.user_id);
        Ok(Some(match user.name {
            Some(name) => claims.name(name),
            None => claims,
        }))
    }
}

fn header<'r>(request: &'r Parts, name: &str) -> Option<&'r str> {
    request.headers.get(name).and_then(|value| value.to_str().ok())
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Backend { .. } => "Backend",
            Self::Shared(_) => "Shared([redacted])",
        })
    }
}
