//! The sections of the file that are no single tools: entities, servers, and how the sidecar runs.

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::model::{Auth, Common, ErrorText, Forward, Table};
use super::values::{Rate, SecretRef, Size, Time};

/// How long the first declaration of the tools waits for MCP servers, unless the file says otherwise.
const MCP_WAIT: Duration = Duration::from_secs(15);

/// An entity to connect as.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Entity {
    /// The entity's slug at the platform, such as `orders-prod`.
    pub(crate) name: String,
    /// The platform, such as `wss://platos.example/tools/sync`, or `env:NAME`.
    pub(crate) url: String,
    /// Where the service secret is: `env:NAME` or `file:PATH`.
    pub(crate) secret: SecretRef,
    /// The environment, such as `prod`; the platform takes `dev` without it.
    pub(crate) environment: Option<String>,
    /// Certificates in PEM that are trusted beside the system's.
    pub(crate) ca_file: Option<PathBuf>,
    /// Whether `ws://` to other machines is allowed, with the secret in the clear, and a `callback_url` with `http://`.
    #[serde(default)]
    pub(crate) allow_insecure: bool,
    /// Where the platform calls the tools over HTTP while the connection is away, such as
    /// `https://tools.example/platos/calls`, or `env:NAME`.
    pub(crate) callback_url: Option<String>,
    /// Where the sidecar takes those calls, such as `127.0.0.1:8702`: behind a server that has the certificate.
    pub(crate) callback_listen: Option<std::net::SocketAddr>,
    /// What to do when another process connects as the same entity: `stand-by`, `exit` or `take-over`.
    #[serde(default)]
    pub(crate) when_superseded: Superseded,
    /// Whether descriptions end with a summary of the arguments, for models that see only their names. Switching it
    /// makes other tools of them at the platform.
    #[serde(default)]
    pub(crate) describe_parameters: bool,
    /// How often the host says that it is alive; 30s.
    pub(crate) heartbeat_interval: Option<Time>,
    /// How many calls run at the same time; 1024.
    pub(crate) max_running: Option<usize>,
    /// How many calls wait behind them; 4096.
    pub(crate) max_waiting: Option<usize>,
    /// How many bytes of arguments the running and waiting calls have together; 268435456, and with a limit of memory a
    /// quarter of it at most, as for the two below.
    pub(crate) max_argument_bytes: Option<usize>,
    /// How many bytes of unsent answers stop further calls from starting; 67108864.
    pub(crate) max_unsent_bytes: Option<usize>,
    /// How many bytes of answers are kept in memory; beyond, an answer becomes an error; 201326592.
    pub(crate) max_kept_bytes: Option<usize>,
}

/// What to do when another process connects as the same entity.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Superseded {
    /// Wait behind it.
    #[default]
    StandBy,
    /// Give up.
    Exit,
    /// Take over again.
    TakeOver,
}

/// An HTTP server that tools refer to.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Backend {
    /// Where it is, such as `http://127.0.0.1:8080/api`.
    pub(crate) url: String,
    /// Headers of every request: texts, or `env:NAME` or `file:PATH`.
    #[serde(default, skip_serializing_if = "Table::is_empty")]
    pub(crate) headers: Table<String>,
    /// Where the bearer token is: `env:NAME` or `file:PATH`.
    pub(crate) bearer: Option<SecretRef>,
    /// What it is told about the caller.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) forward: Vec<Forward>,
    /// Where the key is with which requests are signed: `env:NAME` or `file:PATH`.
    pub(crate) sign: Option<SecretRef>,
    /// Certificates in PEM that are trusted beside the system's.
    pub(crate) ca_file: Option<PathBuf>,
    /// How long dialling may take; 5s.
    pub(crate) connect_timeout: Option<Time>,
    /// The largest answer that is read; 1 MiB.
    pub(crate) max_response: Option<Size>,
    /// How often a request that may be repeated is tried again; 2.
    pub(crate) retries: Option<u32>,
    /// Which answers' texts the model reads when the status is an error: of 4xx (`client`), `all` or `none`.
    pub(crate) error_text: Option<ErrorText>,
}

