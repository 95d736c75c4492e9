//! A `tracing` subscriber for programs that keeps secrets out of the log (feature `logging`).
//!
//! At `trace`, the libraries below the connection log headers and frames, which contain the service secret and users'
//! tokens. They are capped here, most of them at `info`, whatever `RUST_LOG` says, and `rmcp` is left out: what matters of
//! it is logged by the crates that use it. Others can cause the lines of libraries without end, so all of them together
//! have 20 in 10 seconds. A program with its own subscriber should use a [`LineFilter`], or filter by [`is_safe`].
//!
//! Lines are coloured on a terminal that shows colours; the variables `NO_COLOR`, `CLICOLOR_FORCE` and `TERM=dumb` are
//! respected.

use platools_net::ration::Ration;
use tracing::Metadata;
use tracing::subscriber::Interest;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::{EnvFilter, FilterExt as _, LevelFilter};
use tracing_subscriber::layer::{Context, Filter, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

/// Crates that log headers or payloads, and the level up to which they do not.
const CAPPED: [(&str, LevelFilter); 10] = [
    // `platools-fleet` tells of its connections itself.
    ("async_nats", LevelFilter::WARN),
    ("tungstenite", LevelFilter::INFO),
    ("tokio_tungstenite", LevelFilter::INFO),
    ("hyper", LevelFilter::INFO),
    ("hyper_util", LevelFilter::INFO),
    ("h2", LevelFilter::INFO),
    ("reqwest", LevelFilter::INFO),
    // It prints what servers and clients say, and as errors what its caller is told as well.
    ("rmcp", LevelFilter::OFF),
    ("rustls", LevelFilter::INFO),
    ("tokio_rustls", LevelFilter::INFO),
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
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(uses_colours());
    let lines = lines.with_filter(wanted.and(LineFilter::default()));
    let subscriber = tracing_subscriber::registry().with(lines);
    // Fails only if there already is a subscriber.
    let _ = subscriber.try_init();
}

/// Returns whether standard error is to be coloured: if it is a terminal that shows colours, unless `NO_COLOR` is set; and
/// if `CLICOLOR_FORCE` is set.
pub fn uses_colours() -> bool {
    anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never
}

/// Returns whether an event may be logged: `false` if it could contain a secret.
pub fn is_safe(metadata: &Metadata<'_>) -> bool {
    cap(metadata).is_none_or(|cap| *metadata.level() <= cap)
}

/// The most detailed level of a library that is capped.
fn cap(metadata: &Metadata<'_>) -> Option<LevelFilter> {
    let crate_name = metadata.target().split("::").next().unwrap_or_default();
    CAPPED.iter().find(|(capped, _)| *capped == crate_name).map(|(_, cap)| *cap)
}

/// A filter for a layer that writes lines: lets through what [`is_safe`], and 20 lines in 10 seconds of the libraries
/// that are capped. Where another filter chooses levels, ask that one first: `levels.and(LineFilter::default())`.
///
/// ```
/// use tracing_subscriber::layer::SubscriberExt as _;
/// use tracing_subscriber::Layer as _;
///
/// let lines = tracing_subscriber::fmt::layer().with_filter(platools::logging::LineFilter::default());
/// let subscriber = tracing_subscriber::registry().with(lines);
/// # drop(subscriber);
/// ```
#[derive(Debug, Default)]
pub struct LineFilter {
    libraries: Ration,
}

impl<S> Filter<S> for LineFilter {
    /// Asked for each line of a library. Not in `event_enabled`: a filter that refuses an event there loses the next one.
    fn enabled(&self, metadata: &Metadata<'_>, _context: &Context<'_, S>) -> bool {
        match cap(metadata) {
            Some(cap) if *metadata.level() > cap => false,
            Some(_) if metadata.is_event() => self.libraries.line().is_some(),
            _ => true,
        }
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        match cap(metadata) {
            Some(cap) if *metadata.level() > cap => Interest::never(),
            Some(_) => Interest::sometimes(),
            None => Interest::always(),
        }
    }

    /// Leaves the level to the other filter. Without a hint, everything up to `trace` would be asked for one by one.
    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::TRACE)
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::fmt::MakeWriter;

    use super::*;

    /// What was written.
    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl MakeWriter<'_> for Written {
        type Writer = Self;

        fn make_writer(&self) -> Self {
            self.clone()
        }
    }

    #[test]
    fn the_level_of_the_other_filter_is_known_to_all_libraries() {
        let lines = tracing_subscriber::fmt::layer();
        let lines = lines.with_filter(EnvFilter::new("info,platools=debug").and(LineFilter::default()));
        let subscriber = tracing_subscriber::registry().with(lines);
        assert_eq!(tracing::Subscriber::max_level_hint(&subscriber), Some(LevelFilter::DEBUG));
    }

    #[test]
    fn libraries_are_capped_and_have_few_lines_whatever_they_say() {
        let written = Written::default();
        let lines = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(written.clone());
        let lines = lines.with_filter(EnvFilter::new("trace").and(LineFilter::default()));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(lines), || {
            tracing::error!(target: "rmcp::transport::worker", "worker quit with fatal: s3cret");
            tracing::debug!(target: "hyper::proto", "s3cret");
            tracing::info!(target: "async_nats::connector", "s3cret");
            for number in 0..1_000 {
                tracing::warn!(target: "rmcp::transport", number, "s3cret");
                tracing::info!(target: "reqwest::connect", number, "noise");
                tracing::trace!(target: "platools::host", number, "our own");
            }
        });
        let written = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        let count = |text: &str| written.lines().filter(|line| line.contains(text)).count();
        assert_eq!((count("s3cret"), count("noise"), count("our own")), (0, 20, 1_000));
    }
}
