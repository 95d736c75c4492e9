//! From what was read to the code that registers it.

mod definition;
mod function;
mod parameters;
mod toolset;

pub(crate) use self::function::tool;
pub(crate) use self::toolset::toolset;

use proc_macro2::{Ident, Span, TokenStream};

/// A name for a local variable that no name of the user's can meet.
fn local(name: &str) -> Ident {
    Ident::new(name, Span::mixed_site())
}

/// The span of generated code that rustc shows at a place of the user's.
fn generated_at(place: Span) -> Span {
    Span::mixed_site().located_at(place)
}

/// The same tokens at another place.
fn respanned(tokens: &TokenStream, place: Span) -> TokenStream {
    let tokens = tokens.clone().into_iter().map(|mut token| {
        token.set_span(place);
        token
    });
    tokens.collect()
}

/// A numbered local variable, at a place that rustc shows when its type does not fit.
fn numbered(name: &str, index: usize, place: Span) -> Ident {
    Ident::new(&format!("{name}_{index}"), generated_at(place))
}

#[cfg(test)]
mod tests;
