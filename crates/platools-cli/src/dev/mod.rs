//! `dev`: a development platform on this machine.

mod banner;
mod config;
mod identity;
mod watch;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use clap::{Args, ValueHint};
use platools::host::Signals;
use platools::verify::Secret;
use platools_dev::{DevError, DevPlatform, DevPlatformOptions};
use platools_net::policy::is_loopback_address;
use platools_toolkit::cli::output::{Output, WriteError};
use serde::Serialize;

use self::banner::Banner;
use self::config::EntityConfig;
use crate::Failure;

/// The port of the platform, unless another one is asked for.
const PORT: u16 = 3100;

#[expect(clippy::struct_excessive_bools, reason = "they are switches of a command line")]
#[derive(Debug, Args)]
#[command(after_help = "An entities file names entities, and where their secrets come from:\n\n  \
    [[entity]]\n  name = \"orders\"\n  secret = \"env:ORDERS_SECRET\"   # or file:PATH; without it, a random one\n")]
pub(crate) struct Options {
    /// The port; 0 for a free one
    #[arg(long, short, default_value_t = PORT)]
    port: u16,
    /// The address; whoever reaches another one than this machine's own can try secrets there
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    bind: IpAddr,
    /// One more name under which the page is opened and the API is asked, for another address than this machine's
    /// own; it stands in the lines to paste, too
    #[arg(long, value_name = "NAME", value_parser = host_name)]
    host_name: Option<String>,
    /// An entity with a random secret; may be repeated. Without any there are those of the last start in this folder, at
    /// first one called `local`; or what --data keeps
    #[arg(long, value_name = "NAME", value_parser = config::slug, conflicts_with = "entities")]
    entity: Vec<String>,
    /// A TOML file with entities
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    entities: Option<PathBuf>,
    /// A folder that keeps entities with their secrets, and the calls, in the clear; made for you alone. Entities
    /// that are named stay in it, and win over those of the same name
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    data: Option<PathBuf>,
    /// Make new secrets and a new API token. Otherwise, those of the last start in this folder are used again, so that hosts
    /// and terminals go on; they are kept in a file of yours in $XDG_STATE_HOME or ~/.local/state
    #[arg(long, conflicts_with = "data")]
    ephemeral: bool,
    /// Be as unkind as the real server: drop what it drops of a declaration, hide the tools when the connection of a
    /// superseded host closes, up to 30 s late, and call only public https callback URLs
    #[arg(long)]
    as_real_server: bool,
    /// With --as-real-server: still call callback URLs with http and on this machine
    #[arg(long, requires = "as_real_server")]
    allow_local_callbacks: bool,
    /// The API token, instead of the kept or a random one; at least 16 characters
    #[arg(long = "token", env = "PLATOOLS_DEV_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    api_token: Option<String>,
    /// Do not tell what happens
    #[arg(long, short)]
    quiet: bool,
    /// One JSON object a line: how to connect, then what happens
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(options: Options, output: &Output) -> Result<(), Failure> {
    let entities = match &options.entities {
        Some(path) => config::read(path).map_err(Failure::Usage)?,
        None => config::named(&options.entity).map_err(Failure::Usage)?,
    };
    // Before anything is printed that tells others to go on.
    let mut stop = Signals::new().map_err(|error| Failure::Failed(Some(error.to_string())))?;
    let platform = platform_options(&options, entities)?;
    let kept_in = if options.ephemeral { None } else { identity::file() };
    let (platform, kept_in) = start(platform, kept_in, output).await?;
    if !is_loopback_address(options.bind) {
        output.warning(
            "other machines reach this platform: who has its link or its token sees the secrets and calls every tool, \
             and both travel unencrypted",
        );
    }
    let banner = Banner::of(&platform, kept_in).map_err(|error| Failure::Usage(error.to_string()))?;
    let events = platform.events();
    if options.json {
        print_line(output, &banner)?;
    } else {
        banner.print(output)?;
    }
    let watching = async {
        if options.quiet {
            std::future::pending().await
        } else {
            watch::run(events, &platform, output, options.json).await
        }
    };
    let ended = tokio::select! {
        ended = watching => ended,
        _ = stop.next() => Ok(()),
    };
    let waiting = platform.pending_calls();
    if waiting > 0 {
        let calls = if waiting == 1 { "1 call has".to_owned() } else { format!("{waiting} calls have") };
        output.note(&format!(
            "stopping: {calls} no answer yet, and connections may take 3 s to close; a second Ctrl-C stops at once"
        ));
    }
    tokio::select! {
        () = platform.stop() => {}
        _ = stop.next() => {}
    }
    Ok(ended?)
}

/// Starts the platform, with the file that keeps its identity if there is one. One that cannot be used is no reason not to
/// start.
async fn start(
    platform: DevPlatformOptions,
    kept_in: Option<PathBuf>,
    output: &Output,
) -> Result<(DevPlatform, Option<PathBuf>), Failure> {
    let failed = |error: DevError| Failure::Usage(explain(&error));
    if let Some(file) = kept_in {
        match platform.clone().identity_file(&file).start().await {
            Err(DevError::Data { file: wrong, problem }) if wrong == file => {
                let file = file.display();
                output.warning(&format!("nothing is kept for the next start: `{file}`: {problem}"));
            }
            started => return Ok((started.map_err(failed)?, Some(file))),
        }
    }
    Ok((platform.start().await.map_err(failed)?, None))
}

fn platform_options(options: &Options, entities: Vec<EntityConfig>) -> Result<DevPlatformOptions, Failure> {
    let mut platform = DevPlatform::options().address(SocketAddr::new(options.bind, options.port));
    if let Some(name) = &options.host_name {
        platform = platform.host_name(name);
    }
    for entity in entities {
        platform = match entity.secret {
            Some(secret) => platform.entity(entity.name, secret),
            None => platform.entity_with_random_secret(entity.name),
        };
    }
    if options.as_real_server {
        let local = options.allow_local_callbacks;
        platform = platform.as_real_server().allow_http_callbacks(local).allow_private_callbacks(local);
    }
    if let Some(folder) = &options.data {
        platform = platform.data_dir(folder);
    }
    if let Some(token) = options.api_token.as_deref().filter(|token| !token.is_empty()) {
        let token = Secret::new(token).map_err(|_| {
            Failure::Usage(
                "--token needs 16 characters of plain ASCII at least, without spaces around".to_owned(),
            )
        })?;
        platform = platform.api_token(token);
    }
    Ok(platform)
}

/// How many ports after a taken one are tried for the advice.
const PORTS_TRIED: u16 = 20;

/// Why the platform does not start, and with which option it would.
fn explain(error: &DevError) -> String {
    let free = match error {
        DevError::Bind { address, is_taken: true, .. } => free_port(*address),
        _ => None,
    };
    free.map_or_else(|| error.to_string(), |port| format!("{error}; {port} is free: --port {port}"))
}

/// A port after this one that nobody has at the moment.
fn free_port(taken: SocketAddr) -> Option<u16> {
    (1..=PORTS_TRIED)
        .filter_map(|more| taken.port().checked_add(more))
        .find(|port| std::net::TcpListener::bind((taken.ip(), *port)).is_ok())
}

/// A name of a machine, as it stands in a URL.
fn host_name(text: &str) -> Result<String, String> {
    let allowed = |character: char| character.is_ascii_alphanumeric() || "-.".contains(character);
    if !text.is_empty() && text.chars().all(allowed) {
        Ok(text.to_owned())
    } else {
        Err("write a name or an address such as dev.example, without scheme and port".to_owned())
    }
}

/// Prints JSON on one line, also on a terminal.
fn print_line(output: &Output, value: &impl Serialize) -> Result<(), WriteError> {
    output.print(&format!("{}\n", serde_json::to_string(value).unwrap_or_default()))
}
