//! The client of a request: the peer of the connection, or behind a trusted proxy the address that the proxy names.

use std::net::{IpAddr, SocketAddr};

use axum::extract::ConnectInfo;
use axum::http::HeaderMap;
use axum::http::request::Parts;
use ipnet::IpNet;

use super::RouterError;

/// The header in which each proxy adds the address that it was asked from.
const FORWARDED: &str = "x-forwarded-for";

/// The networks whose proxies are trusted.
#[derive(Debug, Clone, Default)]
pub(super) struct Proxies(Vec<IpNet>);

impl Proxies {
    pub(super) fn trust(&mut self, network: &str) -> Result<(), RouterError> {
        let address = |address: IpAddr| IpNet::from(address.to_canonical());
        let parsed = network.parse::<IpAddr>().map(address).or_else(|_| network.parse::<IpNet>());
        self.0.push(parsed.map_err(|_| RouterError::Proxy { network: network.to_owned() })?);
        Ok(())
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }

    /// Returns the client's address: the last one that no trusted proxy has. What stands before it in the header is the
    /// client's own text.
    pub(super) fn client(&self, parts: &Parts) -> Option<IpAddr> {
        let ConnectInfo(peer) = parts.extensions.get::<ConnectInfo<SocketAddr>>()?;
        let mut client = peer.ip().to_canonical();
        for named in forwarded(&parts.headers).rev() {
            if !self.trusts(client) {
                break;
            }
            let Some(named) = named else { break };
            client = named.to_canonical();
        }
        Some(client)
    }
}

/// Returns the addresses in the header, in order; `None` for each that is not one.
fn forwarded(headers: &HeaderMap) -> impl DoubleEndedIterator<Item = Option<IpAddr>> {
    let lines = headers.get_all(FORWARDED).iter().map(|line| line.to_str().unwrap_or_default());
    lines.flat_map(|line| line.split(',')).map(|text| {
        let text = text.trim();
        let bare = text.trim_start_matches('[').trim_end_matches(']');
        bare.parse().ok().or_else(|| text.parse().map(|address: SocketAddr| address.ip()).ok())
    })
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn client(trusted: &[&str], peer: &str, lines: &[&str]) -> String {
        let mut proxies = Proxies::default();
        for network in trusted {
            proxies.trust(network).unwrap();
        }
        let mut request = Request::post("/");
        for line in lines {
            request = request.header(FORWARDED, *line);
        }
        let peer = SocketAddr::new(peer.parse().unwrap(), 1);
        let request = request.extension(ConnectInfo(peer)).body(()).unwrap();
        proxies.client(&request.into_parts().0).unwrap().to_string()
    }

    #[test]
    fn the_last_address_that_no_trusted_proxy_has_is_the_clients() {
        let networks = &["10.0.0.0/8", "2001:db8::1"];
        for (peer, lines, expected) in [
            ("192.0.2.1", &[][..], "192.0.2.1"),
            // Whoever is not trusted names nobody.
            ("192.0.2.1", &["198.51.100.7"], "192.0.2.1"),
            ("10.0.0.1", &["198.51.100.7"], "198.51.100.7"),
            ("::ffff:10.0.0.1", &["::ffff:198.51.100.7"], "198.51.100.7"),
            ("10.0.0.1", &["6.6.6.6, 198.51.100.7"], "198.51.100.7"),
            ("10.0.0.1", &["6.6.6.6", "198.51.100.7, 10.0.0.2"], "198.51.100.7"),
            ("2001:db8::1", &["198.51.100.7:4711 , [2001:db8::1]:1"], "198.51.100.7"),
            ("10.0.0.1", &["[2001:db8::9]"], "2001:db8::9"),
            ("10.0.0.1", &["unknown"], "10.0.0.1"),
            ("10.0.0.1", &["198.51.100.7, unknown, 10.0.0.2"], "10.0.0.2"),
            ("10.0.0.1", &[""], "10.0.0.1"),
        ] {
            assert_eq!(client(networks, peer, lines), expected, "{peer} {lines:?}");
        }
        assert_eq!(client(&[], "10.0.0.1", &["198.51.100.7"]), "10.0.0.1");
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for network in ["", "proxy", "10.0.0.0/33", "10.0.0.0/8/8", "10.0.0", "::/129", "10.0.0.1:80", "*"] {
            let error = Proxies::default().trust(network).unwrap_err().to_string();
            assert!(error.contains("10.0.0.0/8"), "{error}");
        }
    }
}
