#![allow(unused_variables)]

use platools::tool;

/// Look up one order by id.
#[tool]
async fn lookup_order(order_id: String, #[cfg(debug_assertions)] verbose: bool) -> String {
    String::new()
}

fn main() {}
