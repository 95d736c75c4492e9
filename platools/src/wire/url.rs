//! From the configured URL to the one that is dialled (protocol §2).
//!
//! Must not know sockets or TLS. Errors never quote the URL: people paste secrets into the wrong
//! variable.

use std::fmt;

use platools_net::policy;
use thiserror::Error;
use url::{Host, ParseError, Url, form_urlencoded};

use super::SOCKET_PATH;

/// The query parameters that name the entity; the second is an old spelling.
const ENTITY_PARAMETERS: [&str; 2] = ["entity", "source"];

/// The query parameter that names the environment.
const ENVIRONMENT_PARAMETER: &str = "env";

/// The environments that have several names (protocol §2).
const ENVIRONMENTS: [[&str; 2]; 3] = [["dev", "development"], ["staging", "stage"], ["prod", "production"]];

/// The environment that the platform takes where none is named (protocol §2).
const DEFAULT_ENVIRONMENT: &str = "dev";

/// The longest scheme that an error quotes.
const QUOTED_SCHEME_BYTES: usize = 8;

/// The longest name that DNS knows, with its last dot.
const MAX_NAME_BYTES: usize = 254;

/// The URL of the platform's WebSocket, with entity and environment in its query.
///
/// ```
/// use platools::wire::ConnectUrl;
///
/// let url = ConnectUrl::new("https://platos.example/tools/sync?env=prod", Some("orders"), None)?;
/// assert_eq!(url.as_str(), "wss://platos.example/tools/sync/ws/sdk?env=prod&entity=orders");
/// # Ok::<(), platools::wire::UrlError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct ConnectUrl(Url);

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
        /// The problem with the value.
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
    /// URL and configuration name different entities or environments.
    #[error(
        "the platform's URL names the {what} `{in_url}`, and the configuration `{configured}`: name one of them, or the \
         same twice"
    )]
    Conflict {
        /// The kind of name that differs: `entity` or `environment`.
        what: &'static str,
        /// The name in the URL.
        in_url: String,
        /// The name in the configuration.
        configured: String,
    },
}

/// Returns whether two names are names of one environment (protocol §2), as `prod` and `production` are.
///
/// ```
/// use platools::wire::same_environment;
///
/// assert!(same_environment("prod", "production"));
/// assert!(!same_environment("prod", "staging"));
/// ```
pub fn same_environment(one: &str, other: &str) -> bool {
    one == other || ENVIRONMENTS.iter().any(|names| names.contains(&one) && names.contains(&other))
}

impl ConnectUrl {
    /// Applies the rules of protocol §2 to a configured URL. `entity` and `environment` are added where the URL's query
    /// does not name one.
    ///
    /// A host's name is ASCII: one of other letters is written as its `xn--…`. An IPv4 address is four decimal
    /// numbers.
    ///
    /// # Errors
    /// When `configured` is not a `ws`, `wss`, `http` or `https` URL, contains credentials, or names another entity or
    /// environment than the one given.
    pub fn new(configured: &str, entity: Option<&str>, environment: Option<&str>) -> Result<Self, UrlError> {
        let configured = configured.trim();
        if configured.is_empty() {
            return Err(UrlError::Empty);
        }
        let mut url = Url::parse(configured).map_err(|error| match error {
            ParseError::RelativeUrlWithoutBase => malformed("it has no scheme"),
            error => malformed(&error.to_string()),
        })?;
        let scheme = match url.scheme() {
            "http" | "ws" => "ws",
            "https" | "wss" => "wss",
            other => {
                let found = (other.len() <= QUOTED_SCHEME_BYTES).then(|| other.to_owned());
                return Err(UrlError::UnknownScheme { found });
            }
        };
        check_authority(configured, &url)?;
        // All four schemes are of one family, so the change cannot be refused.
        let _ = url.set_scheme(scheme);
        url.set_fragment(None);
        let mut path = url.path().trim_end_matches('/').to_owned();
        if !path.ends_with(SOCKET_PATH) {
            path.push_str(SOCKET_PATH);
        }
        url.set_path(&path);

        let mut connect = Self(url);
        connect.fill("entity", &ENTITY_PARAMETERS, entity, |one, other| one == other)?;
        connect.fill("environment", &[ENVIRONMENT_PARAMETER], environment, same_environment)?;
        Ok(connect)
    }

