//! The tools of one host, keyed by name.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::{NameError, Tool, check_name};
use crate::__private::Registration;

/// A tool that cannot be registered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// Two tools have the same name.
    #[error("{}", duplicate(name, first, second))]
    Duplicate {
        /// The duplicate name.
        name: String,
        /// Where the first tool is defined.
        first: String,
        /// Where the second tool is defined.
        second: String,
    },
    /// The name is not a valid tool name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The input schema cannot be built or is not an object schema.
    #[error("tool `{name}` at {location}: {problem}")]
    Schema {
        /// The tool.
        name: String,
        /// Where it is defined.
        location: String,
        /// The problem.
        problem: String,
    },
}

impl RegistryError {
    /// Two tools have one name.
    pub(crate) fn duplicate(first: &Tool, second: &Tool) -> Self {
        Self::Duplicate {
            name: second.name().to_owned(),
            first: location_of(first),
            second: location_of(second),
        }
    }
}

/// The tools of one host, sorted by name.
///
/// ```
/// use platools::tool::Registry;
/// use platools::{tool, tools};
///
/// /// Add two numbers.
/// #[tool(register = false)]
/// async fn add(a: i64, b: i64) -> i64 {
///     a + b
/// }
///
/// let mut registry = Registry::new();
/// registry.extend(tools![add])?;
/// assert_eq!(registry.get("add").unwrap().spec().description, "Add two numbers.");
/// # Ok::<(), platools::tool::RegistryError>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Registry {
    tools: BTreeMap<String, Tool>,
}

impl Registry {
    /// Creates an empty registry.
    pub fn new() -> Self {
        Self::default()
    }

    /// Collects every `#[tool]` function that is linked into this program.
    ///
    /// Rust does not link a crate that nothing refers to, and its tools are then missing without an error. Refer to
    /// the crate (`use orders as _;` is enough), or list its tools with `tools![…]`.
    ///
    /// # Errors
    /// If two tools have the same name, or a schema cannot be built.
    pub fn collect() -> Result<Self, RegistryError> {
        let mut tools: Vec<Tool> =
            inventory::iter::<Registration>().map(|registration| (registration.tool)()).collect();
        // The linker's order is arbitrary; sorting makes the first reported duplicate deterministic.
        tools.sort_by_key(|tool| tool.spec().location.map(|at| (at.file, at.line, at.column)));
        let mut registry = Self::new();
        registry.extend(tools)?;
        Ok(registry)
    }

    /// Adds one tool.
    ///
    /// # Errors
    /// If the name is taken or invalid, or the input schema is not an object schema.
    pub fn insert(&mut self, tool: Tool) -> Result<(), RegistryError> {
        Self::check(&tool)?;
        match self.tools.entry(tool.name().to_owned()) {
            Entry::Vacant(vacant) => {
                vacant.insert(tool);
                Ok(())
            }
            Entry::Occupied(taken) => Err(RegistryError::duplicate(taken.get(), &tool)),
        }
    }

    /// Checks the name and the schema of a tool.
    pub(crate) fn check(tool: &Tool) -> Result<(), RegistryError> {
        check_name(tool.name())?;
        let spec = tool.spec();
        let problem = spec.problems.first().cloned().or_else(|| {
            let is_object = spec.input_schema.get("type").is_some_and(|name| name == "object");
            (!is_object).then(|| "the input schema must have `\"type\": \"object\"` at its root".to_owned())
        });
        match problem {
            None => Ok(()),
            Some(problem) => {
                let (name, location) = (tool.name().to_owned(), location_of(tool));
                Err(RegistryError::Schema { name, location, problem })
            }
        }
    }

    /// Adds several tools.
    ///
    /// # Errors
    /// On the first tool that cannot be added; see [`insert`](Self::insert).
    pub fn extend(&mut self, tools: impl IntoIterator<Item = Tool>) -> Result<(), RegistryError> {
        tools.into_iter().try_for_each(|tool| self.insert(tool))
    }

