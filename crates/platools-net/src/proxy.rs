//! Which proxy a connection goes through: the environment's, or one that is set.
//!
//! There is one definition of `NO_PROXY` and of loopback for sockets and for HTTP clients. Must not dial.
//! Errors never quote a proxy's URL, and `Debug` and `Display` show it without its credentials.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use ipnet::IpNet;
use percent_encoding::percent_decode_str;
use url::{Host, Url};

use crate::SecretText;
use crate::policy::{has_credentials, host_to_dial, is_loopback_url};

/// A proxy that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{origin} {problem}")]
pub struct ProxyError {
    /// The variable or the setting that names the proxy.
    origin: &'static str,
    /// The problem, without a quotation of the URL.
    problem: String,
}

/// An HTTP proxy.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    /// Without credentials.
    url: Url,
    /// The value of the `Proxy-Authorization` header.
    authorization: Option<SecretText>,
    /// With credentials, as it was configured.
    whole: SecretText,
}

/// The proxies for connections to other machines, and the hosts that are connected to directly. Loopback never goes
/// through a proxy.
///
/// ```
/// use platools_net::ProxyConfig;
///
/// let proxy = ProxyConfig::new("http://build:s3cret@proxy.example:3128")?.no_proxy(".corp.example, 10.0.0.0/8");
/// assert_eq!(proxy.describe(), "http://proxy.example:3128, with credentials");
/// # Ok::<(), platools_net::ProxyError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct ProxyConfig {
    /// For `http` and `ws`.
    plain: Rule,
    /// For `https` and `wss`.
    encrypted: Rule,
    exceptions: Vec<Exception>,
}

/// The route of a kind of connections.
#[derive(Clone, PartialEq, Eq)]
enum Rule {
    Direct,
    Through(Arc<Proxy>),
    /// A variable names something that cannot be used. It is an error only for connections that need it: a program
    /// that talks to its own machine must not fail because of it.
    Unusable(ProxyError),
}

/// An entry of `NO_PROXY`.
#[derive(Clone, PartialEq, Eq)]
enum Exception {
    All,
    Network(IpNet),
    /// A host and the names below it, or an address, at any port or at one.
    Host {
        host: Host<String>,
        port: Option<u16>,
    },
}

impl ProxyConfig {
    /// Connects to every host directly, whatever the environment says.
    pub fn direct() -> Self {
        Self { plain: Rule::Direct, encrypted: Rule::Direct, exceptions: Vec::new() }
    }

    /// Connects through one proxy, `http://` or `https://`, for every kind of connection. Credentials are its user
    /// name and password, percent-encoded where they contain reserved characters. Without a port, 80 or 443 is meant.
    ///
    /// # Errors
    /// When the text is not such a URL. The error does not quote it.
    pub fn new(url: &str) -> Result<Self, ProxyError> {
        Ok(Proxy::parse("the proxy's URL", url)?.into())
    }

    /// Returns whether no connection goes through a proxy.
    pub fn is_direct(&self) -> bool {
        self.plain == Rule::Direct && self.encrypted == Rule::Direct
    }

    /// Adds hosts that are connected to directly, in the grammar of `NO_PROXY`: names and addresses separated by
    /// commas or spaces. A name also stands for all names below it, with or without a dot or `*.` before it; an
    /// address may be a network, such as `10.0.0.0/8`; a name or an address may have a port; `*` stands for all hosts.
    /// Names are not resolved: a network matches hosts that are written as addresses.
    #[must_use]
    pub fn no_proxy(mut self, hosts: &str) -> Self {
        self.exceptions.extend(hosts.split([',', ' ', '\t', '\n']).filter_map(Exception::parse));
        self
    }

