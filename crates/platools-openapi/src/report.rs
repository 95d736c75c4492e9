//! Warnings about a document, with their places.

use std::cell::RefCell;
use std::collections::HashSet;
use std::fmt;

use crate::place::Place;

/// A document that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{problem}", at(pointer))]
#[non_exhaustive]
pub struct OpenApiError {
    /// Where it is, as a JSON pointer; empty for the whole document.
    pub pointer: String,
    /// Why the document cannot be used, and how to mend it, in a sentence.
    pub problem: String,
}

impl OpenApiError {
    pub(crate) fn new(place: &Place<'_>, problem: impl Into<String>) -> Self {
        Self { pointer: place.to_string(), problem: problem.into() }
    }
}

/// Something that was left out or understood differently than it is written.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Warning {
    /// Where it is, as a JSON pointer; empty for the whole document.
    pub pointer: String,
    /// The consequence and its reason.
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

/// How many warnings are kept; a document with more is another kind of document.
const MOST: usize = 1_000;

/// Warnings as they come, each once.
#[derive(Debug, Default)]
pub(crate) struct Warnings(RefCell<(Vec<Warning>, HashSet<Warning>)>);

impl Warnings {
    pub(crate) fn add(&self, place: &Place<'_>, text: impl Into<String>) {
        let warning = Warning { pointer: place.to_string(), text: text.into() };
        let (list, known) = &mut *self.0.borrow_mut();
        if list.len() < MOST && known.insert(warning.clone()) {
            list.push(warning);
            if list.len() == MOST {
                let text = "there are more warnings than these";
                list.push(Warning { pointer: String::new(), text: text.to_owned() });
            }
        }
    }

    pub(crate) fn into_list(self) -> Vec<Warning> {
        self.0.into_inner().0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_come_once_and_not_without_end() {
        let warnings = Warnings::default();
        for index in 0..5_000 {
            warnings.add(&Place::ROOT.index(index), "odd");
            warnings.add(&Place::ROOT.index(index), "odd");
        }
        let list = warnings.into_list();
        assert_eq!((list.len(), list[1].to_string().as_str()), (MOST + 1, "at `/1`: odd"));
        assert_eq!(list[MOST].to_string(), "there are more warnings than these");
    }
}