/// The HTTP proxy for connections to other machines. Without the section, the environment names it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Proxy {
    /// Where it is, such as `http://proxy.example:3128`, or `env:NAME` or `file:PATH` for a URL with a password in it;
    /// `none` for no proxy, whatever the environment says.
    pub(crate) url: String,
    /// Hosts that are connected to directly: names with those below them, addresses, networks such as `10.0.0.0/8`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) no_proxy: Vec<String>,
}

/// Which addresses may be reached. Names of hosts are always those that the file names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Egress {
    /// Link-local and metadata addresses that may be reached all the same, such as `169.254.169.254`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) allow: Vec<std::net::IpAddr>,
    /// Whether private, loopback and reserved addresses are refused too, for a sidecar that only asks public servers.
    #[serde(default)]
    pub(crate) deny_private: bool,
    /// Whether the proxy alone decides which addresses of a host may be reached. Otherwise names are resolved here as
    /// well, and judged, before the proxy is asked.
    #[serde(default)]
    pub(crate) leave_to_proxy: bool,
}

/// A section of tools that are declared elsewhere, and what the file says of all of them. The keys are pasted, since
/// serde's `flatten` would lose the lines of mistakes.
macro_rules! with_terms {
    ($(#[$doc:meta])* struct $name:ident { $($fields:tt)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub(crate) struct $name {
            $($fields)*
            /// Who may call: `none`, `user` or `admin`.
            pub(crate) auth: Option<Auth>,
            /// Roles of which a caller needs any one.
            #[serde(default, skip_serializing_if = "Vec::is_empty")]
            pub(crate) roles: Vec<String>,
            /// How long a call may take.
            pub(crate) timeout: Option<Time>,
            /// How often each tool may be called.
            pub(crate) rate_limit: Option<Rate>,
            /// How many calls of each tool run at the same time.
            pub(crate) concurrency: Option<usize>,
            /// The entities that have the tools; without it, all of them.
            pub(crate) entities: Option<Vec<String>>,
        }

        impl $name {
            /// What each of the tools has.
            pub(crate) fn common(&self) -> Common {
                let this = self.clone();
                Common {
                    auth: this.auth,
                    roles: this.roles,
                    timeout: this.timeout,
                    rate_limit: this.rate_limit,
                    concurrency: this.concurrency,
                    entities: this.entities,
                    ..Common::default()
                }
            }
        }
    };
}

with_terms! {
    /// An OpenAPI document whose operations become tools.
    struct OpenApi {
        /// A name for messages.
        pub(crate) name: String,
        /// The document, JSON or YAML: a path, or a URL of a host that the file names.
        pub(crate) document: String,
        /// Certificates in PEM that are trusted beside the system's, where the document is fetched.
        pub(crate) ca_file: Option<PathBuf>,
        /// Where the bearer token is with which the document is fetched: `env:NAME` or `file:PATH`.
        pub(crate) bearer: Option<SecretRef>,
        /// Headers with which the document is fetched: texts, or `env:NAME` or `file:PATH`.
        #[serde(default, skip_serializing_if = "Table::is_empty")]
        pub(crate) headers: Table<String>,
        /// How often a server is asked whether it has another document; 5min.
        pub(crate) refresh: Option<Time>,
        /// The backend that is called: `[backend.NAME]`.
        pub(crate) backend: String,
        /// What the tools' names begin with.
        #[serde(default)]
        pub(crate) prefix: String,
        /// Operations with any of these tags.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        pub(crate) tags: Vec<String>,
        /// Operations with any of these ids.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        pub(crate) operations: Vec<String>,
        /// Operations whose path fits any of these patterns, such as `/repos/*`.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        pub(crate) paths: Vec<String>,
        /// Whether operations that change something are left out.
        #[serde(default)]
        pub(crate) read_only: bool,
        /// Whether objects inside the arguments take fields that the document does not name.
        #[serde(default)]
        pub(crate) unknown_fields: bool,
        /// The most tools that the document may give; with more, the file is refused. 2 000 by default.
        pub(crate) max_tools: Option<usize>,
        /// The most that the schemas and texts of the tools may have together; with more, the file is refused. `10 MiB`
        /// by default, the most that a platform takes.
        pub(crate) max_bytes: Option<Size>,
    }
}

