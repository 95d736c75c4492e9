//! The remote mint, which requests tokens signed by the platform.
//!
//! Minting has no side effects, so requests are retried: at most twice, within one deadline, after connection errors,
//! incomplete responses, and the statuses 502, 503, 504 and 429. The delay is random, or `Retry-After` if that is
//! short. No other errors are retried.

mod answer;

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Request};
use platools_net::client::{self, HttpClient, HttpError};
use platools_net::policy::{UrlError, http_url};
use platools_net::tls::{self, TlsError};
use platools_net::{Backoff, ProxyConfig};
use serde::Serialize;
use serde_json::Value;
use tokio::time::Instant;

use super::rotating::{Rotating, Unusable};
use super::{
    CheckedClaims, ClaimsError, Mint, MintConfigError, MintError, RemoteMintError, SessionScope,
    SessionToken, SessionTokens, UserIdentity, UserMeta, unix_seconds,
};
use crate::host::ConfigError;
use crate::verify::{Secret, SecretError};
use crate::{HostConfig, SecretSource};

/// Prefix of the mint's bearer. A service secret has no such prefix and must not be sent.
const BEARER_PREFIX: &str = "plt_ent_";

/// Default time limit of a request with all its attempts.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Maximum configurable time limit.
const MAX_TIMEOUT: Duration = Duration::from_secs(3_600);

/// Time limit of connecting.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Maximum size of a response, in bytes.
const MAX_ANSWER: usize = 64 * 1024;

/// Maximum number of attempts.
const MAX_ATTEMPTS: u32 = 3;

/// The longest pause that a server may ask for.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// The pauses before the second and the third attempt.
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(250), LONGEST_PAUSE);

/// Asks the platform for tokens: `POST {base}/api/v1/entities/{entity}/session-tokens`.
///
/// ```no_run
/// use platools::session_token::RemoteMint;
/// use platools::session_token::{SessionClaims, SessionScope, SessionTokens};
/// use platools::SecretSource;
///
/// # async fn example() -> platools::Result<()> {
/// let scope = SessionScope::new("org_1", "proj_1", "env_prod", "orders-prod");
/// let bearer = SecretSource::file("/run/secrets/platos-mint");
/// let tokens = SessionTokens::new(RemoteMint::builder("https://platos.example", bearer, scope).build()?);
/// let token = tokens.mint(SessionClaims::for_user("usr_7")).await?;
/// # Ok(())
/// # }
/// ```
///
/// The returned token must be for this user, scope and agent and must not have expired. Its signature is not verified,
/// since a backend does not have the platform's key.
pub struct RemoteMint {
    scope: SessionScope,
    url: String,
    bearer: Rotating<HeaderValue>,
    client: HttpClient,
    timeout: Duration,
}

/// Builds a [`RemoteMint`].
#[derive(Debug, Clone)]
#[must_use]
pub struct RemoteMintBuilder {
    url: String,
    bearer: SecretSource,
    scope: SessionScope,
    ca_file: Option<PathBuf>,
    allow_insecure: bool,
    proxy: Option<ProxyConfig>,
    timeout: Duration,
}

impl RemoteMint {
    /// Creates a builder for the mint of the platform at `url`, such as `https://platos.example`; a path in `url` is
    /// kept as a prefix. `bearer` is the entity's key for the mint, `plt_ent_…`, **not** the service secret, which is
    /// rejected. It is reloaded like the secret of a [`LocalMint`](super::LocalMint).
    pub fn builder(url: impl Into<String>, bearer: SecretSource, scope: SessionScope) -> RemoteMintBuilder {
        let url = url.into();
        RemoteMintBuilder {
            url,
            bearer,
            scope,
            ca_file: None,
            allow_insecure: false,
            proxy: None,
            timeout: TIMEOUT,
        }
    }
}

impl RemoteMintBuilder {
    /// Trusts the CA certificates in this PEM file in addition to the system's.
    pub fn ca_file(mut self, path: impl AsRef<Path>) -> Self {
        self.ca_file = Some(path.as_ref().to_owned());
        self
    }

    /// Permits `http://` to other machines, which sends the bearer and the tokens unencrypted.
    pub fn allow_insecure(mut self, allow: bool) -> Self {
        self.allow_insecure = allow;
        self
    }

    /// Sets the proxies for requests to the platform, instead of those of the environment. Loopback never goes through
    /// a proxy.
    pub fn proxy(mut self, proxy: ProxyConfig) -> Self {
        self.proxy = Some(proxy);
        self
    }

