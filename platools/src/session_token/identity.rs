//! A user's identities on other channels, and name and e-mail address. Sanitized by the platform's rules.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::ClaimsError;

/// Maximum number of identities in a token.
pub const MAX_IDENTITIES: usize = 8;

/// Maximum length of a channel, in characters.
const MAX_CHANNEL: usize = 32;

/// Maximum length of a handle, in characters.
const MAX_HANDLE: usize = 256;

/// The user's identity on another channel, such as `email` or `slack`.
///
/// ```
/// use platools::session_token::UserIdentity;
///
/// let identity = UserIdentity::new("email", "ada@example.com").verified(true);
/// assert_eq!((identity.channel.as_str(), identity.verified), ("email", Some(true)));
/// ```
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct UserIdentity {
    /// The channel: 1 to 32 of `a-z`, `0-9`, `_` and `-`, after a mint has trimmed and lowercased it.
    pub channel: String,
    /// The user's name on the channel: 1 to 256 characters without control characters, after a mint has trimmed it.
    pub handle: String,
    /// Whether the backend has verified that the handle belongs to the user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified: Option<bool>,
}

impl UserIdentity {
    /// Creates an identity without a statement about its verification.
    pub fn new(channel: impl Into<String>, handle: impl Into<String>) -> Self {
        Self { channel: channel.into(), handle: handle.into(), verified: None }
    }

    /// Sets whether the backend has verified that the handle belongs to the user.
    pub fn verified(mut self, verified: bool) -> Self {
        self.verified = Some(verified);
        self
    }

    /// Validates and sanitizes the identity for a token; `index` is its position in the list.
    pub(super) fn sanitized(self, index: usize) -> Result<Self, ClaimsError> {
        let reject = |part, problem| Err(ClaimsError::Identity { index, part, problem });
        let channel = self.channel.trim().to_lowercase();
        let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-');
        if channel.is_empty() || channel.len() > MAX_CHANNEL || !channel.bytes().all(allowed) {
            return reject("channel", "must be 1 to 32 of the characters a-z, 0-9, `_` and `-`");
        }
        let handle = self.handle.trim();
        if handle.is_empty() || handle.chars().count() > MAX_HANDLE {
            return reject("handle", "must have 1 to 256 characters");
        }
        if handle.chars().any(char::is_control) {
            return reject("handle", "contains a control character, such as a line break: remove it");
        }
        Ok(Self { channel, handle: handle.to_owned(), verified: self.verified })
    }
}

impl fmt::Debug for UserIdentity {
    /// Omits the handle, which is personal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserIdentity")
            .field("channel", &self.channel)
            .field("verified", &self.verified)
            .finish_non_exhaustive()
    }
}

/// The user's name and e-mail address, for prompts. Anyone with the token can read them.
#[derive(Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct UserMeta {
    /// The name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The e-mail address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
}

impl UserMeta {
    /// Returns whether both are unset.
    pub fn is_empty(&self) -> bool {
        self.name.is_none() && self.email.is_none()
    }
}

impl fmt::Debug for UserMeta {
    /// Redacts the values, which are personal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |text: &Option<String>| text.as_ref().map(|_| "[redacted]");
        f.debug_struct("UserMeta")
            .field("name", &shown(&self.name))
            .field("email", &shown(&self.email))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_is_trimmed_and_its_channel_lower_case() {
        let identity = UserIdentity::new(" E-Mail_2 ", "\tAda@Example.com \n").verified(false);
        let identity = identity.sanitized(0).unwrap();
        assert_eq!((identity.channel.as_str(), identity.handle.as_str()), ("e-mail_2", "Ada@Example.com"));
        let longest = UserIdentity::new("c".repeat(32), "é".repeat(256)).sanitized(0).unwrap();
        assert_eq!(longest.handle.chars().count(), 256);
    }

    #[test]
    fn an_invalid_identity_is_named_by_its_index_and_not_quoted() {
        for (channel, handle, field) in [
            ("", "s3cret", "userIdentities[3].channel"),
            ("a b", "s3cret", "userIdentities[3].channel"),
            ("é-mail", "s3cret", "userIdentities[3].channel"),
            (&"c".repeat(33), "s3cret", "userIdentities[3].channel"),
            ("email", " ", "userIdentities[3].handle"),
            ("email", "s3cret\u{0}s3cret", "userIdentities[3].handle"),
            ("email", "s3cret\u{85}s3cret", "userIdentities[3].handle"),
            ("email", &"s3cret".repeat(43), "userIdentities[3].handle"),
        ] {
            let error = UserIdentity::new(channel, handle).sanitized(3).unwrap_err();
            assert_eq!(error.field(), field);
            assert!(error.to_string().contains(field), "{error}");
            assert!(!format!("{error:?}{error}").contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn debug_shows_nothing_personal() {
        let meta = UserMeta { name: Some("Ada".to_owned()), email: None };
        let shown = format!("{meta:?} {:?}", UserIdentity::new("email", "ada@example.com"));
        assert!(!shown.to_lowercase().contains("ada"), "{shown}");
    }
}
