//! Parses `annotations(…)`: JSON written as attribute entries.
//!
//! ```text
//! entries := [ entry { "," entry } [","] ]
//! entry   := key            // true
//!          | key "=" value
//!          | key "(" entries ")"      // an object
//! key     := identifier | "text"
//! value   := "text" | number | true | false | null | "[" values "]" | "(" entries ")"
//! ```

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, TokenStreamExt as _, quote, quote_spanned};
use syn::ext::IdentExt as _;
use syn::parse::{Parse, ParseStream, Parser as _};
use syn::punctuated::Punctuated;
use syn::{Lit, LitStr, Token, bracketed, parenthesized, token};

use crate::error::Errors;

/// A JSON value; as tokens, it is an argument of `serde_json::json!`.
pub(crate) enum Json {
    Scalar(TokenStream),
    Array(Vec<Json>),
    Object(Vec<Member>),
}

/// One key and its value.
pub(crate) struct Member {
    pub(crate) key: LitStr,
    pub(crate) value: Json,
}

/// Annotation keys that have their own attribute, and its name.
const OWN_ATTRIBUTES: [(&str, &str); 6] = [
    ("readOnlyHint", "read_only"),
    ("destructiveHint", "destructive"),
    ("idempotentHint", "idempotent"),
    ("openWorldHint", "open_world"),
    ("title", "title"),
    ("category", "category"),
];

/// Parses the entries inside `annotations(…)`.
pub(crate) fn annotations(span: Span, tokens: TokenStream, errors: &mut Errors) -> Vec<Member> {
    if tokens.is_empty() {
        errors.at(span, "`annotations` is empty: write `annotations(team = \"orders\")`, or remove it");
    }
    let members = match members.parse2(tokens) {
        Ok(members) => members,
        Err(error) => {
            errors.push(error);
            return Vec::new();
        }
    };
    for member in &members {
        let key = member.key.value();
        if let Some((_, name)) = OWN_ATTRIBUTES.iter().find(|(reserved, _)| *reserved == key) {
            errors.on(
                &member.key,
                format!("`{key}` has its own attribute: write `{name} = …` beside `annotations`"),
            );
        }
    }
    members
}

fn members(input: ParseStream<'_>) -> syn::Result<Vec<Member>> {
    let list = Punctuated::<Member, Token![,]>::parse_terminated(input)?;
    let mut members: Vec<Member> = Vec::new();
    for member in list {
        if members.iter().any(|other| other.key.value() == member.key.value()) {
            let message = format!("`{}` is given twice: remove one", member.key.value());
            return Err(syn::Error::new_spanned(&member.key, message));
        }
        members.push(member);
    }
    Ok(members)
}

impl Parse for Member {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let key: LitStr = if input.peek(LitStr) {
            input.parse()?
        } else if input.peek(syn::Ident::peek_any) {
            let ident = input.call(proc_macro2::Ident::parse_any)?;
            LitStr::new(&ident.unraw().to_string(), ident.span())
        } else {
            return Err(input.error("expected an annotation's key: an identifier, or text in quotes"));
        };
        let value = if input.peek(token::Paren) {
            input.parse()?
        } else if input.peek(Token![=]) {
            input.parse::<Token![=]>()?;
            input.parse()?
        } else {
            Json::Scalar(quote_spanned!(key.span()=> true))
        };
        Ok(Member { key, value })
    }
}

impl Parse for Json {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        if input.peek(token::Bracket) {
            let content;
            bracketed!(content in input);
            let values = Punctuated::<Json, Token![,]>::parse_terminated(&content)?;
            return Ok(Json::Array(values.into_iter().collect()));
        }
        if input.peek(token::Paren) {
            let content;
            parenthesized!(content in input);
            return content.call(members).map(Json::Object);
        }
        let minus: Option<Token![-]> = input.parse()?;
        if minus.is_none() && input.peek(syn::Ident) {
            let ident: syn::Ident = input.parse()?;
            if ident == "null" {
                return Ok(Json::Scalar(quote!(null)));
            }
            return Err(syn::Error::new_spanned(ident, NOT_JSON));
        }
        scalar(
            minus.is_some(),
            &input.parse::<Lit>().map_err(|error| syn::Error::new(error.span(), NOT_JSON))?,
        )
    }
}

