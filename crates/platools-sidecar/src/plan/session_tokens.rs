//! `[session_tokens]`: from the file to the endpoint that hands out session tokens, complete.

use axum::Router;
use axum::http::request::Parts;
use platools::SecretSource;
use platools::session_token::{
    LocalMint, RemoteMint, RouterError, SessionScope, SessionTokenRouter, SessionTokens, session_token_router,
};
use platools::tool::RateLimit;
use platools_net::SecretText;

use super::client::PlannedClient;
use super::{EntityPlan, Planner, address, unknown};
use crate::config::{self, Entry, Path};
use crate::fingerprint::{Fingerprint, Fingerprinter};
use crate::login::Login;

/// The fewest characters of a secret that servers share.
const MIN_SHARED: usize = 16;

/// The endpoint from which frontends get tokens.
#[derive(Debug)]
pub(crate) struct SessionTokensPlan {
    pub(crate) listen: std::net::SocketAddr,
    /// Made here, so that whatever is accepted can be served.
    pub(crate) router: Router,
    /// The same for an endpoint that is the same.
    pub(crate) fingerprint: Fingerprint,
}

impl Planner<'_> {
    pub(super) fn session_tokens(&mut self, entities: &[EntityPlan]) -> Option<SessionTokensPlan> {
        let Entry { at, value: file } = self.sections.session_tokens.as_ref()?;
        self.two_listeners(&at.key("listen"), file.listen);
        let login = self.login(at, file);
        let Some(entity) = self.entity_of(at, file, entities) else {
            self.check_router(at, file);
            return None;
        };
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
        let scope =
            SessionScope::new(&file.organization_id, &file.project_id, &file.environment_id, &entity.name);
        let tokens = self.mint(at, file, entity, scope);
        let (Some(tokens), Some(login)) = (tokens, login) else {
            self.check_router(at, file);
            return None;
        };
        let fingerprint = match &login {
            Login::Shared(secret) => fingerprint.add(&secret.expose()),
            Login::Backend { .. } => fingerprint,
        };
        let router = self.token_router(at, file, tokens.cached(10_000), login)?;
        Some(SessionTokensPlan {
            listen: file.listen,
            router: Router::new().merge(router),
            fingerprint: fingerprint.finish(),
        })
    }

    /// Checks the settings of an endpoint that cannot be made.
    fn check_router(&mut self, at: &Path, file: &config::SessionTokens) {
        let scope = SessionScope::new("o", "p", "e", "name");
        if let Ok(mint) = LocalMint::new(SecretSource::text("not-set-not-set-not-set"), scope) {
            self.token_router(at, file, SessionTokens::new(mint), Login::Shared("not-set".into()));
        }
    }

    /// The endpoint with all its settings, each of which the library judges.
    fn token_router(
        &mut self,
        at: &Path,
        file: &config::SessionTokens,
        tokens: SessionTokens,
        login: Login,
    ) -> Option<SessionTokenRouter> {
        let asked = login.clone();
        let mut router = session_token_router(tokens, move |request: Parts| {
            let login = asked.clone();
            async move { login.claims(&request).await }
        });
        if matches!(login, Login::Shared(_)) {
            router = router.trust_caller(move |request| login.is_trusted_server(request));
        }
        let mut is_right = true;
        let mut set = |planner: &mut Self, at: &Path, set: Result<SessionTokenRouter, RouterError>| {
            let set = planner.noted(at, set.map_err(|error| error.to_string()));
            is_right &= set.is_some();
            set
        };
        if let Some(path) = &file.path {
            router = set(self, &at.key("path"), router.clone().path(path)).unwrap_or(router);
        }
        for (index, origin) in file.allow_origins.iter().enumerate() {
            let at = at.key("allow_origins").key(index);
            router = set(self, &at, router.clone().allow_origin(origin)).unwrap_or(router);
        }
        for (index, network) in file.trusted_proxies.iter().enumerate() {
            let at = at.key("trusted_proxies").key(index);
            router = set(self, &at, router.clone().trust_proxy(network)).unwrap_or(router);
        }
        if let Some(limit) = self.limit(&at.key("per_user"), file.per_user) {
            router = router.per_user(limit);
        }
        if let Some(limit) = self.limit(&at.key("per_address"), file.per_address) {
            router = router.per_address(limit);
        }
        is_right.then_some(router)
    }

    fn limit(&mut self, at: &Path, rate: Option<config::Rate>) -> Option<RateLimit> {
        let config::Rate(limit) = rate?;
        if limit.is_per_user() {
            self.wrong(at, "the key says already who is counted: leave out `per user`");
        }
        Some(limit)
    }

    /// Two listeners of one file cannot have one address.
    fn two_listeners(&mut self, at: &Path, address: std::net::SocketAddr) {
        let Some(admin) = &self.sections.admin else { return };
        let admin = admin.value.listen;
        if address::is_taken_by(admin, address) {
            self.wrong(at, format!("`[admin]` listens on {admin} already: write another port"));
        }
    }

    /// What signs the tokens: the service secret, or the platform where there is a key for that.
    fn mint(
        &mut self,
        at: &Path,
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
        let bearer = self.known_secret(&at, reference).source();
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
        at: &Path,
        file: &config::SessionTokens,
        entities: &'e [EntityPlan],
    ) -> Option<&'e EntityPlan> {
        if self.sections.has_unread("entity") {
            return None;
        }
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

    fn login(&mut self, at: &Path, file: &config::SessionTokens) -> Option<Login> {
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
}
