//! Parses and checks the signature of a tool.

use proc_macro2::{Ident, Span};
use syn::spanned::Spanned as _;
use syn::{FnArg, GenericParam, Pat, Receiver, ReceiverKind, ReturnType, Safety, Type, TypeParamBound};

use crate::attributes::is_ours;
use crate::docs::Docs;
use crate::error::Errors;
use crate::names::{Case, nearest};
use crate::parameter::{Kind, Parameter};
use crate::types::plain;

/// The context of a function: free, or in a toolset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A free function under `#[tool]`.
    Free,
    /// A method or associated function inside `#[toolset]`.
    Toolset,
}

/// The receiver of a method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SelfArgument {
    /// `&self`
    Borrowed,
    /// `self: Arc<Self>`
    Shared,
}

/// A parsed signature.
pub(crate) struct Signature {
    pub(crate) ident: Ident,
    pub(crate) is_async: bool,
    pub(crate) receiver: Option<SelfArgument>,
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) output: ReturnType,
}

impl Signature {
    /// Parses a signature and reports everything that a tool does not support.
    pub(crate) fn read(
        signature: &syn::Signature,
        docs: &Docs,
        case: Option<Case>,
        place: Place,
        errors: &mut Errors,
    ) -> Self {
        check_qualifiers(signature, errors);
        check_generics(signature, errors);
        let mut receiver = None;
        let mut parameters = Vec::new();
        for input in &signature.inputs {
            match input {
                FnArg::Receiver(found) => receiver = self_argument(found, place, errors),
                FnArg::Typed(typed) => {
                    if let Some(ident) = parameter_name(&typed.pat, errors) {
                        parameters.push(Parameter::read(ident, typed, case, errors));
                    }
                }
            }
        }
        describe(&mut parameters, docs, errors);
        check_names(&parameters, errors);
        check_one_flatten(&parameters, errors);
        check_output(signature, errors);
        Signature {
            ident: signature.ident.clone(),
            is_async: signature.asyncness.is_some(),
            receiver,
            parameters,
            output: signature.output.clone(),
        }
    }
}

fn check_qualifiers(signature: &syn::Signature, errors: &mut Errors) {
    if let Some(constness) = &signature.constness {
        errors.on(constness, "a tool cannot be a `const fn`: remove `const`");
    }
    if let Safety::Unsafe(unsafety) = &signature.safety {
        errors.on(
            unsafety,
            "agents cannot uphold the contract of an `unsafe fn`: check it inside a safe function",
        );
    }
    if let Some(abi) = &signature.abi {
        errors.on(abi, "a tool cannot be an `extern` function: remove `extern`");
    }
    if let Some(variadic) = &signature.variadic {
        errors.on(variadic, "a tool has a fixed list of arguments: take a `Vec<T>` instead of `...`");
    }
}

/// Reports a return type that cannot be an answer: `!`, or an explicit future, which would be treated as the result
/// of a blocking function.
fn check_output(signature: &syn::Signature, errors: &mut Errors) {
    let ReturnType::Type(_, ty) = &signature.output else { return };
    if let Type::Never(never) = plain(ty) {
        errors.on(never, "a tool must return an answer: write its type, or no return type");
    }
    let Type::ImplTrait(hidden) = plain(ty) else { return };
    let is_future = |bound: &TypeParamBound| {
        matches!(bound, TypeParamBound::Trait(bound)
            if bound.path.segments.last().is_some_and(|segment| segment.ident == "Future"))
    };
    if hidden.bounds.iter().any(is_future) {
        errors.on(ty, "write `async fn` and the future's output type: functions without `async` run on a blocking thread");
    }
}

fn check_generics(signature: &syn::Signature, errors: &mut Errors) {
    for parameter in &signature.generics.params {
        match parameter {
            GenericParam::Lifetime(lifetime) => errors.on(
                &lifetime.lifetime,
                "a tool cannot have lifetime parameters: write `&str` or `&[T]` without a lifetime, or an owned type",
            ),
            GenericParam::Type(parameter) => errors.on(
                &parameter.ident,
                format!(
                    "a tool cannot be generic, since an agent cannot choose a type: write a concrete type for `{}`",
                    parameter.ident
                ),
            ),
            GenericParam::Const(parameter) => errors.on(
                &parameter.ident,
                format!(
                    "a tool cannot be generic, since an agent cannot choose a constant: write a number for `{}`",
                    parameter.ident
                ),
            ),
        }
    }
    if let (Some(clause), true) = (&signature.generics.where_clause, signature.generics.params.is_empty()) {
        errors.on(clause.where_token, "a tool cannot be generic: remove the `where` clause");
    }
}

