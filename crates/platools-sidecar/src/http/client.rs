//! Connections to backends: TLS with an explicit provider, through a proxy where there is one, no redirects by itself.

use std::net::IpAddr;
use std::time::Duration;

use platools_net::client;
use platools_net::tls::{certificates, client_config_with};
use platools_net::{Proxy, ProxyConfig};
use rustls::ClientConfig;

use super::egress::Resolver;
use crate::config::Egress;

/// How long dialling may take, unless said otherwise.
const CONNECT: Duration = Duration::from_secs(5);

/// The host name under which the HTTP client asks for a proxy: the resolver is asked for names only, and it judges.
const PROXY: &str = "proxy.invalid";

/// What connections depend on; those that agree in it share them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClientOptions {
    pub(crate) egress: Egress,
    /// Trusted beside the system's, in PEM; by their text, so that other certificates are another client.
    pub(crate) certificates: Option<String>,
    pub(crate) connect_timeout: Option<Duration>,
    /// The proxy, if the server is asked through one. The client is for that server alone then.
    pub(crate) through: Option<Through>,
}

/// A server, and the proxy through which it is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Through {
    /// The host as a resolver takes it.
    pub(crate) host: String,
    pub(crate) proxy: Proxy,
}

impl ClientOptions {
    /// A client; nothing is dialled yet.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub(crate) fn build(&self) -> Result<reqwest::Client, String> {
        self.build_with(Resolver::new(self.egress.clone()))
    }

    /// A client that has names resolved by `resolver`.
    pub(crate) fn build_with(&self, resolver: Resolver) -> Result<reqwest::Client, String> {
        let (proxy, resolver) = match &self.through {
            None => (ProxyConfig::direct(), resolver),
            Some(Through { host, proxy }) => {
                let resolver = resolver.through(host.clone(), proxy.host());
                let named = match proxy.renamed(PROXY) {
                    Some(named) => named,
                    None if proxy.host().parse::<IpAddr>().is_err() => proxy.clone(),
                    None => {
                        return Err("an https:// proxy needs a name instead of an address".to_owned());
                    }
                };
                (named.into(), resolver)
            }
        };
        let builder = client::client_builder(tls(self.certificates.as_deref())?, &proxy)
            .dns_resolver(resolver)
            .connect_timeout(self.connect_timeout.unwrap_or(CONNECT));
        client::build(builder).map_err(|error| error.to_string())
    }
}

fn tls(pem: Option<&str>) -> Result<ClientConfig, String> {
    let roots = match pem {
        None => Vec::new(),
        Some(pem) => certificates(pem.as_bytes()).map_err(|error| format!("the file {error}"))?,
    };
    client_config_with(roots).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use platools_net::innermost_reason;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    /// A client that asks `api.example` through the proxy at an address, and that name has this address.
    fn client(proxy: &str, egress: Egress, found: SocketAddr) -> Result<reqwest::Client, String> {
        let config = ProxyConfig::new(proxy).unwrap();
        let target = "http://api.example/".parse().unwrap();
        let proxy = config.for_url(&target).unwrap().unwrap().clone();
        let host = "api.example".to_owned();
        let resolver = Resolver::with_lookup(egress.clone(), move |name| {
            let own = name.parse::<IpAddr>().map(|address| SocketAddr::new(address, 0));
            Box::pin(async move { Ok(vec![own.unwrap_or(found)]) })
        });
        let through = Some(Through { host, proxy });
        ClientOptions { egress, certificates: None, connect_timeout: None, through }.build_with(resolver)
    }

    /// The proxy is an address, and its connections are judged all the same.
    #[tokio::test]
    async fn a_proxy_is_asked_only_for_what_may_be_reached() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = format!("http://{}", listener.local_addr().unwrap());
        let asked = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
            String::from_utf8(head).unwrap()
        });
        let metadata = client(&proxy, Egress::default(), "169.254.169.254:0".parse().unwrap()).unwrap();
        let error = metadata.get("http://api.example/x").send().await.unwrap_err();
        let reason = innermost_reason(&error);
        assert!(reason.contains("169.254.169.254 is a link-local or metadata address"), "{reason}");

        // A private address of the proxy is no reason to refuse it.
        let egress = Egress { deny_private: true, ..Egress::default() };
        let public = client(&proxy, egress, "93.184.216.34:0".parse().unwrap()).unwrap();
        let answer = public.get("http://api.example/allowed").send().await.unwrap();
        assert_eq!(answer.status(), 200);
        // Nothing was asked for before.
        assert!(asked.await.unwrap().starts_with("GET http://api.example/allowed HTTP/1.1\r\n"));

        let encrypted = client("https://127.0.0.1:1", Egress::default(), "93.184.216.34:0".parse().unwrap());
        assert!(encrypted.unwrap_err().contains("needs a name instead of an address"));
    }
}
