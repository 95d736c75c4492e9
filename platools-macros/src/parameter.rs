//! Reads one parameter of a tool: injected, flattened, or an argument that the caller sends.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens as _, quote};
use syn::ext::IdentExt as _;
use syn::spanned::Spanned as _;
use syn::{Attribute, Expr, ExprLit, GenericArgument, Lit, LitStr, PatType, PathArguments, Type};

use crate::attributes::foreign::{self, is_foreign};
use crate::attributes::parameter::{Bounds, DefaultValue, ParameterAttributes};
use crate::attributes::values::literal_string;
use crate::attributes::{is_conditional, is_ours, list_of};
use crate::docs::Docs;
use crate::error::Errors;
use crate::names::{Case, argument_name_problem};
use crate::types;

/// Names of the types that are injected from the call.
const INJECTED: [&str; 5] = ["CallContext", "Identity", "State", "CancellationToken", "Progress"];

/// One parsed parameter.
pub(crate) struct Parameter {
    pub(crate) ident: Ident,
    /// The type that is decoded or injected, and how it is passed to the function.
    pub(crate) owned: types::Owned,
    pub(crate) kind: Kind,
}

/// The source of a parameter's value.
pub(crate) enum Kind {
    /// From the call, through `FromCall`.
    Injected,
    /// From the arguments that no other parameter takes; `span` is the span of `flatten`.
    Flattened { span: Span },
    /// From one argument.
    Argument(Box<Argument>),
}

/// One argument: its name on the wire, description, default and constraints.
pub(crate) struct Argument {
    pub(crate) wire_name: String,
    /// The span that determines the name: of `rename`, or of the parameter.
    pub(crate) name_span: Span,
    /// An expression of type `&str`.
    pub(crate) description: Option<TokenStream>,
    pub(crate) default: Option<TokenStream>,
    pub(crate) range: Option<Bounds>,
    pub(crate) length: Option<Bounds>,
    pub(crate) pattern: Option<LitStr>,
    pub(crate) user_providable: Option<bool>,
}

impl Parameter {
    /// The parameter's name, without `r#`.
    pub(crate) fn name(&self) -> String {
        self.ident.unraw().to_string()
    }

    /// Parses a parameter and reports all its mistakes.
    pub(crate) fn read(ident: Ident, typed: &PatType, case: Option<Case>, errors: &mut Errors) -> Self {
        let mut attributes = ParameterAttributes::default();
        for attribute in &typed.attrs {
            if is_ours(attribute, "tool") {
                let list = list_of(attribute, errors);
                attributes.take(list, errors);
            } else if is_foreign(attribute) {
                foreign::report(attribute, errors);
            } else if attribute.path().is_ident("cfg") || is_conditional(attribute) {
                let message = "a tool needs the same arguments in every build: put `#[cfg]` on the whole function, \
                               or take an `Option`";
                errors.on(attribute, message);
            }
        }
        let is_injected =
            attributes.inject.is_some() || (attributes.argument.is_none() && is_injected_by_name(&typed.ty));
        let kind = if is_injected {
            check_injected(&ident, &attributes, errors);
            Kind::Injected
        } else if let Some(span) = attributes.flatten {
            check_flattened(&typed.ty, span, &attributes, errors);
            Kind::Flattened { span }
        } else {
            Kind::Argument(Box::new(argument(&ident, typed, attributes, case, errors)))
        };
        if !is_injected {
            types::check_argument(&typed.ty, errors);
        }
        Parameter { ident, owned: types::Owned::of(&typed.ty), kind }
    }
}

fn argument(
    ident: &Ident,
    typed: &PatType,
    attributes: ParameterAttributes,
    case: Option<Case>,
    errors: &mut Errors,
) -> Argument {
    let rust_name = ident.unraw().to_string();
    let (wire_name, name_span) = match &attributes.rename {
        Some(name) => (name.value(), name.span()),
        None => (case.map_or_else(|| rust_name.clone(), |case| case.apply(&rust_name)), ident.span()),
    };
    let renamed_badly =
        attributes.given.iter().any(|(name, _)| name == "rename") && attributes.rename.is_none();
    if let Some(problem) = argument_name_problem(&wire_name).filter(|_| !renamed_badly) {
        errors.at(
            name_span,
            format!("{problem} (`#[tool(rename = \"…\")]` changes the name that callers send)"),
        );
    }
    Argument {
        wire_name,
        name_span,
        description: description(&rust_name, &typed.attrs, attributes.description, errors),
        default: attributes.default.map(|default| default_expression(&default, &typed.ty)),
        range: attributes.range,
        length: attributes.length,
        pattern: attributes.pattern,
        user_providable: attributes.user_providable.map(|switch| switch.value),
    }
}

