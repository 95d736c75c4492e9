//! Tool lookup and admission, exposed for benchmarks.

use std::sync::Arc;

use tokio::time::Instant;

use super::{AdmissionRequest, Dispatcher, Limits, Rules, ToolTable};
use crate::caller::CallScope;
use crate::observe::HostMetrics;
use crate::tool::{Arguments, Registry, RegistryError, Tool};

/// The tools and the admission of a host, without a connection.
#[derive(Debug)]
pub struct Lookup(Dispatcher);

impl Lookup {
    /// Creates a lookup of these tools, with the default limits.
    ///
    /// # Errors
    /// When two tools have the same name, or a tool cannot be registered.
    pub fn new(tools: impl IntoIterator<Item = Tool>) -> Result<Self, RegistryError> {
        let mut registry = Registry::new();
        registry.extend(tools)?;
        let rules = Rules {
            is_authenticated: false,
            strict_access: false,
            is_declared: false,
            describe_parameters: false,
        };
        let tools = ToolTable::new(registry, Arc::default(), rules, HostMetrics::default())
            .unwrap_or_else(|_| unreachable!());
        Ok(Self(Dispatcher::new(tools, Arc::default(), None, Limits::default())))
    }

    /// Returns whether there is an enabled tool of that name.
    pub fn has(&self, name: &str) -> bool {
        self.0.tools().find(name).is_some()
    }

    /// Admits a call and drops it at once. Returns whether it was admitted.
    pub fn admit(&self, tool: &str, user: Option<&str>, bytes: usize, arrived: Instant) -> bool {
        let asked = AdmissionRequest { tool, user, bytes, arrived, counts: true };
        let parts = |surroundings| {
            (Arguments::empty(), CallScope::from_wire("call-1".into(), None, None, surroundings))
        };
        self.0.admit(&asked, parts).is_ok()
    }
}
