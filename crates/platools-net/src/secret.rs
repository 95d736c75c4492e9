//! Secrets as text: redacted in `Debug`, wiped when dropped, compared in constant time.
//!
//! Must not know what a secret opens, nor which texts are acceptable secrets.

use std::convert::Infallible;
use std::fmt;
use std::io::{self, Read as _};
use std::path::Path;
use std::str::FromStr;

use http::HeaderValue;
use http::header::InvalidHeaderValue;
use secrecy::zeroize::{Zeroize as _, Zeroizing};
use secrecy::{ExposeSecret as _, SecretString};
use subtle::ConstantTimeEq as _;

use crate::file;

/// The most of a secret's file that is read, in bytes.
pub const MAX_FILE_BYTES: u64 = 64 * 1024;

/// A secret text.
///
/// ```
/// use platools_net::SecretText;
///
/// let key = SecretText::from("opensesame");
/// assert_eq!(format!("{key:?}"), "[redacted]");
/// assert!(key.matches("opensesame"));
/// ```
#[derive(Clone)]
pub struct SecretText(SecretString);

/// A file that holds no secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretFileError {
    /// The file cannot be read, or is not a regular one.
    #[error("cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    /// The file is larger than [`MAX_FILE_BYTES`].
    #[error("is larger than {} KiB: a secret is short", MAX_FILE_BYTES / 1024)]
    TooLarge,
    /// The file is not UTF-8.
    #[error("is not UTF-8 text: save it as plain text")]
    NotText,
}

impl SecretText {
    /// Returns the secret itself. The result belongs into requests only, never into logs or errors.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// Compares in constant time; only a difference in length shows.
    pub fn matches(&self, presented: impl AsRef<[u8]>) -> bool {
        self.expose().as_bytes().ct_eq(presented.as_ref()).into()
    }

    /// Returns whether the text is empty.
    pub fn is_empty(&self) -> bool {
        self.expose().is_empty()
    }

    /// Returns the secret without line breaks at its end, which files and command output have.
    #[must_use]
    pub fn trim_line_breaks(self) -> Self {
        let trimmed = self.expose().trim_end_matches(['\r', '\n']);
        if trimmed.len() == self.expose().len() { self } else { Self::from(trimmed) }
    }

    /// Reads a regular file of at most [`MAX_FILE_BYTES`] bytes that holds a secret; line breaks at its end do not count.
    ///
    /// # Errors
    /// When the file cannot be read, is too large, or is not text.
    pub fn read_file(path: &Path) -> Result<Self, SecretFileError> {
        // Room for all of it at once: a growing buffer would leave copies behind that are not wiped.
        let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_FILE_BYTES as usize + 1));
        file::open(path)?.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > MAX_FILE_BYTES {
            return Err(SecretFileError::TooLarge);
        }
        let text = std::str::from_utf8(&bytes).map_err(|_| SecretFileError::NotText)?;
        Ok(Self::from(text.trim_end_matches(['\r', '\n'])))
    }

    /// Returns a header's value of `prefix` and the secret, marked so that it is not printed.
    ///
    /// # Errors
    /// When the secret contains control characters.
    pub fn header(&self, prefix: &str) -> Result<HeaderValue, InvalidHeaderValue> {
        let text = Zeroizing::new([prefix, self.expose()].concat());
        let mut value = HeaderValue::from_str(&text)?;
        value.set_sensitive(true);
        Ok(value)
    }

    /// Returns the value of an `Authorization` header: `Bearer` and the secret.
    ///
    /// # Errors
    /// When the secret contains control characters.
    pub fn bearer(&self) -> Result<HeaderValue, InvalidHeaderValue> {
        self.header("Bearer ")
    }
}

impl From<&str> for SecretText {
    fn from(text: &str) -> Self {
        Self(SecretString::from(text))
    }
}

impl From<String> for SecretText {
    fn from(mut text: String) -> Self {
        // Copied at its exact size and wiped: shrinking the string could leave an unwiped copy behind.
        let secret = Self::from(text.as_str());
        text.zeroize();
        secret
    }
}

impl FromStr for SecretText {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(text.into())
    }
}

impl PartialEq for SecretText {
    fn eq(&self, other: &Self) -> bool {
        self.matches(other.expose())
    }
}

impl Eq for SecretText {}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_compared_and_never_shown() {
        let secret = SecretText::from("s3cret".to_owned());
        let header = secret.bearer().unwrap();
        assert_eq!(header.as_bytes(), b"Bearer s3cret");
        assert_eq!(secret.header("").unwrap(), "s3cret");
        for shown in [format!("{secret:?}"), format!("{:?}", Some(&secret)), format!("{header:?}")] {
            assert!(!shown.contains("s3cret"), "{shown}");
        }
        assert!(secret == secret.clone() && secret.matches("s3cret") && secret.matches(b"s3cret"));
        for other in ["", "s3cre", "s3creT", "s3crets"] {
            assert!(!secret.matches(other) && secret != SecretText::from(other), "{other}");
        }
        assert!(SecretText::from("a\nb").header("").is_err());
        assert!("".parse::<SecretText>().unwrap().is_empty());
    }

    #[test]
    fn line_breaks_at_the_end_do_not_count() {
        for (text, trimmed) in
            [("s3cret\r\n", "s3cret"), ("s3cret", "s3cret"), ("\n", ""), ("a\nb\n", "a\nb")]
        {
            assert_eq!(SecretText::from(text).trim_line_breaks().expose(), trimmed);
        }
    }

    #[test]
    fn files_are_read_up_to_a_limit() {
        let path = std::env::temp_dir().join(format!("platools-net-secret-{}", std::process::id()));
        assert!(matches!(SecretText::read_file(&path), Err(SecretFileError::Unreadable(_))));
        let limit = MAX_FILE_BYTES as usize;
        for (content, expected) in [
            (b"s3cret\r\n".to_vec(), Ok("s3cret".len())),
            (vec![b'x'; limit], Ok(limit)),
            (vec![b'x'; limit + 1], Err("is larger than 64 KiB: a secret is short")),
            (vec![0xff], Err("is not UTF-8 text: save it as plain text")),
        ] {
            std::fs::write(&path, content).unwrap();
            let read = SecretText::read_file(&path).map(|secret| secret.expose().len());
            assert_eq!(read.map_err(|error| error.to_string()), expected.map_err(str::to_owned));
        }
        std::fs::remove_file(&path).unwrap();
    }
}
