//! `[log]`: whether its level is one.

use super::Planner;
use crate::config::{Path, listed, nearest};

impl Planner<'_> {
    /// Checks the level of the log: a slip would be taken for the name of a module, and nothing be logged.
    pub(super) fn log(&mut self) {
        const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
        let Some(level) = &self.sections.log.level else { return };
        let at = Path::default().key("log").key("level");
        let is_word = level.chars().all(|next| next.is_ascii_alphabetic());
        if is_word && !LEVELS.contains(&level.to_ascii_lowercase().as_str()) {
            let message = match nearest(level, &LEVELS) {
                Some(nearest) => format!("`{level}` is no level, did you mean `{nearest}`?"),
                None => format!("`{level}` is no level; there are {}", listed(&LEVELS)),
            };
            self.wrong(&at, message);
        } else if let Err(error) = tracing_subscriber::EnvFilter::try_new(level) {
            self.wrong(
                &at,
                format!("this is no filter ({error}): write one such as \"warn,platools=debug\""),
            );
        }
    }
}
