//! Generates the code that registers a parsed tool or toolset.

mod definition;
mod function;
mod parameters;
mod toolset;

pub(crate) use self::function::tool;
pub(crate) use self::toolset::toolset;

use proc_macro2::{Ident, Span, TokenStream};

/// Returns a hygienic local variable, which cannot collide with the user's names.
fn local(name: &str) -> Ident {
    Ident::new(name, Span::mixed_site())
}

/// Returns a span for generated code whose errors rustc reports at `place`.
fn generated_at(place: Span) -> Span {
    Span::mixed_site().located_at(place)
}

/// Returns `tokens` with their spans set to `place`.
fn respanned(tokens: &TokenStream, place: Span) -> TokenStream {
    let tokens = tokens.clone().into_iter().map(|mut token| {
        token.set_span(place);
        token
    });
    tokens.collect()
}

/// Returns a numbered local variable; rustc reports type errors of it at `place`.
fn numbered(name: &str, index: usize, place: Span) -> Ident {
    Ident::new(&format!("{name}_{index}"), generated_at(place))
}

#[cfg(test)]
mod tests;
