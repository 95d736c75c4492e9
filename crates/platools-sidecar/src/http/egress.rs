//! Which addresses may be reached.
//!
//! Host names are those that the file names; what they resolve to is not the file's to say. So the addresses are
//! judged where the connection is made, each time: a name that turns into the address of a metadata service between
//! two calls is refused like one that always was.
//!
//! A proxy resolves names itself and reaches what it wants. So before it is asked for a connection, the name is
//! resolved here too, and all of its addresses have to be allowed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;

use platools_net::address::{is_public_address, reached_address, reached_addresses};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

use crate::config::Egress;

/// Metadata services outside the link-local range: Alibaba's, Oracle's, Azure's.
const METADATA_V4: [Ipv4Addr; 3] =
    [Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(192, 0, 0, 192), Ipv4Addr::new(168, 63, 129, 16)];

/// Google's, over IPv6.
const METADATA_V6: Ipv6Addr = Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254);

type BoxError = Box<dyn std::error::Error + Send + Sync>;

type Lookup =
    dyn Fn(String) -> Pin<Box<dyn Future<Output = std::io::Result<Vec<SocketAddr>>> + Send>> + Send + Sync;

/// Why an address is not reached.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    #[error("{0} is a link-local or metadata address: name it in `allow` of `[egress]` if it is meant")]
    Special(IpAddr),
    #[error("{0} is a private or reserved address, and `deny_private` of `[egress]` refuses those")]
    Private(IpAddr),
    #[error(
        "the name `{0}` has no address here, so `[egress]` cannot judge it before the proxy is asked: write \
         `leave_to_proxy = true` under `[egress]` if the proxy decides what may be reached"
    )]
    Unknown(String),
}

/// Judges an address.
pub(crate) fn check(rules: &Egress, address: IpAddr) -> Result<(), Refused> {
    let reached = reached_address(address);
    if rules.allow.iter().any(|allowed| reached_address(*allowed) == reached) {
        return Ok(());
    }
    if let Some(special) = reached_addresses(address).find(|address| is_special(*address)) {
        Err(Refused::Special(special))
    } else if rules.deny_private && !is_public_address(address) {
        Err(Refused::Private(reached))
    } else {
        Ok(())
    }
}

/// Judges the host of a URL where it is an address: those are not resolved.
pub(crate) fn check_url(rules: &Egress, url: &Url) -> Result<(), Refused> {
    match url.host() {
        Some(Host::Ipv4(address)) => check(rules, address.into()),
        Some(Host::Ipv6(address)) => check(rules, address.into()),
        Some(Host::Domain(_)) | None => Ok(()),
    }
}

fn is_special(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            v4.is_link_local()
                || v4.is_broadcast()
                || v4.is_multicast()
                || v4.octets()[0] == 0
                || METADATA_V4.contains(&v4)
        }
        IpAddr::V6(v6) => {
            // Amazon's are a network: metadata, credentials of pods, time, names.
            let is_amazons = matches!(v6.segments(), [0xfd00, 0xec2, ..]);
            v6.is_unicast_link_local()
                || v6.is_multicast()
                || v6.is_unspecified()
                || is_amazons
                || v6 == METADATA_V6
        }
    }
}

/// Resolves names for the HTTP client, and lets through only addresses that may be reached.
#[derive(Clone)]
pub(crate) struct Resolver {
    rules: Arc<Egress>,
    lookup: Arc<Lookup>,
    through: Option<Arc<Through>>,
}

/// A server that is asked through a proxy.
#[derive(Debug)]
struct Through {
    /// The host of the server: a name, or an address, which was judged when the file was read.
    host: String,
    /// The host of the proxy.
    proxy: String,
}

impl Resolver {
    /// The system's resolver, judged.
    pub(crate) fn new(rules: Egress) -> Self {
        Self::with_lookup(rules, |name| {
            Box::pin(async move { Ok(tokio::net::lookup_host((name, 0)).await?.collect()) })
        })
    }

