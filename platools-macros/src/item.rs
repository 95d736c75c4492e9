//! Parses the item under `#[tool]` up to its signature; the body is kept as tokens.

use proc_macro2::{Delimiter, Ident, Spacing, TokenStream, TokenTree};
use quote::{ToTokens, TokenStreamExt as _, quote};
use syn::parse::{Parse, ParseStream};
use syn::{Attribute, FnArg, Token, Visibility};

use crate::attributes::foreign::is_foreign;
use crate::attributes::{is_conditional, is_ours};
use crate::error::Errors;
use crate::types;

/// A function or method.
pub(crate) struct Function {
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) visibility: Visibility,
    pub(crate) signature: syn::Signature,
    pub(crate) body: TokenStream,
}

impl Parse for Function {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let attributes = input.call(Attribute::parse_outer)?;
        let visibility = input.parse()?;
        check_is_function(input)?;
        let signature = input.parse()?;
        if input.peek(Token![;]) {
            return Err(input.error("a tool needs a body"));
        }
        Ok(Function { attributes, visibility, signature, body: input.parse()? })
    }
}

/// Returns an error that names the right place for `#[tool]`, unless the item is a function.
fn check_is_function(input: ParseStream<'_>) -> syn::Result<()> {
    let ahead = input.fork();
    while !ahead.peek(Token![fn]) {
        match ahead.parse::<TokenTree>() {
            Ok(TokenTree::Ident(ident))
                if ["const", "async", "unsafe", "extern"].iter().any(|q| ident == q) => {}
            Ok(TokenTree::Literal(_)) => {}
            Ok(TokenTree::Ident(ident)) if ident == "impl" => {
                return Err(input.error("`#[tool]` goes on a function: put `#[toolset]` on the impl block, and `#[tool]` on its methods"));
            }
            _ => return Err(input.error("`#[tool]` goes on a function")),
        }
    }
    Ok(())
}

