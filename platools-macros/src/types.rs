//! Inspects the syntax of a type: whether it is borrowed, and which owned type it is decoded into.

use proc_macro2::TokenStream;
use quote::{ToTokens as _, quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::visit::Visit;
use syn::{GenericArgument, PathArguments, Type, TypeImplTrait, TypeReference, TypeTraitObject};

use crate::error::Errors;

/// The owned type that a parameter is decoded into, and how the value is passed to the function.
pub(crate) struct Owned {
    pub(crate) ty: TokenStream,
    pub(crate) passing: Passing,
}

/// How an owned value is passed to the function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Passing {
    /// `value`
    Value,
    /// `&value`
    Reference,
    /// `value.as_ref()` of an `Option`
    OptionReference,
    /// `value.as_deref()` of an `Option`
    OptionDeref,
}

impl Owned {
    /// Returns the owned type: `String` for `&str`, `Vec<T>` for `&[T]`, `T` for `&T`; likewise inside an `Option`.
    pub(crate) fn of(ty: &Type) -> Self {
        let ty = plain(ty);
        if let Type::Reference(reference) = ty {
            let (ty, _) = owner(reference);
            return Owned { ty, passing: Passing::Reference };
        }
        if let Some(Type::Reference(reference)) = option_argument(ty).map(plain) {
            let (inner, unsized_) = owner(reference);
            let passing = if unsized_ { Passing::OptionDeref } else { Passing::OptionReference };
            return Owned { ty: quote_spanned!(ty.span()=> ::core::option::Option<#inner>), passing };
        }
        Owned { ty: ty.to_token_stream(), passing: Passing::Value }
    }

    /// Returns the expression that passes `value` to the function.
    pub(crate) fn pass(&self, value: &proc_macro2::Ident) -> TokenStream {
        match self.passing {
            Passing::Value => quote!(#value),
            Passing::Reference => quote!(&#value),
            Passing::OptionReference => quote!(#value.as_ref()),
            Passing::OptionDeref => quote!(#value.as_deref()),
        }
    }
}

/// Returns the type that owns a reference's target, and whether the target is unsized.
fn owner(reference: &TypeReference) -> (TokenStream, bool) {
    match plain(&reference.elem) {
        Type::Slice(slice) => {
            let item = &slice.elem;
            (quote_spanned!(reference.span()=> ::std::vec::Vec<#item>), true)
        }
        Type::Path(path) if path.path.is_ident("str") => {
            (quote_spanned!(reference.span()=> ::std::string::String), true)
        }
        Type::Path(path) if path.path.segments.last().is_some_and(|segment| segment.ident == "Path") => {
            (quote_spanned!(reference.span()=> ::std::path::PathBuf), true)
        }
        other => (other.to_token_stream(), false),
    }
}

/// Strips parentheses and the invisible groups of macro expansion from a type.
pub(crate) fn plain(ty: &Type) -> &Type {
    match ty {
        Type::Group(group) => plain(&group.elem),
        Type::Paren(paren) => plain(&paren.elem),
        ty => ty,
    }
}

/// Returns the `T` of an `Option<T>`, judged by its syntax.
pub(crate) fn option_argument(ty: &Type) -> Option<&Type> {
    let Type::Path(path) = plain(ty) else { return None };
    let segment = path.path.segments.last().filter(|segment| segment.ident == "Option")?;
    match &segment.arguments {
        PathArguments::AngleBracketed(list) => match list.args.first() {
            Some(GenericArgument::Type(inner)) => Some(inner),
            _ => None,
        },
        _ => None,
    }
}

/// Returns whether a parameter of this type borrows, judged by its syntax.
pub(crate) fn is_borrowed(ty: &Type) -> bool {
    let inner = option_argument(ty).map_or(ty, plain);
    matches!(plain(inner), Type::Reference(_))
}

/// Returns the item type of a collection, judged by its syntax: the `T` of `&[T]`, `[T; N]`, `Vec<T>`, `Box<[T]>`
/// and other types with one type argument, also inside an `Option`.
pub(crate) fn item(ty: &Type) -> Option<&Type> {
    match plain(ty) {
        Type::Reference(reference) => item(&reference.elem),
        Type::Slice(slice) => Some(&slice.elem),
        Type::Array(array) => Some(&array.elem),
        ty if option_argument(ty).is_some() => option_argument(ty).and_then(item),
        Type::Path(path) => {
            let PathArguments::AngleBracketed(list) = &path.path.segments.last()?.arguments else {
                return None;
            };
            let mut types = list.args.iter().filter_map(|argument| match argument {
                GenericArgument::Type(ty) => Some(plain(ty)),
                _ => None,
            });
            let only = types.next().filter(|_| types.next().is_none())?;
            Some(if let Type::Slice(slice) = only { &slice.elem } else { only })
        }
        _ => None,
    }
}

/// Returns whether this is a number, a `bool` or a `char`, judged by its syntax.
pub(crate) fn is_primitive(ty: &Type) -> bool {
    const PRIMITIVES: [&str; 16] = [
        "bool", "char", "f32", "f64", "i8", "i16", "i32", "i64", "i128", "isize", "u8", "u16", "u32", "u64",
        "u128", "usize",
    ];
    matches!(plain(ty), Type::Path(path) if PRIMITIVES.iter().any(|name| path.path.is_ident(name)))
}

/// Reports types that cannot be arguments, as far as syntax shows it; trait bounds catch the rest.
pub(crate) fn check_argument(ty: &Type, errors: &mut Errors) {
    let outer = match plain(ty) {
        Type::Reference(reference) => Some(reference),
        other => match option_argument(other).map(plain) {
            Some(Type::Reference(reference)) => Some(reference),
            _ => None,
        },
    };
    let mut finder = Finder { errors };
    match outer {
        Some(reference) => {
            finder.check_reference(reference);
            finder.visit_type(&reference.elem);
        }
        None => finder.visit_type(ty),
    }
}

struct Finder<'a> {
    errors: &'a mut Errors,
}

impl Finder<'_> {
    fn check_reference(&mut self, reference: &TypeReference) {
        if let Some(mutability) = &reference.mutability {
            let message = "an argument is decoded for one call, and changes to it are lost: take it by value";
            self.errors.on(mutability, message);
        }
        // Other lifetimes are declared as generics and reported there.
        if let Some(lifetime) = reference.lifetime.as_ref().filter(|lifetime| lifetime.ident == "static") {
            let message =
                "an argument lives only as long as its call: remove `'static`, or take an owned type";
            self.errors.on(lifetime, message);
        }
    }
}

impl<'ast> Visit<'ast> for Finder<'_> {
    fn visit_type_reference(&mut self, reference: &'ast TypeReference) {
        let owned = match plain(&reference.elem) {
            Type::Path(path) if path.path.is_ident("str") => "`String`".to_owned(),
            Type::Slice(_) => "`Vec`".to_owned(),
            _ => "the type without `&`".to_owned(),
        };
        let message = format!(
            "an argument can be borrowed as a whole (`&str`, `&[T]`, `Option<&str>`) but not in part: write {owned}"
        );
        self.errors.on(reference, message);
    }

    fn visit_type_impl_trait(&mut self, ty: &'ast TypeImplTrait) {
        self.errors.on(ty, "an argument is decoded from JSON and needs a concrete type instead of `impl …`");
    }

    fn visit_type_trait_object(&mut self, ty: &'ast TypeTraitObject) {
        self.errors.on(ty, "an argument is decoded from JSON and needs a concrete type instead of `dyn …`");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(ty: &str) -> (String, Passing) {
        let owned = Owned::of(&syn::parse_str(ty).unwrap());
        (owned.ty.to_string().replace(' ', ""), owned.passing)
    }

    fn problems(ty: &str) -> Vec<String> {
        let mut errors = Errors::default();
        check_argument(&syn::parse_str(ty).unwrap(), &mut errors);
        errors.messages()
    }

    #[test]
    fn borrowed_arguments_have_owners() {
        let cases = [
            ("u32", "u32", Passing::Value),
            ("Option<u32>", "Option<u32>", Passing::Value),
            ("&str", "::std::string::String", Passing::Reference),
            ("&[u64]", "::std::vec::Vec<u64>", Passing::Reference),
            ("&(Filter)", "Filter", Passing::Reference),
            ("&std::path::Path", "::std::path::PathBuf", Passing::Reference),
            ("Option<&str>", "::core::option::Option<::std::string::String>", Passing::OptionDeref),
            (
                "std::option::Option<&[u8]>",
                "::core::option::Option<::std::vec::Vec<u8>>",
                Passing::OptionDeref,
            ),
            ("Option<&Filter>", "::core::option::Option<Filter>", Passing::OptionReference),
        ];
        for (ty, expected, passing) in cases {
            assert_eq!(owned(ty), (expected.to_owned(), passing), "{ty}");
        }
    }

    #[test]
    fn the_item_type_of_a_collection() {
        for (ty, expected) in [
            ("Vec<String>", "String"),
            ("&[String]", "String"),
            ("Option<&[u8]>", "u8"),
            ("[String; 2]", "String"),
            ("std::collections::BTreeSet<PathBuf>", "PathBuf"),
            ("Box<[String]>", "String"),
            ("Cow<'_, [String]>", "String"),
            ("Option<Vec<Vec<String>>>", "Vec<String>"),
            ("Vec<(u8, String)>", "(u8,String)"),
            ("&Vec<String>", "String"),
        ] {
            let ty: Type = syn::parse_str(ty).unwrap();
            assert_eq!(item(&ty).unwrap().to_token_stream().to_string().replace(' ', ""), expected);
        }
        for ty in ["Value", "HashMap<String, u8>", "&str", "Option<u8>"] {
            assert!(item(&syn::parse_str(ty).unwrap()).is_none(), "{ty}");
        }
    }

    #[test]
    fn invalid_argument_types_are_found_at_any_depth() {
        for ty in ["u32", "&str", "Option<&[u64]>", "Vec<Option<(u8, String)>>", "Cow<'_, str>", "&'_ str"] {
            assert_eq!(problems(ty), [""; 0], "{ty}");
        }
        for (ty, expected) in [
            ("&mut Vec<u8>", "take it by value"),
            ("&'static str", "remove `'static`"),
            ("Option<&'static str>", "remove `'static`"),
            ("Vec<&str>", "write `String`"),
            ("&[&str]", "write `String`"),
            ("HashMap<String, &[u8]>", "write `Vec`"),
            ("Option<Vec<&Filter>>", "write the type without `&`"),
            ("impl Into<String>", "instead of `impl …`"),
            ("Vec<impl Into<String>>", "instead of `impl …`"),
            ("Box<dyn Fn()>", "instead of `dyn …`"),
            ("&dyn Fn()", "instead of `dyn …`"),
        ] {
            let problems = problems(ty);
            assert_eq!(problems.len(), 1, "{ty}: {problems:?}");
            assert!(problems[0].contains(expected), "{ty}: {problems:?}");
        }
    }
}
