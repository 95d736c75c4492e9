#![allow(unused_variables)]

use platools::tool;

/// Look up one order by id.
#[tool]
async fn lookup_order(#[tool(flatten, range(min = 1))] page: Page) -> String {
    page.size.to_string()
}

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Page {
    size: u32,
}

fn main() {}
