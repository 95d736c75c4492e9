//! Generates a tool's input schema, the decoding of its arguments, and the values passed to the function.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::{Expr, ExprLit, Lit};

use super::{generated_at, local, numbered};
use crate::attributes::parameter::Bounds;
use crate::parameter::{Argument, Kind, Parameter};

/// The parameters of one tool and the path to `platools::__private`.
pub(crate) struct Parameters<'a> {
    list: &'a [Parameter],
    private: &'a TokenStream,
}

impl<'a> Parameters<'a> {
    pub(crate) fn new(list: &'a [Parameter], private: &'a TokenStream) -> Self {
        Self { list, private }
    }

    fn numbered(&self) -> impl Iterator<Item = (usize, &'a Parameter)> {
        self.list.iter().enumerate()
    }

    fn arguments(&self) -> impl Iterator<Item = (usize, &'a Parameter, &'a Argument)> {
        self.numbered().filter_map(|(index, parameter)| match &parameter.kind {
            Kind::Argument(argument) => Some((index, parameter, &**argument)),
            _ => None,
        })
    }

    /// Generates the code that runs once, when the tool is built: defaults, constraints, and the schema.
    pub(crate) fn preparation(&self) -> TokenStream {
        let private = self.private;
        let constraints = self.arguments().map(|(index, parameter, argument)| {
            let ty = &parameter.owned.ty;
            let default = argument.default.as_ref().map(|default| {
                let name = parameter.local("default", index);
                quote!(let #name = || -> #ty { #default };)
            });
            let range = argument.range.as_ref().map(|bounds| {
                let (name, range) = (parameter.local("range", index), range(bounds, private));
                quote!(let #name = #range;)
            });
            let length = argument.length.as_ref().map(|bounds| {
                let (name, length) = (parameter.local("length", index), length(bounds, private));
                quote!(let #name = #length;)
            });
            let pattern = argument.pattern.as_ref().map(|pattern| {
                let name = parameter.local("PATTERN", index);
                quote! {
                    static #name: ::std::sync::LazyLock<#private::Regex> =
                        ::std::sync::LazyLock::new(|| #private::regex(#pattern));
                }
            });
            quote!(#default #range #length #pattern)
        });
        let schema = self.numbered().map(|(index, parameter)| schema(index, parameter));
        quote!(#(#constraints)* #(#schema)*)
    }

    /// Generates `.requires(…)` for each injected parameter.
    pub(crate) fn requirements(&self) -> TokenStream {
        let private = self.private;
        let injected = self.list.iter().filter(|parameter| matches!(parameter.kind, Kind::Injected));
        injected
            .map(|parameter| {
                let ty = &parameter.owned.ty;
                let requirement = quote_spanned!(ty.span()=> #private::requirement::<#ty>());
                quote!(.requires(#requirement))
            })
            .collect()
    }

    /// Generates the code that reads each parameter into a variable: injected ones first, then the arguments.
    pub(crate) fn decoding(&self) -> TokenStream {
        let private = self.private;
        let (call, names, reader) = (local("call"), local("names"), local("reader"));
        let injected = self.numbered().filter(|(_, parameter)| matches!(parameter.kind, Kind::Injected));
        let injections = injected.map(|(index, parameter)| {
            let (name, ty) = (parameter.local("value", index), &parameter.owned.ty);
            let value = quote_spanned!(ty.span()=> <#ty as #private::FromCall>::from_call(&#call));
            quote!(let #name = #value.map_err(#private::refusal)?;)
        });
        let taken = self.arguments().map(|(index, parameter, argument)| take(index, parameter, argument));
        let flattened =
            self.numbered().find(|(_, parameter)| matches!(parameter.kind, Kind::Flattened { .. }));
        let flattening = flattened.map(|(index, parameter)| {
            let (name, ty) = (parameter.local("value", index), &parameter.owned.ty);
            let value = quote_spanned!(ty.span()=> #reader.flatten::<#ty>());
            quote!(let #name = #value;)
        });
        let arguments = self.numbered().filter(|(_, parameter)| !matches!(parameter.kind, Kind::Injected));
        let read: Vec<Ident> = arguments.map(|(index, parameter)| parameter.local("value", index)).collect();
        let new_reader = quote!(#private::ArgumentReader::new(&#call.arguments, &#names));
        if read.is_empty() {
            return quote!(#(#injections)* #new_reader.finish()?;);
        }
        quote! {
            #(#injections)*
            let (#(#read,)*) = {
                let mut #reader = #new_reader;
                #(#taken)*
                #flattening
                #reader.finish()?;
                (#(#private::read(#read)?,)*)
            };
        }
    }

    /// Generates the values to pass to the function, in order.
    pub(crate) fn passing(&self) -> impl Iterator<Item = TokenStream> {
        self.numbered().map(|(index, parameter)| parameter.owned.pass(&parameter.local("value", index)))
    }
}

impl Parameter {
    /// Returns a local variable that belongs to this parameter.
    fn local(&self, name: &str, index: usize) -> Ident {
        numbered(name, index, self.owned.ty.span())
    }
}

/// Generates the code that adds one parameter to the schema.
fn schema(index: usize, parameter: &Parameter) -> TokenStream {
    let ty = &parameter.owned.ty;
    let span = generated_at(ty.span());
    let input = Ident::new("input", span);
    let argument = match &parameter.kind {
        Kind::Injected => return TokenStream::new(),
        Kind::Flattened { .. } => {
            let name = parameter.name();
            return quote_spanned!(span=> #input.flatten::<#ty>(#name););
        }
        Kind::Argument(argument) => argument,
    };
    let name = &argument.wire_name;
    let description = option(argument.description.as_ref());
    let default = argument.default.as_ref().map(|_| {
        let default = parameter.local("default", index);
        quote_spanned!(span=> .default_value(&#default()))
    });
    let range = argument.range.as_ref().map(|_| {
        let range = parameter.local("range", index);
        quote_spanned!(span=> .range(#range))
    });
    let length = argument.length.as_ref().map(|_| {
        let length = parameter.local("length", index);
        quote_spanned!(span=> .length(#length))
    });
    let pattern = argument.pattern.as_ref().map(|pattern| quote_spanned!(span=> .pattern(#pattern)));
    let providable = argument.user_providable.map(|can| quote_spanned!(span=> .user_providable(#can)));
    let argument = quote_spanned!(span=> #input.argument::<#ty>(#name, #description));
    quote!(let _ = #argument #default #range #length #pattern #providable;)
}

/// Generates the code that decodes one argument and checks its constraints.
fn take(index: usize, parameter: &Parameter, argument: &Argument) -> TokenStream {
    let ty = &parameter.owned.ty;
    let span = generated_at(ty.span());
    let (reader, value) = (Ident::new("reader", span), parameter.local("value", index));
    let name = &argument.wire_name;
    let taken = if argument.default.is_some() {
        let default = parameter.local("default", index);
        quote_spanned!(span=> #reader.take_or::<#ty>(#name, #default))
    } else {
        quote_spanned!(span=> #reader.take::<#ty>(#name))
    };
    let range = argument.range.as_ref().map(|_| {
        let range = parameter.local("range", index);
        quote_spanned!(span=> #reader.check_range(#name, #value.as_ref(), #range);)
    });
    let length = argument.length.as_ref().map(|_| {
        let length = parameter.local("length", index);
        quote_spanned!(span=> #reader.check_length(#name, #value.as_ref(), #length);)
    });
    let pattern = argument.pattern.as_ref().map(|_| {
        let pattern = parameter.local("PATTERN", index);
        quote_spanned!(span=> #reader.check_pattern(#name, #value.as_ref(), &#pattern);)
    });
    quote!(let #value = #taken; #range #length #pattern)
}

/// Generates an `Option` expression.
fn option(value: Option<impl ToTokens>) -> TokenStream {
    value.map_or_else(
        || quote!(::core::option::Option::None),
        |value| quote!(::core::option::Option::Some(#value)),
    )
}

/// Generates `Range { … }`.
fn range(bounds: &Bounds, private: &TokenStream) -> TokenStream {
    let bound = |name: &str| option(bounds.get(name).map(|bound| number(bound, private)));
    let (min, max) = (bound("min"), bound("max"));
    let (exclusive_min, exclusive_max) = (bound("exclusive_min"), bound("exclusive_max"));
    quote! {
        #private::Range {
            min: #min,
            max: #max,
            exclusive_min: #exclusive_min,
            exclusive_max: #exclusive_max,
        }
    }
}

/// Generates `Length { … }`.
fn length(bounds: &Bounds, private: &TokenStream) -> TokenStream {
    let bound = |name: &str| option(bounds.get(name).or_else(|| bounds.get("equal")));
    let (min, max) = (bound("min"), bound("max"));
    quote!(#private::Length { min: #min, max: #max })
}

/// Generates a bound as a `Number`. An integer literal gets the suffix `i128`, since rustc would infer `i32`.
fn number(bound: &Expr, private: &TokenStream) -> TokenStream {
    let (sign, literal) = match bound {
        Expr::Unary(syn::ExprUnary { op: syn::UnOp::Neg(minus), expr, .. }) => (Some(minus), &**expr),
        other => (None, other),
    };
    match literal {
        Expr::Lit(ExprLit { lit: Lit::Int(number), .. }) if number.suffix().is_empty() => {
            let number = syn::LitInt::new(&format!("{}i128", number.base10_digits()), Span::call_site());
            quote!(#private::Number::Integer(#sign #number))
        }
        _ => quote_spanned!(bound.span()=> ::core::convert::From::from(#bound)),
    }
}
