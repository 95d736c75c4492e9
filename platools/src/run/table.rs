//! The table of tools: registration, MCP listing and dispatch all read this one.
//!
//! It must not know connections or doors; they watch [`ToolTable::changes`].

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use foldhash::fast::RandomState;
use tokio::sync::watch;

use super::entry::Entry;
use super::{AccessError, MissingState};
use crate::caller::States;
use crate::observe::HostMetrics;
use crate::tool::{DeclarationError, Execution, Registry, RegistryError, Tool, ToolSpec, declaration};
use crate::wire::ToolHealth;

/// The tools of a host, which may change while it runs. Cheap to clone; all clones are the same table.
///
/// [`HostHandle::tools`](crate::HostHandle::tools) and [`LocalHost::tools`](crate::LocalHost::tools) return it. The
/// platform hears of changes within a moment, several at once as one declaration, and never more often than it allows;
/// MCP clients hear of them at once.
///
/// ```
/// use platools::prelude::*;
/// use platools::tools;
///
/// /// Add two whole numbers.
/// #[tool(register = false)]
/// async fn add(a: i64, b: i64) -> i64 {
///     a + b
/// }
///
/// let host = Platools::builder().tools([]).build_local()?;
/// for tool in tools![add] {
///     host.tools().insert(tool)?;
/// }
/// host.tools().enable("add", false);
/// assert!(!host.tools().get("add").unwrap().is_enabled());
/// assert!(host.tools().remove("add") && host.tools().is_empty());
/// # Ok::<(), platools::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct ToolTable(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    entries: RwLock<Entries>,
    /// The number of changes so far.
    version: watch::Sender<u64>,
    states: Arc<States>,
    rules: Rules,
    metrics: HostMetrics,
}

type Entries = HashMap<String, Arc<Entry>, RandomState>;

/// Checks that the tools of a host must pass, beside those of names and schemas.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "each is a rule of its own")]
pub(crate) struct Rules {
    /// The host verifies who is calling.
    pub(crate) is_authenticated: bool,
    /// Access rules that nothing enforces are an error.
    pub(crate) strict_access: bool,
    /// The tools are declared to a platform, which limits the size of the declaration.
    pub(crate) is_declared: bool,
    /// Tools that do not say themselves describe their parameters to the platform.
    pub(crate) describe_parameters: bool,
}

