//! From the configured URL to the one that is dialled (tool-sync §2).
//!
//! Must not know sockets or TLS. Errors never quote the URL: people paste secrets into the wrong
//! variable.

use std::fmt;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use thiserror::Error;

use super::SOCKET_PATH;
use super::url_host::UrlHost;

/// The query parameters that name the entity; the second is an old spelling.
const ENTITY_PARAMETERS: [&str; 2] = ["entity", "source"];

/// The query parameter that names the environment.
const ENVIRONMENT_PARAMETER: &str = "env";

/// The longest scheme that an error quotes.
const QUOTED_SCHEME_BYTES: usize = 8;

/// What a path may not hold as it is.
const PATH_ESCAPES: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// What a query may not hold as it is.
const QUERY_ESCAPES: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'\'').add(b'<').add(b'>');

/// The URL of the platform's WebSocket, with entity and environment in its query.
///
/// ```
/// use platools::wire::ConnectUrl;
///
/// let url = ConnectUrl::new("https://platos.example/tools/sync?env=prod", Some("orders"), Some("dev"))?;
/// assert_eq!(url.as_str(), "wss://platos.example/tools/sync/ws/sdk?env=prod&entity=orders");
/// # Ok::<(), platools::wire::UrlError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct ConnectUrl {
    /// Scheme, host, port, path and query; the first `?` begins the query.
    text: String,
    host: UrlHost,
    port: u16,
    is_tls: bool,
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
    /// A host's name is ASCII: one of other letters is written as its `xn--…`.
    ///
    /// # Errors
    /// When `configured` is not a `ws`, `wss`, `http` or `https` URL, or holds credentials.
    pub fn new(configured: &str, entity: Option<&str>, environment: Option<&str>) -> Result<Self, UrlError> {
        let configured = configured.trim();
        if configured.is_empty() {
            return Err(UrlError::Empty);
        }
        let malformed = |problem: &str| UrlError::Malformed { problem: problem.to_owned() };
        let (scheme, rest) = split_scheme(configured).ok_or_else(|| malformed("it has no scheme"))?;
        let (scheme, usual_port) = match scheme.as_str() {
            "http" | "ws" => ("ws", 80),
            "https" | "wss" => ("wss", 443),
            _ => {
                let found = (scheme.len() <= QUOTED_SCHEME_BYTES).then_some(scheme);
                return Err(UrlError::UnknownScheme { found });
            }
        };
        let rest = rest.strip_prefix("//").ok_or_else(|| malformed("no // after the scheme"))?;
        let rest = rest.split('#').next().unwrap_or_default();
        let (rest, query) = rest.split_once('?').map_or((rest, None), |(rest, query)| (rest, Some(query)));
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err(UrlError::Credentials);
        }
        let (host, port) = UrlHost::with_port(authority).map_err(malformed)?;

        let unusual = port.filter(|port| *port != usual_port);
        let unusual = unusual.map(|port| format!(":{port}")).unwrap_or_default();
        let mut text = format!("{scheme}://{host}{unusual}");
        let path = path.trim_end_matches('/');
        text.extend(utf8_percent_encode(path, PATH_ESCAPES));
        if !path.ends_with(SOCKET_PATH) {
            text.push_str(SOCKET_PATH);
        }
        if let Some(query) = query {
            text.push('?');
            text.extend(utf8_percent_encode(query, QUERY_ESCAPES));
        }

        let mut connect = Self { text, host, port: port.unwrap_or(usual_port), is_tls: scheme == "wss" };
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
        self.text.truncate(self.text.find('?').unwrap_or(self.text.len()));
        self.text.push('?');
        self.text.push_str(&query);
    }

    fn query(&self) -> &str {
        self.text.split_once('?').map_or("", |(_, query)| query)
    }

    fn parameter(&self, names: &[&str]) -> Option<String> {
        names.iter().find_map(|wanted| {
            form_urlencoded::parse(self.query().as_bytes())
                .find(|(name, value)| name == wanted && !value.is_empty())
                .map(|(_, value)| value.into_owned())
        })
    }

    /// The URL as text.
    pub fn as_str(&self) -> &str {
        &self.text
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
        self.host.to_dial()
    }

    /// The port to dial.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether the connection is encrypted (`wss`).
    pub fn is_tls(&self) -> bool {
        self.is_tls
    }

    /// Whether the host is this machine.
    pub fn is_loopback(&self) -> bool {
        self.host.is_loopback()
    }

    /// Whether the service secret would cross a network unencrypted.
    pub fn is_exposed(&self) -> bool {
        !self.is_tls() && !self.is_loopback()
    }
}

