//! Attributes of other libraries on a parameter: serde's, schemars', validator's, garde's, clap's, and our own
//! words without `tool(…)` around them.
//!
//! A function's parameter has no derive that would read them, and rustc would say no more than that it knows
//! no such attribute. So they are taken off, and the message says how it is written here.

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens as _;
use syn::{Attribute, Meta};

use super::parameter::WORDS;
use super::values::literal;
use super::{Entry, Value, entries};
use crate::error::Errors;

/// The libraries whose attributes people bring along.
const LIBRARIES: [&str; 7] = ["serde", "schemars", "validate", "validator", "garde", "arg", "clap"];

/// Whether this is an attribute that nobody reads on a parameter.
pub(crate) fn is_foreign(attribute: &Attribute) -> bool {
    let names = LIBRARIES.iter().chain(&WORDS);
    names.into_iter().any(|name| attribute.path().is_ident(name))
}

/// Says what to write instead of a foreign attribute.
pub(crate) fn report(attribute: &Attribute, errors: &mut Errors) {
    let name = attribute.path().to_token_stream().to_string();
    let message = if WORDS.contains(&name.as_str()) {
        format!("`{name}` is a word of `#[tool]`: write {}", ours(&[own_word(&name, &attribute.meta)]))
    } else {
        let list = match &attribute.meta {
            Meta::List(list) => list.tokens.clone(),
            _ => TokenStream::new(),
        };
        format!("nobody reads `#[{name}(…)]` on a parameter: {}", instead(&name, list))
    };
    errors.on(attribute, message);
}

/// One of our words that stands alone: `#[range(min = 1)]`, `#[default = 3]` or `#[default(3)]`.
fn own_word(name: &str, meta: &Meta) -> String {
    match meta {
        Meta::Path(_) => name.to_owned(),
        Meta::NameValue(pair) => assigned(name, literal(&pair.value).map(literal_text)),
        Meta::List(_) if matches!(name, "range" | "length") => format!("{name}(…)"),
        Meta::List(list) => assigned(name, only_literal(&list.tokens)),
    }
}

/// What the entries of another library's list are called here.
fn instead(library: &str, list: TokenStream) -> String {
    let (mut words, mut advice) = (Vec::new(), Vec::new());
    for entry in entries(list, &mut Errors::default()) {
        match translated(library, &entry) {
            Some(Translation::Word(word)) if !words.contains(&word) => words.push(word),
            Some(Translation::Advice(text)) if !advice.contains(&text) => advice.push(text),
            _ => {}
        }
    }
    let mut parts = Vec::new();
    if !words.is_empty() {
        parts.push(format!("write {}", ours(&words)));
    }
    parts.extend(advice.into_iter().map(str::to_owned));
    if parts.is_empty() {
        let known: Vec<_> = WORDS.iter().map(|word| format!("`{word}`")).collect();
        return format!(
            "what can be said about an argument is said in `#[tool(…)]`, by {}",
            known.join(", ")
        );
    }
    parts.join("; ")
}

