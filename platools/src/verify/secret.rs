//! The service secret (protocol §1).

use std::fmt;

use http::HeaderValue;
use http::header::InvalidHeaderValue;
use platools_net::SecretText;
use thiserror::Error;

/// The fewest characters that a service secret has (protocol §1).
pub const MIN_SECRET_CHARACTERS: usize = 16;

/// A service secret. Its memory is wiped when it goes, and its `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(SecretText);

impl Secret {
    /// Takes a secret as text.
    ///
    /// # Errors
    /// When the text is empty, shorter than [`MIN_SECRET_CHARACTERS`], or cannot go into an HTTP header
    /// as it is.
    pub fn new(text: impl Into<String>) -> Result<Self, SecretError> {
        Self::from_origin(text.into().into(), "the service secret")
    }

    /// Takes a secret that came from `origin`, which the error names.
    pub(super) fn from_origin(secret: SecretText, origin: &str) -> Result<Self, SecretError> {
        let text = secret.expose();
        let origin = || origin.to_owned();
        if text.is_empty() {
            return Err(SecretError::Empty { origin: origin() });
        }
        if text.starts_with(' ') || text.ends_with(' ') {
            return Err(SecretError::UnusableCharacter { origin: origin(), found: "a space at its end" });
        }
        if let Some(bad) = text.chars().find(|character| !(' '..='~').contains(character)) {
            let found = match bad {
                '\n' | '\r' => "a line break",
                _ if bad.is_ascii() => "a control character",
                _ => "a character beyond ASCII",
            };
            return Err(SecretError::UnusableCharacter { origin: origin(), found });
        }
        if text.len() < MIN_SECRET_CHARACTERS {
            return Err(SecretError::TooShort { origin: origin(), characters: text.len() });
        }
        Ok(Self(secret))
    }

    /// The secret itself: for the bearer header, and nothing else.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// The bearer header, marked so that nothing prints it.
    pub(crate) fn bearer(&self) -> Result<HeaderValue, InvalidHeaderValue> {
        self.0.bearer()
    }

    /// Returns whether `presented` is this secret, in a time that does not tell how much of it is right.
    pub fn matches(&self, presented: &str) -> bool {
        self.0.matches(presented)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret([redacted])")
    }
}

/// A secret that cannot be loaded or cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SecretError {
    /// The environment variable is not set.
    #[error(
        "environment variable `{variable}` is not set: set it to the service secret that the platform showed"
    )]
    Missing {
        /// The variable's name.
        variable: String,
    },
    /// The callback failed.
    #[error("the callback for the service secret failed: {problem}")]
    Callback {
        /// What it says.
        problem: String,
    },
    /// The file cannot be read.
    #[error("the secret file `{path}` cannot be read: {problem}")]
    Unreadable {
        /// The file's path.
        path: String,
        /// What the operating system says.
        problem: String,
    },
    /// The file is far too large to hold a secret.
    #[error("the secret file `{path}` is larger than {limit} bytes: is it the right file?")]
    TooLarge {
        /// The file's path.
        path: String,
        /// The most that is read, in bytes.
        limit: u64,
    },
    /// The text is empty.
    #[error("{origin} is empty: put the service secret there that the platform showed")]
    Empty {
        /// Where the secret should have come from.
        origin: String,
    },
    /// The text is too short to be a service secret.
    #[error(
        "{origin} has {characters} characters, a service secret has at least {MIN_SECRET_CHARACTERS}: \
         copy the whole of it"
    )]
    TooShort {
        /// Where the secret came from.
        origin: String,
        /// Its length.
        characters: usize,
    },
    /// The text cannot go into an HTTP header.
    #[error(
        "{origin} contains {found}, which cannot be sent in an HTTP header: copy the service secret alone"
    )]
    UnusableCharacter {
        /// Where the secret came from.
        origin: String,
        /// What kind of character it is.
        found: &'static str,
    },
    /// The bytes are not text.
    #[error("{origin} is not text: a service secret is printable ASCII")]
    NotText {
        /// Where the secret came from.
        origin: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_a_secret_is_said_without_showing_it() {
        for (text, part) in [
            ("", "is empty"),
            ("s3cret-s3cret-s", "has 15 characters"),
            ("s3cret-s3cret-s3cret\n", "a line break"),
            ("s3cret-s3cret-\u{7}s3cret", "a control character"),
            ("s3cret-s3cret-s3crét", "beyond ASCII"),
            (" s3cret-s3cret-s3cret", "a space"),
            ("s3cret-s3cret-s3cret ", "a space"),
        ] {
            let error = Secret::new(text).unwrap_err();
            assert!(error.to_string().contains(part), "{error}");
            assert!(!format!("{error}{error:?}").contains("s3cr"), "{error:?}");
        }
        assert_eq!(Secret::new("0123456789abcdef").unwrap().expose(), "0123456789abcdef");
    }

    #[test]
    fn secrets_are_compared_and_never_shown() {
        let secret = Secret::new("s3cret-s3cret-s3cret").unwrap();
        assert_eq!(format!("{secret:?}"), "Secret([redacted])");
        assert!(secret.matches("s3cret-s3cret-s3cret"));
        assert!(!secret.matches("s3cret-s3cret-s3creT"));
        assert!(!secret.matches(""));
        assert_eq!(secret, secret.clone());
        assert_ne!(secret, Secret::new("another-s3cret-s3cret").unwrap());
    }
}