fn description(
    name: &str,
    attributes: &[Attribute],
    given: Option<Expr>,
    errors: &mut Errors,
) -> Option<TokenStream> {
    let docs = Docs::read(attributes);
    let comment = docs.description;
    match given {
        Some(text) if !comment.is_empty() => {
            let message = format!("`{name}` has a doc comment and a `description`: delete one of them");
            errors.on(&text, message);
            Some(text.to_token_stream())
        }
        Some(text) => Some(text.to_token_stream()),
        None => {
            if let Some(text) = docs.unreadable {
                errors.on(text, UNREADABLE);
            }
            (!comment.is_empty()).then(|| quote!(#comment))
        }
    }
}

/// Error text for a doc attribute whose text comes from a macro call.
pub(crate) const UNREADABLE: &str = "the text of this doc attribute comes from a macro call and cannot be read here: \
                                     write `#[tool(description = include_str!(…))]` or the text itself";

/// Returns whether the type's name is in [`INJECTED`], ignoring `Option` and `&`.
fn is_injected_by_name(ty: &Type) -> bool {
    match types::plain(ty) {
        Type::Reference(reference) => is_injected_by_name(&reference.elem),
        Type::Path(path) => path.path.segments.last().is_some_and(|segment| {
            if segment.ident != "Option" {
                return INJECTED.iter().any(|name| segment.ident == name);
            }
            let PathArguments::AngleBracketed(list) = &segment.arguments else { return false };
            matches!(list.args.first(), Some(GenericArgument::Type(inner)) if is_injected_by_name(inner))
        }),
        _ => false,
    }
}

fn check_injected(ident: &Ident, attributes: &ParameterAttributes, errors: &mut Errors) {
    for (name, span) in attributes.given.iter().filter(|(name, _)| name != "inject") {
        let message = if attributes.inject.is_some() && name == "argument" {
            format!("`{ident}` is either injected or an argument: remove `inject` or `argument`")
        } else if attributes.inject.is_some() {
            format!("`{ident}` is injected and never sent by the caller: remove `{name}` or `inject`")
        } else {
            format!(
                "`{ident}` is injected because of its type's name, and the caller never sends it: remove `{name}`, \
                 or add `argument` if the type is your own"
            )
        };
        errors.at(*span, message);
    }
}

fn check_flattened(ty: &Type, flatten: Span, attributes: &ParameterAttributes, errors: &mut Errors) {
    for (other, span) in &attributes.given {
        if !matches!(other.as_str(), "flatten" | "argument") {
            let message = format!(
                "`{other}` does not apply to a flattened struct: set it on a field of the struct with a serde or \
                 schemars attribute, or remove `flatten`"
            );
            errors.at(*span, message);
        }
    }
    if types::option_argument(ty).is_some() {
        errors.at(flatten, "`flatten` takes a struct: make its fields `Option`s instead of the struct");
    }
}

/// Returns the default as an expression of the owned type.
fn default_expression(default: &DefaultValue, ty: &Type) -> TokenStream {
    match default {
        DefaultValue::OfType(span) => quote::quote_spanned!(*span=> ::core::default::Default::default()),
        DefaultValue::Expression(expr) => converted(expr, ty),
    }
}

/// Converts an expression to the owned type: string and array literals are converted (array items too, where the
/// type names their type), and a literal is wrapped in `Some` for an `Option`.
fn converted(expr: &Expr, ty: &Type) -> TokenStream {
    let expr = owned_expression(expr, types::is_borrowed(ty));
    let into =
        |tokens: TokenStream| quote::quote_spanned!(expr.span()=> ::core::convert::Into::into(#tokens));
    let is_list = matches!(expr, Expr::Array(_) | Expr::Repeat(_));
    let converted = match (expr, types::item(ty)) {
        (Expr::Array(array), Some(item)) => {
            let items = array.elems.iter().map(|element| converted(element, item));
            into(quote::quote_spanned!(array.span()=> [#(#items),*]))
        }
        _ if is_list => into(expr.to_token_stream()),
        _ if literal_string(expr).is_some() && !types::is_primitive(ty) => into(expr.to_token_stream()),
        _ => expr.to_token_stream(),
    };
    let is_literal = is_list
        || matches!(expr, Expr::Lit(ExprLit { lit, .. }) if !matches!(lit, Lit::Verbatim(_)))
        || matches!(expr, Expr::Unary(unary) if matches!(*unary.expr, Expr::Lit(_)));
    if is_literal && types::option_argument(ty).is_some() {
        return quote::quote_spanned!(expr.span()=> ::core::option::Option::Some(#converted));
    }
    converted
}

/// Strips a leading `&` from an array, a literal, or a value for a borrowed argument, since the call owns the
/// value either way.
fn owned_expression(expr: &Expr, is_borrowed: bool) -> &Expr {
    match expr {
        Expr::Reference(reference) if reference.mutability.is_none() => match &*reference.expr {
            inner @ (Expr::Array(_) | Expr::Repeat(_) | Expr::Lit(_)) => inner,
            inner @ (Expr::Call(_)
            | Expr::MethodCall(_)
            | Expr::Macro(_)
            | Expr::Path(_)
            | Expr::Struct(_))
                if is_borrowed =>
            {
                inner
            }
            _ => expr,
        },
        _ => expr,
    }
}
