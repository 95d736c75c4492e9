//! The base URL, and the URLs under it.

use platools_net::ProxyConfig;
use platools_net::policy::{UrlError, host_to_dial, http_url};
use url::Url;

use crate::error::ConfigError;

/// Where the platform is. Its path, if it has one, comes before every path of the API.
#[derive(Clone)]
pub(crate) struct BaseUrl(Url);

impl BaseUrl {
    /// Reads a base URL. Errors do not quote it: people paste tokens into the wrong variable.
    pub(crate) fn new(text: &str, allow_insecure: bool) -> Result<Self, ConfigError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(ConfigError::MissingUrl);
        }
        let expected = "expected something like https://platos.example";
        let url = http_url(text, allow_insecure).map_err(|error| match error {
            UrlError::PlainText => ConfigError::Insecure,
            error => ConfigError::Url(error.to_string()),
        })?;
        if url.query().is_some() || url.fragment().is_some() {
            return Err(ConfigError::Url(format!(
                "has a query or a fragment, which a base has not: {expected}"
            )));
        }
        Ok(Self(url))
    }

    /// The URL of `segments` under the base, each escaped as far as it needs it.
    pub(crate) fn join<'a>(&self, segments: impl IntoIterator<Item = &'a str>) -> Url {
        let mut url = self.0.clone();
        // Only URLs without a host have no path segments.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url
    }

    /// The URL of the Socket.IO endpoint.
    pub(crate) fn socket(&self) -> Url {
        let mut url = self.join(["socket.io", ""]);
        let scheme = if url.scheme() == "https" { "wss" } else { "ws" };
        // All four schemes are of the same family, so the change cannot be refused.
        let _ = url.set_scheme(scheme);
        url.set_query(Some("EIO=4&transport=websocket"));
        url
    }

    /// Whether a proxy would read and forward requests. Through TLS it only passes bytes on.
    pub(crate) fn is_forwarded_by(&self, proxy: &ProxyConfig) -> bool {
        !self.is_encrypted() && matches!(proxy.for_url(&self.0), Ok(Some(_)))
    }

    pub(crate) fn is_encrypted(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// The host, as a resolver takes it.
    pub(crate) fn host(&self) -> String {
        host_to_dial(&self.0)
    }

    pub(crate) fn port(&self) -> u16 {
        self.0.port_or_known_default().unwrap_or(443)
    }
}

impl std::fmt::Debug for BaseUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_go_under_the_base_and_ids_are_escaped() {
        for base in ["https://platos.example/prefix", " https://platos.example/prefix/ "] {
            let base = BaseUrl::new(base, false).unwrap();
            assert_eq!(
                base.join(["api", "a/b?c#d%", "é"]).as_str(),
                "https://platos.example/prefix/api/a%2Fb%3Fc%23d%25/%C3%A9"
            );
            assert_eq!(
                base.socket().as_str(),
                "wss://platos.example/prefix/socket.io/?EIO=4&transport=websocket"
            );
        }
        let base = BaseUrl::new("http://[::1]:3100", false).unwrap();
        assert_eq!(base.socket().as_str(), "ws://[::1]:3100/socket.io/?EIO=4&transport=websocket");
        assert_eq!((base.host().as_str(), base.port()), ("::1", 3100));
    }

    #[test]
    fn a_base_that_is_none_is_refused_and_not_quoted() {
        for text in [
            "",
            "s3cret",
            "ws://s3cret",
            "https://s3cret@h",
            "https://:s3cret@h",
            "https://",
            "https://h/?token=s3cret",
            "http://s3cret.example",
        ] {
            let error = BaseUrl::new(text, false).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("s3cret"), "{error:?}");
        }
        assert_eq!(BaseUrl::new("http://10.0.0.1", false).unwrap_err(), ConfigError::Insecure);
        for text in ["http://10.0.0.1", "http://platos:3100"] {
            BaseUrl::new(text, true).unwrap();
        }
        for text in ["http://127.0.0.1:1", "http://localhost:3100", "http://api.localhost"] {
            BaseUrl::new(text, false).unwrap();
        }
    }
}
