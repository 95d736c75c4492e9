//! The TLS handshake with the platform.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::ConfigError;
use crate::tls::{self, TlsError};

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
    pub(super) fn new(ca_file: Option<&Path>) -> Result<Self, ConfigError> {
        let config = tls::client_config(ca_file).map_err(|error| match error {
            TlsError::CaFile { path, problem } => ConfigError::CaFile { path, problem },
            TlsError::Setup(problem) => ConfigError::Tls(problem),
        })?;
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
