//! `[[mcp]]`: from the file to MCP servers whose tools are taken over.

use std::time::Duration;

use super::client::PlannedClient;
use super::{Planner, address};
use crate::config::{Entry, Mcp, Override, Path, SecretRef, Table};
use crate::fingerprint::{Fingerprint, Fingerprinter};
use platools::ToolSpec;
use platools_upstream::{Bearer, ServerProgram, UpstreamConfig, check_url};

/// How long dialling a server at a URL may take. Nobody waits for it but the tools that it will have.
const CONNECT: Duration = Duration::from_secs(10);

/// An MCP server, and what the file says of its tools.
#[derive(Debug, Clone)]
pub(crate) struct UpstreamPlan {
    pub(crate) name: String,
    pub(crate) config: UpstreamConfig,
    /// The same for a connection that is the same. Everything else of the section changes in place.
    pub(crate) fingerprint: Fingerprint,
    entities: Option<Vec<String>>,
}

impl UpstreamPlan {
    /// Whether an entity has the tools.
    pub(crate) fn belongs_to(&self, entity: &str) -> bool {
        self.entities.as_ref().is_none_or(|entities| entities.iter().any(|name| name == entity))
    }

    /// The entities that have the tools; `None` for all.
    pub(crate) fn entities(&self) -> Option<&[String]> {
        self.entities.as_deref()
    }
}

