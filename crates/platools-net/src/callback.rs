//! Which URLs the platform calls a host at: its rules for a `callback_url`, for the host that declares one and for a
//! development platform that calls it.
//!
//! Must not know sockets: whether a name resolves to public addresses is up to who resolves it. Errors never quote a
//! URL.

use url::{Host, Url};

use crate::address::is_public_address;
use crate::policy::{has_credentials, is_loopback_url};

/// Ports of other well-known services, to which the platform sends nothing.
const SERVICE_PORTS: [u16; 17] =
    [22, 23, 25, 53, 110, 143, 389, 445, 1433, 2375, 3306, 3389, 5432, 6379, 9200, 11211, 27017];

/// The longest URL, in bytes.
const LONGEST: usize = 2048;

/// A URL that the platform does not call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallbackError {
    /// The text is not a URL.
    #[error("is not a URL ({0}): expected something like https://tools.example/platos/calls")]
    Malformed(url::ParseError),
    /// The URL is longer than 2048 bytes.
    #[error("has more than {LONGEST} bytes: shorten it")]
    TooLong,
    /// The scheme is neither `https` nor `http`.
    #[error("has the scheme `{0}`: expected https://")]
    Scheme(String),
    /// The URL is plain text.
    #[error("is not encrypted (http://): expected https://")]
    PlainText,
    /// The URL contains a user name or a password.
    #[error("contains a user name or password: remove them, since every call is signed")]
    Credentials,
    /// The port belongs to another service.
    #[error("has port {0}, which belongs to another service: use another port, such as 443")]
    ServicePort(u16),
}

/// Parses a URL that the platform may call: `https`, or `http` if `allow_http`, without credentials, and not at the port
/// of another well-known service.
///
/// # Errors
/// When the platform would not call it. The error does not quote the URL.
pub fn callback_url(text: &str, allow_http: bool) -> Result<Url, CallbackError> {
    let text = text.trim();
    if text.len() > LONGEST {
        return Err(CallbackError::TooLong);
    }
    let url = Url::parse(text).map_err(CallbackError::Malformed)?;
    match url.scheme() {
        "https" => {}
        "http" if allow_http => {}
        "http" => return Err(CallbackError::PlainText),
        other => return Err(CallbackError::Scheme(other.to_owned())),
    }
    if has_credentials(&url) {
        return Err(CallbackError::Credentials);
    }
    match url.port_or_known_default() {
        Some(port) if SERVICE_PORTS.contains(&port) => Err(CallbackError::ServicePort(port)),
        _ => Ok(url),
    }
}

/// Returns whether the host of a URL is plainly not public: an address that is not, or a name of this machine. Other names
/// have to be resolved.
pub fn is_plainly_private(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => !is_public_address(address.into()),
        Some(Host::Ipv6(address)) => !is_public_address(address.into()),
        Some(Host::Domain(_)) => is_loopback_url(url),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callback_is_https_without_credentials_and_not_the_port_of_another_service() {
        for text in ["https://tools.example/calls", " https://tools.example:8443/?a=b ", "https://10.0.0.1"] {
            callback_url(text, false).unwrap();
        }
        callback_url("http://127.0.0.1:8080/calls", true).unwrap();
        for (text, problem) in [
            ("", "is not a URL"),
            ("tools.example/calls", "is not a URL"),
            ("https://", "is not a URL"),
            ("http://127.0.0.1:8080/", "is not encrypted"),
            ("ws://platos/tools/sync?entity=a", "has the scheme `ws`"),
            ("file:///etc/passwd", "has the scheme `file`"),
            ("https://s3cret@tools.example/", "contains a user name"),
            ("https://:s3cret@tools.example/", "contains a user name"),
            ("https://tools.example:22/", "has port 22"),
            ("https://tools.example:5432/s3cret", "has port 5432"),
        ] {
            let error = callback_url(text, false).unwrap_err();
            assert!(error.to_string().starts_with(problem), "{text}: {error}");
            assert!(!format!("{error} {error:?}").contains("s3cret"), "{error:?}");
        }
        assert_eq!(
            callback_url(&format!("https://a/{}", "x".repeat(LONGEST)), false),
            Err(CallbackError::TooLong)
        );
        assert_eq!(callback_url("http://127.0.0.1:6379/", true), Err(CallbackError::ServicePort(6379)));
    }

    #[test]
    fn private_addresses_are_seen_without_asking_anybody() {
        for text in [
            "https://127.0.0.1/",
            "https://localhost:8443/",
            "https://10.1.2.3/",
            "https://[::1]/",
            "https://[fd12::1]/",
            "https://0x7f.1/",
        ] {
            assert!(is_plainly_private(&Url::parse(text).unwrap()), "{text}");
        }
        for text in ["https://tools.example/", "https://93.184.216.34/", "https://[2606:4700::1111]/"] {
            assert!(!is_plainly_private(&Url::parse(text).unwrap()), "{text}");
        }
    }
}
