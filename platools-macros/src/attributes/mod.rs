//! Parses the lists in `#[tool(…)]` and `#[toolset(…)]`.
//!
//! A list consists of entries separated by commas: `name`, `name = expression` or `name(…)`. This module parses the
//! grammar; [`tool`], [`toolset`] and [`parameter`] interpret the entries.

pub(crate) mod foreign;
mod hints;
pub(crate) mod json;
pub(crate) mod parameter;
mod pattern;
pub(crate) mod tool;
pub(crate) mod toolset;
pub(crate) mod values;

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::ToTokens as _;
use syn::ext::IdentExt as _;
use syn::parse::{ParseStream, Parser as _};
use syn::{Expr, Token};

use crate::error::Errors;
use crate::names::known_names;

/// One entry of an attribute's list.
pub(crate) struct Entry {
    pub(crate) key: Ident,
    pub(crate) value: Value,
}

/// The value of an entry.
pub(crate) enum Value {
    /// No value: `read_only`.
    Flag,
    /// `= expression`.
    Assigned(Box<Expr>),
    /// `(…)`: the span of the parentheses, and the tokens inside them.
    List(Span, TokenStream),
}

impl Entry {
    /// Returns the entry's name, without `r#`.
    pub(crate) fn name(&self) -> String {
        self.key.unraw().to_string()
    }

    /// Reports a mistake in the entry's value, at the value, or at the name if there is no value.
    pub(crate) fn value_error(&self, errors: &mut Errors, message: impl std::fmt::Display) {
        match &self.value {
            Value::Flag => errors.on(&self.key, message),
            Value::Assigned(expr) => errors.on(expr, message),
            Value::List(span, _) => errors.at(*span, message),
        }
    }

    /// Reports an unknown name.
    pub(crate) fn unknown(&self, errors: &mut Errors, known: &[&str]) {
        let name = self.name();
        errors.on(&self.key, format!("unknown attribute `{name}`{}", known_names(&name, known)));
    }
}

/// Parses a list. Syntax errors are reported and skipped; a duplicate name is reported at its second occurrence and
/// dropped.
pub(crate) fn entries(tokens: TokenStream, errors: &mut Errors) -> Vec<Entry> {
    entries_like(tokens, "expected a name, as in `#[tool(timeout = \"10s\", read_only)]`", errors)
}

/// Parses a list; `no_name` is the error text for an entry that does not begin with a name.
pub(crate) fn entries_like(tokens: TokenStream, no_name: &str, errors: &mut Errors) -> Vec<Entry> {
    let mut list: Vec<Entry> = Vec::new();
    let outcome = (|input: ParseStream<'_>| {
        while !input.is_empty() {
            match entry(input, no_name) {
                Ok(entry) if list.iter().any(|other| other.name() == entry.name()) => {
                    errors.on(&entry.key, format!("`{}` is given twice: remove one", entry.name()));
                }
                Ok(entry) => list.push(entry),
                Err(error) => {
                    errors.push(error);
                    skip_to_comma(input);
                }
            }
            separator(input, errors);
        }
        Ok(())
    })
    .parse2(tokens);
    if let Err(error) = outcome {
        errors.push(error);
    }
    list
}

fn entry(input: ParseStream<'_>, no_name: &str) -> syn::Result<Entry> {
    if !input.peek(syn::Ident::peek_any) {
        return Err(input.error(no_name));
    }
    let key = input.call(Ident::parse_any)?;
    let value = if input.peek(Token![=]) {
        let equals: Token![=] = input.parse()?;
        if input.is_empty() || input.peek(Token![,]) {
            return Err(syn::Error::new_spanned(equals, format!("`{key} =` has no value")));
        }
        Value::Assigned(Box::new(ungrouped(input.parse()?)))
    } else if input.peek(syn::token::Paren) {
        let group: proc_macro2::Group = input.parse()?;
        Value::List(group.span(), group.stream())
    } else if input.peek(Token![:]) {
        return Err(input.error(format!("write `{key} = …`, with `=`")));
    } else {
        Value::Flag
    };
    Ok(Entry { key, value })
}

/// Strips the invisible group around an expression that came through a `macro_rules!` macro.
fn ungrouped(expr: Expr) -> Expr {
    match expr {
        Expr::Group(group) => ungrouped(*group.expr),
        expr => expr,
    }
}

/// Parses the comma between two entries.
fn separator(input: ParseStream<'_>, errors: &mut Errors) {
    if input.is_empty() {
        return;
    }
    if input.parse::<Token![,]>().is_err() {
        errors.push(input.error("expected `,`"));
        skip_to_comma(input);
        let _ = input.parse::<Token![,]>();
    }
}

fn skip_to_comma(input: ParseStream<'_>) {
    while !input.is_empty() && !input.peek(Token![,]) {
        if input.parse::<TokenTree>().is_err() {
            return;
        }
    }
}

/// Returns whether an attribute is one of ours: `#[tool]`, `#[platools::tool]`.
pub(crate) fn is_ours(attribute: &syn::Attribute, name: &str) -> bool {
    attribute.path().segments.last().is_some_and(|segment| segment.ident == name)
}

/// Returns whether an attribute is a `#[cfg_attr]` that would make a parameter or its attributes conditional.
pub(crate) fn is_conditional(attribute: &syn::Attribute) -> bool {
    let conditional = |ident: &Ident| ["cfg", "doc", "tool"].iter().any(|name| ident == name);
    attribute.path().is_ident("cfg_attr")
        && attribute.meta.require_list().is_ok_and(|list| {
            let mut tokens = list.tokens.clone().into_iter();
            tokens.any(|token| matches!(token, TokenTree::Ident(ident) if conditional(&ident)))
        })
}

/// Returns the list inside one of our attributes; empty for `#[tool]` without parentheses.
pub(crate) fn list_of(attribute: &syn::Attribute, errors: &mut Errors) -> TokenStream {
    match &attribute.meta {
        syn::Meta::Path(_) => TokenStream::new(),
        syn::Meta::List(list) => list.tokens.clone(),
        syn::Meta::NameValue(pair) => {
            let path = pair.path.to_token_stream();
            errors.on(pair, format!("write `#[{path}(…)]`, with parentheses"));
            TokenStream::new()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quote::quote;

    fn read(tokens: TokenStream) -> (Vec<String>, Vec<String>) {
        let mut errors = Errors::default();
        let names = entries(tokens, &mut errors).iter().map(Entry::name).collect();
        (names, errors.messages())
    }

    #[test]
    fn the_three_forms_are_read() {
        let (names, errors) = read(quote!(read_only, timeout = "10s", annotations(a = 1), crate = x::y,));
        assert_eq!(names, ["read_only", "timeout", "annotations", "crate"]);
        assert!(errors.is_empty(), "{errors:?}");
    }

    #[test]
    fn every_syntax_error_is_reported_and_the_rest_is_still_parsed() {
        let (names, errors) =
            read(quote!("x", a = , b: 1, a = 1, a = 2, 3 = 4, c = 1 d, e, f(1) = 2, read_only));
        assert_eq!(names, ["a", "c", "e", "f", "read_only"]);
        assert_eq!(
            errors,
            [
                "expected a name, as in `#[tool(timeout = \"10s\", read_only)]`",
                "`a =` has no value",
                "write `b = …`, with `=`",
                "`a` is given twice: remove one",
                "expected a name, as in `#[tool(timeout = \"10s\", read_only)]`",
                "expected `,`",
                "expected `,`",
            ]
        );
    }
}
