//! TLS towards the platform: an explicit crypto provider, the system's roots, and certificates of one's own.

use std::path::Path;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls_platform_verifier::Verifier;

use crate::error::ConfigError;

/// A configuration that trusts the system's roots and the certificates in `ca_file`.
///
/// The provider is named here: rustls panics on the first connection when a program links two of them and
/// nobody chose.
pub(crate) fn client_config(ca_file: Option<&Path>) -> Result<ClientConfig, ConfigError> {
    let provider = Arc::new(ring::default_provider());
    let setup = |error: rustls::Error| ConfigError::Tls(error.to_string());
    let roots = ca_file.map(certificates).transpose()?.unwrap_or_default();
    let verifier = Verifier::new_with_extra_roots(roots, Arc::clone(&provider)).map_err(setup)?;
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(setup)?
        .dangerous() // The name of the door; the verifier behind it is rustls' own.
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth())
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
