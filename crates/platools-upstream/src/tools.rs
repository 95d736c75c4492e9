//! The tools that are taken from an upstream, and how others keep in step with them.

use std::collections::{HashMap, HashSet};

use platools::run::ToolTable;
use platools::tool::{check_name, nearest_name};
use platools::{Tool, ToolSpec};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::config::UpstreamConfig;
use crate::pins::{Pins, Verdict, WithheldTool};
use crate::ration::Ration;
use crate::{UpstreamState, clean};

/// The most that is complained about in the tools of one server: it may make up new names for ever.
const MAX_COMPLAINTS: usize = 100;

/// Why a call of a tool is refused whose definition changed; the server's name follows.
const WITHHELD: &str =
    "its definition changed and has to be accepted by an operator first, at the MCP server";

/// The tools of an upstream as they were taken last. Those that did not change stay the same tools.
pub(crate) struct Taken {
    /// By the server's name for it.
    known: HashMap<String, Known>,
    to: watch::Sender<Vec<Tool>>,
    /// The complaints that were logged already: lists come often, and each complaint is logged once.
    complaints: HashSet<String>,
    /// The tools that are withheld, as the server declares them.
    withheld: Vec<(ToolSpec, WithheldTool)>,
    ration: Ration,
}

struct Known {
    tool: Tool,
    is_withheld: bool,
}

impl Taken {
    /// None yet; those who follow are told through `to`.
    pub(crate) fn new(to: watch::Sender<Vec<Tool>>) -> Self {
        Self {
            known: HashMap::new(),
            to,
            complaints: HashSet::new(),
            withheld: Vec::new(),
            ration: Ration::new(),
        }
    }

    /// The tools that were withheld when the server's were taken last, as it declares them.
    pub(crate) fn withheld(&self) -> &[(ToolSpec, WithheldTool)] {
        &self.withheld
    }

    /// Takes what a server declares now, and says how many tools that are; `make` makes a tool of the server's name
    /// for it and its declaration here.
    pub(crate) fn take(
        &mut self,
        config: &UpstreamConfig,
        pins: Option<&Pins>,
        specs: &[ToolSpec],
        make: impl Fn(String, ToolSpec) -> Tool,
    ) -> usize {
        let name = config.name.as_str();
        let mut old = std::mem::take(&mut self.known);
        let mut current: Vec<Tool> = Vec::new();
        let mut names = HashSet::new();
        let mut is_new = false;
        let mut withheld = Vec::new();
        let overridden = config.declare_tools.iter().map(|(name, _)| name);
        for wanted in config.only.iter().flatten().chain(overridden) {
            if !specs.iter().any(|spec| spec.name == *wanted) {
                let near = nearest_name(wanted, specs.iter().map(|spec| spec.name.as_str()));
                let hint =
                    near.map_or(String::new(), |name| format!(", did you mean `{}`?", clean::label(name)));
                self.complain(name, &format!("the MCP server has no tool `{wanted}`{hint}"));
            }
        }
        for spec in specs {
            let remote = spec.name.clone();
            if config.only.as_ref().is_some_and(|only| !only.contains(&remote)) {
                continue;
            }
            let here = format!("{}{}", config.prefix, valid(&remote));
            if let Err(problem) = check_name(&here) {
                self.complain(name, &format!("a tool of the MCP server is left out: {problem}"));
                continue;
            }
            if !names.insert(here.clone()) {
                self.complain(
                    name,
                    &format!("a tool of the MCP server is left out: there is a `{here}` already"),
                );
                continue;
            }
            let accepted = match pins.map_or(Verdict::Accepted, |pins| pins.verdict(spec)) {
                Verdict::Accepted => None,
                Verdict::Changed(accepted) => Some(accepted),
                Verdict::New => {
                    withheld.push((spec.clone(), WithheldTool::of(spec, None)));
                    continue;
                }
            };
            if let Some(accepted) = accepted {
                withheld.push((spec.clone(), WithheldTool::of(spec, Some(accepted))));
            }
            let mut spec = match clean::declaration(accepted.unwrap_or(spec).clone()) {
                Ok((spec, None)) => spec,
                Ok((spec, Some(told))) => {
                    self.complain(
                        name,
                        &format!("the tool `{here}` of the MCP server is declared otherwise: {told}"),
                    );
                    spec
                }
                Err(problem) => {
                    self.complain(
                        name,
                        &format!("the tool `{here}` of the MCP server is left out: {problem}"),
                    );
                    continue;
                }
            };
            spec = spec.rename(here);
            if let Some(declare) = &config.declare {
                spec = declare(spec);
            }
            for (_, declare) in config.declare_tools.iter().filter(|(name, _)| *name == remote) {
                spec = declare(spec);
            }
            let is_withheld = accepted.is_some();
            let tool = match old.remove(&remote) {
                Some(known) if *known.tool.spec() == spec && known.is_withheld == is_withheld => known.tool,
                _ => {
                    is_new = true;
                    if is_withheld {
                        Tool::withheld(spec, format!("{WITHHELD} `{name}`"))
                    } else {
                        make(remote.clone(), spec)
                    }
                }
            };
            current.push(tool.clone());
            self.known.insert(remote, Known { tool, is_withheld });
        }
        self.tell_withheld(name, withheld);
        let count = current.len();
        if is_new || !old.is_empty() {
            self.to.send_replace(current);
        }
        count
    }

