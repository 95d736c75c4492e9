//! Connections to backends: TLS with an explicit provider, no proxy of the environment, no redirects by itself.

use std::time::Duration;

use reqwest::redirect;
use rustls::ClientConfig;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::egress::Resolver;
use crate::config::Egress;
use crate::tls::client_config;

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
        reqwest::Client::builder()
            .tls_backend_preconfigured(tls(self.certificates.as_deref())?)
            .dns_resolver(resolver)
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .user_agent(concat!("platools-sidecar/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(self.connect_timeout.unwrap_or(CONNECT))
            .build()
            .map_err(|error| format!("no HTTP client can be made: {error}"))
    }
}

fn tls(pem: Option<&str>) -> Result<ClientConfig, String> {
    let roots = pem.map(certificates).transpose()?.unwrap_or_default();
    client_config(roots).map_err(|error| format!("TLS cannot be set up: {error}"))
}

/// The certificates of a PEM file, at least one.
fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|error| format!("the file is not PEM: {error}"))?;
    if certificates.is_empty() {
        return Err("the file holds no certificate (a PEM block `BEGIN CERTIFICATE`)".to_owned());
    }
    Ok(certificates)
}
