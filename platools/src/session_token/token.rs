//! A minted token.

use std::fmt;
use std::time::{Duration, SystemTime};

use serde::Serialize;

use super::unix_seconds;

/// A session token and its expiry. `Debug` redacts the token; it serializes as frontends expect it:
/// `{"token":"…","expiresAt":…}`.
///
/// ```
/// use platools::session_token::SessionToken;
///
/// let token = SessionToken::new("a.b.c", 1_790_000_000);
/// assert_eq!(serde_json::to_string(&token).unwrap(), r#"{"token":"a.b.c","expiresAt":1790000000}"#);
/// assert!(!format!("{token:?}").contains("a.b.c"));
/// ```
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionToken {
    token: String,
    expires_at: u64,
}

impl SessionToken {
    /// Wraps a minted token. `expires_at` is in seconds since 1970.
    pub fn new(token: impl Into<String>, expires_at: u64) -> Self {
        Self { token: token.into(), expires_at }
    }

    /// Returns the token. Send it only to the user it was minted for.
    pub fn as_str(&self) -> &str {
        &self.token
    }

    /// Returns the expiry, in seconds since 1970.
    pub fn expires_at(&self) -> u64 {
        self.expires_at
    }

    /// Returns the remaining lifetime by this machine's clock, in whole seconds; zero if the token has expired.
    pub fn remaining(&self) -> Duration {
        Duration::from_secs(self.expires_at.saturating_sub(unix_seconds(SystemTime::now())))
    }
}

impl fmt::Debug for SessionToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionToken")
            .field("token", &"[redacted]")
            .field("expires_at", &self.expires_at)
            .finish()
    }
}
