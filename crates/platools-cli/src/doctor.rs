//! `doctor`: is a host's configuration complete, and is its platform there?

use anstyle::{AnsiColor, Style};
use clap::Args;
use platools::HostConfig;
use platools::host::{CheckDepth, ConnectionCheck};
use platools_toolkit::cli::output::Output;
use serde_json::{Value, json};

use crate::Failure;

const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default().bold();

#[derive(Debug, Args)]
#[command(after_help = "The tools themselves are looked at by the `doctor` of a backend's own program.")]
pub(crate) struct Options {
    /// Also authenticate. A host that is connected as the same entity and environment is put aside for it, and stands
    /// by for up to a minute
    #[arg(long)]
    authenticate: bool,
    /// The platform's URL, instead of PLATOS_URL
    #[arg(long)]
    url: Option<String>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(options: &Options, output: &Output) -> Result<(), Failure> {
    let mut config = HostConfig::from_env().map_err(|error| Failure::Usage(error.to_string()))?;
    if options.url.is_some() {
        config.url.clone_from(&options.url);
    }
    let depth = if options.authenticate { CheckDepth::Authenticate } else { CheckDepth::Reach };
    let checks = config.check_connection(depth).await;
    let is_well = checks.iter().all(|check| check.found.is_ok());
    if options.json {
        output.json(&json!({"ok": is_well, "checks": checks.iter().map(described).collect::<Vec<_>>()}))?;
    } else {
        let widest = checks.iter().map(|check| check.what.len()).max().unwrap_or_default();
        for ConnectionCheck { what, found, .. } in &checks {
            let (style, mark, text) = match found {
                Ok(text) => (GOOD, "✓", text),
                Err(text) => (BAD, "✗", text),
            };
            output.print(&format!("{style}{mark}{style:#} {what:widest$}  {text}\n"))?;
        }
        if is_well && !options.authenticate {
            output.note(
                "the secret was not sent; --authenticate does, and puts a host that is connected aside for a while",
            );
        }
    }
    let mut problems = checks.iter().filter(|check| check.found.is_err());
    if is_well {
        Ok(())
    } else if problems.all(is_of_platform) {
        Err(Failure::Failed(None))
    } else {
        Err(Failure::Misconfigured)
    }
}

/// Whether a check is about the platform and the way there, and not about the configuration.
fn is_of_platform(check: &ConnectionCheck) -> bool {
    matches!(check.what, "connection" | "welcome")
}

fn described(check: &ConnectionCheck) -> Value {
    match &check.found {
        Ok(text) => json!({"what": check.what, "ok": true, "found": text}),
        Err(problem) => json!({"what": check.what, "ok": false, "problem": problem}),
    }
}
