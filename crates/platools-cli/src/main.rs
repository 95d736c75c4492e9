//! `platools`: the program beside the library.
//!
//! | command | what it does |
//! | --- | --- |
//! | `dev` | a development platform on this machine, with a playground page |
//! | `mint` | prints a session token |
//! | `doctor` | looks at a host's configuration and connection |
//! | `list`, `call` | the tools of a host that is connected to a development platform, or of an MCP server |
//! | `sidecar` | the tools of a file, connected to the platform |
//! | `serve` | the tools of a file as an MCP server |
//! | `fleet` | the replicas behind one connection |
//!
//! Exit codes: 0 done; 1 something failed or was found wrong; 2 wrong usage or configuration.

#![allow(clippy::doc_markdown, reason = "what documents an option is read on a terminal")]

mod call;
mod client;
mod dev;
mod doctor;
mod fleet;
mod list;
mod mcp;
mod mint;
mod serve;
mod sidecar;

use std::process::ExitCode;
use std::time::Duration;

use clap::{CommandFactory as _, Parser, Subcommand};
use platools_toolkit::cli::output::{Output, WriteError, parser_answer};

/// Gives back the memory that reading a large document took, which the C library's allocator keeps for the most part.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Tools for agents: a development platform, session tokens, and a look at hosts and their tools.
#[derive(Debug, Parser)]
#[command(name = "platools", version, propagate_version = true, about, arg_required_else_help = true)]
#[command(
    after_help = "Exit codes: 0 done; 1 something failed or was found wrong; 2 wrong usage or configuration."
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a development platform on this machine, with a playground page
    Dev(dev::Options),
    /// Print a session token for a user, from the PLATOS_… variables
    Mint(mint::Options),
    /// Look at the PLATOS_… variables of a host, and whether its platform can be reached
    Doctor(doctor::Options),
    /// List the tools of a host that is connected to a development platform, or of an MCP server
    List(list::Options),
    /// Call a tool of a host that is connected to a development platform, or of an MCP server
    Call(Box<call::Options>),
    /// Connect the tools of a file: HTTP endpoints, programs, OpenAPI documents, MCP servers
    Sidecar(sidecar::Options),
    /// Serve the tools of a file to MCP clients, without a platform
    Serve(serve::Options),
    /// See the replicas behind one connection, and drain one, from the PLATOS_… and PLATOOLS_FLEET… variables
    Fleet(fleet::Options),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// Why a command failed.
#[derive(Debug)]
enum Failure {
    /// Something failed, such as a tool or a connection, or was found wrong: exit code 1. What is to be said of it, unless
    /// it was said.
    Failed(Option<String>),
    /// Wrong usage or configuration: exit code 2.
    Usage(String),
    /// Wrong configuration, of which all is said: exit code 2.
    Misconfigured,
}

impl From<WriteError> for Failure {
    fn from(error: WriteError) -> Self {
        Self::Failed(Some(error.to_string()))
    }
}

/// How long threads of the runtime may take at the end: one may be stuck in a file that does not answer.
const LEFTOVERS: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let command = match Arguments::try_parse() {
        Ok(arguments) => arguments.command,
        Err(answer) => return parser_answer(&answer),
    };
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            Output::new().error(&format!("no thread can be started: {error}"));
            return ExitCode::from(1);
        }
    };
    let code = runtime.block_on(run(command));
    runtime.shutdown_timeout(LEFTOVERS);
    code
}

async fn run(command: Command) -> ExitCode {
    // Daemons log what happens, as their file says.
    let is_daemon = match &command {
        Command::Sidecar(options) => sidecar::is_run(options),
        Command::Serve(_) => true,
        _ => false,
    };
    if !is_daemon {
        platools::logging::init_with_default("warn");
    }
    let output = Output::new();
    let done = match command {
        Command::Dev(options) => dev::run(options, &output).await,
        Command::Mint(options) => mint::run(options, &output).await,
        Command::Doctor(options) => doctor::run(&options, &output).await,
        Command::List(options) => list::run(&options, &output).await,
        Command::Call(options) => call::run(&options, &output).await,
        Command::Sidecar(options) => sidecar::run(options, &output).await,
        Command::Serve(options) => serve::run(options, &output).await,
        Command::Fleet(options) => fleet::run(options, &output).await,
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "platools", &mut script);
            output.print(&String::from_utf8_lossy(&script)).map_err(Failure::from)
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Failed(problem)) => {
            if let Some(problem) = problem {
                output.error(&problem);
            }
            ExitCode::from(1)
        }
        Err(Failure::Usage(problem)) => {
            output.error(&problem);
            ExitCode::from(2)
        }
        Err(Failure::Misconfigured) => ExitCode::from(2),
    }
}