fn self_argument(receiver: &Receiver, place: Place, errors: &mut Errors) -> Option<SelfArgument> {
    for attribute in receiver.attrs.iter().filter(|attribute| is_ours(attribute, "tool")) {
        errors.on(attribute, "`self` is the toolset, not an argument: remove this attribute");
    }
    if place == Place::Free {
        errors.on(receiver.self_token, "a method needs `#[toolset]` on its `impl` block to become a tool");
        return None;
    }
    let shared = |ty: &Type| matches!(ty, Type::Path(path) if path.path.segments.last().is_some_and(|s| s.ident == "Arc"));
    match &receiver.kind {
        ReceiverKind::Reference(_, _, None) => return Some(SelfArgument::Borrowed),
        ReceiverKind::Typed(_, ty) => match &**ty {
            Type::Reference(reference) if reference.mutability.is_none() => return Some(SelfArgument::Borrowed),
            ty if shared(ty) => return Some(SelfArgument::Shared),
            _ => errors.on(ty, "calls share their toolset: write `&self` or `self: Arc<Self>`"),
        },
        ReceiverKind::Reference(_, _, Some(mutability)) => errors.on(
            mutability,
            "calls run concurrently and share their toolset: write `&self`, and keep mutable state in a `Mutex` or an atomic",
        ),
        _ => errors.on(
            receiver.self_token,
            "calls share their toolset and cannot consume it: write `&self` or `self: Arc<Self>`",
        ),
    }
    None
}

/// Returns the name of a parameter; reports any other pattern.
fn parameter_name(pattern: &Pat, errors: &mut Errors) -> Option<Ident> {
    match pattern {
        Pat::Ident(name) if name.by_ref.is_none() && name.subpat.is_none() => return Some(name.ident.clone()),
        Pat::Wild(wild) => errors.on(wild, "the caller sends this argument by name: give it one"),
        _ => errors.on(
            pattern,
            "the caller sends this argument by name: write one name here, and destructure the value in the body",
        ),
    }
    None
}

/// Assigns the descriptions of the `# Arguments` section to the parameters.
fn describe(parameters: &mut [Parameter], docs: &Docs, errors: &mut Errors) {
    let names: Vec<String> = parameters.iter().map(Parameter::name).collect();
    for (index, entry) in docs.arguments.iter().enumerate() {
        let (name, text) = match &entry.content {
            Ok(content) => content,
            Err(line) => {
                let message =
                    format!("this entry of `# Arguments` names no argument: write `` * `name` - {line} ``");
                errors.at(entry.span, message);
                continue;
            }
        };
        let Some(parameter) = parameters.iter_mut().find(|parameter| parameter.name() == *name) else {
            errors.at(entry.span, unknown_entry(name, &names));
            continue;
        };
        let earlier = docs.arguments.iter().take(index).filter_map(|entry| entry.content.as_ref().ok());
        if earlier.into_iter().any(|(other, _)| other == name) {
            errors.at(entry.span, format!("`{name}` is described twice in `# Arguments`: remove one entry"));
            continue;
        }
        if text.is_empty() {
            errors.at(entry.span, format!("this entry has no text about `{name}`: write some, or remove it"));
            continue;
        }
        if let Kind::Argument(argument) = &mut parameter.kind {
            if argument.description.is_some() {
                errors.at(
                    entry.span,
                    format!("`{name}` is described here and at the parameter: remove one of the two"),
                );
                continue;
            }
            argument.description = Some(quote::quote!(#text));
        }
    }
}

fn unknown_entry(name: &str, names: &[String]) -> String {
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let hint = match nearest(name, &names) {
        Some(near) => format!(", did you mean `{near}`?"),
        None if names.is_empty() => "; the function has none".to_owned(),
        None => format!(
            "; known: {}",
            names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
        ),
    };
    format!("`# Arguments` describes `{name}`, but the function has no such parameter{hint}")
}

fn check_names(parameters: &[Parameter], errors: &mut Errors) {
    let mut seen: Vec<(&str, &Ident)> = Vec::new();
    for parameter in parameters {
        let Kind::Argument(argument) = &parameter.kind else { continue };
        match seen.iter().find(|(name, _)| *name == argument.wire_name) {
            // rustc reports duplicate Rust names.
            Some((_, other)) if **other == parameter.ident => {}
            Some((name, other)) => errors.at(
                argument.name_span,
                format!("the argument `{other}` is already named `{name}`: rename one of them"),
            ),
            None => seen.push((&argument.wire_name, &parameter.ident)),
        }
    }
}

fn check_one_flatten(parameters: &[Parameter], errors: &mut Errors) {
    let flattened = parameters.iter().filter_map(|parameter| match &parameter.kind {
        Kind::Flattened { span } => Some(span),
        _ => None,
    });
    for span in flattened.skip(1) {
        let message = "only one argument can be flattened: put the fields of both into one struct, \
                       or take this one as an argument of its own";
        errors.at(*span, message);
    }
}

/// Returns the span of the return type, or of the function's name if there is none.
pub(crate) fn output_span(signature: &Signature) -> Span {
    match &signature.output {
        ReturnType::Default => signature.ident.span(),
        ReturnType::Type(_, ty) => ty.span(),
    }
}
