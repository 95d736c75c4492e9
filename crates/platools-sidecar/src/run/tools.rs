//! The tools of one table, by where they come from: the file, and MCP servers. Both change in one step, so that no call
//! meets a tool half changed; a name that both have is the file's.
//!
//! Must not know connections, nor how a tool is made.

use std::collections::{BTreeMap, BTreeSet};

use platools::Tool;
use platools::run::{TableError, ToolTable};

use crate::fingerprint::Fingerprint;
use crate::plan::PlannedTool;

/// A table of tools, and what of it is whose.
#[derive(Debug)]
pub(crate) struct Assortment {
    table: ToolTable,
    file: BTreeMap<String, (Fingerprint, Tool)>,
    /// All that is in the table.
    there: BTreeMap<String, Tool>,
    /// Tools of servers that the table refused. They are not tried again.
    refused: Vec<Tool>,
    /// Tools of servers whose name another tool has.
    hidden: BTreeSet<String>,
}

/// What changed of the tools of a file.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    pub(crate) added: usize,
    pub(crate) changed: usize,
    pub(crate) removed: usize,
}

impl Assortment {
    /// A table that holds the tools of the file already.
    pub(crate) fn new<'t>(table: ToolTable, file: impl IntoIterator<Item = &'t PlannedTool>) -> Self {
        let file: BTreeMap<_, _> = file.into_iter().map(named).collect();
        let there = file.iter().map(|(name, (_, tool))| (name.clone(), tool.clone())).collect();
        Self { table, file, there, refused: Vec::new(), hidden: BTreeSet::new() }
    }

    /// Changes the tools of the file and those of servers. Tools that did not change are not touched. Calls that run go on;
    /// of those that come, none meets a tool half changed.
    ///
    /// # Errors
    /// When the tools of the file cannot be in the table; nothing has changed then.
    pub(crate) fn change(&mut self, file: &[&PlannedTool], servers: &[Tool]) -> Result<Changes, String> {
        let mut wanted: BTreeMap<_, _> = file.iter().copied().map(named).collect();
        let mut changes = Changes::default();
        for (name, (fingerprint, tool)) in &mut wanted {
            match self.file.get(name) {
                // With its limits and figures.
                Some((known, old)) if known == fingerprint => *tool = old.clone(),
                Some(_) => changes.changed += 1,
                None => changes.added += 1,
            }
        }
        changes.removed = self.file.keys().filter(|name| !wanted.contains_key(*name)).count();
        if self.put(&wanted, servers).is_err() {
            let present: Vec<Tool> = self.present(servers);
            self.put(&wanted, &present).map_err(|error| error.to_string())?;
        }
        self.file = wanted;
        self.change_servers(servers);
        Ok(changes)
    }

    /// Changes the tools of servers. One that cannot be in the table is left out, and the log says why.
    pub(crate) fn change_servers(&mut self, servers: &[Tool]) {
        self.refused.retain(|refused| servers.iter().any(|tool| tool.is_same(refused)));
        let file = self.file.clone();
        if self.put(&file, servers).is_ok() {
            return;
        }
        // One of them does not fit; the others do.
        let mut fitting = self.present(servers);
        let _ = self.put(&file, &fitting);
        for tool in servers {
            if fitting.iter().any(|known| known.is_same(tool)) || self.is_refused(tool) {
                continue;
            }
            fitting.push(tool.clone());
            if let Err(error) = self.put(&file, &fitting) {
                tracing::warn!(tool = tool.name(), %error, "a tool of an MCP server is left out");
                self.refused.extend(fitting.pop());
            }
        }
    }

    fn is_refused(&self, tool: &Tool) -> bool {
        self.refused.iter().any(|refused| refused.is_same(tool))
    }

    /// Those of the tools that are in the table already.
    fn present(&self, servers: &[Tool]) -> Vec<Tool> {
        let is_there = |tool: &&Tool| self.there.get(tool.name()).is_some_and(|known| known.is_same(tool));
        servers.iter().filter(is_there).cloned().collect()
    }

    /// Has the table hold these tools: all of them, or nothing changes.
    fn put(
        &mut self,
        file: &BTreeMap<String, (Fingerprint, Tool)>,
        servers: &[Tool],
    ) -> Result<(), TableError> {
        let mut wanted: BTreeMap<String, Tool> =
            file.iter().map(|(name, (_, tool))| (name.clone(), tool.clone())).collect();
        let mut hidden = BTreeSet::new();
        for tool in servers.iter().filter(|tool| !self.is_refused(tool)) {
            if wanted.contains_key(tool.name()) {
                hidden.insert(tool.name().to_owned());
            } else {
                wanted.insert(tool.name().to_owned(), tool.clone());
            }
        }
        let differs = |from: &BTreeMap<String, Tool>, name: &str, tool: &Tool| {
            !from.get(name).is_some_and(|other| other.is_same(tool))
        };
        let gone = self.there.iter().filter(|(name, tool)| differs(&wanted, name, tool));
        let gone: Vec<&str> = gone.map(|(name, _)| name.as_str()).collect();
        let new = wanted.iter().filter(|(name, tool)| differs(&self.there, name, tool));
        let new: Vec<Tool> = new.map(|(_, tool)| tool.clone()).collect();
        self.table.replace(&gone, new)?;
        for name in hidden.difference(&self.hidden) {
            tracing::warn!(tool = name, "a tool of an MCP server is left out: another tool has its name");
        }
        (self.there, self.hidden) = (wanted, hidden);
        Ok(())
    }
}

fn named(planned: &PlannedTool) -> (String, (Fingerprint, Tool)) {
    (planned.tool.name().to_owned(), (planned.fingerprint.clone(), planned.tool.clone()))
}
