//! Lines on standard error: for people, or one JSON object each; and spans, where they are wanted.

use std::sync::OnceLock;

use tracing_subscriber::filter::{EnvFilter, FilterExt as _};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, Registry, reload};

use crate::config::{Log, LogFormat};
use crate::traces::SpanLayer;

/// What is logged unless said otherwise.
const DEFAULT: &str = "info";

/// What decides which lines are written, and how they are, in a process whose log was set up here.
static LOGGING: OnceLock<(reload::Handle<EnvFilter, Registry>, LogFormat)> = OnceLock::new();

/// Sets up logging as a plan says; `RUST_LOG` wins over its level. What libraries would print of secrets is left out
/// whatever it says. The level is of the lines: `spans` are handed over whatever it is.
pub(super) fn init(log: &Log, spans: Option<SpanLayer>) {
    let (level, handle) = reload::Layer::new(filter(log));
    let level = level.and(platools::logging::LineFilter::default());
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let lines = match log.format {
        LogFormat::Text => lines.with_ansi(platools::logging::uses_colours()).with_filter(level).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).with_filter(level).boxed(),
    };
    let layers: Vec<_> = spans.into_iter().chain([lines]).collect();
    // The only error is that somebody was faster.
    if tracing_subscriber::registry().with(layers).try_init().is_ok() {
        let _ = LOGGING.set((handle, log.format));
    }
}

/// Goes over to the level of another plan, and says what cannot be gone over to.
pub(super) fn change(old: &Log, new: &Log) {
    // Without it, the program logs in its own way.
    let Some((level, format)) = LOGGING.get() else { return };
    if new.format != *format {
        tracing::warn!("`format` of `[log]` changed: that needs a restart");
    }
    if old.level == new.level {
        return;
    }
    if wanted().is_some() {
        tracing::warn!("`level` of `[log]` changed, but RUST_LOG is set and wins");
        return;
    }
    let says = || {
        let level = new.level.as_deref().unwrap_or(DEFAULT);
        tracing::info!(level, "the log is written at this level");
    };
    // On the side of the change where it is heard.
    let is_heard = tracing::enabled!(tracing::Level::INFO);
    if is_heard {
        says();
    }
    if level.reload(filter(new)).is_ok() && !is_heard {
        says();
    }
}

/// What the environment says, which the operator has the last word with.
fn wanted() -> Option<EnvFilter> {
    let text = std::env::var(EnvFilter::DEFAULT_ENV).ok().filter(|text| !text.is_empty())?;
    match EnvFilter::try_new(&text) {
        Ok(filter) => Some(filter),
        Err(error) => {
            // The one line that may come before there is a subscriber.
            eprintln!("RUST_LOG is not understood, the file's level is used: {error}");
            None
        }
    }
}

fn filter(log: &Log) -> EnvFilter {
    let level = || EnvFilter::try_new(log.level.as_deref().unwrap_or(DEFAULT)).ok();
    wanted().or_else(level).unwrap_or_else(|| EnvFilter::new(DEFAULT))
}

/// Lines for people at `level`, and spans, for a program that no file tells how to log.
pub(crate) fn init_with(level: &str, spans: Option<SpanLayer>) {
    init(&Log { format: LogFormat::Text, level: Some(level.to_owned()) }, spans);
}
