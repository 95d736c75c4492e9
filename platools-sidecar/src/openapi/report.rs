//! What is wrong with a document, and where.

use std::cell::RefCell;
use std::collections::HashSet;
use std::fmt;

use super::place::Place;

/// A document that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{problem}", at(pointer))]
#[non_exhaustive]
pub struct OpenApiError {
    /// Where it is, as a JSON pointer; empty for the whole document.
    pub pointer: String,
    /// What is wrong, and what to do.
    pub problem: String,
}

impl OpenApiError {
    pub(super) fn new(place: &Place<'_>, problem: impl Into<String>) -> Self {
        Self { pointer: place.to_string(), problem: problem.into() }
    }
}

/// Something that was left out or understood differently than it is written.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Warning {
    /// Where it is, as a JSON pointer; empty for the whole document.
    pub pointer: String,
    /// What was done, and why.
    pub text: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", at(&self.pointer), self.text)
    }
}

fn at(pointer: &str) -> String {
    if pointer.is_empty() { String::new() } else { format!("at `{pointer}`: ") }
}

/// Warnings as they come, each once.
#[derive(Debug, Default)]
pub(super) struct Warnings(RefCell<(Vec<Warning>, HashSet<Warning>)>);

impl Warnings {
    pub(super) fn add(&self, place: &Place<'_>, text: impl Into<String>) {
        let warning = Warning { pointer: place.to_string(), text: text.into() };
        let mut inner = self.0.borrow_mut();
        if inner.1.insert(warning.clone()) {
            inner.0.push(warning);
        }
    }

    pub(super) fn into_list(self) -> Vec<Warning> {
        self.0.into_inner().0
    }
}