    /// Sets the time limit of minting with all attempts. Default: 10 s; at most an hour. A single attempt may take half
    /// of it.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout.min(MAX_TIMEOUT);
        self
    }

    /// Builds the mint. Loads the bearer on the current thread; does not connect.
    ///
    /// # Errors
    /// If the URL, the bearer, the scope or the certificates are invalid.
    pub fn build(self) -> Result<RemoteMint, MintConfigError> {
        self.scope.check()?;
        let entity = &self.scope.entity_id;
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        if entity.len() > 64 || !entity.bytes().all(allowed) {
            return Err(ClaimsError::EntityId.into());
        }
        let mut url = http_url(&self.url, self.allow_insecure)
            .map_err(|error| MintConfigError::Url { problem: url_problem(&error) })?;
        let path = format!("{}/api/v1/entities/{entity}/session-tokens", url.path().trim_end_matches('/'));
        url.set_path(&path);
        url.set_query(None);
        url.set_fragment(None);
        let bearer = Rotating::new(self.bearer, bearer)
            .map_err(|unusable| MintConfigError::Bearer { problem: bearer_problem(&unusable) })?;
        let proxy = self.proxy.unwrap_or_else(ProxyConfig::from_env);
        if let Err(error) = proxy.for_url(&url) {
            return Err(ConfigError::Proxy(error).into());
        }
        let client = tls::client_config(self.ca_file.as_deref())
            .and_then(|tls| {
                let connect_timeout = CONNECT_TIMEOUT.min(self.timeout);
                client::build(client::client_builder(tls, &proxy).connect_timeout(connect_timeout))
            })
            .map_err(|error| match error {
                TlsError::CaFile { path, problem } => MintConfigError::CaFile { path, problem },
                TlsError::Setup(problem) => MintConfigError::Tls(problem),
            })?;
        let client = HttpClient::new(client, MAX_ANSWER).through(proxy);
        Ok(RemoteMint { scope: self.scope, url: url.into(), bearer, client, timeout: self.timeout })
    }
}

/// Returns the authorization header, marked as sensitive.
fn bearer(secret: &Secret) -> Result<HeaderValue, Unusable> {
    if !secret.expose().starts_with(BEARER_PREFIX) {
        return Err(Unusable::Refused("does not start with `plt_ent_`: is it the service secret?"));
    }
    secret.bearer().map_err(|_| Unusable::Refused("cannot be sent in an HTTP header"))
}

/// What is wrong with the URL, with the way out where there is one.
fn url_problem(error: &UrlError) -> String {
    match error {
        UrlError::PlainText => {
            format!("{error}, or set PLATOS_ALLOW_INSECURE=1 if the network is trusted")
        }
        error => error.to_string(),
    }
}

/// Describes an invalid bearer without calling it a service secret.
fn bearer_problem(unusable: &Unusable) -> String {
    match unusable {
        Unusable::Refused(problem) => (*problem).to_owned(),
        Unusable::Secret(SecretError::Missing { variable }) => {
            format!("is missing: set `{variable}` to the `plt_ent_…` key of the entity")
        }
        Unusable::Secret(SecretError::Unreadable { path, problem }) => {
            format!("cannot be read from `{path}`: {problem}")
        }
        Unusable::Secret(SecretError::Callback { problem }) => format!("cannot be loaded: {problem}"),
        Unusable::Secret(_) => {
            "is empty, too short, or not plain text: copy the entity's `plt_ent_…` key alone".to_owned()
        }
    }
}

/// The request's body.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    organization_id: &'a str,
    project_id: &'a str,
    environment_id: &'a str,
    user_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_token: Option<&'a str>,
    ttl_seconds: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    agent_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_meta: Option<&'a UserMeta>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    user_identities: &'a [UserIdentity],
    #[serde(skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    claims: &'a std::collections::BTreeMap<String, Value>,
}

impl RemoteMint {
    fn body(&self, claims: &CheckedClaims) -> Result<Vec<u8>, MintError> {
        if claims.permissions().is_some() {
            return Err(ClaimsError::Unsupported { field: "permissions" }.into());
        }
        let body = Body {
            organization_id: &self.scope.organization_id,
            project_id: &self.scope.project_id,
            environment_id: &self.scope.environment_id,
            user_id: claims.user_id(),
            user_token: claims.user_token(),
            ttl_seconds: claims.lifetime_seconds(),
            agent_id: claims.agent_id(),
            user_meta: claims.user_meta(),
            user_identities: claims.user_identities(),
            claims: claims.extra(),
        };
        let body = serde_json::to_vec(&body).map_err(MintError::other)?;
        claims.fit(body.len())?;
        Ok(body)
    }

