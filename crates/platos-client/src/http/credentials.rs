//! The credentials in use, and how a session token is replaced: once for all who were refused with it.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Mutex as AsyncMutex;
use tokio::time::timeout;

use crate::config::{Mode, RefreshRequest, Refresher, Secret};
use crate::error::{ConfigError, RefreshOutcome};

/// What proves who this client is.
pub(crate) enum Credentials {
    Session(SessionTokenStore),
    Direct(Secret),
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
            Self::Session(store) => match store.held() {
                Some(issued) => Ok(issued),
                None => store.fresh(None, store.with(|held| held.asked), None).await,
            },
        }
    }

    /// Another credential than the one that was refused.
    pub(crate) async fn renew(&self, refused: &Issued, status: u16) -> Result<Issued, RefreshOutcome> {
        match (self, refused) {
            (Self::Session(store), Issued::Session { token, asked }) => {
                store.fresh(Some(token), *asked, Some(status)).await
            }
            _ => Err(RefreshOutcome::DirectMode),
        }
    }
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
        })
    }
}
