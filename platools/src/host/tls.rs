//! TLS with an explicit crypto provider, the system's roots, and a certificate authority of one's own.

use std::path::Path;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls_platform_verifier::Verifier;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::ConfigError;

/// Opens TLS connections.
#[derive(Clone)]
pub(super) struct TlsConnector(tokio_rustls::TlsConnector);

impl std::fmt::Debug for TlsConnector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TlsConnector")
    }
}

impl TlsConnector {
    /// A connector that trusts the system's roots and the certificates in `ca_file`.
    ///
    /// The provider is named here: rustls panics on the first connection when a program links two of them
    /// and nobody chose.
    pub(super) fn new(ca_file: Option<&Path>) -> Result<Self, ConfigError> {
        let provider = Arc::new(ring::default_provider());
        let tls = |error: rustls::Error| ConfigError::Tls(error.to_string());
        let roots = ca_file.map(certificates).transpose()?.unwrap_or_default();
        let verifier = Verifier::new_with_extra_roots(roots, Arc::clone(&provider)).map_err(tls)?;
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(tls)?
            .dangerous() // The name of the door; the verifier behind it is rustls' own.
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        Ok(Self(Arc::new(config).into()))
    }

    /// The TLS handshake with `host`.
    pub(super) async fn connect(
        &self,
        host: &str,
        stream: TcpStream,
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from(host.to_owned()).map_err(std::io::Error::other)?;
        self.0.connect(name, stream).await
    }
}

/// The certificates in a PEM file, at least one.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
    let problem = |problem: String| ConfigError::CaFile { path: path.to_owned(), problem };
    let text = std::fs::read(path).map_err(|error| problem(format!("cannot be read: {error}")))?;
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<_, _>>()
        .map_err(|error| problem(format!("is not PEM: {error}")))?;
    if certificates.is_empty() {
        return Err(problem("holds no certificate (a PEM block `BEGIN CERTIFICATE`)".to_owned()));
    }
    Ok(certificates)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_certificates_is_named() {
        let path = std::env::temp_dir().join(format!("platools-ca-{}.pem", std::process::id()));
        let error = TlsConnector::new(Some(&path)).unwrap_err().to_string();
        assert!(error.contains("cannot be read") && error.contains("platools-ca-"), "{error}");
        std::fs::write(&path, "hello").unwrap();
        let error = TlsConnector::new(Some(&path)).unwrap_err().to_string();
        std::fs::remove_file(&path).unwrap();
        assert!(error.contains("holds no certificate"), "{error}");
    }
}
