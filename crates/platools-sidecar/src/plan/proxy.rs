//! `[proxy]`: from the file, or from the environment, to the proxies of all connections.

use platools_net::ProxyConfig;

use super::{Planner, Purpose};
use crate::config::{Entry, SecretRef};
use crate::fingerprint::{Fingerprint, Fingerprinter};

/// The value of `url` for no proxy.
const NONE: &str = "none";

/// The proxies, and what tells whether they are others.
pub(super) struct ProxyPlan {
    pub(super) config: ProxyConfig,
    pub(super) fingerprint: Fingerprint,
}

impl ProxyPlan {
    /// The environment's, which stays as it is while the process runs.
    pub(super) fn of_environment() -> Self {
        Self { config: ProxyConfig::from_env(), fingerprint: Fingerprinter::default().finish() }
    }
}

impl Planner<'_> {
    /// The proxies that the file names. Where they are wrong, no other section is blamed for it.
    pub(super) fn file_proxy(&mut self) -> Option<ProxyPlan> {
        let Entry { at, value: file } = self.sections.proxy.as_ref()?;
        let at = at.key("url");
        let fingerprint = Fingerprinter::default().add(file);
        let none = ProxyPlan { config: ProxyConfig::direct(), fingerprint: fingerprint.clone().finish() };
        if file.url == NONE {
            return Some(none);
        }
        let is_reference = SecretRef::is_reference(&file.url);
        let url = if is_reference {
            let reference = self.noted(&at, file.url.parse::<SecretRef>());
            let Some(url) = reference.and_then(|reference| self.secret(&at, &reference)) else {
                return Some(none);
            };
            url
        } else {
            file.url.as_str().into()
        };
        // A text that stands for a secret is no URL.
        if is_reference && self.purpose == Purpose::CheckWithoutSecrets {
            return Some(none);
        }
        let config = ProxyConfig::new(url.expose()).map_err(|error| error.to_string());
        let Some(config) = self.noted(&at, config) else { return Some(none) };
        if !is_reference && config.describe().ends_with("credentials") {
            self.odd(
                &at,
                "the password itself stands in the file: write \"env:NAME\" or \"file:PATH\" instead",
            );
        }
        Some(ProxyPlan {
            config: config.no_proxy(&file.no_proxy.join(",")),
            fingerprint: fingerprint.add(&url.expose()).finish(),
        })
    }
}