    /// Puts a value into the query under the first of `names`, unless one of them has the same value there.
    fn fill(
        &mut self,
        what: &'static str,
        names: &[&str],
        value: Option<&str>,
        is_same: fn(&str, &str) -> bool,
    ) -> Result<(), UrlError> {
        let Some(value) = value.filter(|value| !value.is_empty()) else { return Ok(()) };
        match self.parameter(names) {
            Some(in_url) if is_same(&in_url, value) => return Ok(()),
            Some(in_url) => return Err(UrlError::Conflict { what, in_url, configured: value.to_owned() }),
            None => {}
        }
        // An empty parameter would be found first by the platform, and hide the value.
        let mut pairs: Vec<&str> = self
            .query()
            .split('&')
            .filter(|pair| {
                let name = pair.split('=').next().unwrap_or_default();
                !pair.is_empty() && !names.contains(&name)
            })
            .collect();
        let filled = form_urlencoded::Serializer::new(String::new()).append_pair(names[0], value).finish();
        pairs.push(&filled);
        let query = pairs.join("&");
        self.0.set_query(Some(&query));
        Ok(())
    }

    fn query(&self) -> &str {
        self.0.query().unwrap_or_default()
    }

    fn parameter(&self, names: &[&str]) -> Option<String> {
        names.iter().find_map(|wanted| {
            self.0
                .query_pairs()
                .find(|(name, value)| name == wanted && !value.is_empty())
                .map(|(_, value)| value.into_owned())
        })
    }

    /// The URL as text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The parsed URL.
    pub(crate) fn url(&self) -> &Url {
        &self.0
    }

    /// The entity that the query names; without one the platform refuses the connection.
    pub fn entity(&self) -> Option<String> {
        self.parameter(&ENTITY_PARAMETERS)
    }

    /// The environment that the query names; the platform takes `dev` when there is none.
    pub fn environment(&self) -> Option<String> {
        self.parameter(&[ENVIRONMENT_PARAMETER])
    }

    /// What hosts that connect as the same entity and environment have in common: platform, entity, environment.
    pub(crate) fn identity(&self) -> String {
        let entity = self.entity().unwrap_or_default();
        format!("{}:{}\n{entity}\n{}", self.host(), self.port(), self.canonical_environment())
    }

    /// The environment that the platform takes, under one name for all that mean the same.
    pub(crate) fn canonical_environment(&self) -> String {
        let environment = self.environment().unwrap_or_else(|| DEFAULT_ENVIRONMENT.to_owned());
        let names = ENVIRONMENTS.iter().find(|names| names.contains(&&*environment));
        names.map_or(environment, |names| names[0].to_owned())
    }

    /// The host to dial: a name or an address, IPv6 without brackets.
    pub fn host(&self) -> String {
        policy::host_to_dial(&self.0)
    }

    /// The port to dial.
    pub fn port(&self) -> u16 {
        self.0.port_or_known_default().unwrap_or_default()
    }

    /// Whether the connection is encrypted (`wss`).
    pub fn is_tls(&self) -> bool {
        self.0.scheme() == "wss"
    }

    /// Whether the host is this machine.
    pub fn is_loopback(&self) -> bool {
        policy::is_loopback_url(&self.0)
    }

    /// Whether the service secret would cross a network unencrypted.
    pub fn is_exposed(&self) -> bool {
        !policy::may_dial(&self.0, false)
    }
}

fn malformed(problem: &str) -> UrlError {
    UrlError::Malformed { problem: problem.to_owned() }
}

