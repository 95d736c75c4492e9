//! Connections to backends: TLS with an explicit provider, no proxy of the environment, no redirects by itself.

use std::path::Path;
use std::time::Duration;

use reqwest::redirect;
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
    /// Certificates that are trusted beside the system's.
    pub(crate) roots: Vec<CertificateDer<'static>>,
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
        let tls = client_config(self.roots.clone());
        reqwest::Client::builder()
            .tls_backend_preconfigured(tls.map_err(|error| format!("TLS cannot be set up: {error}"))?)
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

/// The certificates in a PEM file, at least one.
///
/// # Errors
/// Why there is none.
pub(crate) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let shown = path.display();
    let text = std::fs::read(path).map_err(|error| format!("the file `{shown}` cannot be read: {error}"))?;
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<_, _>>()
        .map_err(|error| format!("the file `{shown}` is not PEM: {error}"))?;
    if certificates.is_empty() {
        return Err(format!("the file `{shown}` holds no certificate (a PEM block `BEGIN CERTIFICATE`)"));
    }
    Ok(certificates)
}
