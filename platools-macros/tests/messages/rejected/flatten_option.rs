#![allow(unused_variables)]

use platools::tool;

/// Look up one order by id.
#[tool]
async fn lookup_order(#[tool(flatten)] page: Option<Page>) -> String {
    page.map_or(0, |page| page.size).to_string()
}

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Page {
    size: u32,
}

fn main() {}
