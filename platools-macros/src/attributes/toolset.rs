//! Parses `#[toolset(…)]` on an impl block.

use proc_macro2::TokenStream;
use syn::Path;

use super::{entries, tool};
use crate::error::Errors;

const ATTRIBUTES: [&str; 1] = ["crate"];

/// Parses the list of `#[toolset(…)]` and returns the path to platools, if given.
pub(crate) fn read(tokens: TokenStream, errors: &mut Errors) -> Option<Path> {
    let mut krate = None;
    for entry in entries(tokens, errors) {
        match entry.name().as_str() {
            "crate" => krate = entry.path(errors),
            name if tool::ATTRIBUTES.contains(&name) => errors.on(
                &entry.key,
                format!("`{name}` belongs to one tool: write it in the `#[tool(…)]` of each method"),
            ),
            _ => entry.unknown(errors, &ATTRIBUTES),
        }
    }
    krate
}

#[cfg(test)]
mod tests {
    use super::*;
    use quote::quote;

    #[test]
    fn a_toolset_takes_only_the_crate() {
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
