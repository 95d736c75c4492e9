//! What every tool has, from the file to its declaration.

use std::time::Duration;

use platools::ToolSpec;
use platools::tool::Auth;

use super::Planner;
use crate::config::{self, Common, Path};

/// The host's own limit for calls, beyond which no tool's counts.
const CALL_TIMEOUT: Duration = Duration::from_secs(28);

impl Planner<'_> {
    /// The declaration of a tool, with what is odd about it.
    pub(super) fn spec(&mut self, at: &Path, name: &str, description: &str, common: &Common) -> ToolSpec {
        if description.trim().is_empty() {
            self.odd(at, "the tool has no `description`: without one, agents hardly ever find it");
        }
        if common.timeout.is_some_and(|timeout| timeout.0 > CALL_TIMEOUT) {
            self.odd(
                &at.key("timeout"),
                "the platform waits 30s, so a call ends after 28s whatever stands here",
            );
        }
        if common.concurrency == Some(0) {
            self.wrong(
                &at.key("concurrency"),
                "no call could ever run: write 1 or more, or leave the key out",
            );
        }
        self.entity_names(at, common.entities.as_deref());
        apply(ToolSpec::new(name), description, common)
    }
}

/// A declaration with what the file says of it.
pub(super) fn apply(mut spec: ToolSpec, description: &str, common: &Common) -> ToolSpec {
    spec = spec.description(description.trim()).roles(common.roles.clone());
    spec = spec.auth(auth(common.auth));
    if let Some(timeout) = common.timeout {
        spec = spec.timeout(timeout.0);
    }
    if let Some(rate) = common.rate_limit {
        spec = spec.rate_limit(rate.0);
    }
    if let Some(calls) = common.concurrency {
        spec = spec.concurrency(calls);
    }
    if let Some(title) = &common.title {
        spec = spec.title(title);
    }
    if let Some(category) = &common.category {
        spec = spec.category(category);
    }
    for (key, value) in &common.annotations {
        spec = spec.annotation(key, value.clone());
    }
    if let Some(hint) = common.read_only {
        spec = spec.read_only(hint);
    }
    if let Some(hint) = common.destructive {
        spec = spec.destructive(hint);
    }
    if let Some(hint) = common.idempotent {
        spec = spec.idempotent(hint);
    }
    if let Some(hint) = common.open_world {
        spec = spec.open_world(hint);
    }
    if let Some(describe) = common.describe_parameters {
        spec = spec.describe_parameters(describe);
    }
    spec
}

/// Who may call, in the library's words.
pub(super) fn auth(auth: Option<config::Auth>) -> Auth {
    match auth {
        None | Some(config::Auth::None) => Auth::None,
        Some(config::Auth::User) => Auth::User,
        Some(config::Auth::Admin) => Auth::Admin,
    }
}
