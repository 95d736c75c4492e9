//! The file as it is written: sections and keys, with what each of them means.
//!
//! The doc comments are the descriptions in the JSON Schema that editors show. What depends on several keys is
//! checked elsewhere.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::settings::{
    Admin, Authenticator, Backend, Egress, Entity, Fleet, Log, Mcp, OpenApi, Plato, Proxy, Running,
    SessionTokens, Traces,
};
use super::values::{Rate, SecretRef, Size, Time};

/// A table whose order does not matter.
pub(crate) type Table<T> = BTreeMap<String, T>;

/// The configuration of a platools sidecar.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    /// The entities to connect as. Without any, the PLATOS_… variables say which one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) entity: Vec<Entity>,
    /// Tools: `[[tool.http]]` and `[[tool.command]]`.
    #[serde(default)]
    pub(crate) tool: Tools,
    /// OpenAPI documents whose operations become tools.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) openapi: Vec<OpenApi>,
    /// MCP servers whose tools become tools here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) mcp: Vec<Mcp>,
    /// Desktops of Plato as tools.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) plato: Vec<Plato>,
    /// HTTP servers that tools refer to by name: `[backend.NAME]`.
    #[serde(default, skip_serializing_if = "Table::is_empty")]
    pub(crate) backend: Table<Backend>,
    /// Which addresses the sidecar may reach.
    #[serde(default)]
    pub(crate) egress: Egress,
    /// The HTTP proxy for connections to other machines.
    pub(crate) proxy: Option<Proxy>,
    /// Who verifies the users of calls, so that `auth` and `roles` are enforced.
    pub(crate) authenticator: Option<Authenticator>,
    /// The endpoint from which frontends get session tokens.
    pub(crate) session_tokens: Option<SessionTokens>,
    /// The listener for probes, figures and a look inside.
    pub(crate) admin: Option<Admin>,
    /// What goes to standard error.
    #[serde(default)]
    pub(crate) log: Log,
    /// The replicas that share the connections, over NATS.
    pub(crate) fleet: Option<Fleet>,
    /// Where the spans of calls go.
    pub(crate) traces: Option<Traces>,
    /// How the sidecar runs.
    #[serde(default)]
    pub(crate) sidecar: Running,
}

/// Tools, by where they run.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tools {
    /// Requests to an HTTP server.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) http: Vec<Http>,
    /// Programs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) command: Vec<Command>,
}

/// What every tool has, wherever it runs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Common {
    pub(crate) title: Option<String>,
    pub(crate) category: Option<String>,
    pub(crate) auth: Option<Auth>,
    pub(crate) roles: Vec<String>,
    pub(crate) timeout: Option<Time>,
    pub(crate) rate_limit: Option<Rate>,
    pub(crate) concurrency: Option<usize>,
    pub(crate) read_only: Option<bool>,
    pub(crate) destructive: Option<bool>,
    pub(crate) idempotent: Option<bool>,
    pub(crate) open_world: Option<bool>,
    pub(crate) describe_parameters: Option<bool>,
    pub(crate) annotations: Table<Value>,
    pub(crate) entities: Option<Vec<String>>,
}

/// Serde's `flatten` would lose the lines of mistakes, so the keys are pasted.
macro_rules! with_common {
    ($(#[$doc:meta])* struct $name:ident { $($fields:tt)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub(crate) struct $name {
            $($fields)*
            /// A name for people.
            pub(crate) title: Option<String>,
            /// A group of tools, which the platform indexes.
            pub(crate) category: Option<String>,
            /// Who may call: `none`, `user` or `admin`. Enforced where there is an `[authenticator]`.
            pub(crate) auth: Option<Auth>,
            /// Roles of which a caller needs any one.
            #[serde(default, skip_serializing_if = "Vec::is_empty")]
            pub(crate) roles: Vec<String>,
            /// How long a call may take, such as `10s`; the host's limit is 28s.
            pub(crate) timeout: Option<Time>,
            /// How often it may be called, such as `60/min` or `5/s, burst 10, per user`.
            pub(crate) rate_limit: Option<Rate>,
            /// How many calls run at the same time; more wait.
            #[schemars(range(min = 1))]
            pub(crate) concurrency: Option<usize>,
            /// Whether it changes nothing.
            pub(crate) read_only: Option<bool>,
            /// Whether it may destroy something.
            pub(crate) destructive: Option<bool>,
            /// Whether calling twice does no more than calling once.
            pub(crate) idempotent: Option<bool>,
            /// Whether it reaches things outside the backend.
            pub(crate) open_world: Option<bool>,
            /// Whether the description that the platform is sent ends with a summary of the arguments; without it, as the
            /// entity says.
            pub(crate) describe_parameters: Option<bool>,
            /// Free annotations.
            #[serde(default, skip_serializing_if = "Table::is_empty")]
            pub(crate) annotations: Table<Value>,
            /// The entities that have it; without it, all of them.
            pub(crate) entities: Option<Vec<String>>,
        }

        impl $name {
            /// What every tool has.
            pub(crate) fn common(&self) -> Common {
                let this = self.clone();
                Common {
                    title: this.title,
                    category: this.category,
                    auth: this.auth,
                    roles: this.roles,
                    timeout: this.timeout,
                    rate_limit: this.rate_limit,
                    concurrency: this.concurrency,
                    read_only: this.read_only,
                    destructive: this.destructive,
                    idempotent: this.idempotent,
                    open_world: this.open_world,
                    describe_parameters: this.describe_parameters,
                    annotations: this.annotations,
                    entities: this.entities,
                }
            }
        }
    };
}

