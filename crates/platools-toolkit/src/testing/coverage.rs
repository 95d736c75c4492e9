//! Which tools have a case.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use platools::tool::Registry;
use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};

use super::suite::Suite;
use crate::layout::{Layout, Paint};

/// The number of cases of each tool.
///
/// ```
/// use platools_toolkit::testing::{Coverage, Suite};
/// use platools::tool::Registry;
/// use platools::{Tool, ToolOutput, ToolSpec};
///
/// let mut registry = Registry::new();
/// registry.insert(Tool::new(ToolSpec::new("lookup"), |_| async { Ok(ToolOutput::null()) }))?;
/// let coverage = Coverage::of(&registry, &Suite::default());
/// assert_eq!(coverage.untested().collect::<Vec<_>>(), ["lookup"]);
/// # Ok::<(), platools::tool::RegistryError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Coverage {
    tools: BTreeMap<String, usize>,
}

impl Coverage {
    /// Counts the cases of each tool.
    pub fn of(registry: &Registry, suite: &Suite) -> Self {
        let mut tools: BTreeMap<_, _> = registry.iter().map(|tool| (tool.name().to_owned(), 0)).collect();
        for case in suite.cases() {
            if let Some(count) = tools.get_mut(&case.tool) {
                *count += 1;
            }
        }
        Self { tools }
    }

    /// Returns every tool with the number of its cases.
    pub fn tools(&self) -> impl ExactSizeIterator<Item = (&str, usize)> {
        self.tools.iter().map(|(name, count)| (name.as_str(), *count))
    }

    /// Returns the tools without a case.
    pub fn untested(&self) -> impl Iterator<Item = &str> {
        self.tools().filter(|(_, count)| *count == 0).map(|(name, _)| name)
    }

    /// Returns the number of tools with at least one case.
    pub fn tested(&self) -> usize {
        self.tools().filter(|(_, count)| *count > 0).count()
    }

    /// Returns the list for people, laid out like the list of the Python package.
    pub fn text(&self, layout: Layout) -> String {
        let mut text = format!("{}\n\n", layout.paint(Paint::Bold, &self.summary()));
        for (name, count) in self.tools() {
            let marker =
                if count > 0 { layout.paint(Paint::Green, "✓") } else { layout.paint(Paint::Dim, "·") };
            let _ = writeln!(text, "  {marker} {name}");
        }
        text
    }

    /// The first line of the list.
    pub(super) fn summary(&self) -> String {
        format!("Coverage: {}/{} tools have at least one test", self.tested(), self.tools.len())
    }
}

impl Serialize for Coverage {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("tested", &self.tested())?;
        map.serialize_entry("total", &self.tools.len())?;
        map.serialize_entry("tools", &self.tools)?;
        map.end()
    }
}
