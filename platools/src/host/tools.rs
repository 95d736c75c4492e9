//! The tools of a running host: they may come, go and be switched off. Changes become one declaration.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use super::declaration::{declare, frame_of};
use super::{DeclarationError, HostHandle};
use crate::dispatch::AccessError;
use crate::error::{Error, MissingState};
use crate::tool::{Registry, Tool};

/// The tools of one host, as they are declared.
#[derive(Debug)]
pub(super) struct Tools {
    inner: Mutex<Inner>,
    /// Counts the changes.
    version: watch::Sender<u64>,
}

#[derive(Debug)]
struct Inner {
    registry: Registry,
    disabled: HashSet<String>,
    /// The declaration, until something changes.
    declaration: Option<Utf8Bytes>,
}

impl Tools {
    /// # Errors
    /// When the declaration is larger than the platform takes.
    pub(super) fn new(registry: Registry) -> Result<Self, DeclarationError> {
        let declaration = Some(declare(&registry)?.into());
        let inner = Inner { registry, disabled: HashSet::new(), declaration };
        Ok(Self { inner: Mutex::new(inner), version: watch::Sender::new(0) })
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The `tool_register` frame of the tools that are switched on.
    pub(super) fn declaration(&self) -> Utf8Bytes {
        let mut inner = self.inner();
        if let Some(declaration) = &inner.declaration {
            return declaration.clone();
        }
        let switched_on = inner.registry.iter().filter(|tool| !inner.disabled.contains(tool.name()));
        let declaration = Utf8Bytes::from(frame_of(switched_on));
        inner.declaration = Some(declaration.clone());
        declaration
    }

    /// Tells of every change from now on.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    /// Makes a change; `None` means that there was none.
    fn change<T>(&self, change: impl FnOnce(&mut Inner) -> Option<T>) -> Option<T> {
        let mut inner = self.inner();
        let changed = change(&mut inner)?;
        inner.declaration = None;
        drop(inner);
        self.version.send_modify(|version| *version += 1);
        Some(changed)
    }

    fn insert(&self, tool: Tool) -> Result<(), Error> {
        let mut outcome = Ok(());
        self.change(|inner| {
            let mut registry = inner.registry.clone();
            outcome = registry
                .insert(tool)
                .map_err(Error::from)
                .and_then(|()| declare(&registry).map(drop).map_err(Error::from));
            outcome.as_ref().ok()?;
            inner.registry = registry;
            Some(())
        });
        outcome
    }

    fn remove(&self, name: &str) -> bool {
        self.change(|inner| {
            inner.disabled.remove(name);
            inner.registry.remove(name)
        })
        .is_some()
    }

    fn set_enabled(&self, name: &str, enabled: bool) -> bool {
        let mut known = false;
        self.change(|inner| {
            known = inner.registry.get(name).is_some();
            let changed = if enabled {
                inner.disabled.remove(name)
            } else {
                known && inner.disabled.insert(name.to_owned())
            };
            changed.then_some(())
        });
        known
    }

    fn list(&self) -> Vec<(Tool, bool)> {
        let inner = self.inner();
        inner.registry.iter().map(|tool| (tool.clone(), !inner.disabled.contains(tool.name()))).collect()
    }
}

/// Tools at run time. The platform hears of changes within a moment, several at once as one declaration,
/// and never more often than it allows.
impl HostHandle {
    /// Adds a tool.
    ///
    /// # Errors
    /// When its name is taken, its schema cannot be built, it asks for state or an authenticator that the
    /// host does not have, or the declaration would become larger than the platform takes. Nothing has changed then.
    pub fn insert_tool(&self, tool: Tool) -> Result<(), Error> {
        MissingState::check([&tool], &self.shared.dispatcher.states())?;
        let is_authenticated = self.shared.dispatcher.is_authenticated();
        AccessError::check([&tool], is_authenticated, self.shared.config.strict_access)?;
        self.shared.tools.insert(tool.clone())?;
        self.shared.dispatcher.insert(tool);
        Ok(())
    }

    /// Takes a tool out. Its running calls finish; new ones are answered `unknown tool`. Returns whether
    /// there was such a tool.
    pub fn remove_tool(&self, name: &str) -> bool {
        self.shared.dispatcher.remove(name);
        self.shared.tools.remove(name)
    }

    /// Switches a tool off, or on again. One that is switched off is not declared, and its calls are
    /// answered `unknown tool`. Returns whether there is such a tool.
    pub fn enable_tool(&self, name: &str, enabled: bool) -> bool {
        self.shared.dispatcher.enable(name, enabled);
        self.shared.tools.set_enabled(name, enabled)
    }

    /// The tools with whether each is switched on, in the order of their names.
    pub fn tools(&self) -> Vec<(Tool, bool)> {
        self.shared.tools.list()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tool::{ToolOutput, ToolSpec};

    fn tool(name: &str, description: String) -> Tool {
        Tool::new(ToolSpec::new(name).description(description), |_| async { Ok(ToolOutput::null()) })
    }

    #[test]
    fn changes_are_counted_and_declared() {
        let tools = Tools::new(Registry::new()).unwrap();
        let mut changes = tools.changes();
        let declared = |name: &str| tools.declaration().contains(&format!("\"name\":\"{name}\""));
        tools.insert(tool("a", String::new())).unwrap();
        tools.insert(tool("b", String::new())).unwrap();
        assert!(changes.has_changed().unwrap() && declared("a") && declared("b"));
        changes.mark_unchanged();
        assert!(tools.insert(tool("a", String::new())).is_err());
        assert!(tools.insert(tool("large", "x".repeat(11 << 20))).is_err());
        assert!(!changes.has_changed().unwrap(), "nothing happened");
        assert!(tools.set_enabled("a", false) && !declared("a") && declared("b"));
        changes.mark_unchanged();
        assert!(tools.set_enabled("a", false), "it is there, and off already");
        assert!(!changes.has_changed().unwrap());
        assert!(tools.set_enabled("a", true) && declared("a"));
        assert!(tools.remove("a") && !tools.remove("a") && !declared("a"));
        assert!(!tools.set_enabled("a", true));
    }
}
