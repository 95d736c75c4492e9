//! `serve`: the tools of a file as an MCP server.

use std::io::IsTerminal as _;
use std::path::PathBuf;

use clap::{Args, ValueHint};
use platools_mcp::McpServer;
use platools_toolkit::cli::output::Output;

use crate::{Failure, sidecar};

/// The variable with the token of MCP over HTTP.
const TOKEN: &str = "PLATOOLS_SERVE_TOKEN";

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The file that says what tools there are, as for `sidecar`
    #[arg(long, value_name = "FILE", env = "PLATOOLS_CONFIG", value_hint = ValueHint::FilePath)]
    config: PathBuf,
    /// Over HTTP instead of standard input and output; PLATOOLS_SERVE_TOKEN is the bearer token
    #[arg(long)]
    http: bool,
    /// The address, with --http
    #[arg(long, default_value = "127.0.0.1", requires = "http")]
    host: String,
    /// The port, with --http; 0 for a free one
    #[arg(long, default_value_t = 3200, requires = "http")]
    port: u16,
}

pub(crate) async fn run(options: Options, output: &Output) -> Result<(), Failure> {
    platools_net::descriptors::raise();
    let local = platools_sidecar::local(&options.config).await.map_err(sidecar::failure)?;
    if local.is_empty() {
        let file = options.config.display();
        let text = format!(
            "there are no tools to serve: add a `[[tool.http]]`, an `[[openapi]]` or an `[[mcp]]` to `{file}`"
        );
        return Err(Failure::Usage(text));
    }
    local.init_logging("info");
    let (ready, table) = (local.ready(), local.host().tools().clone());
    let server = McpServer::new(local.host().door()).name("platools").ready(async move {
        ready.await;
        tracing::info!(tools = table.len(), "the tools are there");
    });
    let failed = |error: platools_mcp::McpError| Failure::Failed(Some(error.to_string()));
    if !options.http {
        tracing::info!("serving MCP on standard input and output");
        if std::io::stdin().is_terminal() {
            let file = std::fs::canonicalize(&options.config).unwrap_or(options.config);
            output.note(&format!(
                "waiting for an MCP client on this terminal's input: clients start this command themselves, for example \
                 after `claude mcp add tools -- platools serve --config {}`; Ctrl-D ends it",
                file.display()
            ));
        }
        let outcome = server.serve_stdio().await.map_err(failed);
        local.stop().await;
        return outcome;
    }
    let token = std::env::var(TOKEN).ok().filter(|token| !token.is_empty()).ok_or_else(|| {
        Failure::Usage(format!(
            "MCP over HTTP needs a bearer token: set {TOKEN}, for example with `export {TOKEN}=$(openssl rand -hex 24)`"
        ))
    })?;
    let http = server.http(token).map_err(|error| Failure::Usage(error.to_string()))?;
    let listener = http.bind((options.host.as_str(), options.port)).await;
    let listener = listener.map_err(|error| Failure::Usage(error.to_string()))?;
    tracing::info!(url = listener.url(), "serving MCP over HTTP");
    let outcome = listener.serve().await.map_err(failed);
    local.stop().await;
    outcome
}
