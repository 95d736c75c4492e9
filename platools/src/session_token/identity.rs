//! Who a user is elsewhere, and how the user is called: sanitised by the same rules as the platform's.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::ClaimsError;

/// The most identities that one token carries.
pub const MAX_IDENTITIES: usize = 8;

/// The longest channel, in characters.
const MAX_CHANNEL: usize = 32;

/// The longest handle, in characters.
const MAX_HANDLE: usize = 256;

/// Who the user is on another channel, such as `email` or `slack`.
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
    /// The channel. A mint trims it and writes it in lower case: 1 to 32 of `a-z`, `0-9`, `_` and `-`.
    pub channel: String,
    /// The user's name there. A mint trims it: 1 to 256 characters, none of them a control character.
    pub handle: String,
    /// Whether the backend knows that it is the user's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified: Option<bool>,
}

impl UserIdentity {
    /// An identity of which nobody says whether it is verified.
    pub fn new(channel: impl Into<String>, handle: impl Into<String>) -> Self {
        Self { channel: channel.into(), handle: handle.into(), verified: None }
    }

    /// Says whether the backend knows that the handle is the user's.
    pub fn verified(mut self, verified: bool) -> Self {
        self.verified = Some(verified);
        self
    }

    /// The identity as it goes into a token, where `index` is its place in the list.
    pub(super) fn sanitised(self, index: usize) -> Result<Self, ClaimsError> {
        let refuse = |part, problem| Err(ClaimsError::Identity { index, part, problem });
        let channel = self.channel.trim().to_lowercase();
        let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-');
        if channel.is_empty() || channel.len() > MAX_CHANNEL || !channel.bytes().all(allowed) {
            return refuse("channel", "has to be 1 to 32 of the characters a-z, 0-9, `_` and `-`");
        }
        let handle = self.handle.trim();
        if handle.is_empty() || handle.chars().count() > MAX_HANDLE {
            return refuse("handle", "has to have 1 to 256 characters");
        }
        if handle.chars().any(char::is_control) {
            return refuse("handle", "contains a control character, such as a line break: leave it out");
        }
        Ok(Self { channel, handle: handle.to_owned(), verified: self.verified })
    }
}

impl fmt::Debug for UserIdentity {
    /// Without the handle, which is personal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserIdentity")
            .field("channel", &self.channel)
            .field("verified", &self.verified)
            .finish_non_exhaustive()
    }
}

/// How the user is called, for prompts. Anyone who has the token can read it.
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
    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        self.name.is_none() && self.email.is_none()
    }
}

impl fmt::Debug for UserMeta {
    /// Only what is there, since it is personal.
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
        let identity = identity.sanitised(0).unwrap();
        assert_eq!((identity.channel.as_str(), identity.handle.as_str()), ("e-mail_2", "Ada@Example.com"));
        let longest = UserIdentity::new("c".repeat(32), "é".repeat(256)).sanitised(0).unwrap();
        assert_eq!(longest.handle.chars().count(), 256);
    }

    #[test]
    fn what_breaks_a_rule_is_named_by_its_place_and_not_shown() {
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
            let error = UserIdentity::new(channel, handle).sanitised(3).unwrap_err();
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
