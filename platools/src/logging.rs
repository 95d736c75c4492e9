//! A `tracing` subscriber for programs that keeps secrets out of the log (feature `logging`).
//!
//! At `trace`, the libraries below the connection log headers and frames, which contain the service secret and users'
//! tokens. They are capped at `info` here, whatever `RUST_LOG` says. A program with its own subscriber should filter by
//! [`is_safe`].

use std::io::IsTerminal as _;

use tracing::{Level, Metadata};
use tracing_subscriber::filter::{EnvFilter, filter_fn};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Crates that log headers or payloads below `info`.
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

/// Installs a subscriber that logs to standard error, filtered by `RUST_LOG`; `info` if unset. Does nothing if the
/// program already has a subscriber.
///
/// ```
/// platools::logging::init();
/// tracing::info!("ready");
/// ```
pub fn init() {
    init_with_default("info");
}

/// Installs the subscriber of [`init`], with the filter `default` if `RUST_LOG` is unset.
pub fn init_with_default(default: &str) {
    let wanted = match std::env::var(EnvFilter::DEFAULT_ENV) {
        Ok(wanted) if !wanted.is_empty() => EnvFilter::try_new(&wanted).unwrap_or_else(|error| {
            // There is no subscriber yet.
            eprintln!("RUST_LOG is invalid, using `{default}`: {error}");
            EnvFilter::new(default)
        }),
        _ => EnvFilter::new(default),
    };
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    let subscriber = tracing_subscriber::registry().with(wanted).with(filter_fn(is_safe)).with(lines);
    // Fails only if there already is a subscriber.
    let _ = subscriber.try_init();
}

/// Returns whether an event may be logged: `false` if it could contain a secret.
pub fn is_safe(metadata: &Metadata<'_>) -> bool {
    let crate_name = metadata.target().split("::").next().unwrap_or_default();
    *metadata.level() <= Level::INFO || !CAPPED.contains(&crate_name)
}