    /// Removes and returns a tool.
    pub fn remove(&mut self, name: &str) -> Option<Tool> {
        self.tools.remove(name)
    }

    /// Returns the tool called `name`.
    pub fn get(&self, name: &str) -> Option<&Tool> {
        self.tools.get(name)
    }

    /// Iterates over the tools, sorted by name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Tool> {
        self.tools.values()
    }

    /// A registry of tools that were checked before and have different names.
    pub(crate) fn of_checked(tools: impl IntoIterator<Item = Tool>) -> Self {
        Self { tools: tools.into_iter().map(|tool| (tool.name().to_owned(), tool)).collect() }
    }

    pub(crate) fn into_tools(self) -> impl Iterator<Item = Tool> {
        self.tools.into_values()
    }

    /// Returns the number of tools.
    pub fn len(&self) -> usize {
        self.tools.len()
    }

    /// Returns whether the registry is empty.
    pub fn is_empty(&self) -> bool {
        self.tools.is_empty()
    }
}

impl<'a> IntoIterator for &'a Registry {
    type Item = &'a Tool;
    type IntoIter = std::collections::btree_map::Values<'a, String, Tool>;

    /// Iterates over the tools, sorted by name.
    fn into_iter(self) -> Self::IntoIter {
        self.tools.values()
    }
}

/// Formats the error about a duplicate. Two tools with the same location are one tool that was added twice, which
/// renaming cannot fix.
fn duplicate(name: &str, first: &str, second: &str) -> String {
    if first == second && first != UNKNOWN_LOCATION {
        format!(
            "the tool `{name}` at {first} was added twice: add it once, or, where it belongs to another \
             instance of a toolset, add that instance with `.toolset_with_prefix(…)`"
        )
    } else {
        format!(
            "two tools are called `{name}`: one at {first}, one at {second}; \
             give one of them another name with `#[tool(name = \"…\")]`"
        )
    }
}

const UNKNOWN_LOCATION: &str = "an unknown location";

fn location_of(tool: &Tool) -> String {
    tool.spec().location.map_or_else(|| UNKNOWN_LOCATION.to_owned(), |location| location.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::tool::{Location, ToolOutput, ToolSpec};

    fn tool(spec: ToolSpec) -> Tool {
        Tool::new(spec, |_| async { Ok(ToolOutput::null()) })
    }

    #[test]
    fn tools_are_sorted_and_unique() {
        let at = |line| Location { file: "src/orders.rs", line, column: 1 };
        let mut registry = Registry::new();
        registry.extend([tool(ToolSpec::new("b").location(at(7))), tool(ToolSpec::new("a"))]).unwrap();
        assert_eq!(registry.iter().map(Tool::name).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!((&registry).into_iter().map(Tool::name).collect::<Vec<_>>(), ["a", "b"]);
        let renaming = "give one of them another name with `#[tool(name = \"…\")]`";
        let cases = [
            (
                ToolSpec::new("b").location(at(9)),
                format!(
                    "two tools are called `b`: one at src/orders.rs:7:1, one at src/orders.rs:9:1; {renaming}"
                ),
            ),
            (
                ToolSpec::new("a"),
                format!(
                    "two tools are called `a`: one at an unknown location, one at an unknown location; {renaming}"
                ),
            ),
            (
                ToolSpec::new("b").location(at(7)),
                "the tool `b` at src/orders.rs:7:1 was added twice: add it once, or, where it belongs to \
                 another instance of a toolset, add that instance with `.toolset_with_prefix(…)`"
                    .to_owned(),
            ),
        ];
        for (spec, expected) in cases {
            assert_eq!(registry.insert(tool(spec)).unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn names_and_schemas_are_checked() {
        let mut registry = Registry::new();
        assert!(matches!(registry.insert(tool(ToolSpec::new("a b"))), Err(RegistryError::Name(_))));
        let spec = ToolSpec::new("a").input_schema(json!({"type": "array"}));
        assert!(matches!(registry.insert(tool(spec)), Err(RegistryError::Schema { .. })));
        assert!(registry.is_empty());
    }
}
