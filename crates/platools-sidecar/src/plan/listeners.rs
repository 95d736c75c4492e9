//! Who verifies users, and what listens: the session tokens' endpoint, the admin's.

use std::sync::Arc;

use platools::Authenticator;
use platools::caller::{JwtAuthenticator, JwtKeyError};
use platools::session_token::{LocalMint, RemoteMint, SessionScope, SessionTokens};
use platools_net::SecretText;
use platools_net::policy::is_loopback_address;
use url::Url;

use super::client::PlannedClient;
use super::fingerprint::{Fingerprint, Fingerprinter};
use super::{EntityPlan, Planner, address, unknown};
use crate::config::{self, Admin, Entry, listed, nearest};

/// The fewest characters of a secret that servers share.
const MIN_SHARED: usize = 16;

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

/// The endpoint from which frontends get tokens.
#[derive(Debug)]
pub(crate) struct SessionTokensPlan {
    pub(crate) listen: std::net::SocketAddr,
    pub(crate) tokens: SessionTokens,
    pub(crate) login: Login,
    pub(crate) path: Option<String>,
    pub(crate) allow_origins: Vec<String>,
    /// The same for an endpoint that is the same.
    pub(crate) fingerprint: Fingerprint,
}

/// Who says for whom a token is minted.
#[derive(Clone)]
pub(crate) enum Login {
    /// The backend, asked with the request's own credentials.
    Backend { url: Url, client: reqwest::Client },
    /// A server that knows this secret.
    Shared(SecretText),
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Backend { .. } => "Backend",
            Self::Shared(_) => "Shared([redacted])",
        })
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

    pub(super) fn session_tokens(&mut self, entities: &[EntityPlan]) -> Option<SessionTokensPlan> {
        let Entry { at, value: file } = self.sections.session_tokens.as_ref()?;
        let entity = self.entity_of(at, file, entities)?;
        // The service secret as it is now is part of it: tokens under another one are of no use any more.
        let secret = entity.secret.load().ok();
        let fingerprint = Fingerprinter::default()
            .add(file)
            .add(&entity.fingerprint.as_bytes())
            .add(&self.sections.egress)
            .add(&self.proxy.fingerprint.as_bytes())
            .add(&secret.as_ref().map(platools::verify::Secret::expose));
        let bearer = file.mint_bearer.as_ref().and_then(|bearer| bearer.within(self.folder).load().ok());
        let fingerprint = fingerprint.add(&bearer.as_ref().map(SecretText::expose));
        let login = self.login(at, file);
        let scope =
            SessionScope::new(&file.organization_id, &file.project_id, &file.environment_id, &entity.name);
        let tokens = self.mint(at, file, entity, scope)?;
        for origin in &file.allow_origins {
            let is_origin = Url::parse(origin).is_ok_and(|url| url.origin().ascii_serialization() == *origin);
            if !is_origin {
                self.wrong(
                    &at.key("allow_origins"),
                    format!("`{origin}` is no origin: write one such as \"https://app.example\""),
                );
            }
        }
        if file.path.as_deref().is_some_and(|path| !path.starts_with('/') || path.contains(['{', '}', '*'])) {
            self.wrong(&at.key("path"), "this is no path: begin it with a slash, without braces and stars");
            return None;
        }
        let login = login?;
        let fingerprint = match &login {
            Login::Shared(secret) => fingerprint.add(&secret.expose()),
            Login::Backend { .. } => fingerprint,
        };
        Some(SessionTokensPlan {
            listen: file.listen,
            tokens: tokens.cached(10_000),
            login,
            fingerprint: fingerprint.finish(),
            path: file.path.clone(),
            allow_origins: file.allow_origins.clone(),
        })
    }

    /// What signs the tokens: the service secret, or the platform where there is a key for that.
    fn mint(
        &mut self,
        at: &crate::config::Path,
        file: &config::SessionTokens,
        entity: &EntityPlan,
        scope: SessionScope,
    ) -> Option<SessionTokens> {
        let (url, reference) = match (&file.mint_url, &file.mint_bearer) {
            (None, None) => {
                let mint = LocalMint::new(entity.secret.clone(), scope).map_err(|error| error.to_string());
                return Some(SessionTokens::new(self.noted(at, mint)?));
            }
            (Some(url), Some(reference)) => (url, reference),
            (Some(_), None) => {
                self.wrong(&at.key("mint_url"), "the platform's mint asks for a key: add `mint_bearer`");
                return None;
            }
            (None, Some(_)) => {
                self.wrong(&at.key("mint_bearer"), "say where the platform's mint is: add `mint_url`");
                return None;
            }
        };
        let at = at.key("mint_bearer");
        let bearer = self.secret_ref(&at, reference).source();
        let mut mint = RemoteMint::builder(url, bearer, scope)
            .allow_insecure(entity.config.allow_insecure)
            .proxy(self.proxy.config.clone());
        if let Some(path) = &entity.config.ca_file {
            mint = mint.ca_file(path);
        }
        let mint = mint.build().map_err(|error| error.to_string());
        Some(SessionTokens::new(self.noted(&at, mint)?))
    }

    /// The entity whose tokens are meant.
    fn entity_of<'e>(
        &mut self,
        at: &crate::config::Path,
        file: &config::SessionTokens,
        entities: &'e [EntityPlan],
    ) -> Option<&'e EntityPlan> {
        let known: Vec<&str> = self.sections.entities.iter().map(|entry| entry.value.name.as_str()).collect();
        match (&file.entity, known.as_slice()) {
            (Some(name), known) if !known.contains(&name.as_str()) => {
                let message = unknown("entity", name, known);
                self.wrong(&at.key("entity"), message);
                None
            }
            (Some(name), _) => entities.iter().find(|entity| entity.name == *name),
            (None, [_]) => entities.first(),
            (None, []) => {
                self.wrong(at, "the tokens are an entity's: add an `[[entity]]`");
                None
            }
            (None, _) => {
                self.wrong(at, "there are several entities: say whose tokens these are, with `entity`");
                None
            }
        }
    }

    fn login(&mut self, at: &crate::config::Path, file: &config::SessionTokens) -> Option<Login> {
        match (&file.login_url, &file.shared_secret) {
            (Some(login), None) => {
                let url = address::server(login, &self.sections.egress);
                let url = self.noted(&at.key("login_url"), url)?;
                self.warn_in_the_clear(&at.key("login_url"), &url, "the users' login");
                let PlannedClient { client, .. } = self.client(at, &url, None, None)?;
                Some(Login::Backend { url, client })
            }
            (None, Some(reference)) => {
                let at = at.key("shared_secret");
                let secret = self.secret(&at, reference)?;
                if secret.expose().len() < MIN_SHARED {
                    self.wrong(
                        &at,
                        "the secret needs 16 characters at least: make one with `openssl rand -hex 32`",
                    );
                    return None;
                }
                Some(Login::Shared(secret))
            }
            _ => {
                self.wrong(at, "write one of `login_url` and `shared_secret`: who says who is logged in");
                None
            }
        }
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
                return;
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