    /// Reads the environment: `HTTPS_PROXY` for `https` and `wss`, `HTTP_PROXY` for `http` and `ws`, `ALL_PROXY` where
    /// the one of the kind is not set, and `NO_PROXY`. The names in lower case win over those in upper case, and an
    /// empty variable counts as unset. `HTTP_PROXY` in upper case is ignored in a CGI program, where a client can set
    /// it.
    ///
    /// A variable that cannot be used is an error of the connections that need it; see [`for_url`](Self::for_url).
    pub fn from_env() -> Self {
        Self::from_lookup(|variable| {
            let value = std::env::var_os(variable)?;
            // What is not text is not a URL: it is refused as such.
            Some(value.into_string().unwrap_or_else(|_| "not text".to_owned()))
        })
    }

    /// Reads the environment variables through `lookup`; see [`from_env`](Self::from_env).
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Self {
        let get = |lower: &'static str, upper: &'static str| {
            let value = |name: &'static str| {
                let value = lookup(name).filter(|value| !value.trim().is_empty())?;
                Some((name, value))
            };
            value(lower).or_else(|| value(upper))
        };
        let is_cgi = lookup("REQUEST_METHOD").is_some();
        let all = || get("all_proxy", "ALL_PROXY");
        let rule = |found: Option<(&'static str, String)>| match found {
            None => Rule::Direct,
            Some((name, url)) => match Proxy::parse(name, &url) {
                Ok(proxy) => Rule::Through(Arc::new(proxy)),
                Err(error) => Rule::Unusable(error),
            },
        };
        let plain = get("http_proxy", if is_cgi { "http_proxy" } else { "HTTP_PROXY" }).or_else(all);
        let encrypted = get("https_proxy", "HTTPS_PROXY").or_else(all);
        let config = Self { plain: rule(plain), encrypted: rule(encrypted), exceptions: Vec::new() };
        match get("no_proxy", "NO_PROXY") {
            Some((_, hosts)) => config.no_proxy(&hosts),
            None => config,
        }
    }

    /// Returns the proxy for a URL of `http`, `https`, `ws` or `wss`, if there is one.
    ///
    /// # Errors
    /// When the environment names a proxy for it that cannot be used.
    pub fn for_url(&self, url: &Url) -> Result<Option<&Proxy>, ProxyError> {
        if is_loopback_url(url) || self.exceptions.iter().any(|exception| exception.covers(url)) {
            return Ok(None);
        }
        let rule = if matches!(url.scheme(), "https" | "wss") { &self.encrypted } else { &self.plain };
        match rule {
            Rule::Direct => Ok(None),
            Rule::Through(proxy) => Ok(Some(proxy)),
            Rule::Unusable(error) => Err(error.clone()),
        }
    }

    /// Describes the proxies for people, without credentials and exceptions.
    pub fn describe(&self) -> String {
        let of = |rule: &Rule| match rule {
            Rule::Direct => "none".to_owned(),
            Rule::Through(proxy) => proxy.describe(),
            Rule::Unusable(error) => format!("none that can be used ({error})"),
        };
        if self.plain == self.encrypted {
            return of(&self.encrypted);
        }
        format!("{}; for unencrypted connections: {}", of(&self.encrypted), of(&self.plain))
    }
}

/// Every connection goes through this proxy, except those to loopback.
impl From<Proxy> for ProxyConfig {
    fn from(proxy: Proxy) -> Self {
        let through = Rule::Through(Arc::new(proxy));
        Self { plain: through.clone(), encrypted: through, exceptions: Vec::new() }
    }
}

impl fmt::Debug for ProxyConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ProxyConfig").field(&format_args!("{}", self.describe())).finish()
    }
}

