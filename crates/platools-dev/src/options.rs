//! Options of a development platform.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use platools::verify::Secret;
use platools::wire::{CALL_PENDING, REGISTRATIONS_PER_MINUTE};

use crate::callback::CallbackRules;
use crate::history::HistoryLimits;

/// The entity that is there unless others are named.
const DEFAULT_ENTITY: &str = "local";

/// Time for a host to answer a close.
const CLOSE_WAIT: Duration = Duration::from_secs(2);

/// The server's time for that (protocol §2).
const SERVER_CLOSE_WAIT: Duration = Duration::from_secs(30);

/// Options of a [`DevPlatform`](crate::DevPlatform). The defaults are those of the real platform, on a free port of this
/// machine.
#[derive(Clone)]
pub struct DevPlatformOptions {
    pub(crate) address: SocketAddr,
    pub(crate) host_name: Option<String>,
    pub(crate) entities: BTreeMap<String, Option<Secret>>,
    pub(crate) default_entity: String,
    pub(crate) pending_time: Duration,
    pub(crate) registrations_per_minute: u32,
    pub(crate) authentication_delay: Duration,
    pub(crate) close_wait: Duration,
    pub(crate) strict_declarations: bool,
    pub(crate) callbacks: CallbackRules,
    pub(crate) wait_limit: Duration,
    pub(crate) tls: Option<TlsPem>,
    pub(crate) http: bool,
    pub(crate) api_token: Option<Secret>,
    pub(crate) history: HistoryLimits,
    pub(crate) identity_file: Option<PathBuf>,
    #[cfg(feature = "sqlite")]
    pub(crate) data_dir: Option<PathBuf>,
}

/// A certificate chain and its key.
#[derive(Clone)]
pub(crate) struct TlsPem {
    pub(crate) certificates: String,
    pub(crate) key: String,
}

impl Default for DevPlatformOptions {
    fn default() -> Self {
        Self {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            host_name: None,
            entities: BTreeMap::new(),
            default_entity: DEFAULT_ENTITY.to_owned(),
            pending_time: CALL_PENDING,
            registrations_per_minute: REGISTRATIONS_PER_MINUTE,
            authentication_delay: Duration::ZERO,
            close_wait: CLOSE_WAIT,
            strict_declarations: false,
            callbacks: CallbackRules { allow_http: true, allow_private: true, ca_file: None },
            wait_limit: Duration::from_secs(10),
            tls: None,
            http: true,
            api_token: None,
            history: HistoryLimits { calls: 500, bytes: 32 * 1024 * 1024 },
            identity_file: None,
            #[cfg(feature = "sqlite")]
            data_dir: None,
        }
    }
}

impl DevPlatformOptions {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// The address to listen on. Default: a free port of `127.0.0.1`. Everyone who reaches another address can try
    /// secrets there.
    pub fn address(mut self, address: SocketAddr) -> Self {
        self.address = address;
        self
    }

    /// The host's name in the URLs that the platform gives out. Default: the address.
    pub fn host_name(mut self, name: impl Into<String>) -> Self {
        self.host_name = Some(name.into());
        self
    }

    /// Adds an entity with this secret. The first one added is the default entity; when none is added,
    /// there is one called `local` with a random secret. Every entity has all environments.
    pub fn entity(self, slug: impl Into<String>, secret: Secret) -> Self {
        self.add(slug.into(), Some(secret))
    }

    /// Adds an entity with a random secret.
    pub fn entity_with_random_secret(self, slug: impl Into<String>) -> Self {
        self.add(slug.into(), None)
    }

    fn add(mut self, slug: String, secret: Option<Secret>) -> Self {
        if self.entities.is_empty() {
            self.default_entity.clone_from(&slug);
        }
        self.entities.insert(slug, secret);
        self
    }

    /// The longest wait for the answer to a call. Default: 30 s.
    pub fn pending_time(mut self, time: Duration) -> Self {
        self.pending_time = time;
        self
    }

    /// Number of registrations that each entity may send in a minute, per environment. Default: 6.
    pub fn registrations_per_minute(mut self, registrations: u32) -> Self {
        self.registrations_per_minute = registrations;
        self
    }

    /// Duration of authentication. Frames that a host sends meanwhile are read after `welcome`.
    /// Default: no time.
    pub fn authentication_delay(mut self, delay: Duration) -> Self {
        self.authentication_delay = delay;
        self
    }

    /// Behaves as the server does where the defaults are kinder: what a host relies on here, it can rely on there.
    ///
    /// * Declarations keep what the server keeps ([`strict_declarations`](Self::strict_declarations)).
    /// * A connection that is closed waits 30 s for the host's answer ([`close_wait`](Self::close_wait)). Then it hides
    ///   the tools, as every end of a connection does, even if a newer one is open (protocol §2); see
    ///   [`ConnectedEntity::visible_tools`](crate::ConnectedEntity::visible_tools).
    /// * Only public `https` callback URLs are called ([`allow_http_callbacks`](Self::allow_http_callbacks),
    ///   [`allow_private_callbacks`](Self::allow_private_callbacks)).
    ///
    /// Each of these can be changed afterwards:
    ///
    /// ```
    /// # use std::time::Duration;
    /// let options = platools_dev::DevPlatform::options()
    ///     .as_real_server()
    ///     .close_wait(Duration::from_secs(1))
    ///     .allow_http_callbacks(true)
    ///     .allow_private_callbacks(true);
    /// ```
    pub fn as_real_server(mut self) -> Self {
        self.close_wait = SERVER_CLOSE_WAIT;
        self.strict_declarations(true).allow_http_callbacks(false).allow_private_callbacks(false)
    }

