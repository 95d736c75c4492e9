#![allow(unused_variables)]

use platools::tool;

/// Look up one order by id.
#[tool(readOnly)]
async fn lookup_order(order_id: String) -> String {
    String::new()
}

fn main() {}
