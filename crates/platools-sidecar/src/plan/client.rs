//! Connections to servers of the file: the rules of `[egress]`, the proxy, and whose certificates are trusted.

use std::path::Path as FilePath;
use std::time::Duration;

use platools_net::policy::host_to_dial;
use url::Url;

use super::Planner;
use crate::config::Path;
use crate::fingerprint::{Fingerprint, Fingerprinter};
use crate::http::client::{ClientOptions, Through};

/// Clients that were made, so that what agrees shares its connections, also across reloads.
#[derive(Debug, Clone, Default)]
pub(crate) struct Clients(Vec<Known>);

/// A client that was made.
#[derive(Debug, Clone)]
struct Known {
    options: ClientOptions,
    client: reqwest::Client,
    /// Whether the latest plan uses it.
    is_used: bool,
}

impl Clients {
    /// One with these options.
    fn get(&mut self, options: ClientOptions) -> Result<reqwest::Client, String> {
        if let Some(known) = self.0.iter_mut().find(|known| known.options == options) {
            known.is_used = true;
            return Ok(known.client.clone());
        }
        let client = options.build()?;
        self.0.push(Known { options, client: client.clone(), is_used: true });
        Ok(client)
    }

    /// Begins another plan.
    pub(super) fn begin(&mut self) {
        self.0.iter_mut().for_each(|known| known.is_used = false);
    }

    /// Forgets those that the plan did not use, once it is whole.
    pub(super) fn end(&mut self) {
        self.0.retain(|known| known.is_used);
    }
}

/// A client, and what tells whether it is another one.
pub(super) struct PlannedClient {
    pub(super) client: reqwest::Client,
    /// The proxy through which the server is asked, if there is one.
    pub(super) proxy: Option<platools_net::Proxy>,
    pub(super) made_of: Fingerprint,
}

impl Planner<'_> {
    /// The client for the server of a section, which may have a `ca_file`.
    pub(super) fn client(
        &mut self,
        at: &Path,
        server: &Url,
        ca_file: Option<&FilePath>,
        connect_timeout: Option<Duration>,
    ) -> Option<PlannedClient> {
        let proxy = self.proxy.config.for_url(server).map(Option::<&_>::cloned);
        let proxy = self.noted(at, proxy.map_err(|error| error.to_string()))?;
        let at = at.key("ca_file");
        let certificates = match ca_file {
            None => None,
            Some(path) => Some(self.read_file(&at, path)?),
        };
        let made_of = Fingerprinter::default()
            .add(&self.sections.egress)
            .add(&certificates)
            .add(&self.proxy.fingerprint.as_bytes())
            .finish();
        let through = proxy.clone().map(|proxy| Through { host: host_to_dial(server), proxy });
        let options =
            ClientOptions { egress: self.sections.egress.clone(), certificates, connect_timeout, through };
        let client = self.clients.get(options);
        Some(PlannedClient { client: self.noted(&at, client)?, proxy, made_of })
    }
}
