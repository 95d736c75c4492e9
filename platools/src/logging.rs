//! Logging for programs, with the one precaution that a host needs (feature `logging`).
//!
//! At `trace`, the libraries below the connection print headers and frames, and with them the service
//! secret and users' tokens. Whatever `RUST_LOG` says, they are capped at `info` here. A program that
//! sets up its own subscriber does well to do the same; [`is_safe`] is the rule.

use std::io::IsTerminal as _;

use tracing::{Level, Metadata};
use tracing_subscriber::filter::{EnvFilter, filter_fn};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Libraries that print what they carry.
const CAPPED: [&str; 9] = [
    "tungstenite",
    "tokio_tungstenite",
    "hyper",
    "hyper_util",
    "h2",
    "reqwest",
    "rmcp",
    "rustls",
    "tokio_rustls",
];

/// Logs to standard error as `RUST_LOG` says, `info` without it. Does nothing when the program has a
/// subscriber already.
///
/// ```
/// platools::logging::init();
/// tracing::info!("ready");
/// ```
pub fn init() {
    init_with_default("info");
}

/// The same, for a program that says `default` where `RUST_LOG` says nothing.
pub fn init_with_default(default: &str) {
    let wanted = match std::env::var(EnvFilter::DEFAULT_ENV) {
        Ok(wanted) if !wanted.is_empty() => EnvFilter::try_new(&wanted).unwrap_or_else(|error| {
            // The one line that no subscriber can take.
            eprintln!("RUST_LOG is not understood, `{default}` is used: {error}");
            EnvFilter::new(default)
        }),
        _ => EnvFilter::new(default),
    };
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    let subscriber = tracing_subscriber::registry().with(wanted).with(filter_fn(is_safe)).with(lines);
    // The only error is that somebody was faster.
    let _ = subscriber.try_init();
}

/// Whether an event may be logged: `false` for what could print a secret.
pub fn is_safe(metadata: &Metadata<'_>) -> bool {
    let crate_name = metadata.target().split("::").next().unwrap_or_default();
    *metadata.level() <= Level::INFO || !CAPPED.contains(&crate_name)
}
