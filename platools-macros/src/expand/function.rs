//! Expands `#[tool]` on a function.

use proc_macro2::TokenStream;
use quote::quote;

use super::definition::{Call, Definition};
use crate::attributes::tool::ToolAttributes;
use crate::error::Errors;
use crate::item::Function;
use crate::krate;
use crate::signature::Place;

/// Expands `#[tool(arguments)] item`. A method that `#[toolset]` has already expanded is returned unchanged.
pub(crate) fn tool(arguments: TokenStream, item: &TokenStream) -> TokenStream {
    if arguments.to_string() == "@ toolset" {
        return item.clone();
    }
    let function: Function = match syn::parse2(item.clone()) {
        Ok(function) => function,
        Err(error) => {
            let error = error.into_compile_error();
            return quote!(#error #item);
        }
    };
    let mut errors = Errors::default();
    let attributes = ToolAttributes::read(arguments, &mut errors);
    function.check_one_tool(&mut errors);
    let definition = Definition::read(&function, attributes, Place::Free, &mut errors);

    let private = krate::private(definition.attributes.krate.as_ref());
    let plain = function.without_our_attributes();
    let shared = function.shared_attributes();
    let ident = function.ident();
    let visibility = &function.visibility;
    let errors = errors.into_tokens();
    // A method without `#[toolset]` is inside an impl block, where a struct is not allowed.
    if errors.is_some() && function.signature.receiver().is_some() {
        return quote!(#plain #errors);
    }
    let (tool, registration) = if errors.is_some() {
        (quote!(::core::unreachable!("this program does not compile")), None)
    } else {
        let registration = definition.is_registered().then(|| {
            let conditions = function.conditions();
            quote! {
                #(#conditions)*
                #private::inventory::submit! {
                    #private::Registration { tool: <#ident as #private::ToolDefinition>::tool }
                }
            }
        });
        (definition.tool(&private, &Call::Function), registration)
    };
    quote! {
        #plain
        #errors

        #shared
        #[doc(hidden)]
        #[allow(
            dead_code,
            missing_copy_implementations,
            missing_debug_implementations,
            non_camel_case_types,
            unreachable_pub,
        )]
        #visibility struct #ident {}

        #shared
        #[automatically_derived]
        #[allow(deprecated)]
        impl #private::ToolDefinition for #ident {
            fn tool() -> #private::Tool {
                #tool
            }
        }

        #registration
    }
}
