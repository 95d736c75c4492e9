//! Lines on standard error: for people, or one JSON object each.

use tracing_subscriber::filter::{EnvFilter, filter_fn};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::{Log, LogFormat};

/// What is logged unless said otherwise. The MCP library greets every server at length.
const DEFAULT: &str = "info,rmcp=warn";

/// Sets up logging as a plan says; `RUST_LOG` wins over its level. What libraries would print of secrets is left out
/// whatever it says.
pub(super) fn init(log: &Log) {
    let level = log.level.as_deref().unwrap_or(DEFAULT);
    match log.format {
        LogFormat::Text => init_logging(level),
        LogFormat::Json => {
            let wanted = std::env::var(EnvFilter::DEFAULT_ENV).ok().filter(|wanted| !wanted.is_empty());
            let filter = EnvFilter::try_new(wanted.as_deref().unwrap_or(level));
            let filter = filter.unwrap_or_else(|_| EnvFilter::new(DEFAULT));
            let lines =
                tracing_subscriber::fmt::layer().json().flatten_event(true).with_writer(std::io::stderr);
            let subscriber = tracing_subscriber::registry()
                .with(filter)
                .with(filter_fn(platools::logging::is_safe))
                .with(lines);
            // The only error is that somebody was faster.
            let _ = subscriber.try_init();
        }
    }
}

/// Lines for people at `level`, for commands that say little; `RUST_LOG` wins.
pub fn init_logging(level: &str) {
    platools::logging::init_with_default(level);
}
