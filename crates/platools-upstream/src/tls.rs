//! TLS towards others: an explicit crypto provider, the system's roots, and certificates of one's own. It must not
//! know what is reached.

use std::sync::Arc;

use rustls::ClientConfig;
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls_platform_verifier::Verifier;

/// A configuration that trusts the system's roots and `roots`.
///
/// The provider is named here: rustls panics on the first connection when a program links two of them and nobody
/// chose.
pub(crate) fn client_config(roots: Vec<CertificateDer<'static>>) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(ring::default_provider());
    let verifier = Verifier::new_with_extra_roots(roots, Arc::clone(&provider))?;
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous() // The name of the door; the verifier behind it is rustls' own.
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth())
}