/// Checks that the authority names the host as it is dialled: `url` repairs more than a configuration should need,
/// and what it repairs may not be what was meant.
fn check_authority(configured: &str, url: &Url) -> Result<(), UrlError> {
    let rest = configured.split_once(':').and_then(|(_, rest)| rest.strip_prefix("//"));
    let rest = rest.ok_or_else(|| malformed("no // after the scheme"))?;
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        return Err(UrlError::Credentials);
    }
    if authority.is_empty() {
        return Err(malformed("it names no host"));
    }
    let written = authority.rsplit_once(':').map_or(authority, |(host, _port)| host);
    match url.host() {
        Some(Host::Domain(name)) => {
            let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
            if !written.is_ascii() {
                return Err(malformed("the host's name is not ASCII: write it as its xn--… name"));
            }
            let is_name = written.bytes().all(is_allowed) && written.eq_ignore_ascii_case(name);
            if !is_name || name.len() > MAX_NAME_BYTES || name.starts_with('.') || name.contains("..") {
                return Err(malformed("the host is neither a name nor an address"));
            }
        }
        // Numbers of other bases, and fewer than four, are addresses to some readers and names to others.
        Some(Host::Ipv4(address)) if written.trim_end_matches('.') != address.to_string() => {
            return Err(malformed("the host is an IPv4 address, but not written as four decimal numbers"));
        }
        _ => {}
    }
    Ok(())
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
    use proptest::prelude::*;

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
            ("ws://h:/x/#a?b#c", "ws://h/x/ws/sdk"),
            ("ws://h/a b/é?k=a b&l=é", "ws://h/a%20b/%C3%A9/ws/sdk?k=a%20b&l=%C3%A9"),
            ("ws://h?k=a?b/c@d", "ws://h/ws/sdk?k=a?b/c@d"),
        ] {
            assert_eq!(connect(configured), expected, "{configured}");
        }
    }

    #[test]
    fn entity_and_environment_are_filled_in_where_the_url_names_none() {
        let filled = |configured| ConnectUrl::new(configured, Some("a&b"), Some("prod")).unwrap().to_string();
        assert_eq!(filled("ws://h"), "ws://h/ws/sdk?entity=a%26b&env=prod");
        assert_eq!(filled("ws://h?entity=a%26b"), "ws://h/ws/sdk?entity=a%26b&env=prod");
        assert_eq!(filled("ws://h?source=a%26b&env=prod"), "ws://h/ws/sdk?source=a%26b&env=prod");
        assert_eq!(filled("ws://h?entity=&k=v"), "ws://h/ws/sdk?k=v&entity=a%26b&env=prod");
        assert_eq!(ConnectUrl::new("ws://h", Some(""), None).unwrap().as_str(), "ws://h/ws/sdk");
        let url = ConnectUrl::new("ws://h?source=x%20y", None, None).unwrap();
        assert_eq!((url.entity().as_deref(), url.environment()), (Some("x y"), None));
    }

    #[test]
    fn a_url_and_a_configuration_that_name_different_entities_are_an_error() {
        let new = |url| ConnectUrl::new(url, Some("orders"), Some("prod")).unwrap_err().to_string();
        for url in ["ws://h?entity=local", "ws://h?source=local"] {
            assert!(
                new(url).contains("names the entity `local`, and the configuration `orders`"),
                "{}",
                new(url)
            );
        }
        assert!(new("ws://h?env=dev").contains("names the environment `dev`, and the configuration `prod`"));
    }

    #[test]
    fn one_environment_by_two_of_its_names_is_no_conflict() {
        for (in_url, configured) in [
            ("prod", "production"),
            ("production", "prod"),
            ("dev", "development"),
            ("stage", "staging"),
            ("preview", "preview"),
        ] {
            let url = ConnectUrl::new(&format!("ws://h?env={in_url}"), None, Some(configured)).unwrap();
            assert_eq!(url.environment().as_deref(), Some(in_url), "the URL is sent as it is");
        }
        for (in_url, configured) in [("prod", "dev"), ("stage", "preview"), ("Prod", "prod")] {
            assert!(ConnectUrl::new(&format!("ws://h?env={in_url}"), None, Some(configured)).is_err());
        }
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
            ("wss:s3cret", "no // after"),
            ("wss://s3cret:1:2", "port"),
            ("wss://s3cret\\h", "host"),
            ("wss://sécret.example", "write it as its xn--"),
            ("://s3cret", "no scheme"),
            ("1s3cret://h", "no scheme"),
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

    #[test]
    fn hosts_and_ports_are_dialled_as_they_are_written() {
        for (authority, host, port) in [
            ("Platos.Example", "platos.example", 80),
            ("platos.example.:8443", "platos.example.", 8443),
            ("my_host", "my_host", 80),
            ("h:0080", "h", 80),
            ("xn--bcher-kva.example", "xn--bcher-kva.example", 80),
            ("10.0.0.1:1", "10.0.0.1", 1),
            ("10.0.0.1.", "10.0.0.1", 80),
            ("[0:0::1]:3100", "::1", 3100),
            ("4chan.example", "4chan.example", 80),
        ] {
            let url = ConnectUrl::new(&format!("ws://{authority}"), None, None).unwrap();
            assert_eq!((url.host().as_str(), url.port()), (host, port), "{authority}");
        }
    }

    #[test]
    fn a_host_that_could_be_read_in_two_ways_is_refused() {
        for (authority, problem) in [
            (":80", "host"),
            ("b\u{fc}cher.example", "xn--\u{2026}"),
            ("a b", "domain"),
            ("a%41", "neither a name"),
            ("a!", "neither a name"),
            ("a\tb", "neither a name"),
            ("a..b", "neither a name"),
            (".", "neither a name"),
            ("h:+1", "port"),
            ("h:1:2", "port"),
            ("::1", "host"),
            ("[::1]x", "IPv6"),
            ("h:65536", "port"),
            ("[::1", "IPv6"),
            ("[1.2.3.4]", "IPv6"),
            ("127.1", "four decimal numbers"),
            ("0x7f.0.0.1", "four decimal numbers"),
            ("127.0.0.0x1", "four decimal numbers"),
            ("2130706433", "four decimal numbers"),
            ("127.0.0.256", "IPv4"),
        ] {
            let error = ConnectUrl::new(&format!("ws://{authority}"), None, None).unwrap_err().to_string();
            assert!(error.contains(problem), "{authority}: {error}");
        }
    }

    /// The host that is checked, the one that is dialled and the one in the handshake's request are the same.
    fn is_read_alike_everywhere(configured: &str) -> Result<(), TestCaseError> {
        let Ok(ours) = ConnectUrl::new(configured, None, None) else { return Ok(()) };
        let again = ConnectUrl::new(ours.as_str(), None, None);
        prop_assert_eq!(again.as_ref(), Ok(&ours), "{:?}", configured);
        let request: http::Uri = ours.as_str().parse().map_err(|error| {
            TestCaseError::fail(format!("{configured:?} became {:?}: {error}", ours.as_str()))
        })?;
        let host = request.host().map(|host| host.trim_matches(['[', ']']).to_owned());
        prop_assert_eq!(host, Some(ours.host()));
        prop_assert_eq!(request.port_u16().unwrap_or(ours.port()), ours.port());
        Ok(())
    }

    proptest! {
        #[test]
        fn a_url_is_read_alike_everywhere(
            scheme in "(wss?|https?|WSS)",
            host in "([a-z0-9._~!$&'()*+,;=%-]{1,8}|[a-cé]{1,3}(\\.[a-c0-9-]{1,4}){0,3}|[0-9a-fx]{1,4}(\\.[0-9a-fx]{0,4}){0,4}|\\[[0-9a-f:.]{2,12}\\]|localhost\\.?|127\\.0\\.0\\.[0-9]{1,3}|xn--[a-z0-9-]{1,6})",
            port in "(:[0-9+ ]{0,6})?",
            rest in "([/a-z.]{0,6})?([?][a-z=&é%+ '\"]{0,8})?(#.{0,3})?",
        ) {
            is_read_alike_everywhere(&format!("{scheme}://{host}{port}{}", rest_of(&rest)))?;
        }

        #[test]
        fn whatever_is_accepted_is_read_alike_everywhere(text in "wss?://[ -~é]{0,24}") {
            is_read_alike_everywhere(&text)?;
        }
    }

    /// What can follow a port.
    fn rest_of(rest: &str) -> String {
        if rest.is_empty() || rest.starts_with(['/', '?', '#']) {
            rest.to_owned()
        } else {
            format!("/{rest}")
        }
    }
}
