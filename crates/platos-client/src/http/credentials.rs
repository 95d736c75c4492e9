//! The credentials in use, and how a session token is replaced: once for all who were refused with it.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use tokio::sync::Mutex as AsyncMutex;
use tokio::time::timeout;

use crate::config::{Mode, RefreshRequest, Refresher, Secret};
use crate::error::{ConfigError, RefreshOutcome};

/// What proves who this client is.
pub(crate) enum Credentials {
    Session(SessionTokenStore),
    Direct(Secret),
    Nobody,
}

/// The credential that one request goes out with.
#[derive(Debug, Clone)]
pub(crate) enum Issued {
    Session {
        token: Secret,
        /// How many times anybody had been asked for a token when this one was taken.
        asked: u64,
    },
    Direct(Secret),
    Nobody,
}

/// The session token of all clones of a client.
pub(crate) struct SessionTokenStore {
    held: Mutex<Held>,
    refresh: Option<Refresher>,
    /// Held while somebody asks for a token.
    asking: AsyncMutex<()>,
    time: Duration,
}

struct Held {
    token: Option<Secret>,
    asked: u64,
    /// What came of the last time, if no other token did.
    failure: Option<RefreshOutcome>,
}

impl Credentials {
    pub(crate) fn new(mode: Mode, time: Duration) -> Self {
        match mode {
            Mode::Direct { api_key } => Self::Direct(api_key),
            Mode::Nobody => Self::Nobody,
            Mode::Session { token, refresh } => Self::Session(SessionTokenStore {
                held: Mutex::new(Held { token, asked: 0, failure: None }),
                refresh,
                asking: AsyncMutex::new(()),
                time,
            }),
        }
    }

    pub(crate) fn replace(&self, token: Secret) -> Result<(), ConfigError> {
        let Self::Session(store) = self else { return Err(ConfigError::NotSessionMode) };
        store.with(|held| held.token = Some(token));
        Ok(())
    }

    /// The credential for a request; in session mode without a token yet, the first one is asked for.
    pub(crate) async fn issue(&self) -> Result<Issued, RefreshOutcome> {
        match self {
            Self::Direct(api_key) => Ok(Issued::Direct(api_key.clone())),
            Self::Nobody => Ok(Issued::Nobody),
            Self::Session(store) => match store.held() {
                Some(issued) => Ok(issued),
                None => store.fresh(None, store.with(|held| held.asked), None).await,
            },
        }
    }

    /// The credential for a connection, which is used for longer than a moment: a session token that expires soon is
    /// replaced first, where somebody can be asked. If nobody gives another one, the old one is still good for a while.
    pub(crate) async fn issue_lasting(&self) -> Result<Issued, RefreshOutcome> {
        let issued = self.issue().await?;
        let is_short = matches!(&issued, Issued::Session { token, .. } if expires_soon(token.expose()));
        let fresh = if is_short && self.can_renew() { self.renew_early(&issued).await } else { None };
        Ok(fresh.unwrap_or(issued))
    }

    /// Another credential than one that is not refused yet, if somebody gives one.
    pub(crate) async fn renew_early(&self, issued: &Issued) -> Option<Issued> {
        match (self, issued) {
            (Self::Session(store), Issued::Session { token, asked }) => {
                store.fresh(Some(token), *asked, None).await.ok()
            }
            _ => None,
        }
    }

    /// Whether there is anybody to ask for another credential.
    pub(crate) fn can_renew(&self) -> bool {
        matches!(self, Self::Session(store) if store.refresh.is_some())
    }

    /// Another credential than the one that was refused.
    pub(crate) async fn renew(&self, refused: &Issued, status: u16) -> Result<Issued, RefreshOutcome> {
        match (self, refused) {
            (Self::Session(store), Issued::Session { token, asked }) => {
                store.fresh(Some(token), *asked, Some(status)).await
            }
            (Self::Nobody, _) => Err(RefreshOutcome::NotConfigured),
            _ => Err(RefreshOutcome::DirectMode),
        }
    }
}

impl Issued {
    /// When the platform stops to take it, if that can be told.
    pub(crate) fn expires(&self) -> Option<SystemTime> {
        let Self::Session { token, .. } = self else { return None };
        let (expires, _) = validity(token.expose())?;
        SystemTime::UNIX_EPOCH.checked_add(expires)
    }
}