with_terms! {
    /// An MCP server whose tools become tools here.
    struct Mcp {
        /// A name for messages.
        pub(crate) name: String,
        /// The program that is the server, on its standard input and output.
        pub(crate) command: Option<PathBuf>,
        /// Its arguments.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        pub(crate) args: Vec<String>,
        /// Where it runs.
        pub(crate) cwd: Option<PathBuf>,
        /// Variables that it inherits; HOME, PATH and those that say language, time zone and user.
        pub(crate) inherit_env: Option<Vec<String>>,
        /// Variables that it gets: texts, or `env:NAME` or `file:PATH`.
        #[serde(default, skip_serializing_if = "Table::is_empty")]
        pub(crate) env: Table<String>,
        /// Or its URL, such as `https://mcp.example/mcp`.
        pub(crate) url: Option<String>,
        /// Where the bearer token for the URL is: `env:NAME` or `file:PATH`.
        pub(crate) bearer: Option<SecretRef>,
        /// Certificates in PEM that are trusted beside the system's, for the URL.
        pub(crate) ca_file: Option<PathBuf>,
        /// What the tools' names begin with.
        #[serde(default)]
        pub(crate) prefix: String,
        /// The tools that are taken, by their own names; without it, all of them.
        pub(crate) tools: Option<Vec<String>>,
        /// Whether the definitions of the tools are pinned: one that changes is withheld until `platools sidecar accept`.
        /// Needs a state directory.
        #[serde(default)]
        pub(crate) pin: bool,
        /// What is said of single tools instead of what the server says, by their own names.
        #[serde(default, skip_serializing_if = "Table::is_empty")]
        pub(crate) overrides: Table<Override>,
        /// The largest result that is passed on; 1 MiB.
        pub(crate) max_result: Option<Size>,
    }
}

/// What is said of a tool instead of what its server says.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Override {
    /// A name for people.
    pub(crate) title: Option<String>,
    /// What it does, for the model.
    pub(crate) description: Option<String>,
    /// Whether it changes nothing.
    pub(crate) read_only: Option<bool>,
    /// Whether it may destroy something.
    pub(crate) destructive: Option<bool>,
    /// Whether calling twice does no more than calling once.
    pub(crate) idempotent: Option<bool>,
    /// Whether it reaches things outside the server.
    pub(crate) open_world: Option<bool>,
}

/// Desktops of Plato as tools: one for each conversation, started when its first call comes. One of `simulator`,
/// `artifact` and `testcase` says what it is.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Plato {
    /// Where the key of Plato's API is: `env:NAME` or `file:PATH`.
    pub(crate) api_key: SecretRef,
    /// Another address of the API.
    pub(crate) base_url: Option<String>,
    /// Another address of the desktops, with `{job_id}` in it.
    pub(crate) desktop_url: Option<String>,
    /// Whether the API may be reached without TLS beyond this machine.
    #[serde(default)]
    pub(crate) allow_insecure: bool,
    /// A simulator, such as `ubuntu-vm` or `ubuntu-vm:latest`.
    pub(crate) simulator: Option<String>,
    /// An artifact's id, which is a snapshot of a machine.
    pub(crate) artifact: Option<String>,
    /// A test case's id, whose machines these are.
    pub(crate) testcase: Option<String>,
    /// Whether the apps of a testcase are opened and logged in to, in the desktop's browser, before the first call.
    #[serde(default)]
    pub(crate) login: bool,
    /// How long a session may last at most.
    pub(crate) lifetime: Option<Time>,
    /// `computer`, one tool with an `action`, or `split`, one for each thing.
    pub(crate) shape: Option<Shape>,
    /// The largest picture that a model gets, such as `1280x800`; the real screen.
    pub(crate) screen: Option<String>,
    /// `always`, after every action, or `on-request`.
    pub(crate) pictures: Option<Pictures>,
    /// The largest result, with its picture; `256 KiB`.
    pub(crate) max_result: Option<Size>,
    /// Who shares a desktop: a `thread`, a `user`, or `everyone`.
    pub(crate) sharing: Option<Sharing>,
    /// How long a desktop is kept that nobody uses; `10min`.
    pub(crate) idle_timeout: Option<Time>,
    /// How many desktops there are at most; 8.
    pub(crate) max_sessions: Option<usize>,
    /// Whether there are tools for an operator, too: `session_start`, `session_reset`, `session_state`,
    /// `session_evaluate`, `session_close`.
    #[serde(default)]
    pub(crate) lifecycle: bool,
    /// What the tools' names begin with.
    #[serde(default)]
    pub(crate) prefix: String,
    /// Who may call: `none`, `user` or `admin`.
    pub(crate) auth: Option<Auth>,
    /// Roles of which a caller needs any one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) roles: Vec<String>,
    /// How often each tool may be called.
    pub(crate) rate_limit: Option<Rate>,
    /// The entity that has the tools; the only one where there is one.
    pub(crate) entity: Option<String>,
}

