//! The command line of a backend's own program (feature `cli`).
//!
//! The binary that connects in production also lists its tools, calls them, and shows their schemas, without a
//! platform:
//!
//! ```no_run
//! use platools::prelude::*;
//!
//! /// Add two whole numbers.
//! #[tool]
//! async fn add(a: i64, b: i64) -> i64 {
//!     a + b
//! }
//!
//! #[tokio::main]
//! async fn main() -> std::process::ExitCode {
//!     platools_toolkit::cli::run(Platools::from_env).await
//! }
//! ```
//!
//! [`run`] takes a function, so that `--help` works whatever the configuration is, and a mistake in the configuration has
//! its own exit code. A [`CommandLine`] also has the program's version.
//!
//! | command | what it does |
//! | --- | --- |
//! | `connect`, or none | connects to the platform and answers calls until SIGTERM or Ctrl-C |
//! | `list` | the tools, one a line; `--json` for programs |
//! | `schema TOOL` | a tool's declaration, as the platform gets it |
//! | `call TOOL --params JSON\|@file\|-` | runs one call here, through the same limits and rules, and prints its result |
//! | `test` | runs the cases of `platools-tests.yaml`, see [`testing`](crate::testing), or one call with what is expected of it |
//! | `doctor` | looks for what keeps agents from finding, understanding or calling the tools, see [`doctor`](crate::doctor) |
//! | `serve` | offers the tools over MCP, on standard input and output or, with `--http`, over HTTP (feature `mcp`) |
//! | `completions SHELL` | a script for the shell |
//!
//! Results go to standard output, everything else to standard error. The exit code is 0 on success, 1 if a tool or a
//! case failed, the doctor found an error, the host gave up or something cannot be written, and 2 if the command line,
//! the configuration or an argument is wrong.
//!
//! This module is a door: it must not know how a call runs.

mod arguments;
mod call;
mod caller;
mod connect;
mod doctor;
mod list;
pub mod output;
mod schema;
#[cfg(feature = "mcp")]
mod serve;
mod test;

use std::ffi::OsString;
use std::fmt;
use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _};
use platools::{Error, Platools, Tool};

use self::arguments::{Arguments, Command};
pub use self::caller::{Caller, duration, token};
use self::output::{Output, WriteError};

/// The library and its version, as `--version` prints them.
const LIBRARY: &str = concat!("(platools ", env!("CARGO_PKG_VERSION"), ")");

/// Why a command failed.
#[derive(Debug)]
enum Failure {
    /// A tool failed, or the host gave up: exit code 1.
    Failed(String),
    /// A tool failed, and the report is printed already: exit code 1.
    Silent,
    /// The command line, the configuration or an argument is wrong: exit code 2.
    Usage(String),
}

impl Failure {
    /// The failure of a host that cannot be built.
    fn of_build(error: &Error) -> Self {
        Self::Usage(error.to_string())
    }
}

impl From<WriteError> for Failure {
    fn from(error: WriteError) -> Self {
        Self::Failed(error.to_string())
    }
}

/// Runs the command line of this process with the tools and the configuration that `platools` returns. It is called for
/// commands that need the tools, and not for `--help`; its error is one of the configuration.
///
/// Only `connect` needs the URL and the secret.
pub async fn run<E: fmt::Display>(platools: impl FnOnce() -> Result<Platools, E>) -> ExitCode {
    CommandLine::new(platools).run().await
}

/// The command line of a program, with what [`run`] does not know.
///
/// ```no_run
/// # use platools::prelude::*;
/// # use platools_toolkit::cli::CommandLine;
/// #[tokio::main]
/// async fn main() -> std::process::ExitCode {
///     CommandLine::new(Platools::from_env).version(env!("CARGO_PKG_VERSION")).run().await
/// }
/// ```
#[derive(Debug)]
#[must_use = "it does nothing before `run`"]
pub struct CommandLine<P> {
    platools: P,
    version: String,
}

impl<P, E> CommandLine<P>
where
    P: FnOnce() -> Result<Platools, E>,
    E: fmt::Display,
{
    /// Prepares the command line of a program whose tools and configuration `platools` returns; see [`run`].
    pub fn new(platools: P) -> Self {
        Self { platools, version: LIBRARY.to_owned() }
    }

    /// Sets the program's version, which `--version` prints beside that of `platools`.
    pub fn version(self, version: impl fmt::Display) -> Self {
        Self { version: format!("{version} {LIBRARY}"), ..self }
    }

    /// Runs the command line of this process.
    pub async fn run(self) -> ExitCode {
        self.run_from(std::env::args_os()).await
    }

    /// Runs another command line than the process's own; the first argument is the program's name.
    pub async fn run_from<A: Into<OsString>>(self, arguments: impl IntoIterator<Item = A>) -> ExitCode {
        let mut arguments = arguments.into_iter().map(Into::into).peekable();
        let program = arguments.peek().map_or_else(|| "backend".to_owned(), program_name);
        let command = Arguments::command().name(program.clone()).bin_name(program).version(self.version);
        let parsed = command.clone().try_get_matches_from(arguments);
        let parsed = parsed.and_then(|matches| Arguments::from_arg_matches(&matches));
        let wanted = match parsed {
            Ok(Arguments { command }) => command.unwrap_or(Command::Connect),
            Err(answer) => return output::parser_answer(&answer),
        };
        let output = Output::new();
        match execute(wanted, self.platools, command, &output).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(Failure::Failed(problem)) => {
                output.error(&problem);
                ExitCode::from(1)
            }
            Err(Failure::Silent) => ExitCode::from(1),
            Err(Failure::Usage(problem)) => {
                output.error(&problem);
                ExitCode::from(2)
            }
        }
    }
}

async fn execute<E: fmt::Display>(
    wanted: Command,
    platools: impl FnOnce() -> Result<Platools, E>,
    mut parser: clap::Command,
    output: &Output,
) -> Result<(), Failure> {
    let name = parser.get_name().to_owned();
    if let Command::Completions { shell } = wanted {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut parser, name, &mut script);
        return Ok(output.print(&String::from_utf8_lossy(&script))?);
    }
    // What it warns of is worth a line in the log of the host.
    if matches!(wanted, Command::Connect) {
        platools::logging::init();
    }
    let platools = platools().map_err(|error| Failure::Usage(error.to_string()))?;
    match wanted {
        Command::Connect => connect::run(platools).await,
        Command::List(options) => list::run(platools, &options, output),
        Command::Schema(options) => schema::run(platools, &options, output),
        Command::Call(options) => call::run(platools, options, output).await,
        Command::Test(options) => test::run(platools, *options, output).await,
        Command::Doctor(options) => doctor::run(platools, &options, output),
        #[cfg(feature = "mcp")]
        Command::Serve(options) => Box::pin(serve::run(platools, &options, &name, output)).await,
        Command::Completions { .. } => Ok(()),
    }
}

/// Returns the file name of the program, without its folder and extension.
fn program_name(path: &OsString) -> String {
    let name = std::path::Path::new(path).file_stem();
    name.map_or_else(|| "backend".to_owned(), |name| name.to_string_lossy().into_owned())
}

/// The failure for a tool that does not exist, with the nearest name.
fn unknown_tool<'a>(name: &str, tools: impl Iterator<Item = &'a Tool>) -> Failure {
    let names: Vec<&str> = tools.map(Tool::name).collect();
    Failure::Usage(output::unknown_tool(name, &names))
}