/// The error of a tool that cannot be in a table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TableError {
    /// Its name is taken or invalid, or its schema cannot be built.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// It takes state that the host does not hold.
    #[error(transparent)]
    MissingState(#[from] MissingState),
    /// The host cannot control access to it as it asks.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// The declaration of all tools would be larger than the platform takes.
    #[error(transparent)]
    Declaration(#[from] DeclarationError),
}

impl ToolTable {
    /// # Errors
    /// When the tools do not satisfy the rules.
    pub(crate) fn new(
        registry: Registry,
        states: Arc<States>,
        rules: Rules,
        metrics: HostMetrics,
    ) -> Result<Self, TableError> {
        let (entries, version) = (RwLock::default(), watch::Sender::new(0));
        let inner = Inner { entries, version, states, rules, metrics };
        let table = Self(Arc::new(inner));
        table.replace(&[], registry.into_tools().collect())?;
        Ok(table)
    }

    /// Adds a tool.
    ///
    /// # Errors
    /// When its name is taken, its schema cannot be built, it takes state or an identity that the host does not
    /// have, or the declaration would become larger than the platform takes. Nothing has changed then.
    pub fn insert(&self, tool: Tool) -> Result<(), TableError> {
        self.replace(&[], vec![tool])
    }

    /// Removes a tool. Its running calls finish; new ones are answered `unknown tool`. Returns whether there was such
    /// a tool.
    pub fn remove(&self, name: &str) -> bool {
        let removed = self.write(|entries| entries.remove(name));
        if removed.is_some() {
            self.tell();
        }
        removed.is_some()
    }

    /// Removes tools and adds others in one step: all of it or nothing. A tool that is in both is replaced, and no
    /// call finds the table in between; running calls finish as they began. All other tools stay as they are, with
    /// their limits and figures.
    ///
    /// # Errors
    /// When [`insert`](Self::insert) would fail for any of the new tools. Nothing has changed then.
    pub fn replace(&self, gone: &[&str], new: Vec<Tool>) -> Result<(), TableError> {
        let Inner { states, rules, metrics, .. } = &*self.0;
        if gone.is_empty() && new.is_empty() {
            return Ok(());
        }
        new.iter().try_for_each(Registry::check)?;
        MissingState::check(&new, states)?;
        AccessError::check(&new, rules.is_authenticated, rules.strict_access)?;
        let old = self.write(|entries| {
            let mut next = entries.clone();
            for name in gone {
                next.remove(*name);
            }
            for tool in new {
                if let Some(taken) = next.get(tool.name()) {
                    return Err(RegistryError::duplicate(&taken.tool, &tool).into());
                }
                let entry = Entry::new(tool, rules.describe_parameters, metrics);
                next.insert(entry.name().to_owned(), Arc::new(entry));
            }
            if rules.is_declared {
                declaration::check(next.values().map(|entry| (entry.name(), entry.declared_bytes)))?;
            }
            Ok::<_, TableError>(std::mem::replace(entries, next))
        })?;
        // Not under the lock: what a handler holds may look at the table when it is dropped.
        drop(old);
        self.tell();
        Ok(())
    }

    /// Disables a tool, or enables it again. One that is disabled is not declared, and its calls are answered
    /// `unknown tool`. Returns whether there is such a tool.
    pub fn enable(&self, name: &str, enabled: bool) -> bool {
        let changed = self.read(|entries| entries.get(name).map(|entry| entry.enable(enabled)));
        if changed == Some(true) {
            self.tell();
        }
        changed.is_some()
    }

    /// Returns the tools sorted by name, including disabled ones.
    pub fn list(&self) -> Vec<ToolEntry> {
        let mut list: Vec<_> = self.entries().into_iter().map(ToolEntry).collect();
        list.sort_unstable_by(|left, right| left.name().cmp(right.name()));
        list
    }

    /// The tool called `name`, enabled or not.
    pub fn get(&self, name: &str) -> Option<ToolEntry> {
        self.read(|entries| entries.get(name).map(Arc::clone)).map(ToolEntry)
    }

    /// The enabled tools as a registry of their own, which later changes do not reach.
    pub fn registry(&self) -> Registry {
        let enabled = self.entries().into_iter().filter(|entry| entry.is_enabled());
        Registry::of_checked(enabled.map(|entry| entry.tool.clone()))
    }

    /// Returns the metrics of the host.
    pub(crate) fn metrics(&self) -> &HostMetrics {
        &self.0.metrics
    }

    /// Returns the number of tools, including disabled ones.
    pub fn len(&self) -> usize {
        self.read(Entries::len)
    }

    /// Returns whether the table is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns whether tools describe their parameters to the platform, unless they say otherwise; see
    /// [`ToolSpec::describe_parameters`].
    pub fn describes_parameters(&self) -> bool {
        self.0.rules.describe_parameters
    }

    /// Watches for changes from now on.
    pub fn changes(&self) -> ToolChanges {
        ToolChanges(self.0.version.subscribe())
    }

    /// The `tool_register` frame of the enabled tools.
    pub(crate) fn declaration(&self, callback_url: Option<&str>) -> String {
        let list = self.list();
        let enabled = list.iter().filter(|entry| entry.is_enabled()).map(ToolEntry::tool);
        declaration::frame(enabled, self.describes_parameters(), callback_url)
    }

    /// Has the connection declare the tools again although none has changed.
    pub(crate) fn declare_again(&self) {
        self.tell();
    }

    /// The tool that runs calls of this name.
    pub(super) fn find(&self, name: &str) -> Option<Arc<Entry>> {
        self.read(|entries| entries.get(name).filter(|entry| entry.is_enabled()).map(Arc::clone))
    }

    /// All tools, in no particular order.
    pub(crate) fn entries(&self) -> Vec<Arc<Entry>> {
        self.read(|entries| entries.values().map(Arc::clone).collect())
    }

    fn read<T>(&self, look: impl FnOnce(&Entries) -> T) -> T {
        look(&self.0.entries.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write<T>(&self, change: impl FnOnce(&mut Entries) -> T) -> T {
        change(&mut self.0.entries.write().unwrap_or_else(PoisonError::into_inner))
    }

    fn tell(&self) {
        self.0.version.send_modify(|version| *version += 1);
    }
}

/// One tool of a [`ToolTable`]. It shows the present state, even after the tool has left the table.
#[derive(Clone)]
pub struct ToolEntry(Arc<Entry>);

impl ToolEntry {
    /// The tool.
    pub fn tool(&self) -> &Tool {
        &self.0.tool
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.0.name()
    }

    /// Its declaration.
    pub fn spec(&self) -> &ToolSpec {
        self.0.tool.spec()
    }

    /// Where its calls run.
    pub fn execution(&self) -> Execution {
        self.0.tool.execution()
    }

    /// Returns why the tool is down, by its [health probe](Tool::down_while).
    pub fn down_reason(&self) -> Option<String> {
        self.0.down_reason()
    }

    /// Returns whether the tool is enabled: declared, listed and callable.
    pub fn is_enabled(&self) -> bool {
        self.0.is_enabled()
    }

    /// The current health, over the last hour; `None` if the tool was never called and is not down.
    pub fn health(&self) -> Option<ToolHealth> {
        self.0.current_health()
    }
}

impl fmt::Debug for ToolEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ToolEntry")
            .field("name", &self.name())
            .field("execution", &self.execution())
            .field("enabled", &self.is_enabled())
            .finish()
    }
}

/// Tells when a [`ToolTable`] has changed.
#[derive(Debug, Clone)]
pub struct ToolChanges(watch::Receiver<u64>);

impl ToolChanges {
    /// Waits for the next change; several since the last one count as one. Returns `false` when the table is gone.
    ///
    /// Cancel safe.
    pub async fn changed(&mut self) -> bool {
        self.0.changed().await.is_ok()
    }

    /// The number of changes so far. Tools that were read after it are at least as new.
    pub fn version(&self) -> u64 {
        *self.0.borrow()
    }

    /// Ignores the changes so far.
    pub fn mark_unchanged(&mut self) {
        self.0.mark_unchanged();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tool::ToolOutput;

    fn tool(name: &str, description: &str) -> Tool {
        Tool::new(ToolSpec::new(name).description(description), |_| async { Ok(ToolOutput::null()) })
    }

    fn table() -> ToolTable {
        table_with(false)
    }

    fn table_with(describe_parameters: bool) -> ToolTable {
        let rules =
            Rules { is_authenticated: false, strict_access: false, is_declared: true, describe_parameters };
        ToolTable::new(Registry::new(), Arc::default(), rules, HostMetrics::default()).unwrap()
    }

    #[test]
    fn a_host_describes_parameters_unless_a_tool_does_not() {
        let schema = serde_json::json!({"type": "object", "properties": {"limit": {"type": "integer"}}});
        let spec = |name: &str| ToolSpec::new(name).description(name).input_schema(schema.clone());
        let with = |spec| Tool::new(spec, |_| async { Ok(ToolOutput::null()) });
        for (describe, expected) in [(false, ["a", "b!", "c"]), (true, ["a!", "b!", "c"])] {
            let tools = table_with(describe);
            let specs =
                [spec("a"), spec("b").describe_parameters(true), spec("c").describe_parameters(false)];
            tools.replace(&[], specs.map(with).into()).unwrap();
            let frame: serde_json::Value = serde_json::from_str(&tools.declaration(None)).unwrap();
            let descriptions = frame["tools"].as_array().unwrap().iter().map(|tool| {
                let text = tool["description"].as_str().unwrap();
                text.replace("\n\nParameters:\n- limit (integer)", "!")
            });
            assert_eq!(descriptions.collect::<Vec<_>>(), expected);
            assert_eq!(tools.get("a").unwrap().spec().description, "a", "for MCP and the command line");
        }
    }

    #[tokio::test]
    async fn changes_are_counted_and_declared() {
        let tools = table();
        let mut changes = tools.changes();
        let declared = |name: &str| tools.declaration(None).contains(&format!("\"name\":\"{name}\""));
        tools.insert(tool("a", "")).unwrap();
        tools.insert(tool("b", "")).unwrap();
        assert!(changes.changed().await && declared("a") && declared("b"));
        let before = changes.version();
        assert!(matches!(tools.insert(tool("a", "")), Err(TableError::Registry(_))));
        let large = tools.insert(tool("large", &"x".repeat(11 << 20)));
        assert!(matches!(large, Err(TableError::Declaration(_))));
        assert!(changes.version() == before && tools.get("large").is_none(), "nothing happened");
        assert!(tools.enable("a", false) && !declared("a") && declared("b"));
        assert_eq!(changes.version(), before + 1);
        assert!(tools.enable("a", false), "it is there, and disabled already");
        assert_eq!(changes.version(), before + 1);
        assert!(tools.enable("a", true) && declared("a"));
        assert!(tools.remove("a") && !tools.remove("a") && !declared("a"));
        assert!(!tools.enable("a", true));
        drop(tools);
        changes.mark_unchanged();
        assert!(!changes.changed().await, "the table is gone");
    }

    #[test]
    fn several_tools_change_together_or_not_at_all() {
        let tools = table();
        let names = || tools.list().iter().map(ToolEntry::name).collect::<Vec<_>>().join(" ");
        tools.replace(&[], vec![tool("a", "old"), tool("b", "")]).unwrap();
        tools.enable("a", false);
        let before = tools.changes().version();
        assert!(tools.replace(&["b"], vec![tool("c", ""), tool("a", "new")]).is_err(), "`a` is taken");
        assert_eq!((tools.changes().version(), names()), (before, "a b".to_owned()));
        tools.replace(&["a", "b"], vec![tool("c", ""), tool("a", "new")]).unwrap();
        assert_eq!(names(), "a c");
        assert!(tools.declaration(None).contains("\"new\""), "a replaced tool is enabled");
    }

    #[test]
    fn a_tool_that_cannot_run_here_is_declared_all_the_same() {
        let tools = table();
        tools.insert(Tool::remote(ToolSpec::new("elsewhere"))).unwrap();
        tools.insert(Tool::withheld(ToolSpec::new("later"), "it is starting")).unwrap();
        let executions = tools.list().iter().map(ToolEntry::execution).collect::<Vec<_>>();
        assert_eq!(executions, [Execution::Remote, Execution::Withheld]);
        let declaration = tools.declaration(None);
        assert!(declaration.contains("elsewhere") && declaration.contains("later"));
    }
}
