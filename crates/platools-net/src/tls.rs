//! The client configuration of TLS: an explicit crypto provider, the system's roots, and certificates of one's own.
//!
//! Must not know what is dialled.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls_platform_verifier::Verifier;

use crate::file;

/// The most of a file with certificates that is read, in bytes.
const MAX_FILE_BYTES: usize = 16 << 20;

/// A TLS configuration that cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TlsError {
    /// The file with certificates cannot be used.
    #[error("{path}: {problem}", path = path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// The problem with the value.
        problem: String,
    },
    /// TLS cannot be set up.
    #[error("TLS cannot be set up: {0}")]
    Setup(String),
}

/// A PEM text without usable certificates. The text of the error continues the name of its origin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PemError {
    /// The text is not PEM.
    #[error("is not PEM: {0}")]
    Malformed(String),
    /// No certificate is in it.
    #[error("holds no certificate (a PEM block `BEGIN CERTIFICATE`)")]
    Empty,
}

/// Returns a configuration that trusts the system's roots and the certificates in `ca_file`, a PEM file.
///
/// # Errors
/// When the file cannot be used, or TLS cannot be set up.
pub fn client_config(ca_file: Option<&Path>) -> Result<ClientConfig, TlsError> {
    let roots = match ca_file {
        None => Vec::new(),
        Some(path) => {
            let problem = |problem: String| TlsError::CaFile { path: path.to_owned(), problem };
            let pem = file::read(path, MAX_FILE_BYTES)
                .map_err(|error| problem(format!("cannot be read: {error}")))?;
            certificates(&pem).map_err(|error| problem(error.to_string()))?
        }
    };
    client_config_with(roots)
}

/// Returns a configuration that trusts the system's roots and `roots`.
///
/// # Errors
/// When TLS cannot be set up.
pub fn client_config_with(roots: Vec<CertificateDer<'static>>) -> Result<ClientConfig, TlsError> {
    let setup = |error: rustls::Error| TlsError::Setup(error.to_string());
    // Named here: rustls panics on the first connection when a program links two providers and none was chosen.
    let provider = Arc::new(ring::default_provider());
    let verifier = Verifier::new_with_extra_roots(roots, Arc::clone(&provider)).map_err(setup)?;
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(setup)?
        .dangerous() // What rustls calls every verifier that is given to it; this one verifies.
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth())
}

/// Returns the certificates in a PEM text, at least one.
///
/// # Errors
/// When the text is not PEM, or contains no certificate.
pub fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, PemError> {
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|error| PemError::Malformed(error.to_string()))?;
    if certificates.is_empty() { Err(PemError::Empty) } else { Ok(certificates) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ca_file_that_cannot_be_used_is_named_with_its_problem() {
        let path = std::env::temp_dir().join(format!("platools-net-ca-{}.pem", std::process::id()));
        let error = client_config(Some(&path)).unwrap_err().to_string();
        assert!(error.contains("cannot be read") && error.contains("platools-net-ca-"), "{error}");
        for (pem, problem) in [
            ("hello", "holds no certificate (a PEM block `BEGIN CERTIFICATE`)"),
            ("-----BEGIN CERTIFICATE-----\nAAAA", "is not PEM: "),
        ] {
            std::fs::write(&path, pem).unwrap();
            let error = client_config(Some(&path)).unwrap_err().to_string();
            assert!(error.contains(problem) && error.contains("platools-net-ca-"), "{error}");
        }
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn certificates_are_read_from_pem() {
        let one = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let pem = format!("# a comment\n{}\n{}", one.cert.pem(), one.cert.pem());
        let found = certificates(pem.as_bytes()).unwrap();
        assert_eq!(found.len(), 2);
        client_config_with(found).unwrap();
        client_config(None).unwrap();
    }
}
