//! Connections to servers of the file: the rules of `[egress]`, and whose certificates are trusted.

use std::path::Path as FilePath;
use std::time::Duration;

use rustls::pki_types::CertificateDer;

use super::Planner;
use super::fingerprint::{Fingerprint, Fingerprinter};
use crate::config::Path;
use crate::http::client::{ClientOptions, certificates};

/// Clients that were made, so that what agrees shares its connections, also across reloads.
#[derive(Debug, Default)]
pub(crate) struct Clients(Vec<(ClientOptions, reqwest::Client)>);

impl Clients {
    /// One with these options.
    fn get(&mut self, options: ClientOptions) -> Result<reqwest::Client, String> {
        if let Some((_, client)) = self.0.iter().find(|(known, _)| *known == options) {
            return Ok(client.clone());
        }
        let client = options.build()?;
        self.0.push((options, client.clone()));
        Ok(client)
    }
}

/// A client, and what tells whether it is another one.
pub(super) struct PlannedClient {
    pub(super) client: reqwest::Client,
    pub(super) made_of: Fingerprint,
}

impl Planner<'_> {
    /// The client for a section, which may have a `ca_file`.
    pub(super) fn client(
        &mut self,
        at: &Path,
        ca_file: Option<&FilePath>,
        connect_timeout: Option<Duration>,
    ) -> Option<PlannedClient> {
        let roots = match ca_file {
            None => Vec::new(),
            Some(path) => {
                let path = self.file(path);
                self.noted(&at.key("ca_file"), certificates(&path))?
            }
        };
        let bytes: Vec<&[u8]> = roots.iter().map(CertificateDer::as_ref).collect();
        let made_of = Fingerprinter::default().add(&self.sections.egress).add(&bytes).finish();
        let options = ClientOptions { egress: self.sections.egress.clone(), roots, connect_timeout };
        let client = self.clients.get(options);
        Some(PlannedClient { client: self.noted(&at.key("ca_file"), client)?, made_of })
    }
}