    /// Says which tools are withheld, once for each definition.
    fn tell_withheld(&mut self, upstream: &str, withheld: Vec<(ToolSpec, WithheldTool)>) {
        let before = std::mem::replace(&mut self.withheld, withheld);
        for (spec, tool) in self.withheld.iter().filter(|now| !before.contains(now)) {
            let Some(dropped) = self.ration.take() else { continue };
            let here = valid(&spec.name);
            if tool.is_new {
                tracing::warn!(
                    upstream,
                    tool = here,
                    dropped,
                    "the MCP server has a tool that was not accepted, and is withheld: `platools sidecar accept` shows \
                     and accepts it"
                );
            } else {
                tracing::warn!(
                    upstream,
                    tool = here,
                    changed = %tool,
                    dropped,
                    "the MCP server declares a tool otherwise than it was accepted, so it is withheld: `platools sidecar \
                     accept` shows and accepts it"
                );
            }
        }
    }

    fn complain(&mut self, upstream: &str, text: &str) {
        if self.complaints.len() < MAX_COMPLAINTS && self.complaints.insert(text.to_owned()) {
            tracing::warn!(upstream, "{text}");
            if self.complaints.len() == MAX_COMPLAINTS {
                tracing::warn!(
                    upstream,
                    "more is wrong with the tools of the MCP server, which is not told any more"
                );
            }
        }
    }
}

/// A server's name for a tool, with `_` for what no name may have here.
fn valid(name: &str) -> String {
    let allowed = |next: char| if next.is_ascii_alphanumeric() || "_.-".contains(next) { next } else { '_' };
    name.chars().map(allowed).collect()
}

/// The tools of an upstream, now and whenever they change.
#[derive(Debug, Clone)]
pub struct ToolChanges {
    tools: watch::Receiver<Vec<Tool>>,
    until: CancellationToken,
}

impl ToolChanges {
    pub(crate) fn new(mut receiver: watch::Receiver<Vec<Tool>>) -> Self {
        // Those of this moment are news to whoever begins to follow.
        receiver.mark_changed();
        Self { tools: receiver, until: CancellationToken::new() }
    }

    /// Ends the changes when `end` is cancelled, as if the upstream were gone.
    #[must_use]
    pub fn until(self, end: CancellationToken) -> Self {
        Self { until: end, ..self }
    }

    /// The tools of this moment.
    pub fn current(&self) -> Vec<Tool> {
        self.tools.borrow().clone()
    }

    /// The tools, once they are others than those it said last; `None` when the upstream is gone for good.
    pub async fn next(&mut self) -> Option<Vec<Tool>> {
        tokio::select! {
            biased;
            () = self.until.cancelled() => None,
            changed = self.tools.changed() => {
                changed.ok()?;
                Some(self.tools.borrow_and_update().clone())
            }
        }
    }
}

/// Tells when an [`Upstream`](crate::Upstream) has changed: its state or its tools.
#[derive(Debug, Clone)]
pub struct UpstreamChanges {
    pub(crate) state: watch::Receiver<UpstreamState>,
    pub(crate) tools: watch::Receiver<Vec<Tool>>,
}

impl UpstreamChanges {
    /// Waits for the next change; several since the last one count as one. Returns `false` when the upstream is gone for
    /// good.
    ///
    /// Cancel safe.
    pub async fn changed(&mut self) -> bool {
        let changed = tokio::select! {
            changed = self.state.changed() => changed,
            changed = self.tools.changed() => changed,
        };
        self.state.mark_unchanged();
        self.tools.mark_unchanged();
        changed.is_ok()
    }
}

/// Keeps a table in step with the tools of an upstream until the upstream is gone, then removes them. A tool that the
/// table refuses is left out, and the log says why.
pub async fn keep_in_step(mut changes: ToolChanges, table: ToolTable) {
    let mut ours: HashMap<String, Tool> = HashMap::new();
    while let Some(tools) = changes.next().await {
        let is_ours = |tool: &Tool| ours.get(tool.name()).is_some_and(|known| known.is_same(tool));
        let new: Vec<Tool> = tools.iter().filter(|tool| !is_ours(tool)).cloned().collect();
        let kept: HashSet<&str> = tools.iter().filter(|tool| is_ours(tool)).map(Tool::name).collect();
        let gone: Vec<String> = ours.keys().filter(|name| !kept.contains(name.as_str())).cloned().collect();
        for name in &gone {
            ours.remove(name);
        }
        let gone: Vec<&str> = gone.iter().map(String::as_str).collect();
        if table.replace(&gone, new.clone()).is_ok() {
            ours.extend(new.into_iter().map(|tool| (tool.name().to_owned(), tool)));
            continue;
        }
        // One of them does not fit; the others do.
        let _ = table.replace(&gone, Vec::new());
        for tool in new {
            match table.insert(tool.clone()) {
                Ok(()) => drop(ours.insert(tool.name().to_owned(), tool)),
                Err(error) => {
                    tracing::warn!(tool = tool.name(), %error, "a tool of an MCP server is left out");
                }
            }
        }
    }
    let gone: Vec<&str> = ours.keys().map(String::as_str).collect();
    let _ = table.replace(&gone, Vec::new());
}

#[cfg(test)]
mod tests {
    use platools::ToolOutput;

    use super::*;
    use crate::ServerProgram;

    fn made(_: String, spec: ToolSpec) -> Tool {
        Tool::new(spec, |_| async { Ok(ToolOutput::null()) })
    }

    #[test]
    fn a_server_that_makes_up_names_for_ever_fills_neither_the_memory_nor_the_log() {
        let config = UpstreamConfig::program("m", ServerProgram::new("true"));
        let mut taken = Taken::new(watch::channel(Vec::new()).0);
        for round in 0..1_000 {
            let specs = vec![ToolSpec::new(format!("1-{round}")), ToolSpec::new("a"), ToolSpec::new("a")];
            assert_eq!(taken.take(&config, None, &specs, made), 1);
        }
        assert_eq!((taken.complaints.len(), taken.known.len()), (MAX_COMPLAINTS, 1));
    }
}
