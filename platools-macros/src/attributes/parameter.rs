//! Parses `#[tool(…)]` on a parameter.

use proc_macro2::{Spacing, Span, TokenStream, TokenTree};
use syn::{Expr, LitStr};

use super::{Entry, Value, entries, entries_like, hints, pattern};
use crate::attributes::values::{At, literal_string};
use crate::error::Errors;
use crate::names::argument_name_problem;

/// The parsed attributes of one parameter.
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
    pub(crate) user_providable: Option<At<bool>>,
    /// The name and span of every given attribute.
    pub(crate) given: Vec<(String, Span)>,
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

pub(super) const ATTRIBUTES: [&str; 10] = [
    "description",
    "rename",
    "default",
    "range",
    "length",
    "pattern",
    "flatten",
    "inject",
    "argument",
    "user_providable",
];

/// The names allowed in a list of bounds, and texts for errors about it.
struct BoundsGrammar {
    names: &'static [&'static str],
    example: &'static str,
    /// The correct spelling, shown for a list without names.
    instead: &'static str,
}

const RANGE: BoundsGrammar = BoundsGrammar {
    names: &["min", "max", "exclusive_min", "exclusive_max"],
    example: "range(min = 1, max = 100)",
    instead: "`range(min = 1, max = 100)`, or `exclusive_max = 100` for less than 100",
};
const LENGTH: BoundsGrammar = BoundsGrammar {
    names: &["min", "max", "equal"],
    example: "length(max = 200)",
    instead: "`length(max = 10)`, `length(min = 1, max = 10)` or `length(equal = 10)`",
};

impl ParameterAttributes {
    /// Parses the list of one `#[tool(…)]` of a parameter; there may be several.
    pub(crate) fn take(&mut self, tokens: TokenStream, errors: &mut Errors) {
        for entry in entries(tokens, errors) {
            let name = entry.name();
            if self.given.iter().any(|(given, _)| *given == name) {
                errors.on(&entry.key, format!("`{name}` is given twice: remove one"));
                continue;
            }
            if ATTRIBUTES.contains(&name.as_str()) {
                self.given.push((name, entry.key.span()));
            }
            self.take_entry(&entry, errors);
        }
    }

    fn take_entry(&mut self, entry: &Entry, errors: &mut Errors) {
        let span = entry.key.span();
        match entry.name().as_str() {
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
            "range" => self.range = bounds(entry, &RANGE, errors),
            "length" => self.length = bounds(entry, &LENGTH, errors),
            "pattern" => {
                self.pattern = entry.string("pattern = \"^[a-z]+$\"", errors).filter(|pattern| {
                    let problem = pattern::problem(&pattern.value());
                    problem.inspect(|problem| errors.on(pattern, problem)).is_none()
                });
            }
            "flatten" => self.flatten = entry.flag(errors).then_some(span),
            "inject" => self.inject = entry.flag(errors).then_some(span),
            "argument" => self.argument = entry.flag(errors).then_some(span),
            "user_providable" => self.user_providable = entry.switch(errors),
            name if super::tool::ATTRIBUTES.contains(&name) => errors.on(
                &entry.key,
                format!("`{name}` belongs to the whole tool: write it in the `#[tool(…)]` of the function"),
            ),
            _ if hints::on_parameter(entry, errors) => {}
            _ => entry.unknown(errors, &ATTRIBUTES),
        }
    }
}

fn bounds(entry: &Entry, grammar: &BoundsGrammar, errors: &mut Errors) -> Option<Bounds> {
    let (attribute, BoundsGrammar { names, example, instead }) = (entry.name(), grammar);
    let Value::List(span, tokens) = &entry.value else {
        entry.value_error(errors, format!("write {instead}"));
        return None;
    };
    if tokens.is_empty() {
        errors.at(*span, format!("`{attribute}` has no bound: write `{example}`"));
        return None;
    }
    if !has_names(tokens, names) {
        errors.on(tokens, format!("each bound has a name: write {instead}"));
        return None;
    }
    let mut list = Vec::new();
    let no_name = format!("each bound has a name, as in `{example}`");
    for bound in entries_like(tokens.clone(), &no_name, errors) {
        let given = bound.name();
        let Some(name) = names.iter().find(|name| **name == given) else {
            bound.unknown(errors, names);
            continue;
        };
        match &bound.value {
            Value::Assigned(expr) if literal_string(expr).is_none() => list.push((*name, (**expr).clone())),
            _ => bound.value_error(errors, format!("`{name}` takes a number: `{name} = 1`")),
        }
    }
    let bounds = Bounds { list };
    bounds.check(&attribute, errors);
    (!bounds.list.is_empty()).then_some(bounds)
}

/// Returns whether a list of bounds has names; `1..10`, `1, 10` and `LIMIT` have none.
fn has_names(tokens: &TokenStream, names: &[&str]) -> bool {
    let mut after_a_name = false;
    tokens.clone().into_iter().any(|token| match token {
        TokenTree::Ident(ident) => {
            after_a_name = true;
            names.iter().any(|known| ident == known)
        }
        TokenTree::Punct(punct) => {
            std::mem::take(&mut after_a_name)
                && matches!(punct.as_char(), '=' | ':')
                && punct.spacing() == Spacing::Alone
        }
        _ => {
            after_a_name = false;
            false
        }
    })
}

impl Bounds {
    /// Returns the expression of a bound.
    pub(crate) fn get(&self, name: &str) -> Option<&Expr> {
        self.list.iter().find(|(given, _)| *given == name).map(|(_, expr)| expr)
    }

