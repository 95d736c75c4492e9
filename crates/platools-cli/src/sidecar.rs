//! `sidecar`: the tools of a file, connected to the platform.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueHint};
use platools_sidecar::{ConfigError, PinnedServer, Problem, Report, SidecarError};
use platools_toolkit::cli::output::{Output, ToolLine, WriteError};
use platools_upstream::WithheldTool;
use serde_json::json;

use crate::Failure;

/// The variable that names the file.
const CONFIG: &str = "PLATOOLS_CONFIG";
/// The file where nothing names one.
const FILE: &str = "platools.toml";

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, arg_required_else_help = true)]
pub(crate) struct Options {
    /// The file that says what is connected; `sidecar init` writes one
    #[arg(long, value_name = "FILE", env = CONFIG, value_hint = ValueHint::FilePath)]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Connect the tools of a file, until SIGTERM or Ctrl-C; the same as `sidecar --config FILE`
    Run {
        /// The file
        #[arg(env = CONFIG, default_value = FILE, value_hint = ValueHint::FilePath)]
        file: PathBuf,
    },
    /// Say everything that is wrong with a file, or the tools that it describes. Nothing is connected, no tool is run
    Check {
        /// The file
        #[arg(env = CONFIG, default_value = FILE, value_hint = ValueHint::FilePath)]
        file: PathBuf,
        /// Where the secrets are not, such as in CI: those that are missing are listed, and are no mistake
        #[arg(long)]
        no_secrets: bool,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Write a file to begin with
    Init {
        /// Where to; what is there already is left alone
        #[arg(default_value = FILE, value_hint = ValueHint::FilePath)]
        file: PathBuf,
        /// Replace what is there
        #[arg(long)]
        force: bool,
    },
    /// Print the JSON Schema of the file, for editors
    Schema,
    /// Ask a running sidecar whether it is alive, by the `[admin]` of its file: exit code 0 or 1, for health checks
    Health {
        /// The file
        #[arg(env = CONFIG, default_value = FILE, value_hint = ValueHint::FilePath)]
        file: PathBuf,
    },
    /// Show what pinned MCP servers changed in their tools, and accept it. Without a server, nothing is accepted
    Accept {
        /// The file
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,
        /// The server, by its name in the file
        server: Option<String>,
        /// The tools, by the server's names for them; without any, all of that server
        tools: Vec<String>,
    },
    /// Have a sidecar that stands by take the connection back at once, which evicts the process that has it
    TakeOver {
        /// The process id of the sidecar; in its own container, 1
        pid: i32,
    },
}

/// Whether it is the sidecar itself that is wanted, which sets up its own log.
pub(crate) fn is_run(options: &Options) -> bool {
    matches!(options.command, None | Some(Command::Run { .. }))
}

pub(crate) async fn run(options: Options, output: &Output) -> Result<(), Failure> {
    match (options.command, options.config) {
        (Some(Command::Check { file, no_secrets, json }), _) => {
            let checked = if no_secrets {
                platools_sidecar::check_without_secrets(&file).await
            } else {
                platools_sidecar::check(&file).await
            };
            tell(checked, json, output)
        }
        (Some(Command::Init { file, force }), _) => init(&file, force, output),
        (Some(Command::Schema), _) => Ok(output.json(&platools_sidecar::schema())?),
        (Some(Command::Health { file }), _) => match platools_sidecar::health(&file) {
            Ok(Some(address)) => {
                output.success(&format!("the sidecar at {address} is alive"));
                Ok(())
            }
            Ok(None) => {
                output.note("the file has no `[admin]`: there is nothing to ask");
                Ok(())
            }
            Err(error) => Err(Failure::Failed(Some(error.to_string()))),
        },
        (Some(Command::Accept { file, server, tools }), _) => match server {
            Some(server) => accept(&file, &server, &tools, output),
            None => show_withheld(&file, output),
        },
        (Some(Command::TakeOver { pid }), _) => take_over(pid, output),
        (Some(Command::Run { file }), _) | (None, Some(file)) => {
            platools_sidecar::run(&file).await.map_err(failure)
        }
        (None, None) => Err(Failure::Usage("say which file: --config FILE".to_owned())),
    }
}

/// What is wrong with the file is wrong usage; everything else is a failure.
pub(crate) fn failure(error: SidecarError) -> Failure {
    match error {
        SidecarError::Config(_) | SidecarError::NoEntity | SidecarError::Listen { .. } => {
            Failure::Usage(error.to_string())
        }
        error => Failure::Failed(Some(error.to_string())),
    }
}

/// Says what a check has found.
fn tell(checked: Result<Report, ConfigError>, as_json: bool, output: &Output) -> Result<(), Failure> {
    match checked {
        Ok(report) => Ok(if as_json { output.json(&described(&report)) } else { print(&report, output) }?),
        Err(error) if as_json => {
            output.json(&json!({"ok": false, "problems": listed(&error.problems)}))?;
            Err(Failure::Misconfigured)
        }
        // With the exit code that the sidecar itself would end with.
        Err(error) => Err(Failure::Usage(error.to_string())),
    }
}

fn print(report: &Report, output: &Output) -> Result<(), WriteError> {
    let lines: Vec<_> =
        report.tools.iter().map(|tool| ToolLine::new(&tool.name, &tool.description)).collect();
    output.tools(&lines)?;
    for warning in &report.warnings {
        output.warning(&warning.to_string());
    }
    for callback in &report.callbacks {
        let taken = callback.listen.map(|address| format!(", taken at {address}")).unwrap_or_default();
        output.note(&format!(
            "while {} is not connected, the platform calls {}{taken}",
            callback.entity, callback.url
        ));
    }
    if !report.upstreams.is_empty() {
        output.note(&format!(
            "beside them, the tools of the MCP servers {}, which are not asked here",
            report.upstreams.join(", ")
        ));
    }
    if let Some(proxy) = &report.proxy {
        output.note(&format!("proxy for connections to other machines: {proxy}"));
    }
    if !report.missing.is_empty() {
        output.note("still to be set before it runs:");
        for missing in &report.missing {
            output.note(&format!("  {missing}"));
        }
    }
    let plural = |count: usize, one: &str, several: &str| {
        format!("{count} {}", if count == 1 { one } else { several })
    };
    let is_complete = report.missing.is_empty();
    output.success(&format!(
        "the file {}: {} for {}",
        if is_complete { "can be used" } else { "is right, once that is set" },
        plural(report.tools.len(), "tool", "tools"),
        plural(report.entities.len(), "entity", "entities"),
    ));
    Ok(())
}

fn described(report: &Report) -> serde_json::Value {
    let tools: Vec<_> = report
        .tools
        .iter()
        .map(|tool| {
            json!({
                "name": tool.name,
                "source": tool.source,
                "description": tool.description,
                "entities": tool.entities,
            })
        })
        .collect();
    let callbacks: Vec<_> = report
        .callbacks
        .iter()
        .map(|callback| json!({"entity": callback.entity, "url": callback.url, "listen": callback.listen}))
        .collect();
    json!({
        "ok": true,
        "entities": report.entities,
        "callbacks": callbacks,
        "tools": tools,
        "mcp": report.upstreams,
        "proxy": report.proxy,
        "warnings": listed(&report.warnings),
        "missing": listed(&report.missing),
    })
}

fn listed(problems: &[Problem]) -> Vec<serde_json::Value> {
    let shown =
        |problem: &Problem| json!({"line": problem.line, "key": problem.key, "message": problem.message});
    problems.iter().map(shown).collect()
}

fn pinned(file: &Path) -> Result<Vec<PinnedServer>, Failure> {
    let servers = platools_sidecar::pinned(file).map_err(|error| Failure::Usage(error.to_string()))?;
    if servers.is_empty() {
        let text =
            format!("no MCP server of `{}` is pinned: write `pin = true` in its section", file.display());
        return Err(Failure::Usage(text));
    }
    Ok(servers)
}

/// Prints the changed tools of pinned MCP servers that wait to be accepted, beside the definitions accepted before.
fn show_withheld(file: &Path, output: &Output) -> Result<(), Failure> {
    let mut waits = false;
    for PinnedServer { name, review, .. } in pinned(file)? {
        for tool in review.withheld() {
            waits = true;
            output.print(&describe(&name, &tool))?;
        }
    }
    if waits {
        output.note(&format!("accept with `platools sidecar accept {} SERVER [TOOL…]`", file.display()));
    } else {
        output.success("no tool waits to be accepted");
    }
    Ok(())
}

fn describe(server: &str, tool: &WithheldTool) -> String {
    let what = if tool.is_new { "is new" } else { "changed" };
    let mut lines = vec![format!("{server}: {} {what}", tool.name)];
    for change in &tool.changes {
        lines.push(format!("  {}", change.part));
        let of = |text: &Option<String>| {
            text.iter().flat_map(|text| text.lines()).map(str::to_owned).collect::<Vec<_>>()
        };
        let (accepted, declared) = (of(&change.accepted), of(&change.declared));
        // What is the same at both ends is left out: a schema is long.
        let both = accepted.len().min(declared.len());
        let begin = (0..both).find(|at| accepted[*at] != declared[*at]).unwrap_or(both);
        let ends = accepted.iter().rev().zip(declared.iter().rev()).take(both - begin);
        let end = ends.take_while(|(accepted, declared)| accepted == declared).count();
        for (mark, side) in [('-', &accepted), ('+', &declared)] {
            lines.extend(side[begin..side.len() - end].iter().map(|line| format!("    {mark} {line}")));
        }
    }
    lines.join("\n") + "\n"
}

fn accept(file: &Path, server: &str, tools: &[String], output: &Output) -> Result<(), Failure> {
    let mut servers = pinned(file)?;
    let names: Vec<String> = servers.iter().map(|server| format!("`{}`", server.name)).collect();
    let Some(PinnedServer { review, .. }) = servers.iter_mut().find(|pinned| pinned.name == server) else {
        let text = format!("no pinned MCP server is called `{server}`; there are {}", names.join(", "));
        return Err(Failure::Usage(text));
    };
    let waiting = review.withheld();
    let wanted: Vec<&str> = match tools {
        [] => waiting.iter().map(|tool| tool.name.as_str()).collect(),
        tools => tools.iter().map(String::as_str).collect(),
    };
    if wanted.is_empty() {
        output.success("no tool waits to be accepted");
        return Ok(());
    }
    review.accept(&wanted).map_err(|error| Failure::Failed(Some(format!("nothing is accepted: {error}"))))?;
    for tool in waiting.iter().filter(|tool| wanted.contains(&tool.name.as_str())) {
        output.print(&describe(server, tool))?;
    }
    output.success("accepted: a sidecar that runs takes it over within seconds");
    Ok(())
}

/// Sends the signal for it. The log of the sidecar says whether it stood by.
#[cfg(unix)]
fn take_over(pid: i32, output: &Output) -> Result<(), Failure> {
    use rustix::process::{Pid, Signal, kill_process};

    // The signal would end a program that does not know it.
    let command = std::fs::read(format!("/proc/{pid}/cmdline"));
    let is_sidecar = |command: &[u8]| {
        let mut words = command.split(|byte| *byte == 0);
        words.next().is_some_and(|program| program.ends_with(b"platools"))
            && words.any(|word| word == b"sidecar")
    };
    if command.is_ok_and(|command| !is_sidecar(&command)) {
        return Err(Failure::Failed(Some(format!("process {pid} is no `platools sidecar`"))));
    }
    let target = if pid > 0 { Pid::from_raw(pid) } else { None };
    let sent = target.ok_or(rustix::io::Errno::SRCH).and_then(|pid| kill_process(pid, Signal::USR1));
    sent.map_err(|error| Failure::Failed(Some(format!("process {pid} cannot be told: {error}"))))?;
    output.success("the sidecar was told; its log says what it does");
    Ok(())
}

#[cfg(not(unix))]
fn take_over(_: i32, _: &Output) -> Result<(), Failure> {
    Err(Failure::Failed(Some("there are no signals on this system".to_owned())))
}

fn init(file: &Path, force: bool, output: &Output) -> Result<(), Failure> {
    let shown = file.display();
    let created = if force { std::fs::File::create(file) } else { std::fs::File::create_new(file) };
    let written = created.and_then(|mut created| created.write_all(platools_sidecar::STARTER.as_bytes()));
    match written {
        Ok(()) => {
            output.success(&format!("{shown} is written: change it, then `platools sidecar check {shown}`"));
            Ok(())
        }
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            let text = format!(
                "`{shown}` is there already, and is left alone: name another file, or write `--force`"
            );
            Err(Failure::Usage(text))
        }
        Err(error) => Err(Failure::Failed(Some(format!("`{shown}` cannot be written: {error}")))),
    }
}
