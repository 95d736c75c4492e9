//! Connections to backends: TLS with an explicit provider, no proxy of the environment, no redirects by itself.

use std::time::Duration;

use platools_net::client;
use platools_net::tls::{certificates, client_config_with};
use rustls::ClientConfig;

use super::egress::Resolver;
use crate::config::Egress;

/// How long dialling may take, unless said otherwise.
const CONNECT: Duration = Duration::from_secs(5);

/// What connections depend on; those that agree in it share them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClientOptions {
    pub(crate) egress: Egress,
    /// Trusted beside the system's, in PEM; by their text, so that other certificates are another client.
    pub(crate) certificates: Option<String>,
    pub(crate) connect_timeout: Option<Duration>,
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
        let builder = client::client_builder(tls(self.certificates.as_deref())?)
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