/// How a desktop is offered to a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Shape {
    Computer,
    Split,
}

/// When a model gets a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Pictures {
    Always,
    OnRequest,
}

/// Who shares a desktop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Sharing {
    Thread,
    User,
    Everyone,
}

/// Users known by a JSON Web Token. One of `secret`, `public_key_file` and `jwks_url` says the keys.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Authenticator {
    /// Where the secret is that is shared with the issuer: `env:NAME` or `file:PATH`.
    pub(crate) secret: Option<SecretRef>,
    /// A file with the issuer's public key in PEM.
    pub(crate) public_key_file: Option<PathBuf>,
    /// Where the issuer publishes its keys.
    pub(crate) jwks_url: Option<String>,
    /// Tokens of this issuer only.
    pub(crate) issuer: Option<String>,
    /// Tokens for this audience.
    pub(crate) audience: Option<String>,
    /// The type in the token's header, such as `at+jwt`; `JWT`, `at+jwt` or none.
    pub(crate) token_type: Option<String>,
    /// The claim that names the user; `sub`.
    pub(crate) subject_claim: Option<String>,
    /// The claim with the roles; `roles`.
    pub(crate) roles_claim: Option<String>,
    /// The role that makes an administrator; `admin`.
    pub(crate) admin_role: Option<String>,
    /// Whether the entity's token is looked at instead of the user's.
    #[serde(default)]
    pub(crate) from_entity_token: bool,
}

/// The endpoint from which frontends get session tokens. One of `login_url` and `shared_secret` says whom.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SessionTokens {
    /// The address, such as `127.0.0.1:8701`.
    pub(crate) listen: std::net::SocketAddr,
    /// The entity whose tokens these are; the only one where there is one.
    pub(crate) entity: Option<String>,
    /// The organization's id.
    pub(crate) organization_id: String,
    /// The project's id.
    pub(crate) project_id: String,
    /// The environment's id.
    pub(crate) environment_id: String,
    /// The platform's own mint, such as `https://platos.example`; without it, tokens are signed with the service secret.
    pub(crate) mint_url: Option<String>,
    /// Where the key of the platform's mint is, `plt_ent_…`: `env:NAME` or `file:PATH`.
    pub(crate) mint_bearer: Option<SecretRef>,
    /// The backend's login check: it gets the request's cookies and authorization, and answers 200 with
    /// `{"user_id": "…"}`, or 401.
    pub(crate) login_url: Option<String>,
    /// Where the secret is that a trusted server sends as bearer, with the user in `X-Platos-User-Id`.
    pub(crate) shared_secret: Option<SecretRef>,
    /// The path; `/api/platos-session`.
    pub(crate) path: Option<String>,
    /// Pages of these origins may ask, such as `https://app.example`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) allow_origins: Vec<String>,
    /// Proxies that name the client in `X-Forwarded-For`: addresses or networks, such as `10.0.0.0/8`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) trusted_proxies: Vec<String>,
    /// How many tokens a user gets; `30/min`.
    pub(crate) per_user: Option<Rate>,
    /// How many requests an address has, unless it presents the shared secret; `120/min`.
    pub(crate) per_address: Option<Rate>,
}

