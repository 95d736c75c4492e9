#![allow(unused_variables)]

use platools::tool;

/// Look up one order by id.
#[tool]
async fn lookup_order(#[tool(length(10))] note: String) -> String {
    String::new()
}

fn main() {}