impl Proxy {
    fn parse(origin: &'static str, text: &str) -> Result<Self, ProxyError> {
        let text = text.trim();
        let problem = |problem: String| ProxyError { origin, problem };
        let with_scheme = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        let mut url = Url::parse(&with_scheme).map_err(|error| {
            problem(format!("is not a URL ({error}): expected something like http://proxy.example:3128"))
        })?;
        match url.scheme() {
            "http" | "https" => {}
            "socks4" | "socks4a" | "socks5" | "socks5h" => {
                return Err(problem(
                    "is a SOCKS proxy, which is not supported: name an http:// or https:// proxy, or name the hosts \
                     that need none in NO_PROXY"
                        .to_owned(),
                ));
            }
            _ => return Err(problem("does not start with http:// or https://".to_owned())),
        }
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err(problem("has something behind its host and port: leave the path out".to_owned()));
        }
        let authorization = authorization(&url).map_err(|text| problem(text.to_owned()))?;
        let whole = SecretText::from(url.as_str());
        // A URL with a host can always lose its credentials.
        let _ = (url.set_username(""), url.set_password(None));
        Ok(Self { url, authorization, whole })
    }

    /// Returns whether TLS is spoken with the proxy itself.
    pub fn is_tls(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// The host to dial: a name or an address, IPv6 without brackets.
    pub fn host(&self) -> String {
        host_to_dial(&self.url)
    }

    /// The port to dial.
    pub fn port(&self) -> u16 {
        self.url.port_or_known_default().unwrap_or_default()
    }

    /// Returns the proxy under a host name that only the caller's resolver knows, so that the resolver is asked even if
    /// the proxy is an address. `None` for a proxy with TLS, whose certificate would not fit.
    pub fn renamed(&self, host: &str) -> Option<Self> {
        let mut whole = Url::parse(self.whole.expose()).ok()?;
        let mut url = self.url.clone();
        if self.is_tls() || url.set_host(Some(host)).is_err() || whole.set_host(Some(host)).is_err() {
            return None;
        }
        Some(Self { url, whole: SecretText::from(String::from(whole)), ..self.clone() })
    }

    /// Returns whether the proxy is given credentials.
    pub fn has_credentials(&self) -> bool {
        self.authorization.is_some()
    }

    /// Describes the proxy for people: its URL, and whether it is given credentials.
    pub fn describe(&self) -> String {
        let credentials = if self.has_credentials() { ", with credentials" } else { "" };
        format!("{self}{credentials}")
    }

    /// The value of the `Proxy-Authorization` header. It belongs into requests to the proxy only.
    pub(crate) fn authorization(&self) -> Option<&SecretText> {
        self.authorization.as_ref()
    }

    /// The URL with its credentials, for an HTTP client.
    #[cfg(feature = "http-client")]
    pub(crate) fn whole(&self) -> &str {
        self.whole.expose()
    }
}

/// The proxy's URL without credentials, such as `http://proxy.example:3128`.
impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.url.as_str().trim_end_matches('/'))
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Proxy").field(&format_args!("{}", self.describe())).finish()
    }
}

/// The credentials of a URL as the value of a header (RFC 7617).
fn authorization(url: &Url) -> Result<Option<SecretText>, &'static str> {
    const UNUSABLE: &str = "has a user name or password that cannot be sent: percent-encode reserved characters, as \
                            UTF-8 and without control characters";
    if !has_credentials(url) {
        return Ok(None);
    }
    let decoded = |text: &str| match percent_decode_str(text).decode_utf8() {
        Ok(text) if !text.contains(char::is_control) => Ok(text.into_owned()),
        _ => Err(UNUSABLE),
    };
    let name = decoded(url.username())?;
    if name.contains(':') {
        return Err("has a user name with a colon in it, which the protocol has no way to send");
    }
    let pair = SecretText::from([&name, ":", &decoded(url.password().unwrap_or_default())?].concat());
    let value = ["Basic ", &STANDARD.encode(pair.expose())].concat();
    HeaderValue::from_str(&value).map_err(|_| UNUSABLE)?;
    Ok(Some(SecretText::from(value)))
}

