//! `platools fleet`: the replicas behind one connection.

use clap::{Args, Subcommand};
use platools::HostConfig;
use platools_fleet::{Fleet, FleetError, FleetStatus, Operator};
use platools_toolkit::cli::output::Output;

use crate::Failure;

#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the members: role, build, tools, running and free places, calls a second, latencies
    Status {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Have a member take no further calls, and give the connection away if it has it
    Drain {
        /// The name of the member, or the first eight or more digits of its id
        member: String,
    },
}

pub(crate) async fn run(options: Options, output: &Output) -> Result<(), Failure> {
    let usage = |error: &dyn std::fmt::Display| Failure::Usage(error.to_string());
    let failed = |error: FleetError| match error {
        FleetError::Missing | FleetError::Setting { .. } | FleetError::Secret(_) => usage(&error),
        error => Failure::Failed(Some(error.to_string())),
    };
    let host = HostConfig::from_env().map_err(|error| usage(&error))?;
    let fleet = Fleet::from_env().map_err(failed)?;
    let mut operator = Operator::connect(&fleet, &host).await.map_err(failed)?;
    match options.command {
        Command::Status { json } => {
            let status = operator.status().await.map_err(failed)?;
            if json {
                output.json(&status)?;
            } else {
                output.print(&table(&status))?;
            }
        }
        Command::Drain { member } => {
            let name = operator.drain(&member).await.map_err(failed)?;
            output.print(&format!("{name} takes no further calls\n"))?;
        }
    }
    Ok(())
}

/// The members in columns.
fn table(status: &FleetStatus) -> String {
    let mut rows = vec![
        ["MEMBER", "ID", "ROLE", "BUILD", "TOOLS", "RUNNING", "FREE", "CALLS/S", "P50", "P99"]
            .map(str::to_owned),
    ];
    for member in &status.members {
        rows.push([
            member.name.clone(),
            member.id.chars().take(8).collect(),
            member.role.to_string(),
            member.build.clone(),
            member.tools.to_string(),
            member.running.to_string(),
            member.free.to_string(),
            format!("{:.1}", member.calls_per_second),
            format!("{:.1} ms", member.p50_ms),
            format!("{:.1} ms", member.p99_ms),
        ]);
    }
    let mut widths = [0; 10];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    if status.alone {
        text.push_str("NATS is away: the gateway serves alone\n");
    }
    text
}
