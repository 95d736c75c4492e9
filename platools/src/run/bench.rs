//! How a call finds its tool and its place, for benchmarks.

use std::sync::Arc;

use tokio::time::Instant;

use super::{AdmissionRequest, Dispatcher, Limits, Rules, ToolTable};
use crate::caller::CallScope;
use crate::tool::{Arguments, Registry, RegistryError, Tool};

/// The tools of a host, without the host.
#[derive(Debug)]
pub struct Lookup(Dispatcher);

impl Lookup {
    /// Takes these tools, with the limits that a host has by itself.
    ///
    /// # Errors
    /// When two of them have one name, or one of them cannot be registered.
    pub fn new(tools: impl IntoIterator<Item = Tool>) -> Result<Self, RegistryError> {
        let mut registry = Registry::new();
        registry.extend(tools)?;
        let rules = Rules { is_authenticated: false, strict_access: false, is_declared: false };
        let tools = ToolTable::new(registry, Arc::default(), rules).unwrap_or_else(|_| unreachable!());
        Ok(Self(Dispatcher::new(tools, Arc::default(), None, Limits::default())))
    }

    /// Whether there is a tool of that name, enabled.
    pub fn has(&self, name: &str) -> bool {
        self.0.tools().find(name).is_some()
    }

    /// Gives a call its place and takes it back at once. Whether there was one.
    pub fn admit(&self, tool: &str, user: Option<&str>, bytes: usize, arrived: Instant) -> bool {
        let asked = AdmissionRequest { tool, user, bytes, arrived };
        let parts = |surroundings| {
            (Arguments::empty(), CallScope::from_wire("call-1".into(), None, None, surroundings))
        };
        self.0.admit(&asked, parts).is_ok()
    }
}
