//! From the configured URL to the one that is dialled (tool-sync §2).
//!
//! Must not know sockets or TLS. Errors never quote the URL: people paste secrets into the wrong
//! variable.

use std::fmt;

use thiserror::Error;
use url::{Host, Url};

use super::SOCKET_PATH;

/// The query parameters that name the entity; the second is an old spelling.
const ENTITY_PARAMETERS: [&str; 2] = ["entity", "source"];

/// The query parameter that names the environment.
const ENVIRONMENT_PARAMETER: &str = "env";

/// The longest scheme that an error quotes.
const QUOTED_SCHEME_BYTES: usize = 8;

/// The URL of the platform's WebSocket, with entity and environment in its query.
///
/// ```
/// use platools::protocol::ConnectUrl;
///
/// let url = ConnectUrl::new("https://platos.example/tools/sync?env=prod", Some("orders"), Some("dev"))?;
/// assert_eq!(url.as_str(), "wss://platos.example/tools/sync/ws/sdk?env=prod&entity=orders");
/// # Ok::<(), platools::protocol::UrlError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct ConnectUrl {
    url: Url,
}

/// A URL that cannot be connected to.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum UrlError {
    /// Nothing was given.
    #[error("the platform's URL is empty: set it to something like wss://platos.example/tools/sync")]
    Empty,
    /// The text is not a URL with a host.
    #[error(
        "the platform's URL is not a URL ({problem}): expected something like \
         wss://platos.example/tools/sync"
    )]
    Malformed {
        /// What is wrong with it.
        problem: String,
    },
    /// The URL is of another kind.
    #[error("the platform's URL does not start with wss://, https://, ws:// or http://{}", found.as_ref().map(|scheme| format!(" but with {scheme}:")).unwrap_or_default())]
    UnknownScheme {
        /// The scheme that was found, when it is short enough not to be something secret.
        found: Option<String>,
    },
    /// The URL holds a user name or a password.
    #[error(
        "the platform's URL contains a user name or password: secrets do not belong in URLs, \
         give the service secret by itself"
    )]
    Credentials,
}

impl ConnectUrl {
    /// Applies the rules of tool-sync §2 to a configured URL. `entity` and `environment` count only
    /// where the URL's query does not name one.
    ///
    /// # Errors
    /// When `configured` is not a `ws`, `wss`, `http` or `https` URL, or holds credentials.
    pub fn new(configured: &str, entity: Option<&str>, environment: Option<&str>) -> Result<Self, UrlError> {
        let configured = configured.trim();
        if configured.is_empty() {
            return Err(UrlError::Empty);
        }
        let mut url =
            Url::parse(configured).map_err(|error| UrlError::Malformed { problem: error.to_string() })?;
        let scheme = match url.scheme() {
            "http" | "ws" => "ws",
            "https" | "wss" => "wss",
            other => {
                let found = (other.len() <= QUOTED_SCHEME_BYTES).then(|| other.to_owned());
                return Err(UrlError::UnknownScheme { found });
            }
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(UrlError::Credentials);
        }
        // All four schemes are of the same family, so the change cannot be refused.
        let _ = url.set_scheme(scheme);
        url.set_fragment(None);

        let mut path = url.path().trim_end_matches('/').to_owned();
        if !path.ends_with(SOCKET_PATH) {
            path.push_str(SOCKET_PATH);
        }
        url.set_path(&path);

        let mut connect = Self { url };
        connect.fill(&ENTITY_PARAMETERS, entity);
        connect.fill(&[ENVIRONMENT_PARAMETER], environment);
        Ok(connect)
    }

    /// Puts a value into the query under the first of `names`, unless one of them has a value there.
    fn fill(&mut self, names: &[&str], value: Option<&str>) {
        let Some(value) = value.filter(|value| !value.is_empty()) else { return };
        if self.parameter(names).is_some() {
            return;
        }
        // An empty parameter would be found first by the platform, and hide the value.
        let rest: Vec<&str> = self.url.query().unwrap_or_default().split('&').collect();
        let rest: Vec<&str> = rest
            .into_iter()
            .filter(|pair| {
                let name = pair.split('=').next().unwrap_or_default();
                !pair.is_empty() && !names.contains(&name)
            })
            .collect();
        let rest = rest.join("&");
        self.url.set_query(if rest.is_empty() { None } else { Some(&rest) });
        self.url.query_pairs_mut().append_pair(names[0], value);
    }

    fn parameter(&self, names: &[&str]) -> Option<String> {
        names.iter().find_map(|wanted| {
            self.url
                .query_pairs()
                .find(|(name, value)| name == wanted && !value.is_empty())
                .map(|(_, value)| value.into_owned())
        })
    }

    /// The URL as text.
    pub fn as_str(&self) -> &str {
        self.url.as_str()
    }

    /// The entity that the query names; without one the platform refuses the connection.
    pub fn entity(&self) -> Option<String> {
        self.parameter(&ENTITY_PARAMETERS)
    }

    /// The environment that the query names; the platform takes `dev` when there is none.
    pub fn environment(&self) -> Option<String> {
        self.parameter(&[ENVIRONMENT_PARAMETER])
    }

