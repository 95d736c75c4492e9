//! The item under `#[tool]`: read only as far as its signature, its body stays as it is.

use proc_macro2::{Ident, TokenStream, TokenTree};
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
            return Err(input.error("a tool needs a body: this is only the declaration of a function"));
        }
        Ok(Function { attributes, visibility, signature, body: input.parse()? })
    }
}

/// Says what `#[tool]` goes on, unless it stands on a function.
fn check_is_function(input: ParseStream<'_>) -> syn::Result<()> {
    let ahead = input.fork();
    while !ahead.peek(Token![fn]) {
        match ahead.parse::<TokenTree>() {
            Ok(TokenTree::Ident(word))
                if ["const", "async", "unsafe", "extern"].iter().any(|q| word == q) => {}
            Ok(TokenTree::Literal(_)) => {}
            Ok(TokenTree::Ident(word)) if word == "impl" => {
                return Err(input.error("`#[tool]` goes on a function: put `#[toolset]` on the impl block, and `#[tool]` on its methods"));
            }
            _ => return Err(input.error("`#[tool]` goes on a function")),
        }
    }
    Ok(())
}

impl Function {
    /// The item as it is emitted: without what only our macros understand.
    pub(crate) fn without_our_attributes(&self) -> TokenStream {
        let Function { attributes, visibility, signature, body } = self;
        let attributes = attributes.iter().filter(|attribute| !is_ours(attribute, "tool"));
        let signature = plain_signature(signature);
        let lints = dictated_lints(self);
        quote!(#lints #(#attributes)* #visibility #signature #body)
    }

    /// The conditions of the item, under which everything generated for it stands too.
    pub(crate) fn conditions(&self) -> impl Iterator<Item = &Attribute> {
        self.attributes.iter().filter(|attribute| attribute.path().is_ident("cfg"))
    }

    /// The attributes that what is generated for the item carries too: its conditions, and the lints that
    /// its author allowed. Not for the call of a macro, on which rustc takes no lints.
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
            errors.on(attribute, "`#[tool]` is given twice: write one list, `#[tool(…, …)]`");
        }
    }

    pub(crate) fn ident(&self) -> &Ident {
        &self.signature.ident
    }
}

/// What clippy's pedantic lints would say about a function for being a tool: `async` means that it runs on
/// the runtime, with or without an `await`, and parameters are taken by value because that is how they come.
///
/// A crate that forbids these lints cannot allow them either (E0453, or a warning for a whole group): so they
/// are allowed only where they could speak, and a function that awaits and borrows stays as it is. That is
/// seen by clippy only; rustc takes no notice of another tool's lints.
pub(crate) fn dictated_lints(function: &Function) -> Option<Attribute> {
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

/// Whether there is an `await` anywhere in a body.
fn awaits(body: TokenStream) -> bool {
    body.into_iter().any(|token| match token {
        TokenTree::Ident(word) => word == "await",
        TokenTree::Group(group) => awaits(group.stream()),
        _ => false,
    })
}

/// Whether a function is `async` and gives way to nothing. A macro called like `select!` or `join!` is taken to
/// await.
pub(crate) fn is_async_in_name_only(function: &Function) -> bool {
    function.signature.asyncness.is_some()
        && !awaits(function.body.clone())
        && !calls_awaiting_macro(function.body.clone())
}

fn calls_awaiting_macro(body: TokenStream) -> bool {
    let mut word_before = None;
    body.into_iter().any(|token| match token {
        TokenTree::Ident(word) => {
            word_before = Some(word.to_string());
            false
        }
        TokenTree::Punct(mark) if mark.as_char() == '!' => {
            word_before.take().is_some_and(|word| word.contains("select") || word.contains("join"))
        }
        TokenTree::Group(group) => {
            word_before = None;
            calls_awaiting_macro(group.stream())
        }
        _ => {
            word_before = None;
            false
        }
    })
}

/// A signature without the attributes and doc comments on its parameters that rustc would refuse: ours, and
/// the foreign ones that were reported.
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
    fn an_async_function_gives_way_by_an_await_or_by_a_macro_that_has_one() {
        for (body, in_name_only) in [
            (
                quote!(
                    async fn f() {
                        1
                    }
                ),
                true,
            ),
            (
                quote!(
                    async fn f() {
                        if x != join {
                            select(!y)
                        }
                    }
                ),
                true,
            ),
            (
                quote!(
                    fn f() {
                        1
                    }
                ),
                false,
            ),
            (
                quote!(
                    async fn f() {
                        if a {
                            g().await
                        }
                    }
                ),
                false,
            ),
            (
                quote!(
                    async fn f() {
                        loop {
                            tokio::select! { a => {} }
                        }
                    }
                ),
                false,
            ),
            (
                quote!(
                    async fn f() {
                        futures::try_join!(a, b)
                    }
                ),
                false,
            ),
        ] {
            let function: Function = syn::parse2(body.clone()).unwrap();
            assert_eq!(is_async_in_name_only(&function), in_name_only, "{body}");
        }
    }
}
