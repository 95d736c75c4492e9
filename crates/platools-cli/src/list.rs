//! `list`: the tools of a connected host, or of an MCP server.

use clap::Args;
use platools_toolkit::cli::output::{Output, ToolLine};
use serde_json::Value;

use crate::Failure;
use crate::client::{Client, Target, text};
use crate::mcp::Server;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Only tools that have these words in name or description
    search: Option<String>,
    /// As JSON, with schemas
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: Target,
}

pub(crate) async fn run(options: &Options, output: &Output) -> Result<(), Failure> {
    let search = options.search.as_deref().unwrap_or_default();
    if options.target.is_mcp() {
        return Server::connect(&options.target).await?.list(search, options.json, output).await;
    }
    let client = Client::new(&options.target)?;
    let seat = client.seat(&options.target).await?;
    let tools = client.tools(&seat, search, options.json).await?;
    if options.json {
        return Ok(output.json(&tools)?);
    }
    if tools.is_empty() {
        output.note(if options.search.is_some() {
            "no tool has these words"
        } else {
            "the host has no tools"
        });
    }
    let roles: Vec<Vec<String>> = tools.iter().map(roles).collect();
    let lines: Vec<_> = tools
        .iter()
        .zip(&roles)
        .map(|(tool, roles)| {
            let auth = match text(tool, "auth") {
                "" => "none",
                auth => auth,
            };
            ToolLine::new(text(tool, "name"), text(tool, "description")).access(auth, roles)
        })
        .collect();
    Ok(output.tools(&lines)?)
}

fn roles(tool: &Value) -> Vec<String> {
    let roles = tool.get("roles").and_then(Value::as_array);
    roles.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}
