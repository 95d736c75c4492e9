//! How a call finds its tool and its place, for benchmarks.

use std::sync::Arc;

use tokio::time::Instant;

use super::{Dispatcher, Limits};
use crate::caller::States;
use crate::tool::{Registry, RegistryError, Tool};

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
        Ok(Self(Dispatcher::new(&registry, Arc::new(States::default()), None, Limits::default())))
    }

    /// Whether there is a tool of that name, switched on.
    pub fn has(&self, name: &str) -> bool {
        self.0.entry(name).is_some()
    }

    /// Gives a call its place and takes it back at once. Whether there was one.
    pub fn admit(&self, name: &str, user: Option<&str>, bytes: usize, arrived: Instant) -> bool {
        self.0.admit(name, user, bytes, arrived).is_ok()
    }
}
