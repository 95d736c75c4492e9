//! The command line as it is written.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueHint};
use clap_complete::Shell;

use super::Caller;

/// Tools for agents.
#[derive(Debug, Parser)]
#[command(about = "Offer tools to agents: connect to the platform, or list, look at and call the tools here")]
#[command(
    after_help = "Exit codes: 0 done; 1 a tool failed, the host gave up, or something cannot be written; 2 wrong usage or \
                  configuration."
)]
#[command(propagate_version = true)]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Connect to the platform and answer calls until Ctrl-C (the default)
    Connect,
    /// List the tools
    List(List),
    /// Show a tool's declaration as JSON, as the platform gets it
    Schema(Schema),
    /// Call a tool here, without a platform, and print its result
    Call(Box<Call>),
    /// Run cases from a YAML file against the tools here, or one call with what is expected of it
    Test(Box<Test>),
    /// Look for what keeps agents from finding, understanding or calling the tools
    Doctor(Doctor),
    /// Offer the tools over the Model Context Protocol, on standard input and output or over HTTP
    #[cfg(feature = "mcp")]
    Serve(Box<Serve>),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
}

#[derive(Debug, Args)]
pub(super) struct List {
    /// Only tools that have these words in name, description or category
    pub(super) search: Option<String>,
    /// As JSON, with schemas and limits
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct Schema {
    /// The tool
    pub(super) tool: String,
    /// The schema of the arguments alone
    #[arg(long, conflicts_with = "output")]
    pub(super) input: bool,
    /// The schema of the result alone
    #[arg(long)]
    pub(super) output: bool,
}

#[derive(Debug, Args)]
pub(super) struct Call {
    /// The tool
    pub(super) tool: String,
    /// The arguments: a JSON object, `@FILE` to read one from a file, or `-` from standard input
    #[arg(long, short, value_name = "JSON|@FILE|-", default_value = "{}", allow_hyphen_values = true)]
    pub(super) params: String,
    /// Result or error as one JSON object, with the latency
    #[arg(long)]
    pub(super) json: bool,
    /// Write a result that is an image, a sound or a document into this file
    #[arg(long, short, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(super) output: Option<PathBuf>,
    /// Show what broke inside a tool, instead of `internal error`
    #[arg(long)]
    pub(super) show_internal_errors: bool,
    // Last, since its heading holds for all options after it.
    #[command(flatten)]
    pub(super) caller: Caller,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 all cases passed; 1 one failed; 2 the file or the command line is wrong."
)]
pub(super) struct Test {
    /// A tool to call once, instead of the cases of a file
    pub(super) tool: Option<String>,
    /// The file with cases; platools-tests.yaml unless given
    #[arg(long, short, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "tool")]
    pub(super) file: Option<PathBuf>,
    /// The arguments of the one call: a JSON object, `@FILE`, or `-` from standard input
    #[arg(
        long,
        short,
        value_name = "JSON|@FILE|-",
        default_value = "{}",
        requires = "tool",
        allow_hyphen_values = true
    )]
    pub(super) params: String,
    /// JSON that the result of the one call must contain
    #[arg(long, value_name = "JSON", requires = "tool", conflicts_with = "expect_error")]
    pub(super) expect: Option<String>,
    /// The one call has to fail; with a text, with that text in its error
    #[arg(long, value_name = "TEXT", requires = "tool", num_args = 0..=1, default_missing_value = "")]
    pub(super) expect_error: Option<String>,
    /// How long the one call may take, such as 500ms
    #[arg(long, value_name = "DURATION", requires = "tool", value_parser = super::duration)]
    pub(super) max_latency: Option<Duration>,
    /// Say which tools have no case, and run none
    #[arg(long, conflicts_with_all = ["tool", "junit", "fail_fast"])]
    pub(super) coverage: bool,
    /// Stop at the first case that fails
    #[arg(long)]
    pub(super) fail_fast: bool,
    /// The report as JSON
    #[arg(long)]
    pub(super) json: bool,
    /// Write the report as JUnit XML into this file, too
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(super) junit: Option<PathBuf>,
    #[command(flatten)]
    pub(super) caller: Caller,
}

#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 no error was found; 1 one was.")]
pub(super) struct Doctor {
    /// The report as JSON
    #[arg(long)]
    pub(super) json: bool,
    /// Do not heed a rule, everywhere or in one tool; may be repeated
    #[arg(long, value_name = "[TOOL:]RULE")]
    pub(super) allow: Vec<String>,
    /// A role that people or agents have; may be repeated
    #[arg(long, value_name = "ROLE")]
    pub(super) role: Vec<String>,
    /// A tool that an agent uses; may be repeated
    #[arg(long, value_name = "TOOL")]
    pub(super) agent_tool: Vec<String>,
}

#[cfg(feature = "mcp")]
#[derive(Debug, Args)]
#[command(
    after_help = "Over HTTP, clients send the token as `Authorization: Bearer TOKEN`. It comes from --auth-token or \
                  PLATOOLS_SERVE_TOKEN, and has at least 16 characters."
)]
pub(super) struct Serve {
    /// Serve over HTTP, at /mcp, instead of standard input and output
    #[arg(long)]
    pub(super) http: bool,
    /// The address to listen on
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1", requires = "http")]
    pub(super) host: String,
    /// The port to listen on; 0 for any that is free
    #[arg(long, default_value_t = 3001, requires = "http")]
    pub(super) port: u16,
    /// The bearer token of MCP over HTTP; `env:NAME` takes it from a variable
    #[arg(long, value_name = "TOKEN|env:NAME", requires = "http")]
    pub(super) auth_token: Option<String>,
    /// Another host name under which clients reach the server; may be repeated
    #[arg(long, value_name = "HOST", requires = "http")]
    pub(super) allow_host: Vec<String>,
    /// The origin of pages that may use the server from a browser; may be repeated
    #[arg(long, value_name = "ORIGIN", requires = "http")]
    pub(super) allow_origin: Vec<String>,
    /// Serve this tool alone; may be repeated
    #[arg(long, value_name = "NAME")]
    pub(super) tool: Vec<String>,
    /// List the tools that would be served, and end
    #[arg(long)]
    pub(super) list: bool,
    /// Print what to paste into Claude Desktop, Claude Code and Cursor, and end
    #[arg(long, conflicts_with = "list")]
    pub(super) print_config: bool,
    #[command(flatten)]
    pub(super) caller: Caller,
}
