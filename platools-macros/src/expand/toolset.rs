//! Expands `#[toolset]` on an impl block.

use proc_macro2::TokenStream;
use quote::{ToTokens as _, quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::{GenericParam, ImplItem, ItemImpl};

use super::definition::{Call, Definition};
use super::local;
use crate::attributes::tool::ToolAttributes;
use crate::attributes::{self, is_ours, list_of};
use crate::error::Errors;
use crate::item::{Function, plain_signature, tool_lints};
use crate::krate;
use crate::signature::Place;

/// Expands `#[toolset(arguments)] item`.
pub(crate) fn toolset(arguments: TokenStream, item: &TokenStream) -> TokenStream {
    let Ok(mut block) = syn::parse2::<ItemImpl>(item.clone()) else {
        let message = "`#[toolset]` goes on an impl block: `#[toolset] impl Orders { … }`";
        let error = syn::Error::new_spanned(heading(item), message).into_compile_error();
        return quote!(#error #item);
    };
    let mut errors = Errors::default();
    let krate = attributes::toolset::read(arguments, &mut errors);
    check_block(&block, &mut errors);

    let private = krate::private(krate.as_ref());
    let toolset = local("toolset");
    let mut tools = Vec::new();
    for item in &mut block.items {
        let ImplItem::Fn(method) = item else { continue };
        let Some(attributes) = tool_attributes(&mut method.attrs, &mut errors) else { continue };
        let function = Function {
            attributes: method.attrs.clone(),
            visibility: method.vis.clone(),
            signature: method.sig.clone(),
            body: method.block.to_token_stream(),
        };
        check_method_attributes(&attributes, &mut errors);
        let definition = Definition::read(&function, attributes, Place::Toolset, &mut errors);
        method.sig = plain_signature(&method.sig);
        method.attrs.splice(0..0, tool_lints(&function));
        let (list, shared) = (local("tools"), function.shared_attributes());
        let tool = definition.tool(&private, &Call::Method(toolset.clone()));
        tools.push(quote!(#shared { #list.push({ #tool }); }));
    }
    let is_inherent = block.trait_.is_none();
    if tools.is_empty() && is_inherent {
        errors.on(block.impl_token, "this toolset has no tools: mark its methods with `#[tool]`");
    }
    let errors = errors.into_tokens();
    let implementation = is_inherent.then(|| {
        let tools = if errors.is_some() { None } else { Some(tools.as_slice()) };
        implementation(&block, &private, tools)
    });
    quote!(#block #errors #implementation)
}

/// Generates `impl Toolset for …`; an empty one if mistakes left no tools.
fn implementation(block: &ItemImpl, private: &TokenStream, tools: Option<&[TokenStream]>) -> TokenStream {
    let (list, toolset) = (local("tools"), local("toolset"));
    let conditions = block.attrs.iter().filter(|a| a.path().is_ident("cfg") || a.path().is_ident("allow"));
    let ty = &block.self_ty;
    let (generics, _, clause) = block.generics.split_for_impl();
    // Repeats the bounds of `Toolset`: a generic toolset need not state them, and a type that is not `Send + Sync`
    // gets one error instead of one for each of its tools.
    let predicates = clause.into_iter().flat_map(|clause| &clause.predicates);
    let shareable = quote_spanned! {ty.span()=>
        #ty: ::core::marker::Send + ::core::marker::Sync + 'static
    };
    let clause = quote!(where #(#predicates,)* #shareable);
    let body = match tools {
        None => quote!(::std::vec::Vec::new()),
        Some(tools) => {
            let count = tools.len();
            quote! {
                let #toolset = self;
                let mut #list = ::std::vec::Vec::with_capacity(#count);
                #(#tools)*
                #list
            }
        }
    };
    quote! {
        #(#conditions)*
        #[automatically_derived]
        #[allow(deprecated)]
        impl #generics #private::Toolset for #ty #clause {
            fn tools(self: ::std::sync::Arc<Self>) -> ::std::vec::Vec<#private::Tool> {
                #body
            }
        }
    }
}

fn check_block(block: &ItemImpl, errors: &mut Errors) {
    if let Some((path, _)) = &block.trait_ {
        errors.on(
            path,
            "`#[toolset]` goes on an impl block of the type itself: move the tools into `impl Type { … }`",
        );
    }
    for parameter in &block.generics.params {
        if let GenericParam::Lifetime(lifetime) = parameter {
            let message = "a toolset must live as long as its host: let the type own its fields, or share them \
                           through an `Arc`, instead of borrowing";
            errors.on(&lifetime.lifetime, message);
        }
    }
}

/// Removes `#[tool]` from a method and parses it. If there are several, the first is used.
fn tool_attributes(attributes: &mut Vec<syn::Attribute>, errors: &mut Errors) -> Option<ToolAttributes> {
    let (ours, others): (Vec<_>, Vec<_>) = attributes.drain(..).partition(|a| is_ours(a, "tool"));
    *attributes = others;
    let mut ours = ours.into_iter();
    let first = ours.next()?;
    // A marker attribute stays on the method, so that rustc resolves the name `tool` and counts its import as used.
    let path = first.path();
    attributes.push(syn::parse_quote!(#[#path(@toolset)]));
    for second in ours {
        errors.on(second, "duplicate `#[tool]`: write one list, `#[tool(…, …)]`");
    }
    let list = list_of(&first, errors);
    Some(ToolAttributes::read(list, errors))
}

/// Reports attributes that are allowed only on a free function.
fn check_method_attributes(attributes: &ToolAttributes, errors: &mut Errors) {
    if let Some(register) = &attributes.register {
        let message = "`.toolset(…)` registers all tools of a toolset: remove `register`, \
                       or remove `#[tool]` from this method";
        errors.at(register.span, message);
    }
    if let Some(path) = &attributes.krate {
        errors
            .on(path, "the path to platools is given once, in `#[toolset(crate = …)]`: remove `crate` here");
    }
}

/// Returns the tokens of an item up to its body, for the span of an error.
fn heading(item: &TokenStream) -> TokenStream {
    match syn::parse2(item.clone()) {
        Ok(syn::Item::Fn(function)) => function.sig.to_token_stream(),
        Ok(syn::Item::Struct(item)) => item.struct_token.to_token_stream(),
        Ok(syn::Item::Enum(item)) => item.enum_token.to_token_stream(),
        Ok(syn::Item::Trait(item)) => item.trait_token.to_token_stream(),
        Ok(syn::Item::Mod(item)) => item.mod_token.to_token_stream(),
        _ => item.clone(),
    }
}