impl Planner<'_> {
    /// All of them that are right.
    pub(super) fn upstreams(&mut self) -> Vec<UpstreamPlan> {
        let sections = self.sections;
        let mut seen: Vec<&str> = Vec::new();
        for Entry { at, value } in &sections.mcp {
            if seen.contains(&value.name.as_str()) {
                self.wrong(
                    &at.key("name"),
                    format!("the server `{}` stands there twice: rename one", value.name),
                );
            }
            seen.push(&value.name);
        }
        sections.mcp.iter().filter_map(|entry| self.upstream(entry)).collect()
    }

    fn upstream(&mut self, Entry { at, value: file }: &Entry<Mcp>) -> Option<UpstreamPlan> {
        self.entity_names(at, file.entities.as_deref());
        if file.concurrency == Some(0) {
            self.wrong(
                &at.key("concurrency"),
                "no call could ever run: write 1 or more, or leave the key out",
            );
        }
        if !file.prefix.is_empty()
            && let Err(error) = platools::tool::check_name(&file.prefix)
        {
            self.wrong(&at.key("prefix"), error.to_string());
        }
        let fingerprint = Fingerprinter::default().add(&connection(file));
        let (config, fingerprint) = match (&file.command, &file.url) {
            (Some(_), None) => self.program_upstream(at, file, fingerprint),
            (None, Some(url)) => self.url_upstream(at, file, url, fingerprint),
            _ => {
                self.wrong(at, "write one of `command` and `url`: where the server is");
                None
            }
        }
        .unzip();
        if file.tools.as_ref().is_some_and(Vec::is_empty) {
            self.odd(&at.key("tools"), "no tool of the server is taken: name some, or leave the key out");
        }
        if file.pin && !self.has_state_dir() {
            let message = "what is accepted is kept in the state directory: write `state_dir` under `[sidecar]`, or set \
                           PLATOOLS_STATE_DIR";
            self.wrong(&at.key("pin"), message);
        }
        let common = file.common();
        let mut config = config?.prefix(&file.prefix).declared_as(move |spec| {
            let description = spec.description.clone();
            super::tool::apply(spec, &description, &common)
        });
        if let Some(tools) = &file.tools {
            config = config.only(tools.clone());
        }
        if let Some(size) = file.max_result {
            config = config.max_result(size.0);
        }
        for (name, tool) in &file.overrides {
            if file.tools.as_ref().is_some_and(|tools| !tools.contains(name)) {
                self.odd(
                    &at.key("overrides").key(name),
                    format!("`{name}` is not one of the `tools` that are taken"),
                );
            }
            let tool = tool.clone();
            config = config.declare_tool(name, move |spec| overridden(spec, &tool));
        }
        config = config.pin(file.pin);
        Some(UpstreamPlan {
            name: file.name.clone(),
            config,
            fingerprint: fingerprint?.finish(),
            entities: file.entities.clone(),
        })
    }

    fn program_upstream(
        &mut self,
        at: &Path,
        file: &Mcp,
        mut fingerprint: Fingerprinter,
    ) -> Option<(UpstreamConfig, Fingerprinter)> {
        if file.bearer.is_some() {
            self.wrong(
                &at.key("bearer"),
                "a bearer token is for a `url`: give programs their secrets with `env`",
            );
        }
        if file.ca_file.is_some() {
            self.wrong(&at.key("ca_file"), "this is for a `url`: leave it out");
        }
        let path = self.program(&at.key("command"), file.command.as_deref()?);
        let is_found = path.is_some();
        let mut program = ServerProgram::new(path.unwrap_or_default());
        for arg in &file.args {
            program = program.arg(arg);
        }
        if let Some(cwd) = &file.cwd {
            let cwd = self.folder.join(cwd);
            if !cwd.is_dir() {
                self.wrong(&at.key("cwd"), format!("`{}` is no folder", cwd.display()));
            }
            program = program.folder(cwd);
        }
        self.warn_of_service_secret(at, file.inherit_env.as_deref());
        if let Some(names) = &file.inherit_env {
            program = program.inherit(names.clone());
        }
        for (name, value) in self.environment(at, &[], &file.env)? {
            let (name, value) = (name.into_string().ok()?, value.into_string().ok()?);
            fingerprint = fingerprint.add(&value);
            program = program.env(name, value);
        }
        is_found.then_some(())?;
        Some((UpstreamConfig::program(&file.name, program), fingerprint))
    }

    fn url_upstream(
        &mut self,
        at: &Path,
        file: &Mcp,
        url: &str,
        mut fingerprint: Fingerprinter,
    ) -> Option<(UpstreamConfig, Fingerprinter)> {
        for (is_given, key) in [
            (!file.args.is_empty(), "args"),
            (file.cwd.is_some(), "cwd"),
            (file.inherit_env.is_some(), "inherit_env"),
            (!file.env.is_empty(), "env"),
        ] {
            if is_given {
                self.wrong(&at.key(key), "this is for a `command`: leave it out");
            }
        }
        let checked = address::server(url, &self.sections.egress);
        let checked = self.noted(&at.key("url"), checked);
        let bearer = match &file.bearer {
            None => Some(None),
            Some(reference) => self.upstream_bearer(&at.key("bearer"), reference, &mut fingerprint).map(Some),
        };
        let (checked, bearer) = (checked?, bearer?);
        let fits = check_url(checked.as_str(), bearer.is_some()).map_err(|error| error.to_string());
        self.noted(&at.key("url"), fits)?;
        // The rules of `[egress]` are the client's to keep: a name is judged by what it resolves to, whenever a
        // connection is made.
        let PlannedClient { client, made_of, .. } =
            self.client(at, &checked, file.ca_file.as_deref(), Some(CONNECT))?;
        let fingerprint = fingerprint.add(&made_of.as_bytes());
        let config = UpstreamConfig::url(&file.name, checked.as_str(), bearer).connect_with(client);
        Some((config, fingerprint))
    }

    fn upstream_bearer(
        &mut self,
        at: &Path,
        reference: &SecretRef,
        fingerprint: &mut Fingerprinter,
    ) -> Option<Bearer> {
        let token = self.secret(at, reference)?;
        *fingerprint = fingerprint.clone().add(&token.expose());
        let bearer = Bearer::new(token.expose()).map_err(|error| error.to_string());
        self.noted(at, bearer)
    }
}

