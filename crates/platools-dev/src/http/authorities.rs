//! The names under which this platform is reached, and the checks of `Host`, `Origin` and `Sec-Fetch-Site`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use axum::http::header::{HOST, HeaderName, ORIGIN};
use axum::http::{HeaderMap, StatusCode, Uri};

use super::error::ApiError;
use super::header::single;

/// The names under which this platform is reached.
pub(crate) struct Authorities {
    scheme: &'static str,
    port: u16,
    /// With the port, in lower case.
    names: Vec<String>,
}

impl Authorities {
    pub(crate) fn new(address: SocketAddr, host_name: Option<&str>, tls: bool) -> Self {
        let (scheme, default_port) = if tls { ("https", 443) } else { ("http", 80) };
        let loopback = [IpAddr::from(Ipv4Addr::LOCALHOST), Ipv6Addr::LOCALHOST.into(), address.ip()];
        let mut hosts: Vec<String> = loopback
            .iter()
            .map(|ip| match ip {
                IpAddr::V4(ip) => ip.to_string(),
                IpAddr::V6(ip) => format!("[{ip}]"),
            })
            .collect();
        hosts.extend([Some("localhost"), host_name].into_iter().flatten().map(str::to_ascii_lowercase));
        let port = address.port();
        let mut names: Vec<String> = hosts.iter().map(|host| format!("{host}:{port}")).collect();
        if port == default_port {
            names.extend(hosts);
        }
        names.sort();
        names.dedup();
        Self { scheme, port, names }
    }

    /// The port that is listened on.
    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Whether the platform speaks TLS.
    pub(super) fn is_secure(&self) -> bool {
        self.scheme == "https"
    }

    /// Whether a `Host` names this platform.
    fn names_us(&self, host: &str) -> bool {
        self.names.iter().any(|name| name.eq_ignore_ascii_case(host))
    }

    /// Whether an `Origin` is that of a page of ours.
    fn is_ours(&self, origin: &str) -> bool {
        origin
            .split_once("://")
            .is_some_and(|(scheme, host)| scheme.eq_ignore_ascii_case(self.scheme) && self.names_us(host))
    }

    /// Checks where a request was meant for and where it comes from.
    pub(super) fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), ApiError> {
        let refuse = |code, message| Err(ApiError::new(StatusCode::FORBIDDEN, code, message));
        let host = single(headers, &HOST);
        let target = uri.authority().map(axum::http::uri::Authority::as_str);
        if !host.is_some_and(|host| self.names_us(host)) || !target.is_none_or(|name| self.names_us(name)) {
            let names = self.names.join(", ");
            let message = format!(
                "this platform answers to the hosts {names} only: use one of them, or start it with the name \
                 that you need (`platools dev --host-name NAME`, in code `DevPlatformOptions::host_name`)"
            );
            return refuse("foreign_host", message);
        }
        let foreign = "requests from pages of another origin are not answered: \
                       open the playground itself, or ask without a browser";
        if headers.contains_key(ORIGIN)
            && !single(headers, &ORIGIN).is_some_and(|origin| self.is_ours(origin))
        {
            return refuse("foreign_origin", foreign.to_owned());
        }
        let fetch = |name| single(headers, &HeaderName::from_static(name));
        // A link from elsewhere may lead to the page, which tells the one who linked nothing.
        let is_followed_link = fetch("sec-fetch-mode") == Some("navigate")
            && fetch("sec-fetch-dest") == Some("document")
            && uri.path() == "/";
        let is_at_home = !headers.contains_key("sec-fetch-site")
            || fetch("sec-fetch-site").is_some_and(|site| matches!(site, "same-origin" | "none"));
        if !is_at_home && !is_followed_link {
            return refuse("foreign_origin", foreign.to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn verdict(allowed: &Authorities, headers: &[(&'static str, &'static str)]) -> bool {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_static(value));
        }
        allowed.check(&Uri::from_static("/api/v1/entities"), &map).is_ok()
    }

    #[test]
    fn only_our_names_with_our_port_are_us() {
        let allowed = Authorities::new("127.0.0.1:3100".parse().unwrap(), Some("Dev.Test"), false);
        for host in ["127.0.0.1:3100", "localhost:3100", "LOCALHOST:3100", "[::1]:3100", "dev.test:3100"] {
            assert!(verdict(&allowed, &[("host", host)]), "{host}");
        }
        for host in ["localhost", "localhost:80", "evil.test:3100", "127.0.0.1.evil.test:3100", "", "0:3100"]
        {
            assert!(!verdict(&allowed, &[("host", host)]), "{host}");
        }
        assert!(!verdict(&allowed, &[]), "no host at all");
        assert!(!verdict(&allowed, &[("host", "localhost:3100"), ("host", "evil.test:3100")]));
        let default_port = Authorities::new("127.0.0.1:443".parse().unwrap(), None, true);
        assert!(verdict(&default_port, &[("host", "localhost"), ("origin", "https://localhost")]));
        assert!(!verdict(&default_port, &[("host", "localhost"), ("origin", "http://localhost")]));
    }

    #[test]
    fn only_our_own_pages_may_ask() {
        let allowed = Authorities::new("127.0.0.1:3100".parse().unwrap(), None, false);
        let host = ("host", "127.0.0.1:3100");
        for headers in [
            vec![("origin", "http://127.0.0.1:3100")],
            vec![("sec-fetch-site", "same-origin")],
            vec![("sec-fetch-site", "none"), ("sec-fetch-mode", "navigate")],
        ] {
            assert!(verdict(&allowed, &[&[host][..], &headers].concat()), "{headers:?}");
        }
        for headers in [
            vec![("origin", "null")],
            vec![("origin", "")],
            vec![("origin", "https://127.0.0.1:3100")],
            vec![("origin", "http://127.0.0.1:3101")],
            vec![("origin", "http://evil.test")],
            vec![("origin", "http://127.0.0.1:3100"), ("origin", "http://evil.test")],
            vec![("sec-fetch-site", "cross-site")],
            vec![("sec-fetch-site", "same-site")],
            vec![
                ("sec-fetch-site", "cross-site"),
                ("sec-fetch-mode", "navigate"),
                ("sec-fetch-dest", "document"),
            ],
        ] {
            assert!(!verdict(&allowed, &[&[host][..], &headers].concat()), "{headers:?}");
        }
    }

    #[test]
    fn a_link_may_lead_to_the_page_but_no_frame_may_show_it() {
        let allowed = Authorities::new("127.0.0.1:3100".parse().unwrap(), None, false);
        for (destination, is_let_in) in [("document", true), ("iframe", false)] {
            let mut headers = HeaderMap::new();
            headers.insert("host", HeaderValue::from_static("127.0.0.1:3100"));
            headers.insert("sec-fetch-site", HeaderValue::from_static("cross-site"));
            headers.insert("sec-fetch-mode", HeaderValue::from_static("navigate"));
            headers.insert("sec-fetch-dest", HeaderValue::from_static(destination));
            assert_eq!(allowed.check(&Uri::from_static("/"), &headers).is_ok(), is_let_in, "{destination}");
        }
    }
}
