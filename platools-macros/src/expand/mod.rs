//! From what was read to the code that registers it.

mod definition;
mod function;
mod parameters;
mod toolset;

pub(crate) use self::function::tool;
pub(crate) use self::toolset::toolset;

use proc_macro2::{Ident, Span};

/// A name for a local variable that no name of the user's can meet.
fn local(name: &str) -> Ident {
    Ident::new(name, Span::mixed_site())
}

/// A numbered local variable.
fn numbered(name: &str, index: usize) -> Ident {
    local(&format!("{name}_{index}"))
}
