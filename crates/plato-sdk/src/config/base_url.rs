//! Where the control plane is (plato-api §2.1), and which gateway belongs to it (§1).

use platools_net::policy::{UrlError, http_url, is_loopback_url};
use url::{Host, Url};

use super::ConfigError;

/// Plato's own base URL.
pub(crate) const PRODUCTION: &str = "https://plato.so";

const WHAT: &str = "the base URL (PLATO_BASE_URL)";

/// Reads a base URL; `/api` and slashes at its end are dropped in any order.
pub(crate) fn base_url(text: &str, allow_insecure: bool) -> Result<Url, ConfigError> {
    let mut rest = text.trim();
    loop {
        let shorter = rest.trim_end_matches('/');
        let shorter = shorter.strip_suffix("/api").unwrap_or(shorter);
        if shorter == rest {
            break;
        }
        rest = shorter;
    }
    checked(rest, WHAT, "https://plato.so", allow_insecure)
}

/// A URL that may be asked: encrypted unless it stays on this machine, without a password, query or fragment.
pub(super) fn checked(
    text: &str,
    what: &'static str,
    example: &str,
    allow_insecure: bool,
) -> Result<Url, ConfigError> {
    let fail = |problem: String| Err(ConfigError::Url { what, problem });
    let url = http_url(text, allow_insecure).or_else(|error| {
        fail(match error {
            UrlError::Malformed(error) => {
                format!("is not a URL ({error}): expected something like {example}")
            }
            UrlError::PlainText => {
                format!("{error}, or call `.allow_insecure()` if the network is trusted")
            }
            error => error.to_string(),
        })
    })?;
    if url.query().is_some() || url.fragment().is_some() {
        return fail(format!("has a `?` or `#` in it: give what stands before, such as {example}"));
    }
    Ok(url)
}

/// Whether a URL is exactly Plato's own API, as the network of a session goes by it (plato-api §6.4).
pub(crate) fn is_production(url: &Url) -> bool {
    url.as_str().trim_end_matches('/') == PRODUCTION
}

/// The gateway that belongs to an API: `plato.so` has `connect.plato.so`, `testing.plato.so` has
/// `testing.connect.plato.so`.
pub(super) fn gateway(base: &Url) -> String {
    let production = "connect.plato.so".to_owned();
    let Some(Host::Domain(host)) = base.host() else { return production };
    if host == "plato.so" || is_loopback_url(base) {
        return production;
    }
    match host.split_once('.') {
        Some((first, rest)) => format!("{first}.connect.{rest}"),
        None => production,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<String, ConfigError> {
        base_url(text, false).map(|url| url.as_str().trim_end_matches('/').to_owned())
    }

    #[test]
    fn api_and_slashes_at_the_end_are_dropped_in_any_order() {
        for text in
            ["https://plato.so", "https://plato.so/", "https://plato.so/api", " https://plato.so/api//\n"]
        {
            assert_eq!(read(text).unwrap(), "https://plato.so", "{text}");
        }
        assert_eq!(read("https://plato.so//api/api/").unwrap(), "https://plato.so");
        assert_eq!(read("https://x.example/plato/api").unwrap(), "https://x.example/plato");
    }

    #[test]
    fn a_url_that_would_give_the_key_away_is_refused() {
        for (text, part) in [
            ("plato.so", "is not a URL"),
            ("", "is not a URL"),
            ("ftp://plato.so", "does not start with https://"),
            ("https://me:s3cret@plato.so", "user name or password"),
            ("https://plato.so?key=s3cret", "has a `?`"),
            ("http://plato.so", "is not encrypted"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(part) && !error.contains("s3cret"), "{text}: {error}");
        }
        read("http://127.0.0.1:8765").unwrap();
        read("http://[::1]:8765").unwrap();
        base_url("http://10.0.0.1", true).unwrap();
    }

    #[test]
    fn each_api_has_its_gateway() {
        for (base, expected) in [
            ("https://plato.so", "connect.plato.so"),
            ("https://testing.plato.so", "testing.connect.plato.so"),
            ("http://127.0.0.1:1", "connect.plato.so"),
            ("http://localhost", "connect.plato.so"),
            ("https://intranet", "connect.plato.so"),
        ] {
            assert_eq!(gateway(&Url::parse(base).unwrap()), expected, "{base}");
        }
        assert!(is_production(&base_url("https://plato.so/api/", false).unwrap()));
        assert!(!is_production(&base_url("https://plato.so:444", false).unwrap()));
    }
}
