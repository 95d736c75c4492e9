//! The words in `#[tool(…)]` and `#[toolset(…)]`: one common grammar, and the meaning of each word.
//!
//! A list is made of entries separated by commas: `word`, `word = expression` or `word(…)`. What an
//! entry means is decided in [`tool`], [`toolset`] and [`parameter`].

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
use crate::names::known_words;

/// One entry of an attribute's list.
pub(crate) struct Entry {
    pub(crate) key: Ident,
    pub(crate) value: Value,
}

/// What follows the word of an entry.
pub(crate) enum Value {
    /// Nothing: `read_only`.
    Flag,
    /// `= expression`.
    Assigned(Box<Expr>),
    /// `(…)`: the place of the parentheses, and what is inside them.
    List(Span, TokenStream),
}

impl Entry {
    /// The word, without `r#`.
    pub(crate) fn word(&self) -> String {
        self.key.unraw().to_string()
    }

    /// Reports something about the entry's value, at the value, or at the word when it has none.
    pub(crate) fn value_error(&self, errors: &mut Errors, message: impl std::fmt::Display) {
        match &self.value {
            Value::Flag => errors.on(&self.key, message),
            Value::Assigned(expr) => errors.on(expr, message),
            Value::List(span, _) => errors.at(*span, message),
        }
    }

    /// Reports a word that does not exist.
    pub(crate) fn unknown(&self, errors: &mut Errors, known: &[&str]) {
        let word = self.word();
        errors.on(&self.key, format!("unknown attribute `{word}`{}", known_words(&word, known)));
    }
}

/// Reads a whole list. Mistakes in the grammar are reported and skipped over; a word that is given
/// twice is reported at its second place and kept once.
pub(crate) fn entries(tokens: TokenStream, errors: &mut Errors) -> Vec<Entry> {
    entries_like(tokens, "expected a word, as in `#[tool(timeout = \"10s\", read_only)]`", errors)
}

/// Reads a whole list; `no_word` is the message about an entry that begins with something else.
pub(crate) fn entries_like(tokens: TokenStream, no_word: &str, errors: &mut Errors) -> Vec<Entry> {
    let mut list: Vec<Entry> = Vec::new();
    let outcome = (|input: ParseStream<'_>| {
        while !input.is_empty() {
            match entry(input, no_word) {
                Ok(entry) if list.iter().any(|other| other.word() == entry.word()) => {
                    errors.on(&entry.key, format!("`{}` is given twice: keep one", entry.word()));
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

fn entry(input: ParseStream<'_>, no_word: &str) -> syn::Result<Entry> {
    if !input.peek(syn::Ident::peek_any) {
        return Err(input.error(no_word));
    }
    let key = input.call(Ident::parse_any)?;
    let value = if input.peek(Token![=]) {
        let equals: Token![=] = input.parse()?;
        if input.is_empty() || input.peek(Token![,]) {
            return Err(syn::Error::new_spanned(equals, format!("`{key} =` lacks its value")));
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

/// An expression without the invisible group around what a `macro_rules!` macro was given.
fn ungrouped(expr: Expr) -> Expr {
    match expr {
        Expr::Group(group) => ungrouped(*group.expr),
        expr => expr,
    }
}

/// Takes the comma between two entries.
fn separator(input: ParseStream<'_>, errors: &mut Errors) {
    if input.is_empty() {
        return;
    }
    if input.parse::<Token![,]>().is_err() {
        errors.push(input.error("expected `,` before this"));
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

/// Whether an attribute is one of ours: `#[tool]`, `#[platools::tool]`.
pub(crate) fn is_ours(attribute: &syn::Attribute, name: &str) -> bool {
    attribute.path().segments.last().is_some_and(|segment| segment.ident == name)
}

/// Whether an attribute is a `#[cfg_attr]` under which a parameter, or what it says about an argument,
/// would come and go.
pub(crate) fn is_conditional(attribute: &syn::Attribute) -> bool {
    let words = |word: &Ident| ["cfg", "doc", "tool"].iter().any(|name| word == name);
    attribute.path().is_ident("cfg_attr")
        && attribute.meta.require_list().is_ok_and(|list| {
            let mut tokens = list.tokens.clone().into_iter();
            tokens.any(|token| matches!(token, TokenTree::Ident(word) if words(&word)))
        })
}

/// The list inside one of our attributes; empty for `#[tool]` without parentheses.
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
        let words = entries(tokens, &mut errors).iter().map(Entry::word).collect();
        (words, errors.messages())
    }

    #[test]
    fn the_three_forms_are_read() {
        let (words, errors) = read(quote!(read_only, timeout = "10s", annotations(a = 1), crate = x::y,));
        assert_eq!(words, ["read_only", "timeout", "annotations", "crate"]);
        assert!(errors.is_empty(), "{errors:?}");
    }

    #[test]
    fn every_grammatical_mistake_is_reported_and_the_rest_is_still_read() {
        let (words, errors) =
            read(quote!("x", a = , b: 1, a = 1, a = 2, 3 = 4, c = 1 d, e, f(1) = 2, read_only));
        assert_eq!(words, ["a", "c", "e", "f", "read_only"]);
        assert_eq!(
            errors,
            [
                "expected a word, as in `#[tool(timeout = \"10s\", read_only)]`",
                "`a =` lacks its value",
                "write `b = …`, with `=`",
                "`a` is given twice: keep one",
                "expected a word, as in `#[tool(timeout = \"10s\", read_only)]`",
                "expected `,` before this",
                "expected `,` before this",
            ]
        );
    }
}
