//! The words of `#[tool(…)]` on a parameter.

use proc_macro2::Span;
use syn::{Expr, LitStr};

use super::{Entry, Value, entries, pattern};
use crate::attributes::values::literal_string;
use crate::error::Errors;
use crate::names::argument_name_problem;

/// What the attributes of one parameter say.
#[derive(Default)]
pub(crate) struct ParameterAttributes {
    pub(crate) description: Option<Expr>,
    pub(crate) rename: Option<LitStr>,
    pub(crate) default: Option<DefaultValue>,
    pub(crate) range: Option<Bounds>,
    pub(crate) length: Option<Bounds>,
    pub(crate) pattern: Option<LitStr>,
    pub(crate) flatten: Option<Span>,
    pub(crate) inject: Option<Span>,
    pub(crate) argument: Option<Span>,
    /// Every word that was given, with its place.
    pub(crate) words: Vec<(String, Span)>,
}

/// `default` or `default = expression`.
pub(crate) enum DefaultValue {
    OfType(Span),
    Expression(Expr),
}

/// The bounds inside `range(…)` or `length(…)`, in the order they were given.
pub(crate) struct Bounds {
    pub(crate) list: Vec<(&'static str, Expr)>,
}

const WORDS: [&str; 9] =
    ["description", "rename", "default", "range", "length", "pattern", "flatten", "inject", "argument"];
const RANGE_WORDS: [&str; 4] = ["min", "max", "exclusive_min", "exclusive_max"];
const LENGTH_WORDS: [&str; 3] = ["min", "max", "equal"];

impl ParameterAttributes {
    /// Takes the list of one `#[tool(…)]` of a parameter; there may be several.
    pub(crate) fn take(&mut self, tokens: proc_macro2::TokenStream, errors: &mut Errors) {
        for entry in entries(tokens, errors) {
            let word = entry.word();
            if self.words.iter().any(|(given, _)| *given == word) {
                errors.on(&entry.key, format!("`{word}` is given twice: keep one"));
                continue;
            }
            if WORDS.contains(&word.as_str()) {
                self.words.push((word, entry.key.span()));
            }
            self.take_entry(&entry, errors);
        }
    }

