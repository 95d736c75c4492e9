//! `serve`: the tools as an MCP server. The only module of this crate that uses MCP.

use std::io::IsTerminal as _;
use std::net::IpAddr;
use std::path::PathBuf;

use http::uri::Authority;
use platools::{LocalHost, Platools};
use platools_mcp::{McpError, McpServer};
use platools_net::policy::is_loopback_address;
use serde_json::{Value, json};

use super::arguments::Serve;
use super::output::{self, Output};
use super::{Failure, caller, list};
use crate::doctor::{Options, examine};

/// The variable with the token of MCP over HTTP.
const TOKEN: &str = "PLATOOLS_SERVE_TOKEN";

pub(super) async fn run(
    platools: Platools,
    options: &Serve,
    program: &str,
    output: &Output,
) -> Result<(), Failure> {
    let local = platools.build_local().map_err(|error| Failure::of_build(&error))?;
    choose(&local, &options.tool)?;
    if options.list {
        return list::print(&local, output);
    }
    if options.print_config {
        return Ok(output.print(&config(options, program)?)?);
    }
    if local.tools().is_empty() {
        let text = "there are no tools to serve; tools of a crate that nothing refers to are not linked";
        return Err(Failure::Failed(text.to_owned()));
    }
    examined(&local, output)?;

    let server =
        McpServer::new(local.door()).name(program).caller(options.caller.context().map_err(Failure::Usage)?);
    if !options.http {
        platools::logging::init();
        tracing::info!(tools = local.tools().len(), "serving MCP on standard input and output");
        if std::io::stdin().is_terminal() {
            output.note(&waits_on_terminal(&format!("{program} serve --print-config")));
        }
        return server.serve_stdio().await.map_err(|error| Failure::Failed(error.to_string()));
    }
    let mut http = server.http(token(options)?).map_err(|error| match error {
        McpError::Token { .. } => Failure::Usage(format!("{error}; {}", how_to_make_one())),
        error => Failure::Usage(error.to_string()),
    })?;
    for host in &options.allow_host {
        http = http.allow_host(host);
    }
    for origin in &options.allow_origin {
        http = http.allow_origin(origin);
    }
    let listener = http.bind((options.host.as_str(), options.port)).await;
    let listener = listener.map_err(|error| Failure::Usage(error.to_string()))?;
    platools::logging::init();
    tracing::info!(tools = local.tools().len(), url = listener.url(), "serving MCP over HTTP");
    listener.serve().await.map_err(|error| Failure::Failed(error.to_string()))
}

/// Explains to a person who started a server by hand that it waits for a client. `configuration` is the command that
/// prints what an MCP client needs.
fn waits_on_terminal(configuration: &str) -> String {
    format!(
        "waiting for an MCP client on this terminal's input: clients start this command themselves, and `{configuration}` \
         prints what to tell them; Ctrl-D ends it"
    )
}

/// Keeps the named tools, or all if none is named.
fn choose(local: &LocalHost, wanted: &[String]) -> Result<(), Failure> {
    if wanted.is_empty() {
        return Ok(());
    }
    let names: Vec<String> = local.tools().list().iter().map(|tool| tool.name().to_owned()).collect();
    let known: Vec<&str> = names.iter().map(String::as_str).collect();
    if let Some(unknown) = wanted.iter().find(|name| !known.contains(&name.as_str())) {
        return Err(Failure::Usage(format!("--tool: {}", output::unknown_tool(unknown, &known))));
    }
    for name in names.iter().filter(|name| !wanted.contains(name)) {
        local.tools().remove(name);
    }
    Ok(())
}

/// Refuses to serve tools in which the doctor finds an error, and prints its report on standard error.
fn examined(local: &LocalHost, output: &Output) -> Result<(), Failure> {
    let report = examine(&local.tools().registry(), &Options::of_host(local));
    if report.has_errors() {
        output.print_aside(&report.text(output.layout()));
        return Err(Failure::Failed("the doctor found errors: mend them first, or allow them".to_owned()));
    }
    Ok(())
}

fn token(options: &Serve) -> Result<String, Failure> {
    match &options.auth_token {
        Some(reference) => caller::token(reference).map_err(Failure::Usage),
        None => std::env::var(TOKEN).ok().filter(|token| !token.is_empty()).ok_or_else(|| {
            Failure::Usage(format!("MCP over HTTP needs a bearer token: {}", how_to_make_one()))
        }),
    }
}

fn how_to_make_one() -> String {
    format!("set {TOKEN}, for example with `export {TOKEN}=$(openssl rand -hex 24)`")
}

