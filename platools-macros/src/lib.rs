//! The `#[tool]` and `#[toolset]` attributes of `platools`.
//!
//! Use them through `platools`, which re-exports them. How an attribute becomes code: [`attributes`] and
//! [`docs`] read words and comments, [`signature`] and [`parameter`] say what the function takes,
//! [`expand`] writes the registration. Every mistake goes to one store, [`error`], and is reported with
//! the others.

mod attributes;
mod docs;
mod error;
mod expand;
mod item;
mod krate;
mod names;
mod parameter;
mod signature;
mod types;

use proc_macro::TokenStream;

/// Makes a function a tool.
#[proc_macro_attribute]
pub fn tool(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand::tool(arguments.into(), &item.into()).into()
}

/// Makes the `#[tool]` methods of an impl block the tools of one value.
#[proc_macro_attribute]
pub fn toolset(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand::toolset(arguments.into(), &item.into()).into()
}
