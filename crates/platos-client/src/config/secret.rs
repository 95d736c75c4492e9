//! Credentials, and the callback that replaces one.

use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use http::HeaderValue;
use platools_net::SecretText;

use crate::error::{BoxError, ConfigError};

/// A credential that fits into a header.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Secret(SecretText);

impl Secret {
    /// Takes a credential that has to fit into a header. A trailing line break, as files have it, is dropped.
    pub(crate) fn new(what: &'static str, text: SecretText) -> Result<Self, ConfigError> {
        let secret = text.trim_line_breaks();
        check_header(what, secret.expose())?;
        Ok(Self(secret))
    }

    pub(crate) fn expose(&self) -> &str {
        self.0.expose()
    }

    /// The header's value: `prefix` and the credential, marked so that nobody prints it.
    pub(crate) fn header(&self, prefix: &str) -> HeaderValue {
        self.0.header(prefix).unwrap_or(HeaderValue::from_static(""))
    }
}

/// Whether a text can travel in a header as it is. The error does not quote it.
pub(crate) fn check_header(what: &'static str, text: &str) -> Result<(), ConfigError> {
    let problem = if text.trim().is_empty() {
        "is empty"
    } else if text.contains(['\n', '\r']) {
        "contains a line break"
    } else if text.starts_with(' ') || text.ends_with(' ') {
        "begins or ends with a space"
    } else if !text.chars().all(|character| (' '..='~').contains(&character)) {
        "contains characters that cannot travel in a header: only printable ASCII can"
    } else {
        return Ok(());
    };
    Err(ConfigError::Header { what, problem })
}

/// Why a fresh session token is asked for. Its `Debug` does not show the current one.
#[derive(Clone)]
#[non_exhaustive]
pub struct RefreshRequest {
    current: Option<Secret>,
    /// The status with which the platform refused the current token, 401 or 403; `None` when there is no
    /// token yet.
    pub status: Option<u16>,
}

impl RefreshRequest {
    pub(crate) fn new(current: Option<Secret>, status: Option<u16>) -> Self {
        Self { current, status }
    }

    /// The token that was refused; `None` when there is none yet.
    pub fn current_token(&self) -> Option<&str> {
        self.current.as_ref().map(Secret::expose)
    }
}

impl fmt::Debug for RefreshRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RefreshRequest")
            .field("current", &self.current)
            .field("status", &self.status)
            .finish()
    }
}

pub(crate) type RefreshFn =
    dyn Fn(RefreshRequest) -> BoxFuture<'static, Result<String, BoxError>> + Send + Sync;

/// The callback, which `Debug` cannot look into.
#[derive(Clone)]
pub(crate) struct Refresher(pub(crate) Arc<RefreshFn>);

impl fmt::Debug for Refresher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Refresher")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_travel_in_a_header_is_refused_without_being_quoted() {
        for text in ["", "  ", "s3c\nret", " s3cret", "s3cret ", "s3crèt", "s3c\u{7f}ret", "s3c\0ret"] {
            let error = Secret::new("the session token", text.into()).unwrap_err().to_string();
            assert!(error.starts_with("the session token "), "{error}");
            assert!(!error.contains("s3c"), "{error}");
        }
        assert_eq!(Secret::new("x", "token\r\n".into()).unwrap().expose(), "token");
    }

    #[test]
    fn a_secret_shows_itself_to_nobody() {
        let secret = Secret::new("x", "s3cret".into()).unwrap();
        let request = RefreshRequest::new(Some(secret.clone()), Some(401));
        for shown in
            [format!("{secret:?}"), format!("{request:?}"), format!("{:?}", secret.header("Bearer "))]
        {
            assert!(!shown.contains("s3cret"), "{shown}");
        }
        assert_eq!(secret.header("Bearer ").as_bytes(), b"Bearer s3cret");
        assert!(secret == Secret::new("x", "s3cret".into()).unwrap());
        assert!(secret != Secret::new("x", "s3creT".into()).unwrap());
        assert!(secret != Secret::new("x", "s3cre".into()).unwrap());
    }
}
