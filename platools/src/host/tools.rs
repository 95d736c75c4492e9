//! The tools of a running host: they may come, go and be switched off. Changes become one declaration.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use super::declaration::{declare, frame_of};
use super::{DeclarationError, HostConfig, HostHandle, LocalHost};
use crate::error::Error;
use crate::run::MissingState;
use crate::run::{AccessError, Dispatcher};
use crate::tool::{Registry, Tool};

/// The tools of one host, as they are declared.
#[derive(Debug)]
pub(super) struct Tools {
    inner: Mutex<Inner>,
    /// Counts the changes.
    version: watch::Sender<u64>,
    /// Whether a platform has to take the declaration.
    declared: bool,
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
        Ok(Self::with(registry, declaration, true))
    }

    /// Tools that no platform hears of.
    pub(super) fn local(registry: Registry) -> Self {
        Self::with(registry, None, false)
    }

    fn with(registry: Registry, declaration: Option<Utf8Bytes>, declared: bool) -> Self {
        let inner = Inner { registry, disabled: HashSet::new(), declaration };
        Self { inner: Mutex::new(inner), version: watch::Sender::new(0), declared }
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
            outcome = registry.insert(tool).map_err(Error::from).and_then(|()| {
                if self.declared { declare(&registry).map(drop).map_err(Error::from) } else { Ok(()) }
            });
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

    fn replace(&self, gone: &[&str], new: &[Tool]) -> Result<(), Error> {
        let mut outcome = Ok(());
        self.change(|inner| {
            let mut registry = inner.registry.clone();
            for name in gone {
                registry.remove(name);
            }
            outcome = registry.extend(new.iter().cloned()).map_err(Error::from).and_then(|()| {
                if self.declared { declare(&registry).map(drop).map_err(Error::from) } else { Ok(()) }
            });
            outcome.as_ref().ok()?;
            inner.registry = registry;
            for name in gone {
                inner.disabled.remove(*name);
            }
            Some(())
        });
        outcome
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

/// The tools of one host and what runs them, so that a change reaches both. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Toolbox {
    pub(super) tools: Arc<Tools>,
    pub(crate) dispatcher: Dispatcher,
    pub(super) strict_access: bool,
    /// Whether callers are told what broke inside.
    #[cfg_attr(not(feature = "mcp"), expect(dead_code, reason = "the wire has its own"))]
    pub(crate) show_internal_errors: bool,
    /// Held while a change reaches both.
    changing: Arc<Mutex<()>>,
}

impl Toolbox {
    pub(super) fn new(tools: Tools, dispatcher: Dispatcher, config: &HostConfig) -> Self {
        let (strict_access, show_internal_errors) = (config.strict_access, config.show_internal_errors);
        let (tools, changing) = (Arc::new(tools), Arc::default());
        Self { tools, dispatcher, strict_access, show_internal_errors, changing }
    }

    fn changing(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn insert(&self, tool: Tool) -> Result<(), Error> {
        MissingState::check([&tool], self.dispatcher.states())?;
        AccessError::check([&tool], self.dispatcher.is_authenticated(), self.strict_access)?;
        let _changing = self.changing();
        self.tools.insert(tool.clone())?;
        self.dispatcher.insert(tool);
        Ok(())
    }

    fn remove(&self, name: &str) -> bool {
        let _changing = self.changing();
        self.dispatcher.remove(name);
        self.tools.remove(name)
    }

    fn replace(&self, gone: &[&str], new: Vec<Tool>) -> Result<(), Error> {
        MissingState::check(&new, self.dispatcher.states())?;
        AccessError::check(&new, self.dispatcher.is_authenticated(), self.strict_access)?;
        let _changing = self.changing();
        self.tools.replace(gone, &new)?;
        self.dispatcher.replace(gone, new);
        Ok(())
    }

    fn enable(&self, name: &str, enabled: bool) -> bool {
        let _changing = self.changing();
        self.dispatcher.enable(name, enabled);
        self.tools.set_enabled(name, enabled)
    }

    /// The tools that are switched on, in the order of their names.
    #[cfg(feature = "mcp")]
    pub(crate) fn switched_on(&self) -> Vec<Tool> {
        self.tools.list().into_iter().filter_map(|(tool, is_on)| is_on.then_some(tool)).collect()
    }

    /// Tells of every change from now on.
    #[cfg(feature = "mcp")]
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.tools.changes()
    }
}

macro_rules! at_run_time {
    ($(#[$doc:meta])* $host:ident, $toolbox:ident) => {
        $(#[$doc])*
        impl $host {
            /// Adds a tool.
            ///
            /// # Errors
            /// When its name is taken, its schema cannot be built, it asks for state or an authenticator that the
            /// host does not have, or the declaration would become larger than the platform takes. Nothing has
            /// changed then.
            pub fn insert_tool(&self, tool: Tool) -> Result<(), Error> {
                self.$toolbox().insert(tool)
            }

            /// Takes a tool out. Its running calls finish; new ones are answered `unknown tool`. Returns whether
            /// there was such a tool.
            pub fn remove_tool(&self, name: &str) -> bool {
                self.$toolbox().remove(name)
            }

            /// Takes tools out and puts others in, in one step: all of it or nothing. A tool that is in both is
            /// replaced, and no call meets the moment between; running calls finish as they began. Tools that are
            /// named nowhere stay as they are, their limits and figures too.
            ///
            /// # Errors
            /// As [`insert_tool`](Self::insert_tool), for any of the new tools. Nothing has changed then.
            pub fn replace_tools(&self, gone: &[&str], new: Vec<Tool>) -> Result<(), Error> {
                self.$toolbox().replace(gone, new)
            }

            /// Switches a tool off, or on again. One that is switched off is not declared, and its calls are
            /// answered `unknown tool`. Returns whether there is such a tool.
            pub fn enable_tool(&self, name: &str, enabled: bool) -> bool {
                self.$toolbox().enable(name, enabled)
            }

            /// The tools with whether each is switched on, in the order of their names.
            pub fn tools(&self) -> Vec<(Tool, bool)> {
                self.$toolbox().tools.list()
            }
        }
    };
}

at_run_time! {
    /// Tools at run time. The platform hears of changes within a moment, several at once as one declaration,
    /// and never more often than it allows.
    HostHandle, toolbox
}
at_run_time! {
    /// Tools at run time. MCP clients hear of changes at once.
    LocalHost, toolbox
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

    #[test]
    fn several_tools_change_as_one_or_not_at_all() {
        let tools = Tools::new(Registry::new()).unwrap();
        let names =
            || tools.list().iter().map(|(tool, _)| tool.name().to_owned()).collect::<Vec<_>>().join(" ");
        let described = |name: &str, text: &str| tool(name, text.to_owned());
        tools.replace(&[], &[described("a", "old"), described("b", "")]).unwrap();
        let mut changes = tools.changes();
        tools.set_enabled("a", false);
        changes.mark_unchanged();
        assert!(tools.replace(&["b"], &[described("c", ""), described("a", "new")]).is_err(), "`a` is taken");
        assert!(!changes.has_changed().unwrap());
        assert_eq!(names(), "a b");
        tools.replace(&["a", "b"], &[described("c", ""), described("a", "new")]).unwrap();
        assert_eq!(names(), "a c");
        assert!(tools.declaration().contains("\"new\""), "a replaced tool is switched on");
    }
}
