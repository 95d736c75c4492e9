#![allow(unused_variables)]

use platools::tool;

/// Look up one order by id.
#[tool]
async fn lookup_order(#[tool(rename = "order id")] order_id: String) -> String {
    String::new()
}

fn main() {}
