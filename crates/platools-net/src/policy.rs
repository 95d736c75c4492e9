//! Which URLs may be dialled: loopback detection and the rule about plain text.
//!
//! Must not know sockets. Errors never quote a URL: people paste secrets into the wrong variable.

use std::net::IpAddr;

use url::{Host, Url};

/// A URL that may not be dialled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// The text is not a URL.
    #[error("is not a URL ({0}): expected something like https://platos.example")]
    Malformed(url::ParseError),
    /// The scheme is neither `https` nor `http`.
    #[error("does not start with https:// (or http:// for this machine)")]
    Scheme,
    /// The URL contains a user name or a password.
    #[error("contains a user name or password: secrets do not belong in URLs, give them by themselves")]
    Credentials,
    /// The URL would be dialled in plain text over a network.
    #[error(
        "is not encrypted (http:// to a host that is not this machine), so anyone on the way could read and \
         change what is sent: use https://"
    )]
    PlainText,
}

/// Parses the URL of an HTTP server: `https`, or `http` where [`may_dial`] permits plain text.
///
/// # Errors
/// When the text is not such a URL or contains credentials. The error does not quote it.
pub fn http_url(text: &str, allow_insecure: bool) -> Result<Url, UrlError> {
    let url = Url::parse(text.trim()).map_err(UrlError::Malformed)?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(UrlError::Scheme);
    }
    if has_credentials(&url) {
        return Err(UrlError::Credentials);
    }
    if !may_dial(&url, allow_insecure) {
        return Err(UrlError::PlainText);
    }
    Ok(url)
}

/// Returns whether a URL contains a user name or a password.
pub fn has_credentials(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some()
}

/// Returns whether a URL may be dialled: it is encrypted, leads to loopback, or plain text is allowed.
pub fn may_dial(url: &Url, allow_insecure: bool) -> bool {
    allow_insecure || matches!(url.scheme(), "https" | "wss") || is_loopback_url(url)
}

/// Returns whether the host of a URL is loopback.
pub fn is_loopback_url(url: &Url) -> bool {
    url.host().is_some_and(|host| is_loopback(&host))
}

/// Returns whether a host is loopback: `127.0.0.0/8`, `::1`, either as an IPv4-mapped IPv6 address, `localhost` or a
/// name below it. A trailing dot and the case of letters make no difference.
///
/// ```
/// use platools_net::policy::is_loopback_host;
///
/// assert!(is_loopback_host("app.localhost."));
/// assert!(is_loopback_host("[::ffff:127.0.0.1]"));
/// assert!(!is_loopback_host("localhost.example"));
/// ```
pub fn is_loopback_host(host: &str) -> bool {
    // An IPv6 address is taken with and without its brackets.
    match host.parse::<IpAddr>() {
        Ok(address) => is_loopback_address(address),
        Err(_) => Host::parse(host).is_ok_and(|host| is_loopback(&host)),
    }
}

/// Returns whether an address is loopback: `127.0.0.0/8` or `::1`, also as an IPv4-mapped IPv6 address.
pub fn is_loopback_address(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

fn is_loopback<S: AsRef<str>>(host: &Host<S>) -> bool {
    match host {
        Host::Domain(name) => is_loopback_name(name.as_ref()),
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => is_loopback_address((*address).into()),
    }
}

/// Reserved by RFC 6761: resolvers answer these names with loopback addresses.
fn is_loopback_name(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let (parent, top) = name.rsplit_once('.').map_or((None, name), |(parent, top)| (Some(parent), top));
    top.eq_ignore_ascii_case("localhost")
        && parent.is_none_or(|parent| parent.split('.').all(|label| !label.is_empty()))
}

/// Returns the host of a URL as a resolver takes it: an IPv6 address without brackets.
pub fn host_to_dial(url: &Url) -> String {
    match url.host() {
        Some(Host::Ipv6(address)) => address.to_string(),
        Some(host) => host.to_string(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_definition_of_loopback() {
        for host in [
            "localhost",
            "LocalHost",
            "localhost.",
            "a.localhost",
            "a.b.localhost.",
            "127.0.0.1",
            "127.9.9.9",
            "127.0.0.1.",
            "127.1",
            "2130706433",
            "0x7f.1",
            "::1",
            "[::1]",
            "[0:0::1]",
            "::ffff:127.0.0.1",
            "[::ffff:127.1.2.3]",
            "[::ffff:7f00:1]",
        ] {
            assert!(is_loopback_host(host), "{host}");
        }
        for host in [
            "",
            ".",
            "localhost.example",
            "notlocalhost",
            "localhost..",
            ".localhost",
            "a..localhost",
            "127.0.0.1.example",
            "10.0.0.1",
            "0.0.0.0",
            "128.0.0.1",
            "::",
            "::2",
            "[::ffff:10.0.0.1]",
            "[2001:db8::1]",
            "[fe80::1]",
            "[::1",
            "localhost:80",
            "user@localhost",
        ] {
            assert!(!is_loopback_host(host), "{host}");
        }
    }

    #[test]
    fn plain_text_is_dialled_to_loopback_only_unless_it_is_allowed() {
        for (text, by_default) in [
            ("https://platos.example", true),
            ("wss://10.0.0.1", true),
            ("http://127.0.0.1:1", true),
            ("ws://api.localhost.:3100", true),
            ("http://[::ffff:127.0.0.1]:1", true),
            ("http://0x7f.1", true),
            ("http://10.0.0.1", false),
            ("ws://platos:3100", false),
            ("http://localhost.example", false),
            ("http://[2001:db8::1]", false),
        ] {
            let url = Url::parse(text).unwrap();
            assert_eq!(may_dial(&url, false), by_default, "{text}");
            assert!(may_dial(&url, true), "{text}");
        }
    }

    #[test]
    fn a_url_that_may_not_be_dialled_is_refused_without_being_quoted() {
        for text in
            ["https://platos.example/x", " http://127.0.0.1:1\n", "http://localhost.:1", "http://[::1]:1"]
        {
            http_url(text, false).unwrap();
        }
        assert_eq!(http_url("http://10.0.0.1", false), Err(UrlError::PlainText));
        http_url("http://10.0.0.1", true).unwrap();
        assert_eq!(http_url("ws://127.0.0.1", true), Err(UrlError::Scheme));
        for text in ["", "s3cret", "ws://s3cret", "https://s3cret@h", "https://:s3cret@h", "https://"] {
            let error = http_url(text, true).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("s3cret"), "{error:?}");
        }
    }

    #[test]
    fn hosts_are_dialled_without_brackets() {
        for (text, host) in [
            ("wss://[::1]:3100", "::1"),
            ("wss://Platos.Example", "platos.example"),
            ("http://127.1", "127.0.0.1"),
        ] {
            assert_eq!(host_to_dial(&Url::parse(text).unwrap()), host);
        }
    }
}
