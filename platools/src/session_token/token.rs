//! A minted token.

use std::fmt;
use std::time::{Duration, SystemTime};

use serde::Serialize;

use super::unix_seconds;

/// A session token, and when it ends. Its `Debug` does not show it; as JSON it is what a frontend expects:
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
    /// A token that some mint made. `expires_at` is in seconds since 1970.
    pub fn new(token: impl Into<String>, expires_at: u64) -> Self {
        Self { token: token.into(), expires_at }
    }

    /// The token: for the user it was minted for, and nobody else.
    pub fn as_str(&self) -> &str {
        &self.token
    }

    /// When it ends, in seconds since 1970.
    pub fn expires_at(&self) -> u64 {
        self.expires_at
    }

    /// How long it still lives by this machine's clock, in whole seconds; zero when it has ended.
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
