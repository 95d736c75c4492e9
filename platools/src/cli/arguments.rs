//! The command line as it is written.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueHint};
use clap_complete::Shell;

use super::Caller;

/// Tools for agents.
#[derive(Debug, Parser)]
#[command(about = "Offer tools to agents: connect to the platform, or list, look at and call the tools here")]
#[command(
    after_help = "Exit codes: 0 done; 1 a tool failed or the host gave up; 2 wrong usage or configuration."
)]
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
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
}

#[derive(Debug, Args)]
pub(super) struct List {
    /// Only tools whose name, description or category has this text in it
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
    #[command(flatten)]
    pub(super) caller: Caller,
    /// Result or error as one JSON object, with the latency
    #[arg(long)]
    pub(super) json: bool,
    /// Write a result that is an image, a sound or a document into this file
    #[arg(long, short, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(super) output: Option<PathBuf>,
    /// Show what broke inside a tool, instead of `internal error`
    #[arg(long)]
    pub(super) show_internal_errors: bool,
}
