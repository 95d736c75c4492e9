#![allow(unused_variables)]

use platools::tool;

/// Look up one order by id.
#[tool]
async fn lookup_order(order_id: &dyn std::fmt::Display) -> String {
    String::new()
}

fn main() {}