/// What a word of another library is here.
enum Translation {
    Word(String),
    Advice(&'static str),
}

fn translated(library: &str, entry: &Entry) -> Option<Translation> {
    let value = match &entry.value {
        Value::Assigned(expr) => literal(expr).map(literal_text),
        Value::List(_, tokens) => only_literal(tokens),
        Value::Flag => None,
    };
    let is_flag = matches!(entry.value, Value::Flag);
    let word = match entry.word().as_str() {
        "default" if is_flag => "default".to_owned(),
        // Serde's is the path of a function in quotes, schemars' and clap's are something else again.
        "default_value_t" => assigned("default", value),
        "default" | "default_value" | "default_values_t" => "default = …".to_owned(),
        "rename" => assigned("rename", value),
        "range" => "range(…)".to_owned(),
        "length" => "length(…)".to_owned(),
        "regex" | "pattern" => assigned("pattern", value),
        "description" | "help" | "about" | "long_help" => assigned("description", value),
        "flatten" => "flatten".to_owned(),
        "skip" if library == "garde" => {
            return Some(Translation::Advice("remove it, nothing is checked unasked"));
        }
        "skip" | "skip_deserializing" => {
            return Some(Translation::Advice(
                "for a parameter that no caller sends write `#[tool(inject)]`, and implement `platools::FromCall`",
            ));
        }
        "alias" => {
            return Some(Translation::Advice(
                "an argument has one name, which `#[tool(rename = \"…\")]` sets",
            ));
        }
        "with" | "deserialize_with" | "schema_with" | "try_from" | "from" | "value_parser" => {
            return Some(Translation::Advice(
                "make a type of your own that is decoded like that, and take it",
            ));
        }
        "skip_serializing_if" => {
            return Some(Translation::Advice("an argument that may be left out is an `Option`"));
        }
        "email" | "url" | "contains" | "custom" | "ip" | "prefix" | "suffix" => {
            return Some(Translation::Advice(
                "for what has no word here write `#[tool(pattern = \"…\")]`, or check it in the function",
            ));
        }
        _ => return None,
    };
    Some(Translation::Word(word))
}

fn ours(words: &[String]) -> String {
    format!("`#[tool({})]`", words.join(", "))
}

fn assigned(word: &str, value: Option<String>) -> String {
    match value {
        Some(value) => format!("{word} = {value}"),
        None if word == "rename" || word == "pattern" || word == "description" => format!("{word} = \"…\""),
        None => format!("{word} = …"),
    }
}

fn literal_text(literal: &syn::Lit) -> String {
    literal.to_token_stream().to_string()
}

/// The literal that is all there is in parentheses.
fn only_literal(tokens: &TokenStream) -> Option<String> {
    let mut tokens = tokens.clone().into_iter();
    match (tokens.next(), tokens.next()) {
        (Some(TokenTree::Literal(literal)), None) => Some(literal.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_says_how_it_is_written_here() {
        for (attribute, expected) in [
            ("#[serde(default)]", "nobody reads `#[serde(…)]` on a parameter: write `#[tool(default)]`"),
            ("#[serde(default = \"ten\")]", "write `#[tool(default = …)]`"),
            ("#[serde(rename = \"orderId\", default)]", "write `#[tool(rename = \"orderId\", default)]`"),
            ("#[serde(flatten)]", "write `#[tool(flatten)]`"),
            ("#[serde(alias = \"id\")]", "an argument has one name"),
            ("#[serde(skip)]", "write `#[tool(inject)]`"),
            ("#[serde(default, alias = \"id\")]", "write `#[tool(default)]`; an argument has one name"),
            ("#[serde(borrow)]", "is said in `#[tool(…)]`, by `description`"),
            ("#[schemars(range(min = 1, max = 9))]", "write `#[tool(range(…))]`"),
            ("#[schemars(regex(pattern = r\"^a$\"))]", "write `#[tool(pattern = \"…\")]`"),
            ("#[schemars(description = \"Lines.\")]", "write `#[tool(description = \"Lines.\")]`"),
            (
                "#[validate(length(max = 9), email)]",
                "write `#[tool(length(…))]`; for what has no word here write `#[tool(pattern",
            ),
            ("#[garde(pattern(\"^a$\"))]", "write `#[tool(pattern = \"^a$\")]`"),
            ("#[garde(skip)]", "on a parameter: remove it"),
            ("#[arg(long, default_value_t = 10)]", "write `#[tool(default = 10)]`"),
            ("#[arg(short, long)]", "is said in `#[tool(…)]`"),
            ("#[default]", "`default` is a word of `#[tool]`: write `#[tool(default)]`"),
            ("#[default = 10]", "write `#[tool(default = 10)]`"),
            ("#[default(10)]", "write `#[tool(default = 10)]`"),
            ("#[range(min = 1)]", "write `#[tool(range(…))]`"),
            ("#[inject]", "write `#[tool(inject)]`"),
            ("#[rename(a, b)]", "write `#[tool(rename = \"…\")]`"),
        ] {
            let function: syn::ItemFn = syn::parse_str(&format!("{attribute} fn f() {{}}")).unwrap();
            assert!(is_foreign(&function.attrs[0]), "{attribute}");
            let mut errors = Errors::default();
            report(&function.attrs[0], &mut errors);
            let errors = errors.messages();
            assert_eq!(errors.len(), 1, "{attribute}: {errors:?}");
            assert!(errors[0].contains(expected), "{attribute}: {errors:?}");
        }
    }
}