impl Function {
    /// Returns the item to emit, without the attributes that only our macros understand.
    pub(crate) fn without_our_attributes(&self) -> TokenStream {
        let Function { attributes, visibility, signature, body } = self;
        let attributes = attributes.iter().filter(|attribute| !is_ours(attribute, "tool"));
        let signature = plain_signature(signature);
        let lints = tool_lints(self);
        quote!(#lints #(#attributes)* #visibility #signature #body)
    }

    /// Returns the item's `#[cfg]` attributes, which the generated code repeats.
    pub(crate) fn conditions(&self) -> impl Iterator<Item = &Attribute> {
        self.attributes.iter().filter(|attribute| attribute.path().is_ident("cfg"))
    }

    /// Returns the attributes that generated items repeat: `#[cfg]` and allowed lints. Not for a macro call, on which
    /// rustc rejects lint attributes.
    pub(crate) fn shared_attributes(&self) -> TokenStream {
        let mut shared: TokenStream = self.conditions().map(ToTokens::to_token_stream).collect();
        for attribute in &self.attributes {
            if attribute.path().is_ident("allow") {
                attribute.to_tokens(&mut shared);
            } else if let (true, Ok(list)) =
                (attribute.path().is_ident("expect"), attribute.meta.require_list())
            {
                let lints = &list.tokens;
                shared.append_all(quote!(#[allow(#lints)]));
            }
        }
        shared
    }

    /// Reports a second `#[tool]` on the same function.
    pub(crate) fn check_one_tool(&self, errors: &mut Errors) {
        for attribute in self.attributes.iter().filter(|attribute| is_ours(attribute, "tool")) {
            errors.on(attribute, "duplicate `#[tool]`: write one list, `#[tool(…, …)]`");
        }
    }

    pub(crate) fn ident(&self) -> &Ident {
        &self.signature.ident
    }
}

/// Returns an `#[allow]` of the clippy lints that a function triggers only because it is a tool: `async` without
/// `await` selects the async runtime, and parameters are passed by value because they are decoded.
///
/// A crate that forbids these lints cannot allow them (E0453, or a warning for a whole group), so each is allowed
/// only where it could fire; a function that awaits and borrows gets no `#[allow]`.
pub(crate) fn tool_lints(function: &Function) -> Option<Attribute> {
    let signature = &function.signature;
    let by_value = signature.inputs.iter().any(|input| match input {
        FnArg::Receiver(_) => false,
        FnArg::Typed(typed) => {
            let inner = types::option_argument(&typed.ty).unwrap_or(&typed.ty);
            !types::is_primitive(inner) && !types::is_borrowed(inner)
        }
    });
    let by_value = by_value.then(|| quote!(clippy::needless_pass_by_value));
    let unused_async = signature.asyncness.is_some() && !awaits(function.body.clone());
    let unused_async = unused_async.then(|| quote!(clippy::unused_async));
    let lints: Vec<_> = by_value.into_iter().chain(unused_async).collect();
    (!lints.is_empty()).then(|| syn::parse_quote!(#[allow(#(#lints),*)]))
}

/// Returns whether a body contains `await`.
fn awaits(body: TokenStream) -> bool {
    body.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => ident == "await",
        TokenTree::Group(group) => awaits(group.stream()),
        _ => false,
    })
}

/// Names that show that a function waits for a disk, a network, a process or the clock without giving up its thread.
const BLOCKING: [&str; 7] = ["blocking", "fs", "sleep", "stdin", "thread", "wait_with_output", "TcpStream"];

/// Returns whether a function is `async` but never awaits, and calls something that blocks. Macros named like `select!` or
/// `join!` count as awaiting. One that only computes is left alone: most are quick.
pub(crate) fn blocks_in_async(function: &Function) -> bool {
    function.signature.asyncness.is_some()
        && !awaits(function.body.clone())
        && !calls_awaiting_macro(function.body.clone())
        && calls_blocking(function.body.clone())
}

/// Returns whether a name of [`BLOCKING`] is part of a path or is called.
fn calls_blocking(body: TokenStream) -> bool {
    let mut tokens = body.into_iter().peekable();
    while let Some(token) = tokens.next() {
        let next = tokens.peek();
        let is_blocking = match token {
            TokenTree::Ident(ident) => {
                let is_used = match next {
                    Some(TokenTree::Punct(mark)) => mark.as_char() == ':' && mark.spacing() == Spacing::Joint,
                    Some(TokenTree::Group(group)) => group.delimiter() == Delimiter::Parenthesis,
                    _ => false,
                };
                is_used && BLOCKING.iter().any(|name| ident == *name)
            }
            TokenTree::Group(group) => calls_blocking(group.stream()),
            _ => false,
        };
        if is_blocking {
            return true;
        }
    }
    false
}

fn calls_awaiting_macro(body: TokenStream) -> bool {
    let mut previous_ident = None;
    body.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => {
            previous_ident = Some(ident.to_string());
            false
        }
        TokenTree::Punct(mark) if mark.as_char() == '!' => {
            previous_ident.take().is_some_and(|ident| ident.contains("select") || ident.contains("join"))
        }
        TokenTree::Group(group) => {
            previous_ident = None;
            calls_awaiting_macro(group.stream())
        }
        _ => {
            previous_ident = None;
            false
        }
    })
}

/// Strips the doc comments and attributes of parameters that rustc would reject: ours, and the reported foreign
/// ones.
pub(crate) fn plain_signature(signature: &syn::Signature) -> syn::Signature {
    let mut signature = signature.clone();
    for input in &mut signature.inputs {
        let attributes = match input {
            FnArg::Receiver(receiver) => &mut receiver.attrs,
            FnArg::Typed(typed) => &mut typed.attrs,
        };
        attributes.retain(|attribute| {
            !is_ours(attribute, "tool")
                && !attribute.path().is_ident("doc")
                && !is_conditional(attribute)
                && !is_foreign(attribute)
        });
    }
    signature
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_async_function_blocks_where_it_calls_what_blocks_and_never_awaits() {
        for (text, blocks) in [
            ("async fn f() { std::fs::read(path) }", true),
            ("async fn f() { if x != join { select(!thread::sleep(second)) } }", true),
            ("async fn f() { let a = stdin().lock(); }", true),
            ("async fn f() { reqwest::blocking::get(url) }", true),
            ("fn f() { std::fs::read(path) }", false),
            ("async fn f() { 1 }", false),
            ("async fn f() { let fs = shop.net; count(fs, thread) }", false),
            ("async fn f() { if a { std::fs::read(g().await) } }", false),
            ("async fn f() { loop { tokio::select! { a => { std::fs::read(a) } } } }", false),
            ("async fn f() { futures::try_join!(std::fs::read(a), b) }", false),
        ] {
            let function: Function = syn::parse_str(text).unwrap();
            assert_eq!(blocks_in_async(&function), blocks, "{text}");
        }
    }
}
