#![allow(unused_variables)]

use platools::tool;

/// Look up one order by id.
#[tool]
async fn lookup_order(#[tool(pattern = r"^\p{L}+$")] order_id: String) -> String {
    String::new()
}

fn main() {}
