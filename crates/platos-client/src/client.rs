//! The client itself: what is shared, and on whose behalf this clone asks.

use std::fmt;
use std::sync::Arc;

use platools_net::client::{self, HttpClient};
use platools_net::tls::client_config;
use rustls::ClientConfig;

use crate::api::{
    Agents, Approvals, Attachments, Bgo, Budgets, Entities, Guests, Jobs, Messages, Monitoring, Threads,
    ToolCalls, Tools,
};
use crate::config::{ClientBuilder, Config, Mode, NoMode, Scope, Secret, check_scope};
use crate::error::ConfigError;
use crate::http::{Credentials, MAX_ANSWER_BYTES};
use crate::turn::KnownThreads;

/// A client of one platform. Clones are cheap and share connections and session token.
///
/// ```no_run
/// use platos_client::{NewThread, PlatosClient};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), platos_client::Error> {
/// let client = PlatosClient::builder("https://platos.example").session_token("a.b.c").build()?;
/// for agent in client.agents().list().await? {
///     println!("{} {}", agent.id, agent.name.unwrap_or_default());
/// }
/// let thread = client.threads().create(NewThread::with_agent("agt_1")).await?;
/// println!("{}", client.threads().send(&thread.id, "What is new?").text().await?);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct PlatosClient {
    pub(crate) shared: Arc<Shared>,
    pub(crate) scope: Option<Scope>,
    pub(crate) user_token: Option<Secret>,
}

/// What all clones of a client have in common.
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) credentials: Credentials,
    pub(crate) http: HttpClient,
    pub(crate) tls: Arc<ClientConfig>,
    pub(crate) threads: KnownThreads,
}

impl PlatosClient {
    /// Begins a client of the platform at a base URL, such as `https://platos.example` or
    /// `http://localhost:3100`. Choose a mode next:
    ///
    /// ```
    /// use platos_client::{PlatosClient, Scope};
    ///
    /// // For one user, with a token that the entity's backend minted:
    /// let client = PlatosClient::builder("https://platos.example").session_token("a.b.c").build()?;
    /// // On a trusted server, with a scope for every call:
    /// let client = PlatosClient::builder("https://platos.example")
    ///     .api_key("plt_key")
    ///     .scope(Scope::new("org_1", "proj_1", "env_prod").user("usr_7"))
    ///     .build()?;
    /// # Ok::<(), platos_client::ConfigError>(())
    /// ```
    pub fn builder(base_url: impl Into<String>) -> ClientBuilder<NoMode> {
        ClientBuilder::new(base_url.into())
    }

    pub(crate) fn new(
        config: Config,
        mode: Mode,
        scope: Option<Scope>,
        user_token: Option<Secret>,
    ) -> Result<Self, ConfigError> {
        let tls = client_config(config.ca_file.as_deref()).map_err(ConfigError::of_tls)?;
        let http = client::client_builder(tls.clone(), &config.proxy).connect_timeout(config.connect_timeout);
        let http = client::build(http).map_err(ConfigError::of_tls)?;
        let http = HttpClient::new(http, MAX_ANSWER_BYTES).through(config.proxy.clone());
        let credentials = Credentials::new(mode, config.timeout);
        let shared =
            Shared { config, credentials, http, tls: Arc::new(tls), threads: KnownThreads::default() };
        Ok(Self { shared: Arc::new(shared), scope, user_token })
    }

    /// The same client for another scope: for one call, or for as long as one likes.
    ///
    /// ```
    /// # async fn example(client: platos_client::PlatosClient) -> Result<(), platos_client::Error> {
    /// use platos_client::Scope;
    ///
    /// let staging = Scope::new("org_1", "proj_1", "env_staging").user("usr_7");
    /// let agents = client.with_scope(staging)?.agents().list().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When a part of the scope is missing, or cannot travel in a header.
    pub fn with_scope(&self, scope: Scope) -> Result<Self, ConfigError> {
        check_scope(&scope)?;
        Ok(Self { scope: Some(scope), ..self.clone() })
    }

    /// The same client with another proof of who the user is, which the platform hands on to tools.
    ///
    /// # Errors
    /// When the token cannot travel in a header.
    pub fn with_user_token(&self, token: impl Into<String>) -> Result<Self, ConfigError> {
        let user_token = Some(Secret::new("the user token", token.into().into())?);
        Ok(Self { user_token, ..self.clone() })
    }

    /// Replaces the session token, of all clones.
    ///
    /// # Errors
    /// In direct mode, and when the token cannot travel in a header.
    pub fn set_session_token(&self, token: impl Into<String>) -> Result<(), ConfigError> {
        let token = Secret::new("the session token", token.into().into())?;
        self.shared.credentials.replace(token)
    }

    /// The scope of this clone's calls, where it has one.
    pub fn scope(&self) -> Option<&Scope> {
        self.scope.as_ref()
    }

    /// Agents and their versions.
    pub fn agents(&self) -> Agents<'_> {
        Agents { client: self }
    }

    /// Threads, their messages and artifacts, and the turns that are streamed from them.
    pub fn threads(&self) -> Threads<'_> {
        Threads { client: self }
    }

    /// What agents may not do before somebody agrees.
    pub fn approvals(&self) -> Approvals<'_> {
        Approvals { client: self }
    }

    /// What may be spent, and what was.
    pub fn budgets(&self) -> Budgets<'_> {
        Budgets { client: self }
    }

    /// Runs, traces and costs.
    pub fn monitoring(&self) -> Monitoring<'_> {
        Monitoring { client: self }
    }

    /// Replies and ratings.
    pub fn messages(&self) -> Messages<'_> {
        Messages { client: self }
    }

    /// Files that are sent with messages.
    pub fn attachments(&self) -> Attachments<'_> {
        Attachments { client: self }
    }

    /// Tools that agents may call.
    pub fn tools(&self) -> Tools<'_> {
        Tools { client: self }
    }

    /// What tools did.
    pub fn tool_calls(&self) -> ToolCalls<'_> {
        ToolCalls { client: self }
    }

    /// Backends that host tools.
    pub fn entities(&self) -> Entities<'_> {
        Entities { client: self }
    }

    /// Session tokens for people who did not log in.
    pub fn guests(&self) -> Guests<'_> {
        Guests { client: self }
    }

    /// Programs that the platform keeps and runs.
    pub fn jobs(&self) -> Jobs<'_> {
        Jobs { client: self }
    }

    /// Background operations: tasks, their runs, schedules and batches.
    pub fn bgo(&self) -> Bgo<'_> {
        Bgo { client: self }
    }
}

impl fmt::Debug for PlatosClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlatosClient")
            .field("base", &self.shared.config.base)
            .field("credentials", &self.shared.credentials)
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}