/// Who may call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Auth {
    /// Anyone.
    None,
    /// A verified user.
    User,
    /// An administrator.
    Admin,
}

/// A JSON Schema: a table, or its text as JSON.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(untagged, expecting = "write a table, or a text with JSON")]
pub(crate) enum InlineSchema {
    /// A table of the file.
    Table(Table<Value>),
    /// JSON.
    Text(String),
}

/// One argument: a JSON Schema, and whether it may be left out.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
pub(crate) struct Argument {
    /// Whether it may be left out. An argument with a `default` may.
    #[serde(default)]
    pub(crate) optional: bool,
    /// The JSON Schema of its values: `type`, `description`, `enum`, `minimum`, …
    #[serde(flatten)]
    pub(crate) schema: serde_json::Map<String, Value>,
}

with_common! {
    /// A tool that asks an HTTP server.
    struct Http {
        /// The name that agents call.
        pub(crate) name: String,
        /// What it does, for the model.
        #[serde(default)]
        pub(crate) description: String,
        /// The HTTP method; GET.
        pub(crate) method: Option<String>,
        /// The URL, with `{placeholders}` in path and query; with a `backend`, what comes after its URL.
        pub(crate) url: String,
        /// The backend it belongs to: `[backend.NAME]`.
        pub(crate) backend: Option<String>,
        /// Certificates in PEM that are trusted beside the system's, without a `backend`.
        pub(crate) ca_file: Option<PathBuf>,
        /// Query parameters: texts with `{placeholders}`, or `env:NAME` or `file:PATH`. One whose argument is absent is
        /// left out.
        #[serde(default, skip_serializing_if = "Table::is_empty")]
        pub(crate) query: Table<String>,
        /// Headers: texts with `{placeholders}`, or `env:NAME` or `file:PATH`.
        #[serde(default, skip_serializing_if = "Table::is_empty")]
        pub(crate) headers: Table<String>,
        /// What is sent: `json` or `form` (the arguments that stand nowhere else), `none`, or a table with one of
        /// `json`, `form` and `text`, in which texts may hold `{placeholders}`.
        pub(crate) body: Option<Body>,
        /// How the answer is read: `auto` by its type, `json` or `text`.
        #[serde(default)]
        pub(crate) response: Format,
        /// The part of a JSON answer that is passed on, as a JSON Pointer such as `/data/items`.
        pub(crate) pick: Option<String>,
        /// The arguments: `arguments.NAME = { type = "string", … }`.
        #[serde(default, skip_serializing_if = "Table::is_empty")]
        pub(crate) arguments: Table<Argument>,
        /// The JSON Schema of all arguments, instead of `arguments`.
        pub(crate) schema: Option<InlineSchema>,
        /// A file with the JSON Schema of all arguments.
        pub(crate) schema_file: Option<PathBuf>,
        /// The JSON Schema of the result.
        pub(crate) output_schema: Option<InlineSchema>,
        /// Where the backend's bearer token is: `env:NAME` or `file:PATH`.
        pub(crate) bearer: Option<SecretRef>,
        /// What the backend is told about the caller.
        pub(crate) forward: Option<Vec<Forward>>,
        /// Where the key is with which requests are signed: `env:NAME` or `file:PATH`.
        pub(crate) sign: Option<SecretRef>,
        /// The largest answer that is read; 1 MiB.
        pub(crate) max_response: Option<Size>,
        /// How often a request that may be repeated is tried again; 2.
        pub(crate) retries: Option<u32>,
        /// Which answers' texts the model reads when the status is an error: of 4xx (`client`), `all` or `none`.
        pub(crate) error_text: Option<ErrorText>,
    }
}

/// What is sent.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "write `json`, `form`, `none`, or a table with one of `json`, `form` and `text`"
)]
pub(crate) enum Body {
    /// All arguments that stand nowhere else.
    Rest(RestBody),
    /// What the file says.
    Template(TemplateBody),
}