    /// The host to dial: a name or an address, IPv6 without brackets.
    pub fn host(&self) -> String {
        match self.url.host() {
            Some(Host::Domain(name)) => name.to_owned(),
            Some(Host::Ipv4(address)) => address.to_string(),
            Some(Host::Ipv6(address)) => address.to_string(),
            None => String::new(),
        }
    }

    /// The port to dial.
    pub fn port(&self) -> u16 {
        self.url.port_or_known_default().unwrap_or(if self.is_tls() { 443 } else { 80 })
    }

    /// Whether the connection is encrypted (`wss`).
    pub fn is_tls(&self) -> bool {
        self.url.scheme() == "wss"
    }

    /// Whether the host is this machine.
    pub fn is_loopback(&self) -> bool {
        is_loopback(&self.url)
    }

    /// Whether the service secret would cross a network unencrypted.
    pub fn is_exposed(&self) -> bool {
        !self.is_tls() && !self.is_loopback()
    }
}

/// Whether a URL's host is this machine.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => {
            let name = name.strip_suffix('.').unwrap_or(name);
            name == "localhost" || name.ends_with(".localhost")
        }
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.to_canonical().is_loopback(),
        None => false,
    }
}

impl fmt::Display for ConnectUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for ConnectUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConnectUrl({})", self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connect(configured: &str) -> String {
        ConnectUrl::new(configured, None, None).unwrap().to_string()
    }

    #[test]
    fn the_path_gets_its_ending_once() {
        for (configured, expected) in [
            ("https://h/tools/sync?entity=a&env=prod", "wss://h/tools/sync/ws/sdk?entity=a&env=prod"),
            ("ws://h:3100?entity=a", "ws://h:3100/ws/sdk?entity=a"),
            ("http://h", "ws://h/ws/sdk"),
            ("wss://h/tools/sync//", "wss://h/tools/sync/ws/sdk"),
            ("wss://h/tools/sync/ws/sdk", "wss://h/tools/sync/ws/sdk"),
            ("wss://h/ws/sdk/?entity=a%20b", "wss://h/ws/sdk?entity=a%20b"),
            (" wss://h/ws#part ", "wss://h/ws/ws/sdk"),
            ("HTTPS://H:443/x", "wss://h/x/ws/sdk"),
        ] {
            assert_eq!(connect(configured), expected, "{configured}");
        }
    }

    #[test]
    fn entity_and_environment_are_filled_in_where_the_url_names_none() {
        let filled = |configured| ConnectUrl::new(configured, Some("a&b"), Some("prod")).unwrap().to_string();
        assert_eq!(filled("ws://h"), "ws://h/ws/sdk?entity=a%26b&env=prod");
        assert_eq!(filled("ws://h?entity=x"), "ws://h/ws/sdk?entity=x&env=prod");
        assert_eq!(filled("ws://h?source=x&env=dev"), "ws://h/ws/sdk?source=x&env=dev");
        assert_eq!(filled("ws://h?entity=&k=v"), "ws://h/ws/sdk?k=v&entity=a%26b&env=prod");
        assert_eq!(ConnectUrl::new("ws://h", Some(""), None).unwrap().as_str(), "ws://h/ws/sdk");
        let url = ConnectUrl::new("ws://h?source=x%20y", None, None).unwrap();
        assert_eq!((url.entity().as_deref(), url.environment()), (Some("x y"), None));
    }

    #[test]
    fn what_is_no_such_url_is_a_clear_error_that_quotes_nothing() {
        for (configured, part) in [
            ("", "is empty"),
            ("  ", "is empty"),
            ("s3crets3crets3cret", "not a URL"),
            ("s3crets3crets3cret:x", "does not start with"),
            ("ftp://h", "but with ftp:"),
            ("wss://", "not a URL"),
            ("wss://h:99999999", "not a URL"),
            ("wss://s3cret@h", "user name or password"),
            ("wss://:s3cret@h", "user name or password"),
        ] {
            let error = ConnectUrl::new(configured, None, None).unwrap_err();
            let shown = format!("{error} {error:?}");
            assert!(shown.contains(part), "{configured}: {shown}");
            assert!(!shown.contains("s3cret"), "{shown}");
        }
    }

    #[test]
    fn plain_text_beyond_this_machine_is_exposed() {
        for (configured, exposed) in [
            ("ws://localhost:1", false),
            ("ws://platform.localhost.", false),
            ("ws://127.9.9.9", false),
            ("ws://[::1]:3100", false),
            ("ws://[::ffff:127.0.0.1]", false),
            ("ws://10.0.0.1", true),
            ("ws://localhost.example", true),
            ("http://[2001:db8::1]", true),
            ("wss://platos.example", false),
        ] {
            assert_eq!(
                ConnectUrl::new(configured, None, None).unwrap().is_exposed(),
                exposed,
                "{configured}"
            );
        }
        let url = ConnectUrl::new("wss://[::1]", None, None).unwrap();
        assert_eq!((url.host().as_str(), url.port(), url.is_tls()), ("::1", 443, true));
    }
}