const NOT_JSON: &str = "an annotation's value is JSON: text in quotes, a number, `true`, `false`, `null`, \
                        `[a, b]`, or an object as `(key = value)`";

fn scalar(negative: bool, literal: &Lit) -> syn::Result<Json> {
    let wrong = |message: &str| Err(syn::Error::new_spanned(literal, message));
    let tokens = match literal {
        Lit::Str(text) if !negative => text.to_token_stream(),
        Lit::Bool(switch) if !negative => switch.to_token_stream(),
        Lit::Int(number) if negative => match format!("-{}", number.base10_digits()).parse::<i64>() {
            Ok(number) => quote!(#number),
            Err(_) => return wrong("this number is below the minimum, -9223372036854775808"),
        },
        Lit::Int(number) => match number.base10_parse::<u64>() {
            Ok(number) => quote!(#number),
            Err(_) => return wrong("this number is above the maximum, 18446744073709551615"),
        },
        Lit::Float(number) => match number.base10_parse::<f64>() {
            Ok(number) if number.is_finite() => {
                let number = if negative { -number } else { number };
                quote!(#number)
            }
            _ => return wrong("this number is too large for JSON"),
        },
        _ => return wrong(NOT_JSON),
    };
    Ok(Json::Scalar(tokens))
}

impl ToTokens for Json {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        match self {
            Json::Scalar(scalar) => tokens.append_all(scalar.clone()),
            Json::Array(values) => tokens.append_all(quote!([#(#values),*])),
            Json::Object(members) => {
                let (keys, values) = (members.iter().map(|m| &m.key), members.iter().map(|m| &m.value));
                tokens.append_all(quote!({ #(#keys: #values),* }));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(tokens: TokenStream) -> Result<String, Vec<String>> {
        let mut errors = Errors::default();
        let members = annotations(Span::call_site(), tokens, &mut errors);
        let errors = errors.messages();
        if errors.is_empty() {
            Ok(Json::Object(members).to_token_stream().to_string().replace(' ', ""))
        } else {
            Err(errors)
        }
    }

    #[test]
    fn all_of_json_can_be_written() {
        let json = read(quote!(
            team = "orders", "x-cost" = 3, low = -2, ratio = 0.5, beta, off = false, none = null,
            tags = ["a", 1, [], (b = 2)], limits(soft = 1, hard(a, b = -1.5)), type = "keyword",
        ));
        assert_eq!(
            json.unwrap(),
            r#"{"team":"orders","x-cost":3u64,"low":-2i64,"ratio":0.5f64,"beta":true,"off":false,"none":null,"tags":["a",1u64,[],{"b":2u64}],"limits":{"soft":1u64,"hard":{"a":true,"b":-1.5f64}},"type":"keyword"}"#
        );
    }

    #[test]
    fn other_values_are_rejected() {
        for (tokens, expected) in [
            (quote!(), "`annotations` is empty"),
            (quote!(a = some_constant), "an annotation's value is JSON"),
            (quote!(a = 'c'), "an annotation's value is JSON"),
            (quote!(a = -"x"), "an annotation's value is JSON"),
            (quote!(a = 1, a = 2), "`a` is given twice"),
            (quote!(a(b = 1, b = 2)), "`b` is given twice"),
            (quote!(3 = 1), "expected an annotation's key"),
            (quote!(a = 18446744073709551616), "above the maximum"),
            (quote!(a = -9223372036854775809), "below the minimum"),
            (quote!(readOnlyHint = true), "write `read_only = …`"),
            (quote!(title = "x"), "write `title = …`"),
        ] {
            let errors = read(tokens.clone()).unwrap_err();
            assert!(errors[0].contains(expected), "{tokens}: {errors:?}");
        }
    }
}