/// All arguments that stand nowhere else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum RestBody {
    /// As a JSON object.
    Json,
    /// As `application/x-www-form-urlencoded`.
    Form,
    /// Nothing is sent.
    None,
}

/// A body that is written out.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum TemplateBody {
    /// JSON. A text that is one placeholder becomes the argument's value, whatever its type.
    Json(Value),
    /// Fields of a form.
    Form(Table<String>),
    /// A text.
    Text(String),
}

/// How an answer is read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Format {
    /// By what it is.
    #[default]
    Auto,
    /// As JSON; anything else is an error.
    Json,
    /// As text.
    Text,
}

/// Which answers' texts the model reads when the status is an error.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ErrorText {
    /// Those of 4xx: what the caller did wrong.
    #[default]
    Client,
    /// All of them.
    All,
    /// The status alone.
    None,
}

/// What a backend is told about the caller, each in a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Forward {
    /// `X-Platos-User-Id`: the user, as the platform says.
    UserId,
    /// `Authorization: Bearer`: the user's own token. A secret.
    UserToken,
    /// `X-Platos-Entity-Token`: the entity's token of the user. A secret.
    EntityToken,
    /// `X-Platos-Subject`: the user, as the `[authenticator]` verified.
    Subject,
    /// `X-Platos-Agent-Id`.
    AgentId,
    /// `X-Platos-Thread-Id`.
    ThreadId,
    /// `X-Platos-Call-Id`.
    CallId,
    /// `X-Platos-Entity-Id`.
    EntityId,
    /// `X-Platos-Organization-Id`.
    OrganizationId,
    /// `X-Platos-Project-Id`.
    ProjectId,
    /// `X-Platos-Environment-Id`.
    EnvironmentId,
    /// `traceparent`, when the call has one.
    Traceparent,
}

with_common! {
    /// A tool that runs a program, never a shell.
    struct Command {
        /// The name that agents call.
        pub(crate) name: String,
        /// What it does, for the model.
        #[serde(default)]
        pub(crate) description: String,
        /// The program: a path, or a name that is looked for in the sidecar's PATH.
        pub(crate) program: PathBuf,
        /// Its arguments, with `{placeholders}`. One that holds an absent argument is left out; a list stands for
        /// several that are left out together.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        pub(crate) args: Vec<Arg>,
        /// What it reads: `none`, or all arguments as `json`.
        #[serde(default)]
        pub(crate) stdin: Stdin,
        /// How its output is read: `auto` (JSON when it is JSON), `json` or `text`.
        #[serde(default)]
        pub(crate) stdout: Format,
        /// Where it runs; the sidecar's own folder.
        pub(crate) cwd: Option<PathBuf>,
        /// Variables that it inherits; PATH alone.
        pub(crate) inherit_env: Option<Vec<String>>,
        /// Variables that it gets: texts, or `env:NAME` or `file:PATH`.
        #[serde(default, skip_serializing_if = "Table::is_empty")]
        pub(crate) env: Table<String>,
        /// What exit codes mean: `ok`, or a text for the model, in which `{stderr}` is the end of what the program
        /// complained.
        #[serde(default, skip_serializing_if = "Table::is_empty")]
        pub(crate) exit: Table<String>,
        /// The most that is read of its output; 1 MiB.
        pub(crate) max_output: Option<Size>,
        /// How long it has after SIGTERM before it is killed; 2s.
        pub(crate) kill_after: Option<Time>,
        /// Whether an argument that the agent gives may begin with a dash, as an option would.
        #[serde(default)]
        pub(crate) allow_dash: bool,
        /// Whether agents are meant to run code of theirs with it, as where the program is a sandbox. Otherwise a command
        /// line that would run what an agent writes (`python3 -c {code}`, `ssh host {line}`, `env {program}`) is refused.
        #[serde(default)]
        pub(crate) allow_code: bool,
        /// The arguments: `arguments.NAME = { type = "string", … }`.
        #[serde(default, skip_serializing_if = "Table::is_empty")]
        pub(crate) arguments: Table<Argument>,
        /// The JSON Schema of all arguments, instead of `arguments`.
        pub(crate) schema: Option<InlineSchema>,
        /// A file with the JSON Schema of all arguments.
        pub(crate) schema_file: Option<PathBuf>,
        /// The JSON Schema of the result.
        pub(crate) output_schema: Option<InlineSchema>,
    }
}

/// An argument of a program, or several that belong together.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(untagged, expecting = "write a text, or a list of texts that belong together")]
pub(crate) enum Arg {
    /// One.
    One(String),
    /// Several.
    Several(Vec<String>),
}

/// What a program reads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Stdin {
    /// Nothing.
    #[default]
    None,
    /// All arguments, as a JSON object.
    Json,
}