    /// The longest wait for the host's answer on a connection that the platform closes, such as a superseded one. Answers to
    /// calls are taken meanwhile. Default: 2 s; the server's is 30 s.
    pub fn close_wait(mut self, time: Duration) -> Self {
        self.close_wait = time;
        self
    }

    /// Whether declarations are read as the server reads them (protocol §3): it drops `output_schema`, `auth`, `roles` and
    /// all annotations but the category, takes what is not as expected for absent, and counts an edited tool as a new
    /// one. Default: tools are kept as they were declared.
    pub fn strict_declarations(mut self, strict: bool) -> Self {
        self.strict_declarations = strict;
        self
    }

    /// Whether callback URLs with `http` are called, a switch that the server has too. Default: yes.
    pub fn allow_http_callbacks(mut self, allow: bool) -> Self {
        self.callbacks.allow_http = allow;
        self
    }

    /// Whether callback URLs that lead to addresses that are not public are called, such as those of this machine.
    /// Default: yes.
    pub fn allow_private_callbacks(mut self, allow: bool) -> Self {
        self.callbacks.allow_private = allow;
        self
    }

    /// A PEM file of certificates that callbacks over TLS may have, besides those that the system trusts.
    pub fn callback_ca_file(mut self, file: impl Into<PathBuf>) -> Self {
        self.callbacks.ca_file = Some(file.into());
        self
    }

    /// Timeout of the `wait_…` functions. Default: 10 s.
    pub fn wait_limit(mut self, limit: Duration) -> Self {
        self.wait_limit = limit;
        self
    }

    /// Speaks `wss://` with this certificate chain and private key, both in PEM.
    pub fn tls_pem(mut self, certificates: impl Into<String>, key: impl Into<String>) -> Self {
        self.tls = Some(TlsPem { certificates: certificates.into(), key: key.into() });
        self
    }

    /// Whether the playground and its HTTP API are served, and calls and events are kept for them. Default:
    /// they are.
    pub fn http(mut self, http: bool) -> Self {
        self.http = http;
        self
    }

    /// The token that the HTTP API asks for. Default: the one that is kept, or a random one.
    pub fn api_token(mut self, token: Secret) -> Self {
        self.api_token = Some(token);
        self
    }

    /// Limits of the history: calls, and bytes of their frames, whichever is reached first.
    /// Default: 500 calls, 32 MiB.
    pub fn history_limits(mut self, calls: usize, bytes: usize) -> Self {
        self.history = HistoryLimits { calls, bytes };
        self
    }

    /// Keeps entities with their random secrets, and the random API token, in this file, so that a platform that starts
    /// again is the same one to hosts and terminals. Default: they are gone with the platform.
    ///
    /// The file and the folders that are missing are made for this user alone, since it holds **the secrets in the clear**;
    /// a file that is open to others is replaced by one with new secrets. Secrets and a token that are named here win over
    /// kept ones, and are not kept. When no entity is added, there are those of the last start. With
    /// `data_dir`, which keeps entities itself, the file keeps the token alone.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), platools_dev::DevError> {
    /// # let folder = std::env::temp_dir().join(format!("platools-dev-identity-{}", std::process::id()));
    /// let options = platools_dev::DevPlatform::options().identity_file(folder.join("dev.json"));
    /// let platform = options.clone().start().await?;
    /// let (secret, token) = (platform.secret(), platform.api_token().clone());
    /// drop(platform);
    /// let platform = options.start().await?;
    /// assert_eq!((platform.secret(), platform.api_token()), (secret, &token));
    /// # std::fs::remove_dir_all(folder).expect("the folder was made");
    /// # Ok(())
    /// # }
    /// ```
    pub fn identity_file(mut self, file: impl Into<PathBuf>) -> Self {
        self.identity_file = Some(file.into());
        self
    }

    /// Keeps entities with their secrets, and the calls that the history keeps, in this folder (feature `sqlite`).
    /// Default: they are gone with the platform.
    ///
    /// The folder is made where it is missing, for this user alone; the database in it is for this user alone in any
    /// case, since it holds **the service secrets and the tokens of the calls in the clear**. Entities that are added
    /// here win over kept ones of their name and are kept from now on; a random secret is made only for an entity
    /// that has none yet. When none is added, the kept ones are there, and the first of them is the default entity.
    ///
    /// Writing goes on behind the calls: a process that is killed may lose those of its last moments. One platform
    /// at a time can use a folder.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), platools_dev::DevError> {
    /// # let folder = std::env::temp_dir().join(format!("platools-dev-doc-{}", std::process::id()));
    /// let options = platools_dev::DevPlatform::options().entity_with_random_secret("orders").data_dir(&folder);
    /// let platform = options.clone().start().await?;
    /// let secret = platform.secret();
    /// drop(platform);
    /// assert_eq!(options.start().await?.secret(), secret);
    /// # std::fs::remove_dir_all(folder).expect("the folder was made");
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "sqlite")]
    pub fn data_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.data_dir = Some(folder.into());
        self
    }
}

impl fmt::Debug for DevPlatformOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DevPlatformOptions")
            .field("address", &self.address)
            .field("entities", &self.entities.keys())
            .field("pending_time", &self.pending_time)
            .field("tls", &self.tls.is_some())
            .field("http", &self.http)
            .finish_non_exhaustive()
    }
}