/// A token with less time left than this is replaced before a connection is made with it, but one that never had much
/// when a quarter of its life is left.
const SOON: Duration = Duration::from_secs(60);

fn expires_soon(token: &str) -> bool {
    let Some((expires, life)) = validity(token) else { return false };
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    expires.saturating_sub(now) < SOON.min(life / 4)
}

/// Until when a token is valid, since 1970, and for how long it was in all. Whether it is genuine is for the platform to
/// say.
fn validity(token: &str) -> Option<(Duration, Duration)> {
    let payload = token.split('.').nth(1)?;
    let payload =
        base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
    let claims: serde_json::Value = serde_json::from_slice(&payload).ok()?;
    let seconds = |claim: &str| Duration::try_from_secs_f64(claims[claim].as_f64()?).ok();
    let expires = seconds("exp")?;
    let life = seconds("iat").map_or(SOON * 4, |issued| expires.saturating_sub(issued));
    Some((expires, life))
}

impl SessionTokenStore {
    fn with<T>(&self, work: impl FnOnce(&mut Held) -> T) -> T {
        work(&mut self.held.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn held(&self) -> Option<Issued> {
        self.with(|held| {
            let token = held.token.clone()?;
            Some(Issued::Session { token, asked: held.asked })
        })
    }

    /// A token that is not `refused`. Many requests may be refused at the same time: the first one to get here
    /// asks, the others share what came of it.
    async fn fresh(
        &self,
        refused: Option<&Secret>,
        asked_before: u64,
        status: Option<u16>,
    ) -> Result<Issued, RefreshOutcome> {
        let _turn = self.asking.lock().await;
        let (current, asked, failure) =
            self.with(|held| (held.token.clone(), held.asked, held.failure.clone()));
        if let Some(token) = current.as_ref().filter(|token| Some(*token) != refused) {
            return Ok(Issued::Session { token: token.clone(), asked });
        }
        if let Some(failure) = failure.filter(|_| asked > asked_before) {
            return Err(failure);
        }
        let Some(Refresher(refresh)) = &self.refresh else { return Err(RefreshOutcome::NotConfigured) };
        let answer = timeout(self.time, refresh(RefreshRequest::new(current, status))).await;
        let token = match answer {
            Ok(Ok(token)) => Secret::new("the fresh session token", token.into())
                .map_err(|error| RefreshOutcome::Failed(error.to_string())),
            Ok(Err(error)) => Err(RefreshOutcome::Failed(error.to_string())),
            Err(_elapsed) => {
                let waited = self.time.as_secs_f64();
                Err(RefreshOutcome::Failed(format!("`on_token_refresh` took longer than {waited} s")))
            }
        };
        let token = token.and_then(|token| match refused {
            Some(refused) if *refused == token => Err(RefreshOutcome::SameToken),
            _ => Ok(token),
        });
        self.with(|held| {
            held.asked += 1;
            held.failure = token.as_ref().err().cloned();
            if let Ok(token) = &token {
                held.token = Some(token.clone());
            }
            token.map(|token| Issued::Session { token, asked: held.asked })
        })
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Session(_) => "SessionToken([redacted])",
            Self::Direct(_) => "ApiKey([redacted])",
            Self::Nobody => "none",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(claims: &str) -> String {
        format!("e30.{}.c2ln", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(claims))
    }

    #[test]
    fn a_token_that_expires_soon_is_told_from_one_that_does_not_or_does_not_say() {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        for (left, life, expected) in
            [(10, 3_600, true), (100, 3_600, false), (50, 60, false), (10, 60, true), (0, 3_600, true)]
        {
            let claims = format!(r#"{{"exp":{},"iat":{}}}"#, now + left, now + left - life);
            assert_eq!(expires_soon(&token(&claims)), expected, "{left} of {life}");
        }
        for other in ["", "a.b.c", "one", &token("[]"), &token(r#"{"exp":"soon"}"#), &token(r#"{"exp":-1}"#)]
        {
            assert!(!expires_soon(other), "{other}");
        }
    }
}