/// A URL's scheme, in lower case, and what follows its colon.
fn split_scheme(text: &str) -> Option<(String, &str)> {
    let (scheme, rest) = text.split_once(':')?;
    let first_fits = scheme.starts_with(|first: char| first.is_ascii_alphabetic());
    let rest_fits = scheme.bytes().all(|next| next.is_ascii_alphanumeric() || b"+-.".contains(&next));
    (first_fits && rest_fits).then(|| (scheme.to_ascii_lowercase(), rest))
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

    /// What is dialled, and what counts as this machine, is what the standard's own reader would say.
    fn agrees_with_the_standard(configured: &str) -> Result<(), TestCaseError> {
        let Ok(ours) = ConnectUrl::new(configured, None, None) else { return Ok(()) };
        let theirs = match url::Url::parse(configured.trim()) {
            // Whether a name's Punycode says something is for DNS to find out.
            Err(url::ParseError::IdnaError) if ours.host().contains("xn--") => return Ok(()),
            theirs => theirs.map_err(|error| TestCaseError::fail(format!("{configured:?}: {error}")))?,
        };
        let host = theirs.host_str().unwrap_or_default().trim_matches(['[', ']']);
        prop_assert_eq!(ours.host(), host, "{:?}", configured);
        prop_assert_eq!(Some(ours.port()), theirs.port_or_known_default(), "{:?}", configured);
        let loopback = match theirs.host() {
            Some(url::Host::Ipv4(address)) => address.is_loopback(),
            Some(url::Host::Ipv6(address)) => address.to_canonical().is_loopback(),
            _ => format!(".{}", host.trim_end_matches('.')).ends_with(".localhost"),
        };
        prop_assert_eq!(ours.is_loopback(), loopback, "{:?}", configured);
        let pairs = |query: Option<&str>| -> Vec<(String, String)> {
            form_urlencoded::parse(query.unwrap_or_default().as_bytes()).into_owned().collect()
        };
        prop_assert_eq!(pairs(Some(ours.query())), pairs(theirs.query()), "{:?}", configured);
        // What dials it reads it once more.
        let dialled: http::Uri = ours.as_str().parse().map_err(|error| {
            TestCaseError::fail(format!("{configured:?} became {:?}: {error}", ours.as_str()))
        })?;
        prop_assert_eq!(dialled.host().map(|host| host.trim_matches(['[', ']'])), Some(host));
        prop_assert_eq!(dialled.port_u16().unwrap_or(ours.port()), ours.port());
        Ok(())
    }

    proptest! {
        #[test]
        fn a_url_means_what_it_means_to_the_standard(
            scheme in "(wss?|https?|WSS)",
            host in "([a-z0-9._~!$&'()*+,;=%-]{1,8}|[a-cé]{1,3}(\\.[a-c0-9-]{1,4}){0,3}|[0-9a-fx]{1,4}(\\.[0-9a-fx]{0,4}){0,4}|\\[[0-9a-f:.]{2,12}\\]|localhost\\.?|127\\.0\\.0\\.[0-9]{1,3}|xn--[a-z0-9-]{1,6})",
            port in "(:[0-9+ ]{0,6})?",
            rest in "([/a-z.]{0,6})?([?][a-z=&é%+ '\"]{0,8})?(#.{0,3})?",
        ) {
            agrees_with_the_standard(&format!("{scheme}://{host}{port}{}", rest_of(&rest)))?;
        }

        #[test]
        fn whatever_is_taken_means_what_it_means_to_the_standard(text in "wss?://[ -~é]{0,24}") {
            agrees_with_the_standard(&text)?;
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