    /// Reports literal bounds that contradict each other.
    fn check(&self, attribute: &str, errors: &mut Errors) {
        for (one, other) in
            [("min", "exclusive_min"), ("max", "exclusive_max"), ("equal", "min"), ("equal", "max")]
        {
            if let (Some(_), Some(second)) = (self.get(one), self.get(other)) {
                errors.on(second, format!("`{one}` and `{other}` set the same bound: keep one"));
            }
        }
        for (name, bound) in &self.list {
            if attribute == "length" && number(bound).is_some_and(|bound| bound < 0.0 || bound.fract() != 0.0)
            {
                errors.on(bound, format!("`{name}` counts characters or items: write a whole number from 0"));
            }
        }
        let lowest = ["min", "exclusive_min"].iter().find_map(|name| Some((*name, self.get(name)?)));
        let highest = ["max", "exclusive_max"].iter().find_map(|name| Some((*name, self.get(name)?)));
        let (Some((low_name, low)), Some((high_name, high))) = (lowest, highest) else { return };
        if let (Some(low_value), Some(high_value)) = (number(low), number(high)) {
            let exclusive = low_name.starts_with("ex") || high_name.starts_with("ex");
            if low_value > high_value || (exclusive && low_value >= high_value) {
                errors.on(
                    high,
                    format!("no value satisfies these bounds: `{high_name}` must be above `{low_name}`"),
                );
            }
        }
    }
}

/// Returns the value of a number literal, with its sign.
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

    fn read(tokens: TokenStream) -> (ParameterAttributes, Vec<String>) {
        let mut errors = Errors::default();
        let mut attributes = ParameterAttributes::default();
        attributes.take(tokens, &mut errors);
        (attributes, errors.messages())
    }

    #[test]
    fn every_attribute_is_read() {
        let (attributes, errors) = read(quote!(
            description = "Lines.",
            rename = "lineCount",
            default = 10,
            range(min = 1, exclusive_max = LIMIT),
            length(equal = 3),
            pattern = "^a+$",
            user_providable = false
        ));
        assert_eq!(errors, [""; 0]);
        assert!(attributes.description.is_some());
        assert_eq!(attributes.rename.unwrap().value(), "lineCount");
        assert!(matches!(attributes.default, Some(DefaultValue::Expression(_))));
        assert!(attributes.range.unwrap().get("exclusive_max").is_some());
        assert!(attributes.length.unwrap().get("equal").is_some());
        assert_eq!(attributes.pattern.unwrap().value(), "^a+$");
        assert!(attributes.user_providable.is_some_and(|switch| !switch.value));

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
            (quote!(range(1..10)), "each bound has a name: write `range(min = 1, max = 100)`"),
            (quote!(range(1..=10)), "each bound has a name: write `range(min = 1, max = 100)`"),
            (quote!(range(limits::MIN..=MAX)), "each bound has a name"),
            (quote!(range(1, 10)), "each bound has a name"),
            (quote!(range(-1, 10)), "each bound has a name"),
            (quote!(range(MAX)), "each bound has a name"),
            (quote!(range(10)), "each bound has a name"),
            (quote!(length(10)), "each bound has a name: write `length(max = 10)`"),
            (quote!(length(..10)), "or `length(equal = 10)`"),
            (quote!(length = 10), "write `length(max = 10)`"),
            (quote!(range(min = 1, 10)), "each bound has a name, as in `range(min = 1, max = 100)`"),
            (quote!(range(min: 1)), "write `min = …`, with `=`"),
            (quote!(range(min)), "`min` takes a number: `min = 1`"),
            (quote!(range(mn = 1)), "unknown attribute `mn`, did you mean `min`?"),
            (quote!(range(min = "1")), "`min` takes a number"),
            (quote!(range(min = 5, max = 1)), "no value satisfies these bounds: `max` must be above `min`"),
            (quote!(range(min = -1, max = -1.5)), "no value satisfies these bounds"),
            (quote!(range(exclusive_min = 1, max = 1)), "no value satisfies these bounds"),
            (quote!(range(min = 1, exclusive_min = 1)), "`min` and `exclusive_min` set the same bound"),
            (quote!(length(min = -1)), "`min` counts characters or items"),
            (quote!(length(min = 1.5)), "`min` counts characters or items"),
            (quote!(length(equal = 3, max = 4)), "`equal` and `max` set the same bound"),
            (
                quote!(pattern = "(a"),
                "this pattern is not a regular expression: unclosed group, at character 1",
            ),
            (quote!(rename = "a b"), "an argument's name may contain only"),
            (quote!(rename = "__platos"), "reserved by the platform"),
            (quote!(user_providable = "yes"), "`user_providable` is a switch"),
            (quote!(flatten = true), "`flatten` takes no value"),
            (quote!(defalt = 3), "unknown attribute `defalt`, did you mean `default`?"),
            (
                quote!(max = 3),
                "unknown attribute `max`: write `range(max = 3)` for a number, or `length(max = 3)`",
            ),
            (quote!(min = LIMIT), "write `range(min = 10)` for a number, or `length(min = 10)`"),
            (quote!(max_length = 3), "write `length(max = 3)`"),
            (quote!(min_length = 3), "write `length(min = 3)`"),
            (quote!(regex = "^a+$"), "unknown attribute `regex`: write `pattern = \"^a+$\"`"),
            (quote!(desc = "Lines."), "write a doc comment on the parameter, or `description = \"…\"`"),
            (quote!(help = "Lines."), "write a doc comment on the parameter"),
            (quote!(optional), "make the type an `Option`, or write `default`"),
            (quote!(required), "arguments are required unless they are an `Option`"),
            (quote!(alias = "lines"), "write `rename = \"lines\"`; an argument has no aliases"),
            (quote!(skip), "write `inject` for a parameter that the caller does not send"),
            (quote!(validate(range(min = 1))), "use `range(…)`, `length(…)`"),
            (quote!(timeout = "3s"), "`timeout` belongs to the whole tool"),
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
