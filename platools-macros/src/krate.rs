//! The path to platools in the crate that uses the macro.

use proc_macro_crate::FoundCrate;
use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote};
use syn::Path;

/// `given`, or the name under which the calling crate depends on platools.
///
/// Without Cargo, or when platools comes through another crate, it is `::platools`; then rustc's message
/// about an undeclared crate and `crate = …` are the way on.
pub(crate) fn private(given: Option<&Path>) -> TokenStream {
    let krate = given.map_or_else(found, ToTokens::to_token_stream);
    quote!(#krate::__private)
}

fn found() -> TokenStream {
    let name = match proc_macro_crate::crate_name("platools") {
        Ok(FoundCrate::Name(name)) => name,
        Ok(FoundCrate::Itself) | Err(_) => "platools".to_owned(),
    };
    let name = Ident::new(&name, Span::call_site());
    quote!(::#name)
}