    /// Sends the request once.
    async fn attempt(
        &self,
        body: &[u8],
        claims: &CheckedClaims,
        time: Duration,
    ) -> Result<SessionToken, RemoteMintError> {
        let bearer = self.bearer.get().await;
        let request = Request::post(&self.url)
            .header(AUTHORIZATION, &*bearer)
            .header(CONTENT_TYPE, "application/json")
            .header(ACCEPT, "application/json")
            .body(body.to_vec())
            .map_err(|error| RemoteMintError::Unreachable { problem: error.to_string() })?;
        let answer = self.client.send(request, time).await.map_err(|error| match error {
            HttpError::Connect(problem) => RemoteMintError::Unreachable { problem },
            HttpError::Timeout(time) => RemoteMintError::TimedOut { time },
            HttpError::TooLarge { limit } => RemoteMintError::TooLarge { limit },
            HttpError::Request(problem) | HttpError::Broken(problem) => RemoteMintError::Broken { problem },
        })?;
        answer::read(&answer, &self.scope, claims, unix_seconds(SystemTime::now()))
    }
}

/// Returns the delay before a retry, or `None` if the error is not retried.
fn pause(error: &RemoteMintError, attempt: u32) -> Option<Duration> {
    match error.retry_after() {
        Some(wanted) => (wanted <= LONGEST_PAUSE).then_some(wanted),
        None if error.is_temporary() => Some(BACKOFF.wait(attempt - 1)),
        None => None,
    }
}

#[async_trait]
impl Mint for RemoteMint {
    async fn mint(&self, claims: &CheckedClaims) -> Result<SessionToken, MintError> {
        let body = self.body(claims)?;
        let deadline = Instant::now() + self.timeout;
        let mut attempt = 1;
        loop {
            // Half of the time, so that an unresponsive server leaves time for another attempt.
            let left = deadline.saturating_duration_since(Instant::now());
            let error = match self.attempt(&body, claims, left.min(self.timeout / 2)).await {
                Ok(token) => return Ok(token),
                Err(error) => error,
            };
            let pause = pause(&error, attempt).filter(|pause| Instant::now() + *pause < deadline);
            let Some(pause) = pause.filter(|_| attempt < MAX_ATTEMPTS) else { return Err(error.into()) };
            tracing::debug!(%error, attempt, "retrying to mint");
            tokio::time::sleep(pause).await;
            attempt += 1;
        }
    }
}

/// Creates what mints with the platform.
pub(super) fn tokens(
    url: &str,
    bearer: SecretSource,
    scope: SessionScope,
    shared: &HostConfig,
) -> Result<SessionTokens, MintConfigError> {
    let mut mint = RemoteMint::builder(url, bearer, scope).allow_insecure(shared.allow_insecure);
    if let Some(file) = &shared.ca_file {
        mint = mint.ca_file(file);
    }
    if let Some(proxy) = &shared.proxy {
        mint = mint.proxy(proxy.clone());
    }
    Ok(SessionTokens::new(mint.build()?))
}

impl fmt::Debug for RemoteMint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteMint")
            .field("scope", &self.scope)
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use crate::session_token::SessionTokens;
    use crate::session_token::config::tests::ALL;

    #[test]
    fn the_remote_mint_is_used_if_configured_completely() {
        let remote = |variable: &str, value: &str| {
            SessionTokens::from_lookup(|wanted| match wanted {
                _ if wanted == variable => Some(value.to_owned()),
                "PLATOS_MINT" => Some("remote".to_owned()),
                _ => ALL.iter().find(|(name, _)| *name == wanted).map(|(_, value)| (*value).to_owned()),
            })
        };
        remote("PLATOS_SECRET", "").unwrap();
        for (variable, value, part) in [
            ("PLATOS_MINT_URL", "", "PLATOS_MINT_URL"),
            ("PLATOS_MINT_URL", "http://10.0.0.1", "not encrypted"),
            ("PLATOS_MINT_URL", "https://s3cret@h", "user name or password"),
            ("PLATOS_MINT_BEARER", "", "PLATOS_MINT_BEARER"),
            ("PLATOS_MINT_BEARER", "s3cret-s3cret-s3cret", "plt_ent_"),
            ("PLATOS_ENTITY", "orders/../../admin", "`entityId`"),
            ("PLATOS_CA_FILE", "/nowhere/ca.pem", "/nowhere/ca.pem"),
        ] {
            let error = remote(variable, value).unwrap_err().to_string();
            assert!(error.contains(part), "{variable}={value}: {error}");
            assert!(!error.contains("s3cret"), "{error}");
        }
    }
}