    fn take_entry(&mut self, entry: &Entry, errors: &mut Errors) {
        let span = entry.key.span();
        match entry.word().as_str() {
            "description" => {
                self.description = entry.text_expression("description = \"How many lines.\"", errors);
            }
            "rename" => {
                self.rename = entry.string("rename = \"noteText\"", errors).filter(|name| {
                    let problem = argument_name_problem(&name.value());
                    problem.inspect(|problem| errors.on(name, problem)).is_none()
                });
            }
            "default" => match &entry.value {
                Value::Flag => self.default = Some(DefaultValue::OfType(span)),
                Value::Assigned(expr) => self.default = Some(DefaultValue::Expression((**expr).clone())),
                Value::List(..) => entry.value_error(errors, "write `default` or `default = …`"),
            },
            "range" => self.range = bounds(entry, &RANGE_WORDS, "range(min = 1, max = 100)", errors),
            "length" => self.length = bounds(entry, &LENGTH_WORDS, "length(max = 200)", errors),
            "pattern" => {
                self.pattern = entry.string("pattern = \"^[a-z]+$\"", errors).filter(|pattern| {
                    let problem = pattern::problem(&pattern.value());
                    problem.inspect(|problem| errors.on(pattern, problem)).is_none()
                });
            }
            "flatten" => self.flatten = entry.flag(errors).then_some(span),
            "inject" => self.inject = entry.flag(errors).then_some(span),
            "argument" => self.argument = entry.flag(errors).then_some(span),
            word if super::tool::WORDS.contains(&word) => errors.on(
                &entry.key,
                format!("`{word}` is about the whole tool: write it in the `#[tool(…)]` of the function"),
            ),
            _ => entry.unknown(errors, &WORDS),
        }
    }
}

fn bounds(entry: &Entry, known: &[&'static str], example: &str, errors: &mut Errors) -> Option<Bounds> {
    let word = entry.word();
    let Value::List(span, tokens) = &entry.value else {
        entry.value_error(errors, format!("write `{example}`"));
        return None;
    };
    let mut list = Vec::new();
    let inner = entries(tokens.clone(), errors);
    if inner.is_empty() {
        errors.at(*span, format!("`{word}` has no bound: write `{example}`"));
    }
    for bound in inner {
        let given = bound.word();
        let Some(name) = known.iter().find(|name| **name == given) else {
            bound.unknown(errors, known);
            continue;
        };
        match &bound.value {
            Value::Assigned(expr) if literal_string(expr).is_none() => list.push((*name, (**expr).clone())),
            _ => bound.value_error(errors, format!("`{name}` takes a number: `{name} = 1`")),
        }
    }
    let bounds = Bounds { list };
    bounds.check(&word, errors);
    (!bounds.list.is_empty()).then_some(bounds)
}

impl Bounds {
    /// The expression of a bound.
    pub(crate) fn get(&self, name: &str) -> Option<&Expr> {
        self.list.iter().find(|(given, _)| *given == name).map(|(_, expr)| expr)
    }

    /// Finds bounds that contradict each other, as far as they are literals.
    fn check(&self, word: &str, errors: &mut Errors) {
        for (one, other) in
            [("min", "exclusive_min"), ("max", "exclusive_max"), ("equal", "min"), ("equal", "max")]
        {
            if let (Some(_), Some(second)) = (self.get(one), self.get(other)) {
                errors.on(second, format!("`{one}` and `{other}` say the same thing twice: keep one"));
            }
        }
        for (name, bound) in &self.list {
            if word == "length" && number(bound).is_some_and(|bound| bound < 0.0 || bound.fract() != 0.0) {
                errors.on(bound, format!("`{name}` counts characters or items: a whole number from 0"));
            }
        }
        let lowest = ["min", "exclusive_min"].iter().find_map(|name| Some((*name, self.get(name)?)));
        let highest = ["max", "exclusive_max"].iter().find_map(|name| Some((*name, self.get(name)?)));
        let (Some((low_name, low)), Some((high_name, high))) = (lowest, highest) else { return };
        if let (Some(low_value), Some(high_value)) = (number(low), number(high)) {
            let exclusive = low_name.starts_with("ex") || high_name.starts_with("ex");
            if low_value > high_value || (exclusive && low_value >= high_value) {
                errors.on(high, format!("no value can pass: `{high_name}` must be above `{low_name}`"));
            }
        }
    }
}

/// The value of a literal number, with its sign.
fn number(expr: &Expr) -> Option<f64> {
    match expr {
        Expr::Lit(literal) => match &literal.lit {
            syn::Lit::Int(number) => number.base10_parse().ok(),
            syn::Lit::Float(number) => number.base10_parse().ok(),
            _ => None,
        },
        Expr::Unary(syn::ExprUnary { op: syn::UnOp::Neg(_), expr, .. }) => number(expr).map(|value| -value),
        Expr::Group(group) => number(&group.expr),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quote::quote;

    fn read(tokens: proc_macro2::TokenStream) -> (ParameterAttributes, Vec<String>) {
        let mut errors = Errors::default();
        let mut attributes = ParameterAttributes::default();
        attributes.take(tokens, &mut errors);
        (attributes, errors.messages())
    }

    #[test]
    fn every_word_is_read() {
        let (attributes, errors) = read(quote!(
            description = "Lines.",
            rename = "lineCount",
            default = 10,
            range(min = 1, exclusive_max = LIMIT),
            length(equal = 3),
            pattern = "^a+$"
        ));
        assert_eq!(errors, [""; 0]);
        assert!(attributes.description.is_some());
        assert_eq!(attributes.rename.unwrap().value(), "lineCount");
        assert!(matches!(attributes.default, Some(DefaultValue::Expression(_))));
        assert!(attributes.range.unwrap().get("exclusive_max").is_some());
        assert!(attributes.length.unwrap().get("equal").is_some());
        assert_eq!(attributes.pattern.unwrap().value(), "^a+$");

        let (attributes, errors) = read(quote!(default, flatten, inject, argument));
        assert_eq!(errors, [""; 0]);
        assert!(matches!(attributes.default, Some(DefaultValue::OfType(_))));
        assert!(attributes.flatten.is_some() && attributes.inject.is_some() && attributes.argument.is_some());
    }

    #[test]
    fn wrong_values_say_what_is_right() {
        for (tokens, expected) in [
            (quote!(range = 3), "write `range(min = 1, max = 100)`"),
            (quote!(range()), "`range` has no bound"),
            (quote!(range(mn = 1)), "unknown attribute `mn`, did you mean `min`?"),
            (quote!(range(min = "1")), "`min` takes a number"),
            (quote!(range(min = 5, max = 1)), "no value can pass: `max` must be above `min`"),
            (quote!(range(min = -1, max = -1.5)), "no value can pass"),
            (quote!(range(exclusive_min = 1, max = 1)), "no value can pass"),
            (quote!(range(min = 1, exclusive_min = 1)), "`min` and `exclusive_min` say the same thing"),
            (quote!(length(min = -1)), "`min` counts characters or items"),
            (quote!(length(min = 1.5)), "`min` counts characters or items"),
            (quote!(length(equal = 3, max = 4)), "`equal` and `max` say the same thing"),
            (
                quote!(pattern = "(a"),
                "this pattern is not a regular expression: unclosed group, at character 1",
            ),
            (quote!(rename = "a b"), "an argument's name is made of"),
            (quote!(rename = "__platos"), "the platform's own key"),
            (quote!(flatten = true), "`flatten` takes no value"),
            (quote!(defalt = 3), "unknown attribute `defalt`, did you mean `default`?"),
            (quote!(timeout = "3s"), "`timeout` is about the whole tool"),
            (quote!(description = ""), "`description` is empty"),
        ] {
            let (_, errors) = read(tokens.clone());
            assert_eq!(errors.len(), 1, "{tokens}: {errors:?}");
            assert!(errors[0].contains(expected), "{tokens}: {errors:?}");
        }
        let (_, errors) = read(quote!(range(min = 1, max = 1), length(min = 0, max = 0)));
        assert_eq!(errors, [""; 0]);
    }
}
