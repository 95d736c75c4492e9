//! Snapshots of the generated code, formatted.

use proc_macro2::TokenStream;
use quote::quote;

use super::{tool, toolset};

/// Compares formatted code with its snapshot; the snapshot omits the source expression.
#[track_caller]
fn assert_expands(name: &str, tokens: TokenStream) {
    let code = prettyplease::unparse(&syn::parse2(tokens).unwrap());
    insta::with_settings!({omit_expression => true}, { insta::assert_snapshot!(name, code) });
}

#[test]
fn an_async_function() {
    assert_expands(
        "async_function",
        tool(
            quote!(auth = "user", roles = ["support"], timeout = "10s", rate_limit = "60/min", read_only),
            &quote! {
                /// Look up one order by id.
                pub async fn lookup_order(
                    ctx: CallContext,
                    /// The order to look up.
                    order_id: &str,
                    #[tool(range(min = 1, max = 100), default = 10)] limit: u32,
                    #[tool(rename = "noteText", length(max = 200), pattern = "^[a-z]*$")] note: Option<&str>,
                ) -> Result<Order, OrderError> {
                    find(ctx, order_id, limit, note).await
                }
            },
        ),
    );
}

#[test]
fn a_sync_function_without_arguments() {
    assert_expands(
        "sync_function",
        tool(
            quote!(register = false, crate = my::platools),
            &quote! {
                #[cfg(unix)]
                #[expect(clippy::unused_unit)]
                fn nothing() {}
            },
        ),
    );
}

#[test]
fn allowed_rules_and_user_providable_arguments() {
    assert_expands(
        "for_the_doctor",
        tool(
            quote!(allow = ["no_return_schema", "async_in_name_only"]),
            &quote! {
                async fn ring(
                    #[tool(user_providable)] door_id: String,
                    #[tool(user_providable = false)] bell_id: u32,
                ) {
                    std::fs::write(door_id, bell(bell_id));
                }
            },
        ),
    );
}

#[test]
fn a_flattened_argument_and_shown_errors() {
    assert_expands(
        "flattened_argument",
        tool(
            quote!(errors = "user", additional_properties, annotations(limits(soft = 1), tags = ["a", null])),
            &quote! {
                fn list_orders(#[tool(flatten)] filter: Filter, #[tool(inject)] db: &Db) -> Result<Vec<Order>, String> {
                    db.list(filter)
                }
            },
        ),
    );
}

#[test]
fn a_toolset() {
    assert_expands(
        "toolset",
        toolset(
            quote!(),
            &quote! {
                impl<S: Store> Orders<S> {
                    /// Count.
                    #[tool(read_only)]
                    #[inline]
                    pub async fn count(&self, from: u32) -> u32 {
                        self.store.count(from).await
                    }

                    /// Where it runs.
                    #[cfg(feature = "version")]
                    #[platools::tool]
                    fn version() -> &'static str {
                        "1"
                    }

                    fn helper(&self) {}
                }
            },
        ),
    );
}

/// The function, the type and an implementation are still emitted, so that rustc reports no follow-up errors.
#[test]
fn a_function_with_mistakes() {
    assert_expands(
        "function_with_mistakes",
        tool(
            quote!(timout = "10s"),
            &quote! {
                pub(crate) async fn lookup_order(#[tool(defalt)] order_id: String) -> String {
                    order_id
                }
            },
        ),
    );
}

#[test]
fn a_toolset_with_mistakes() {
    assert_expands(
        "toolset_with_mistakes",
        toolset(
            quote!(),
            &quote! {
                impl Orders {
                    #[tool]
                    fn count(&mut self) -> u32 {
                        1
                    }
                }
            },
        ),
    );
}

#[test]
fn a_method_outside_of_a_toolset_adds_no_item_to_its_impl_block() {
    let tokens = tool(
        quote!(),
        &quote!(
            fn count(&self) -> u32 {
                1
            }
        ),
    )
    .to_string();
    assert!(tokens.contains("compile_error") && !tokens.contains("struct"), "{tokens}");
}

#[test]
fn a_method_expanded_by_a_toolset_is_unchanged() {
    let method = quote!(
        fn count(&self) -> u32 {
            1
        }
    );
    assert_eq!(tool(quote!(@toolset), &method).to_string(), method.to_string());
}
