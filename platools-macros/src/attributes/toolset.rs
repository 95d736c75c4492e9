//! The words of `#[toolset(…)]` on an impl block.

use proc_macro2::TokenStream;
use syn::Path;

use super::{entries, tool};
use crate::error::Errors;

const WORDS: [&str; 1] = ["crate"];

/// Reads the list of `#[toolset(…)]`: the path to platools, if it is given.
pub(crate) fn read(tokens: TokenStream, errors: &mut Errors) -> Option<Path> {
    let mut krate = None;
    for entry in entries(tokens, errors) {
        match entry.word().as_str() {
            "crate" => krate = entry.path(errors),
            word if tool::WORDS.contains(&word) => errors.on(
                &entry.key,
                format!("`{word}` belongs to one tool: write it in the `#[tool(…)]` of each method"),
            ),
            _ => entry.unknown(errors, &WORDS),
        }
    }
    krate
}

#[cfg(test)]
mod tests {
    use super::*;
    use quote::quote;

    #[test]
    fn only_the_crate_is_said_for_a_whole_toolset() {
        let mut errors = Errors::default();
        assert!(read(quote!(crate = a::b), &mut errors).is_some());
        assert!(read(quote!(auth = "user", prefix = "eu"), &mut errors).is_none());
        assert_eq!(
            errors.messages(),
            [
                "`auth` belongs to one tool: write it in the `#[tool(…)]` of each method",
                "unknown attribute `prefix`; known: `crate`"
            ]
        );
    }
}