impl Exception {
    /// `None` for an entry that cannot match anything.
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text == "*" {
            return Some(Self::All);
        }
        if let Ok(network) = text.parse::<IpNet>() {
            return Some(Self::Network(network));
        }
        if let Ok(address) = text.parse::<IpAddr>() {
            return Some(Self::host(Host::parse(&bracketed(address)).ok()?, None));
        }
        let name = text.strip_prefix("*.").unwrap_or(text).trim_start_matches('.');
        let (name, port) = match name.rsplit_once(':') {
            Some((name, port)) => (name, Some(port.parse().ok()?)),
            None => (name, None),
        };
        Some(Self::host(Host::parse(name.trim_end_matches('.')).ok()?, port))
    }

    fn host(host: Host<String>, port: Option<u16>) -> Self {
        Self::Host { host, port }
    }

    fn covers(&self, url: &Url) -> bool {
        match self {
            Self::All => true,
            Self::Network(network) => address(url.host()).is_some_and(|address| network.contains(&address)),
            Self::Host { host, port } => {
                let is_there = match (host, url.host()) {
                    (Host::Domain(name), Some(Host::Domain(asked))) => {
                        let asked = asked.trim_end_matches('.');
                        let parent = asked.strip_suffix(name.as_str());
                        parent.is_some_and(|parent| parent.is_empty() || parent.ends_with('.'))
                    }
                    (host, asked) => {
                        let address_of = address(Some(host.clone()));
                        address_of.is_some() && address_of == address(asked)
                    }
                };
                is_there && port.is_none_or(|port| url.port_or_known_default() == Some(port))
            }
        }
    }
}

/// The address, where a host is one. IPv6 has a way to write IPv4 addresses.
fn address<S>(host: Option<Host<S>>) -> Option<IpAddr> {
    match host? {
        Host::Domain(_) => None,
        Host::Ipv4(address) => Some(address.into()),
        Host::Ipv6(address) => Some(IpAddr::from(address).to_canonical()),
    }
}

