//! `wss://` on the platform's side.

use std::sync::Arc;

use platools_net::tls::certificates;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use tokio_rustls::TlsAcceptor;

use crate::error::DevError;
use crate::options::TlsPem;

/// An acceptor with this certificate chain and key.
pub(crate) fn acceptor(pem: &TlsPem) -> Result<TlsAcceptor, DevError> {
    let problem = |problem: String| DevError::Tls { problem };
    let certificates = certificates(pem.certificates.as_bytes())
        .map_err(|error| problem(format!("the certificate's text {error}")))?;
    let key = PrivateKeyDer::from_pem_slice(pem.key.as_bytes())
        .map_err(|error| problem(format!("the key is not PEM: {error}")))?;
    // Without an explicit provider rustls panics where a program has two, or none.
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(certificates, key))
        .map_err(|error| problem(error.to_string()))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}