/// Returns the configuration of common MCP clients, without the token itself.
fn config(options: &Serve, program: &str) -> Result<String, Failure> {
    let unknown = |error| Failure::Failed(format!("the path of this program is not known: {error}"));
    let command: PathBuf = std::env::current_exe().map_err(unknown)?;
    let command = command.display().to_string();
    if options.http {
        let url = url(options)?;
        let bearer = |variable: &str| format!("Bearer ${{{variable}}}");
        let cursor = entry(
            program,
            &json!({
                "url": url,
                "headers": {"Authorization": bearer(&format!("env:{TOKEN}"))},
            }),
        );
        let desktop = entry(
            program,
            &json!({
                "command": "npx",
                "args": ["-y", "mcp-remote", url, "--header", format!("Authorization:{}", bearer(TOKEN))],
                "env": {TOKEN: "the token"},
            }),
        );
        return Ok(format!(
            "Start the server with {TOKEN} set, and the client with the same.\n\n\
             Claude Code:\n\
             claude mcp add --transport http {program} {url} --header \"Authorization: Bearer ${TOKEN}\"\n\n\
             Cursor (~/.cursor/mcp.json):\n{cursor}\n\n\
             Claude Desktop (claude_desktop_config.json), which starts local servers itself; better without --http:\n\
             {desktop}\n"
        ));
    }
    let mut args = vec!["serve".to_owned()];
    for tool in &options.tool {
        args.extend(["--tool".to_owned(), tool.clone()]);
    }
    args.extend(options.caller.words().map_err(Failure::Usage)?);
    let line = args.iter().map(|arg| quoted(arg)).collect::<Vec<_>>().join(" ");
    let shown = entry(program, &json!({"command": command, "args": args}));
    Ok(format!(
        "Claude Code:\n\
         claude mcp add {program} -- {} {line}\n\n\
         Claude Desktop (claude_desktop_config.json), Cursor (~/.cursor/mcp.json):\n{shown}\n\n\
         Variables that the tools need go into \"env\", beside \"args\".\n",
        quoted(&command)
    ))
}

/// Returns the URL of the server for clients.
fn url(options: &Serve) -> Result<String, Failure> {
    if options.port == 0 {
        let text = "--print-config: any free port is another one each time; name one with --port";
        return Err(Failure::Usage(text.to_owned()));
    }
    let port = options.port;
    let address = options.host.parse::<IpAddr>().ok();
    if let Some(name) = options.allow_host.first()
        && !address.is_some_and(is_loopback_address)
    {
        let has_port = name.parse::<Authority>().is_ok_and(|name| name.port().is_some());
        return Ok(if has_port { format!("http://{name}/mcp") } else { format!("http://{name}:{port}/mcp") });
    }
    Ok(match address {
        // Not an address that one connects to.
        Some(IpAddr::V4(address)) if address.is_unspecified() => format!("http://127.0.0.1:{port}/mcp"),
        Some(IpAddr::V6(address)) if address.is_unspecified() => format!("http://[::1]:{port}/mcp"),
        Some(IpAddr::V6(address)) => format!("http://[{address}]:{port}/mcp"),
        _ => format!("http://{}:{port}/mcp", options.host),
    })
}

fn entry(program: &str, server: &Value) -> String {
    serde_json::to_string_pretty(&json!({"mcpServers": {program: server}})).unwrap_or_default()
}

/// Quotes a word for a shell.
fn quoted(word: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+:@%=".contains(&byte);
    if !word.is_empty() && word.bytes().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use serde_json::json;

    use super::*;
    use platools::Tool;
    use platools::tool::{ToolOutput, ToolSpec};

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        serve: Serve,
    }

    async fn refused(tools: Vec<Tool>, options: &[&str]) -> String {
        let line = Line::parse_from(["backend"].iter().chain(options));
        match run(Platools::builder().tools(tools), &line.serve, "backend", &Output::new()).await {
            Err(Failure::Failed(text) | Failure::Usage(text)) => text,
            other => panic!("it serves: {other:?}"),
        }
    }

    fn tool(schema: Value) -> Tool {
        let spec = ToolSpec::new("look_up").description("Look up one order by its id.").input_schema(schema);
        Tool::new(spec, |_| async { Ok(ToolOutput::null()) })
    }

    #[tokio::test]
    async fn nothing_and_what_the_doctor_calls_an_error_are_not_served() {
        assert!(refused(vec![], &[]).await.starts_with("there are no tools to serve"));
        let never = json!({"type": "object", "properties": {"id": false}, "required": ["id"]});
        let refused_schema = refused(vec![tool(never)], &["--http", "--port", "0"]).await;
        assert_eq!(refused_schema, "the doctor found errors: mend them first, or allow them");
        let fine = tool(json!({"type": "object"}));
        let unknown = refused(vec![fine], &["--tool", "look_upp"]).await;
        assert_eq!(unknown, "--tool: there is no tool `look_upp`; did you mean `look_up`?");
    }
}