/// A declaration with what the file says of it, instead of what the server says.
fn overridden(mut spec: ToolSpec, tool: &Override) -> ToolSpec {
    if let Some(description) = &tool.description {
        spec = spec.description(description.trim());
    }
    if let Some(title) = &tool.title {
        spec = spec.title(title);
    }
    for (hint, set) in [
        (tool.read_only, ToolSpec::read_only as fn(ToolSpec, bool) -> ToolSpec),
        (tool.destructive, ToolSpec::destructive),
        (tool.idempotent, ToolSpec::idempotent),
        (tool.open_world, ToolSpec::open_world),
    ] {
        if let Some(hint) = hint {
            spec = set(spec, hint);
        }
    }
    spec
}

/// What of a section makes the connection.
fn connection(file: &Mcp) -> Mcp {
    Mcp {
        name: String::new(),
        prefix: String::new(),
        tools: None,
        pin: false,
        overrides: Table::new(),
        auth: None,
        roles: Vec::new(),
        timeout: None,
        rate_limit: None,
        concurrency: None,
        entities: None,
        ..file.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::sync::{Arc, Mutex};

    use platools::{CancellationToken, Platools, Tool, ToolCall, ToolOutput};
    use platools_mcp::McpServer;

    use super::*;
    use crate::config::Egress;
    use crate::http::client::ClientOptions;
    use crate::http::egress::Resolver;
    use platools_upstream::{Upstream, UpstreamState};

    const TOKEN: &str = "a-token-of-the-server";

    /// An MCP server that can be ended.
    async fn serve(address: SocketAddr) -> (SocketAddr, CancellationToken, tokio::task::JoinHandle<()>) {
        let tool =
            Tool::new(ToolSpec::new("who"), |_: ToolCall| async { Ok(ToolOutput::text("the server")) });
        let host = Platools::builder().tools([tool]).build_local().unwrap();
        let listener = McpServer::new(host.door())
            .http(TOKEN)
            .unwrap()
            .bind((address.ip(), address.port()))
            .await
            .unwrap();
        let (address, stop) = (listener.local_addr(), CancellationToken::new());
        let serving = tokio::spawn(listener.serve_until(stop.clone().cancelled_owned()));
        (address, stop, serving)
    }

    async fn within<T>(future: impl Future<Output = T>) -> T {
        tokio::time::timeout(Duration::from_secs(60), future).await.expect("it took a minute")
    }

    #[tokio::test]
    async fn a_name_that_turns_into_the_address_of_a_metadata_service_is_refused_at_the_next_connection() {
        let (address, stop, serving) = serve("127.0.0.1:0".parse().unwrap()).await;
        let found = Arc::new(Mutex::new("127.0.0.1:0"));
        let says = Arc::clone(&found);
        let resolver = Resolver::with_lookup(Egress::default(), move |_| {
            let address = says.lock().unwrap().parse().unwrap();
            Box::pin(async move { Ok(vec![address]) })
        });
        let options = ClientOptions {
            egress: Egress::default(),
            certificates: None,
            connect_timeout: None,
            through: None,
        };
        let client = options.build_with(resolver).unwrap();
        let quick = Duration::from_millis(20);
        let url = format!("http://localhost:{}/mcp", address.port());
        let config = UpstreamConfig::url("far", url, Some(Bearer::new(TOKEN).unwrap()));
        let upstream = Upstream::start(config.backoff(quick, quick).look_every(quick).connect_with(client));
        assert!(matches!(within(upstream.up()).await, UpstreamState::Up { tools: 1 }));

        *found.lock().unwrap() = "169.254.169.254:0";
        stop.cancel();
        within(serving).await.unwrap();
        within(upstream.down()).await;
        // The server is there again, and yet not where its name leads.
        let (_, _stop, _serving) = serve(address).await;
        let refused = async {
            loop {
                if let UpstreamState::Down { reason, .. } = upstream.down().await
                    && reason.contains("169.254.169.254 is a link-local or metadata address")
                {
                    return reason;
                }
                tokio::task::yield_now().await;
            }
        };
        let reason = within(refused).await;
        assert!(reason.contains("cannot be reached") && reason.contains("`allow` of `[egress]`"), "{reason}");
        *found.lock().unwrap() = "127.0.0.1:0";
        within(upstream.up()).await;
        within(upstream.stop()).await;
    }
}
