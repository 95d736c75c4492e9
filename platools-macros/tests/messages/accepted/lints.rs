//! Generated code is silent under every lint that an author may have turned on.
#![forbid(unsafe_code)]
#![deny(
    warnings,
    future_incompatible,
    keyword_idents,
    let_underscore,
    missing_copy_implementations,
    missing_debug_implementations,
    missing_docs,
    nonstandard_style,
    rust_2018_idioms,
    rust_2021_compatibility,
    rust_2024_compatibility,
    single_use_lifetimes,
    trivial_casts,
    trivial_numeric_casts,
    unnameable_types,
    unreachable_pub,
    unused,
    unused_import_braces,
    unused_lifetimes,
    unused_qualifications,
    unused_results,
    variant_size_differences
)]

use platools::{tool, toolset};

/// A page.
#[derive(Debug, Clone, Copy, serde::Deserialize, schemars::JsonSchema)]
pub struct Page {
    /// How many.
    pub size: u32,
}

/// Look up one order by id.
#[tool(
    title = "Look up",
    timeout = "10s",
    rate_limit = "60/min",
    concurrency = 4,
    annotations(team = "orders", limits(soft = 1))
)]
pub async fn lookup_order(
    /// The order.
    order_id: &str,
    #[tool(range(min = 1, max = 100), default = 10)] limit: u32,
    #[tool(length(max = 20), pattern = "^[a-z]*$")] note: Option<&str>,
    #[tool(flatten)] page: Page,
) -> Result<String, String> {
    Ok(format!("{order_id} {limit} {note:?} {page:?}"))
}

/// Do nothing.
#[tool]
fn nothing() {}

/// Old.
#[deprecated = "use lookup_order"]
#[tool]
fn old() -> u32 {
    1
}

/// Only elsewhere.
#[cfg(any())]
#[tool]
fn elsewhere(missing: DoesNotExist) -> u32 {
    1
}

/// Only elsewhere, the other way around.
#[tool]
#[cfg(any())]
fn elsewhere_too(missing: DoesNotExist) -> u32 {
    1
}

/// Not used by anyone but agents.
#[tool]
async fn private() -> &'static str {
    "private"
}

/// Named like no function should be.
#[tool]
#[expect(non_snake_case)]
fn Shout(text: &str) -> String {
    text.to_uppercase()
}

/// Allowed after the attribute, before it, and only for the sake of clippy.
#[allow(unused_mut)]
#[tool]
#[allow(unused_variables, reason = "this one too")]
#[allow(clippy::too_many_arguments)]
fn careless(mut number: u32) -> u32 {
    1
}

/// Orders.
#[derive(Debug, Clone, Copy)]
pub struct Orders;

#[toolset]
impl Orders {
    /// Count.
    #[tool]
    pub fn count(&self, #[tool(default)] from: u32) -> u32 {
        from + 1
    }

    /// Nothing.
    #[tool]
    async fn nothing(&self) {}

    /// With a warning that its author does not want to hear.
    #[tool]
    #[allow(unused_variables)]
    pub fn careless(&self, number: u32) -> u32 {
        1
    }

    /// Only elsewhere.
    #[cfg(any())]
    #[tool]
    fn elsewhere(&self, missing: DoesNotExist) -> u32 {
        1
    }
}

fn main() {}
