//! A tool at a server: its name there, and what its arguments are checked with before the server hears of them.

use std::sync::{Arc, OnceLock};

use serde_json::Value;

use crate::arguments::{ArgumentSchema, without_unusable_patterns};

/// A tool of a server.
#[derive(Debug)]
pub(crate) struct Remote {
    /// The server's name for it.
    pub(crate) name: String,
    /// The validator of its arguments, built at the first call; `None` where its schema cannot be used.
    schema: OnceLock<Option<ArgumentSchema>>,
}

impl Remote {
    /// The tool of that name.
    pub(crate) fn new(name: String) -> Self {
        Self { name, schema: OnceLock::new() }
    }

    /// Returns the validator of its arguments, built from the declared schema.
    pub(crate) fn schema(&self, declared: &Arc<Value>, upstream: &str) -> Option<&ArgumentSchema> {
        let made = self.schema.get_or_init(|| {
            let made = ArgumentSchema::as_declared(Arc::clone(declared)).or_else(|problem| {
                // Most of it can be checked all the same.
                match without_unusable_patterns(declared) {
                    (usable, dropped) if !dropped.is_empty() => ArgumentSchema::as_declared(usable),
                    _ => Err(problem),
                }
            });
            made.inspect_err(|problem| {
                tracing::warn!(
                    upstream,
                    tool = self.name,
                    problem,
                    "arguments are left to the server to check"
                );
            })
            .ok()
        });
        made.as_ref()
    }
}
