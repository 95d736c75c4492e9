//! Who verifies users, what is logged, and the listener for a look inside.

use std::sync::Arc;

use platools::Authenticator;
use platools::caller::{JwtAuthenticator, JwtKeyError};
use platools_net::policy::is_loopback_address;

use super::Planner;
use crate::config::{self, Admin, Entry, listed, nearest};
use crate::fingerprint::{Fingerprint, Fingerprinter};

/// Who verifies users.
#[derive(Clone)]
pub(crate) struct AuthenticatorPlan {
    pub(crate) authenticator: Arc<dyn Authenticator>,
    pub(crate) fingerprint: Fingerprint,
}

impl std::fmt::Debug for AuthenticatorPlan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AuthenticatorPlan")
    }
}

impl Planner<'_> {
    pub(super) fn authenticator(&mut self) -> Option<AuthenticatorPlan> {
        let Entry { at, value: file } = self.sections.authenticator.as_ref()?;
        let keys = [
            (file.secret.is_some(), "secret"),
            (file.public_key_file.is_some(), "public_key_file"),
            (file.jwks_url.is_some(), "jwks_url"),
        ];
        let given: Vec<&str> = keys.iter().filter(|(is_given, _)| *is_given).map(|(_, key)| *key).collect();
        let [key] = given.as_slice() else {
            self.wrong(
                at,
                "write one of `secret`, `public_key_file` and `jwks_url`: where the issuer's keys are",
            );
            return None;
        };
        let key_at = at.key(key);
        let mut fingerprint = Fingerprinter::default().add(file);
        let made: Result<JwtAuthenticator, JwtKeyError> = if let Some(reference) = &file.secret {
            let secret = self.secret(&key_at, reference)?;
            fingerprint = fingerprint.add(&secret.expose());
            JwtAuthenticator::shared_secret(secret.expose().as_bytes())
        } else if let Some(path) = &file.public_key_file {
            let pem = self.read_file(&key_at, path)?;
            fingerprint = fingerprint.add(&pem);
            JwtAuthenticator::public_key_pem(&pem)
        } else {
            let url = file.jwks_url.as_deref().unwrap_or_default();
            fingerprint = fingerprint.add(&self.proxy.fingerprint.as_bytes());
            JwtAuthenticator::jwks_url_through(url, self.proxy.config.clone())
        };
        let mut authenticator = self.noted(&key_at, made.map_err(|error| error.to_string()))?;
        if let Some(issuer) = &file.issuer {
            authenticator = authenticator.issuer(issuer);
        }
        if let Some(audience) = &file.audience {
            authenticator = authenticator.audience(audience);
        }
        if let Some(name) = &file.token_type {
            authenticator = authenticator.token_type(name);
        }
        if let Some(claim) = &file.subject_claim {
            authenticator = authenticator.subject_claim(claim);
        }
        if let Some(claim) = &file.roles_claim {
            authenticator = authenticator.roles_claim(claim);
        }
        if let Some(role) = &file.admin_role {
            authenticator = authenticator.admin_role(role);
        }
        if file.from_entity_token {
            authenticator = authenticator.from_entity_token();
        }
        Some(AuthenticatorPlan { authenticator: Arc::new(authenticator), fingerprint: fingerprint.finish() })
    }

    /// Checks what goes into the log.
    pub(super) fn log_level(&mut self) {
        const LEVELS: [&str; 6] = ["trace", "debug", "info", "warn", "error", "off"];
        let at = config::Path::default().key("log").key("level");
        let Some(level) = &self.sections.log.level else { return };
        // A word alone that is no level would be taken for a module, and nothing would be logged.
        for word in level.split(',').map(str::trim).filter(|word| !word.contains(['=', '[', ':'])) {
            if !LEVELS.contains(&word.to_ascii_lowercase().as_str()) {
                let hint = match nearest(word, &LEVELS) {
                    Some(nearest) => format!("did you mean `{nearest}`?"),
                    None => format!("write one of {}", listed(&LEVELS)),
                };
                self.wrong(&at, format!("`{word}` is no level: {hint}"));
            }
        }
        if let Err(error) = tracing_subscriber::EnvFilter::try_new(level) {
            self.wrong(
                &at,
                format!("this is no filter ({error}): write one such as \"info\" or \"warn,platools=debug\""),
            );
        }
    }

    pub(super) fn admin(&mut self) -> Option<Admin> {
        let Entry { at, value } = self.sections.admin.as_ref()?;
        if !is_loopback_address(value.listen.ip()) && !value.allow_remote {
            let message = "nobody logs in there, and it shows what the sidecar has: listen on 127.0.0.1, or write \
                           `allow_remote = true` where the network is trusted";
            self.wrong(&at.key("listen"), message);
        }
        Some(value.clone())
    }
}
