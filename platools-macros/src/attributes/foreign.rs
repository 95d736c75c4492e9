//! Reports attributes of serde, schemars, validator, garde and clap on a parameter, and our own attributes without
//! `tool(…)` around them.
//!
//! No derive reads attributes of a function's parameter, and rustc would report only an unknown attribute. They are
//! removed, and the error names the equivalent in `#[tool(…)]`.

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens as _;
use syn::{Attribute, Meta};

use super::parameter::ATTRIBUTES;
use super::values::literal;
use super::{Entry, Value, entries};
use crate::error::Errors;

/// Attributes of the libraries that are recognized.
const LIBRARIES: [&str; 7] = ["serde", "schemars", "validate", "validator", "garde", "arg", "clap"];

/// Returns whether this attribute has no effect on a parameter.
pub(crate) fn is_foreign(attribute: &Attribute) -> bool {
    let names = LIBRARIES.iter().chain(&ATTRIBUTES);
    names.into_iter().any(|name| attribute.path().is_ident(name))
}

/// Reports a foreign attribute and what to write instead.
pub(crate) fn report(attribute: &Attribute, errors: &mut Errors) {
    let name = attribute.path().to_token_stream().to_string();
    let message = if ATTRIBUTES.contains(&name.as_str()) {
        format!(
            "`{name}` belongs inside `#[tool(…)]`: write {}",
            ours(&[own_attribute(&name, &attribute.meta)])
        )
    } else {
        let list = match &attribute.meta {
            Meta::List(list) => list.tokens.clone(),
            _ => TokenStream::new(),
        };
        format!("`#[{name}(…)]` has no effect on a parameter: {}", instead(&name, list))
    };
    errors.on(attribute, message);
}

/// Rewrites one of our attributes without `tool(…)`: `#[range(min = 1)]`, `#[default = 3]` or `#[default(3)]`.
fn own_attribute(name: &str, meta: &Meta) -> String {
    match meta {
        Meta::Path(_) => name.to_owned(),
        Meta::NameValue(pair) => assigned(name, literal(&pair.value).map(literal_text)),
        Meta::List(_) if matches!(name, "range" | "length") => format!("{name}(…)"),
        Meta::List(list) => assigned(name, only_literal(&list.tokens)),
    }
}

/// Returns what to write instead of another library's attribute list.
fn instead(library: &str, list: TokenStream) -> String {
    let (mut attributes, mut advice) = (Vec::new(), Vec::new());
    for entry in entries(list, &mut Errors::default()) {
        match translated(library, &entry) {
            Some(Translation::Attribute(attribute)) if !attributes.contains(&attribute) => {
                attributes.push(attribute);
            }
            Some(Translation::Advice(text)) if !advice.contains(&text) => advice.push(text),
            _ => {}
        }
    }
    let mut parts = Vec::new();
    if !attributes.is_empty() {
        parts.push(format!("write {}", ours(&attributes)));
    }
    parts.extend(advice.into_iter().map(str::to_owned));
    if parts.is_empty() {
        let known: Vec<_> = ATTRIBUTES.iter().map(|name| format!("`{name}`")).collect();
        return format!("describe the argument in `#[tool(…)]` with {}", known.join(", "));
    }
    parts.join("; ")
}

/// The equivalent of another library's attribute.
enum Translation {
    Attribute(String),
    Advice(&'static str),
}

fn translated(library: &str, entry: &Entry) -> Option<Translation> {
    let value = match &entry.value {
        Value::Assigned(expr) => literal(expr).map(literal_text),
        Value::List(_, tokens) => only_literal(tokens),
        Value::Flag => None,
    };
    let is_flag = matches!(entry.value, Value::Flag);
    let attribute = match entry.name().as_str() {
        "default" if is_flag => "default".to_owned(),
        // Serde's value is the path of a function in quotes; those of schemars and clap differ too.
        "default_value_t" => assigned("default", value),
        "default" | "default_value" | "default_values_t" => "default = …".to_owned(),
        "rename" => assigned("rename", value),
        "range" => "range(…)".to_owned(),
        "length" => "length(…)".to_owned(),
        "regex" | "pattern" => assigned("pattern", value),
        "description" | "help" | "about" | "long_help" => assigned("description", value),
        "flatten" => "flatten".to_owned(),
        "skip" if library == "garde" => {
            return Some(Translation::Advice("remove it, values are checked only on request"));
        }
        "skip" | "skip_deserializing" => {
            return Some(Translation::Advice(
                "for a parameter that the caller does not send write `#[tool(inject)]`, and implement `platools::FromCall`",
            ));
        }
        "alias" => {
            return Some(Translation::Advice(
                "an argument has no aliases: set its name with `#[tool(rename = \"…\")]`",
            ));
        }
        "with" | "deserialize_with" | "schema_with" | "try_from" | "from" | "value_parser" => {
            return Some(Translation::Advice(
                "define a type that deserializes this way, and use it for the parameter",
            ));
        }
        "skip_serializing_if" => {
            return Some(Translation::Advice("make an optional argument an `Option`"));
        }
        "email" | "url" | "contains" | "custom" | "ip" | "prefix" | "suffix" => {
            return Some(Translation::Advice(
                "for other checks write `#[tool(pattern = \"…\")]`, or check the value in the function",
            ));
        }
        _ => return None,
    };
    Some(Translation::Attribute(attribute))
}

fn ours(attributes: &[String]) -> String {
    format!("`#[tool({})]`", attributes.join(", "))
}

fn assigned(name: &str, value: Option<String>) -> String {
    match value {
        Some(value) => format!("{name} = {value}"),
        None if name == "rename" || name == "pattern" || name == "description" => format!("{name} = \"…\""),
        None => format!("{name} = …"),
    }
}

fn literal_text(literal: &syn::Lit) -> String {
    literal.to_token_stream().to_string()
}

/// Returns the literal if `tokens` contains nothing else.
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
    fn each_error_names_the_equivalent() {
        for (attribute, expected) in [
            ("#[serde(default)]", "`#[serde(…)]` has no effect on a parameter: write `#[tool(default)]`"),
            ("#[serde(default = \"ten\")]", "write `#[tool(default = …)]`"),
            ("#[serde(rename = \"orderId\", default)]", "write `#[tool(rename = \"orderId\", default)]`"),
            ("#[serde(flatten)]", "write `#[tool(flatten)]`"),
            ("#[serde(alias = \"id\")]", "an argument has no aliases"),
            ("#[serde(skip)]", "write `#[tool(inject)]`"),
            ("#[serde(default, alias = \"id\")]", "write `#[tool(default)]`; an argument has no aliases"),
            ("#[serde(borrow)]", "describe the argument in `#[tool(…)]` with `description`"),
            ("#[schemars(range(min = 1, max = 9))]", "write `#[tool(range(…))]`"),
            ("#[schemars(regex(pattern = r\"^a$\"))]", "write `#[tool(pattern = \"…\")]`"),
            ("#[schemars(description = \"Lines.\")]", "write `#[tool(description = \"Lines.\")]`"),
            (
                "#[validate(length(max = 9), email)]",
                "write `#[tool(length(…))]`; for other checks write `#[tool(pattern",
            ),
            ("#[garde(pattern(\"^a$\"))]", "write `#[tool(pattern = \"^a$\")]`"),
            ("#[garde(skip)]", "on a parameter: remove it"),
            ("#[arg(long, default_value_t = 10)]", "write `#[tool(default = 10)]`"),
            ("#[arg(short, long)]", "describe the argument in `#[tool(…)]`"),
            ("#[default]", "`default` belongs inside `#[tool(…)]`: write `#[tool(default)]`"),
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