    /// Another resolver, judged.
    pub(crate) fn with_lookup(
        rules: Egress,
        lookup: impl Fn(String) -> Pin<Box<dyn Future<Output = std::io::Result<Vec<SocketAddr>>> + Send>>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        Self { rules: Arc::new(rules), lookup: Arc::new(lookup), through: None }
    }

    /// The same for a client that asks the server `host` through a proxy, and nothing else.
    pub(crate) fn through(self, host: String, proxy: String) -> Self {
        Self { through: Some(Arc::new(Through { host, proxy })), ..self }
    }

    /// The addresses of a name that may be reached.
    async fn allowed(&self, name: String) -> Result<Vec<SocketAddr>, BoxError> {
        let mut refused = None;
        let mut allowed = Vec::new();
        for address in (self.lookup)(name).await? {
            match check(&self.rules, address.ip()) {
                Ok(()) => allowed.push(address),
                Err(why) => refused = Some(why),
            }
        }
        match refused {
            // One bad address among good ones is left out; nothing but bad ones is an answer of its own.
            Some(why) if allowed.is_empty() => Err(why.into()),
            _ => Ok(allowed),
        }
    }

    /// The addresses of the proxy, once the server behind it may be asked.
    async fn of_proxy(&self, through: &Through) -> Result<Vec<SocketAddr>, BoxError> {
        if !self.rules.leave_to_proxy {
            let found = (self.lookup)(through.host.clone()).await.unwrap_or_default();
            if found.is_empty() {
                return Err(Refused::Unknown(through.host.clone()).into());
            }
            // Which of them the proxy takes is not known.
            found.iter().try_for_each(|address| check(&self.rules, address.ip()))?;
        }
        // Whoever names the proxy means its address, private or not.
        Ok((self.lookup)(through.proxy.clone()).await?)
    }
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let this = self.clone();
        Box::pin(async move {
            let found = match &this.through {
                Some(through) => this.of_proxy(through).await?,
                None => this.allowed(name.as_str().to_owned()).await?,
            };
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn verdict(rules: &Egress, address: &str) -> bool {
        check(rules, address.parse().unwrap()).is_ok()
    }

    #[test]
    fn metadata_and_link_local_addresses_are_refused_however_they_are_written() {
        let rules = Egress::default();
        for address in [
            "169.254.169.254",
            "169.254.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "2002:a9fe:a9fe::1",
            "fe80::1",
            "fd00:ec2::254",
            "fd00:ec2::23",
            "fd20:ce::254",
            "::169.254.169.254",
            "::ffff:0:169.254.169.254",
            "64:ff9b:1::169.254.169.254",
            "64:ff9b:1:a9fe:a9:fe00::",
            "2001:0:a9fe:a9fe::1",
            "2001:0:101:101::5601:5601",
            "fd12::5efe:169.254.169.254",
            "2606:4700::200:5efe:169.254.169.254",
            "100.100.100.200",
            "168.63.129.16",
            "0.0.0.0",
            "0.1.2.3",
            "::",
            "255.255.255.255",
            "224.0.0.1",
            "ff02::1",
        ] {
            assert!(!verdict(&rules, address), "{address}");
        }
        for address in
            ["127.0.0.1", "::1", "10.1.2.3", "192.168.0.1", "93.184.216.34", "2606:4700::1111", "fd12::1"]
        {
            assert!(verdict(&rules, address), "{address}");
        }
    }

    #[test]
    fn what_is_named_is_reached_and_private_addresses_only_where_they_are_not_denied() {
        let rules = Egress {
            allow: vec!["169.254.169.254".parse().unwrap()],
            deny_private: true,
            ..Egress::default()
        };
        assert!(verdict(&rules, "169.254.169.254") && verdict(&rules, "::ffff:169.254.169.254"));
        for address in [
            "127.0.0.1",
            "::1",
            "10.1.2.3",
            "100.64.0.1",
            "192.0.0.8",
            "198.18.0.1",
            "240.0.0.1",
            "fd12::1",
            "::ffff:0:10.0.0.1",
            "64:ff9b::10.0.0.1",
            "2002:a00:1::1",
            "2001:0:a00:1::1",
            "2606:4700::5efe:10.0.0.1",
            "169.254.169.253",
        ] {
            assert!(!verdict(&rules, address), "{address}");
        }
        assert!(verdict(&rules, "93.184.216.34") && verdict(&rules, "2606:4700::1111"));
    }

    #[test]
    fn addresses_in_urls_are_judged_in_every_spelling() {
        for url in
            ["http://169.254.169.254/", "http://2852039166/", "http://0xa9fea9fe/", "http://[fe80::1]/"]
        {
            assert!(check_url(&Egress::default(), &Url::parse(url).unwrap()).is_err(), "{url}");
        }
        check_url(&Egress::default(), &Url::parse("http://localhost:8080/").unwrap()).unwrap();
    }

    #[tokio::test]
    async fn a_name_that_turns_into_a_forbidden_address_is_refused_from_then_on() {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let resolver = Resolver::with_lookup(Egress::default(), move |_| {
            let addresses = match count.fetch_add(1, Ordering::Relaxed) {
                0 => vec!["93.184.216.34:0"],
                1 => vec!["169.254.169.254:0", "93.184.216.34:0"],
                _ => vec!["169.254.169.254:0"],
            };
            Box::pin(async move { Ok(addresses.iter().map(|address| address.parse().unwrap()).collect()) })
        });
        let resolve = async || {
            let found = resolver.resolve("api.example".parse().unwrap()).await;
            found.map(|found| found.map(|address| address.ip().to_string()).collect::<Vec<_>>())
        };
        assert_eq!(resolve().await.unwrap(), ["93.184.216.34"]);
        assert_eq!(resolve().await.unwrap(), ["93.184.216.34"], "the bad one of two is left out");
        let error = resolve().await.unwrap_err().to_string();
        assert!(error.contains("169.254.169.254 is a link-local"), "{error}");
    }

    /// Asks for the address of a proxy in front of `api.example`, whose addresses are these.
    async fn through_proxy(rules: Egress, addresses: &'static [&'static str]) -> Result<Vec<String>, String> {
        let resolver = Resolver::with_lookup(rules, move |name| {
            let found = match name.as_str() {
                "api.example" if addresses.is_empty() => Err(std::io::Error::other("no such name")),
                "api.example" => Ok(addresses.iter().map(|address| address.parse().unwrap()).collect()),
                "proxy.example" => Ok(vec!["10.0.0.1:0".parse().unwrap()]),
                other => panic!("{other} is asked for"),
            };
            Box::pin(async move { found })
        });
        let resolver = resolver.through("api.example".to_owned(), "proxy.example".to_owned());
        let found = resolver.resolve("whatever.invalid".parse().unwrap()).await;
        found
            .map(|found| found.map(|address| address.ip().to_string()).collect())
            .map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn what_a_proxy_would_reach_is_judged_before_it_is_asked() {
        let strict = || Egress { deny_private: true, ..Egress::default() };
        assert_eq!(through_proxy(strict(), &["93.184.216.34:0"]).await.unwrap(), ["10.0.0.1"]);
        for (addresses, said) in [
            (&["169.254.169.254:0"][..], "169.254.169.254 is a link-local"),
            (&["93.184.216.34:0", "10.0.0.9:0"], "10.0.0.9 is a private or reserved address"),
            (&[], "`leave_to_proxy = true` under `[egress]`"),
        ] {
            let error = through_proxy(strict(), addresses).await.unwrap_err();
            assert!(error.contains(said), "{error}");
            let left = Egress { leave_to_proxy: true, ..strict() };
            assert_eq!(through_proxy(left, addresses).await.unwrap(), ["10.0.0.1"]);
        }
    }
}