fn bracketed(address: IpAddr) -> String {
    if address.is_ipv6() { format!("[{address}]") } else { address.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(variables: &[(&str, &str)]) -> ProxyConfig {
        ProxyConfig::from_lookup(|wanted| {
            let found = variables.iter().find(|(name, _)| *name == wanted);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    fn through(config: &ProxyConfig, url: &str) -> Option<String> {
        config.for_url(&Url::parse(url).unwrap()).unwrap().map(ToString::to_string)
    }

    #[test]
    fn each_kind_of_connection_has_its_variable_and_one_is_for_the_rest() {
        let both = config(&[("HTTPS_PROXY", "http://secure:1"), ("ALL_PROXY", "http://all:2")]);
        for (url, proxy) in [
            ("https://platos.example/", "http://secure:1"),
            ("wss://platos.example/", "http://secure:1"),
            ("http://backend.example/", "http://all:2"),
            ("ws://backend.example/", "http://all:2"),
        ] {
            assert_eq!(through(&both, url).as_deref(), Some(proxy), "{url}");
        }
        let one = config(&[("HTTPS_PROXY", "proxy.example:3128"), ("https_proxy", "")]);
        assert_eq!(through(&one, "https://h/").as_deref(), Some("http://proxy.example:3128"));
        assert_eq!(through(&one, "http://h/"), None);
        let lower = config(&[("HTTPS_PROXY", "http://upper"), ("https_proxy", "https://lower")]);
        assert_eq!(through(&lower, "wss://h/").as_deref(), Some("https://lower"));
        let cgi = [("HTTP_PROXY", "http://attacker"), ("REQUEST_METHOD", "GET")];
        assert_eq!(through(&config(&cgi), "http://h/"), None);
        assert_eq!(through(&config(&cgi[..1]), "http://h/").as_deref(), Some("http://attacker"));
        assert_eq!(through(&ProxyConfig::direct(), "http://h/"), None);
    }

    #[test]
    fn loopback_never_goes_through_a_proxy() {
        let all = ProxyConfig::new("http://proxy.example").unwrap();
        for url in [
            "ws://127.0.0.1:1/",
            "http://localhost/",
            "https://a.localhost/",
            "http://[::1]:2/",
            "http://127.1/",
        ] {
            assert_eq!(through(&all, url), None, "{url}");
        }
        assert!(through(&all, "http://10.0.0.1/").is_some());
    }

    #[test]
    fn exceptions_are_names_with_those_below_networks_addresses_and_ports() {
        let hosts = "corp.example, .dot.example *.star.example,10.0.0.0/8,192.0.2.7,[2001:db8::1]:8443,fd00::/8,\
                     ported.example:8080,TrailinG.Example.,::ffff:198.51.100.1,bad:port:more,,\n";
        let all = ProxyConfig::new("http://proxy.example").unwrap().no_proxy(hosts);
        for url in [
            "https://corp.example/",
            "https://a.b.corp.example./",
            "https://dot.example/",
            "https://a.dot.example/",
            "https://a.star.example/",
            "http://10.9.8.7:99/",
            "http://192.0.2.7/",
            "http://[::ffff:10.0.0.1]/",
            "https://[2001:db8::1]:8443/",
            "http://[fd12::3]/",
            "http://ported.example:8080/",
            "https://trailing.example/",
            "http://198.51.100.1/",
        ] {
            assert_eq!(through(&all, url), None, "{url}");
        }
        for url in [
            "https://notcorp.example/",
            "https://corp.example.org/",
            "http://11.0.0.1/",
            "http://192.0.2.8/",
            "https://[2001:db8::1]/",
            "http://ported.example/",
            "https://example/",
        ] {
            assert!(through(&all, url).is_some(), "{url}");
        }
        assert_eq!(through(&all.no_proxy("*"), "https://example/"), None);
        let environment =
            config(&[("ALL_PROXY", "http://p"), ("no_proxy", "a.example"), ("NO_PROXY", "b.example")]);
        assert_eq!(through(&environment, "https://a.example/"), None);
        assert!(through(&environment, "https://b.example/").is_some());
    }

    #[test]
    fn credentials_are_decoded_sent_as_basic_and_never_shown() {
        for (url, pair) in [
            ("http://build:s3cret@proxy:3128", "build:s3cret"),
            ("http://b%40d:s3cret%3A%2F%C3%A9@proxy:3128/", "b@d:s3cret:/é"),
            ("https://s3cret@proxy:3128", "s3cret:"),
            ("http://:s3cret@proxy:3128", ":s3cret"),
        ] {
            let config = ProxyConfig::new(url).unwrap();
            let proxy = config.for_url(&Url::parse("https://h/").unwrap()).unwrap().unwrap();
            let value = proxy.authorization().unwrap().expose().strip_prefix("Basic ").unwrap();
            assert_eq!(STANDARD.decode(value).unwrap(), pair.as_bytes());
            for shown in [format!("{proxy} {proxy:?} {config:?}"), config.describe(), proxy.describe()] {
                assert!(!shown.contains("s3cret") && !shown.contains("b%40d"), "{shown}");
                assert!(shown.contains("://proxy:3128"), "{shown}");
            }
        }
    }

    #[test]
    fn a_proxy_that_cannot_be_used_says_so_without_being_quoted_and_only_where_it_is_needed() {
        for (url, said) in [
            ("socks5h://s3cret@h:1080", "HTTPS_PROXY is a SOCKS proxy"),
            ("ftp://s3cret", "does not start with http://"),
            ("http://s3cret:s3cret:s3cret", "is not a URL"),
            ("http://h/s3cret", "leave the path out"),
            ("http://h?s3cret", "leave the path out"),
            ("http://s3cret%3Aa:b@h", "with a colon"),
            ("http://s3cret:%0d%0a@h", "percent-encode"),
            ("http://s3cret:%ff@h", "percent-encode"),
        ] {
            let config = config(&[("HTTPS_PROXY", url)]);
            let error = config.for_url(&Url::parse("wss://h/").unwrap()).unwrap_err();
            assert!(error.to_string().contains(said), "{error}");
            let shown = format!("{error} {error:?} {config:?}");
            assert!(!shown.contains("s3cret"), "{shown}");
            assert_eq!(through(&config, "wss://127.0.0.1/"), None);
            assert_eq!(through(&config, "http://h/"), None);
        }
        assert!(
            ProxyConfig::new("socks5://h").unwrap_err().to_string().starts_with("the proxy's URL is a SOCKS")
        );
    }
}
