//! Checks that the host holds the state that its tools take.

use std::fmt;

use crate::caller::States;
use crate::tool::Tool;

/// The error for tools that take state that is not registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingState(Vec<String>);

impl MissingState {
    /// Checks that every state that `tools` take is registered.
    pub(crate) fn check<'a>(tools: impl IntoIterator<Item = &'a Tool>, states: &States) -> Result<(), Self> {
        let missing: Vec<String> = tools
            .into_iter()
            .flat_map(|tool| tool.spec().requirements.iter().map(move |needs| (tool.name(), *needs)))
            .filter(|(_, needs)| !states.satisfies(*needs))
            .map(|(tool, needs)| {
                let (type_name, advice) = (needs.type_name(), states.advice(needs));
                format!("tool `{tool}` needs `State<{type_name}>`, which is not registered: {advice}")
            })
            .collect();
        if missing.is_empty() { Ok(()) } else { Err(Self(missing)) }
    }
}

impl fmt::Display for MissingState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("; "))
    }
}

impl std::error::Error for MissingState {}