/// The listener for probes, figures and a look inside.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Admin {
    /// The address, such as `127.0.0.1:8700`.
    pub(crate) listen: std::net::SocketAddr,
    /// Whether another address than this machine's own is meant: nobody logs in there.
    #[serde(default)]
    pub(crate) allow_remote: bool,
}

/// What goes to standard error.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Log {
    /// For people, or one JSON object a line.
    #[serde(default)]
    pub(crate) format: LogFormat,
    /// A filter such as `info` or `warn,platools=debug`; `RUST_LOG` wins.
    pub(crate) level: Option<String>,
}

/// The replicas with which this sidecar shares the connections of its entities, over NATS. All of them have the same file.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fleet {
    /// The NATS servers, such as `nats://nats:4222` or `tls://nats:4222`.
    pub(crate) servers: Vec<String>,
    /// A credentials file of NATS.
    pub(crate) credentials_file: Option<PathBuf>,
    /// A file with the seed of an NKey.
    pub(crate) nkey_file: Option<PathBuf>,
    /// A file with a token.
    pub(crate) token_file: Option<PathBuf>,
    /// Certificates in PEM that are trusted beside the system's.
    pub(crate) ca_file: Option<PathBuf>,
    /// Whether the sidecar starts without NATS and waits for it.
    #[serde(default)]
    pub(crate) optional: bool,
    /// Whether the replica that has the connection runs calls, too; `true`.
    pub(crate) gateway_serves: Option<bool>,
    /// What tells whose declaration of a tool counts while replicas differ; the time at which the program was built.
    pub(crate) build: Option<String>,
    /// How many servers of a NATS cluster keep the lease, from 1 to 5; 1.
    pub(crate) store_replicas: Option<usize>,
}

/// Where the spans of calls go: a collector that takes OTLP over HTTP. Needs a program with the feature `otlp`.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Traces {
    /// The collector, such as `http://127.0.0.1:4318`; `/v1/traces` is added unless a path stands there.
    pub(crate) endpoint: String,
    /// Headers of every request: texts, or `env:NAME` or `file:PATH`.
    #[serde(default, skip_serializing_if = "Table::is_empty")]
    pub(crate) headers: Table<String>,
    /// Certificates in PEM that are trusted beside the system's.
    pub(crate) ca_file: Option<PathBuf>,
    /// What the collector calls this sidecar; `platools-sidecar`.
    pub(crate) service_name: Option<String>,
    /// How many of the traces that begin here are kept, from 0.0 to 1.0, which is all of them. A call that is part of
    /// a trace already is kept when that is.
    pub(crate) sample_ratio: Option<f64>,
}

/// How lines are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// How the sidecar runs.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Running {
    /// Whether a changed file is used at once; SIGHUP always does that.
    #[serde(default = "yes")]
    pub(crate) watch: bool,
    /// How long running calls may take to finish at the end; 25s.
    pub(crate) shutdown_grace: Option<Time>,
    /// Whether every entity has the built-in tool `ping`, for the platform's wire test.
    #[serde(default)]
    pub(crate) ping: bool,
    /// How long the first declaration of the tools waits for MCP servers that are not up yet; 15s.
    pub(crate) mcp_wait: Option<Time>,
    /// The directory for what must outlive the sidecar; by default, the variable `PLATOOLS_STATE_DIR`.
    pub(crate) state_dir: Option<PathBuf>,
}

impl Running {
    /// How long the first declaration of the tools waits for MCP servers.
    pub(crate) fn mcp_wait(&self) -> Duration {
        self.mcp_wait.map_or(MCP_WAIT, |wait| wait.0)
    }
}

impl Default for Running {
    fn default() -> Self {
        Self { watch: true, shutdown_grace: None, ping: false, mcp_wait: None, state_dir: None }
    }
}

fn yes() -> bool {
    true
}
