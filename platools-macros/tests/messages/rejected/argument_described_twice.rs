#![allow(unused_variables)]

use platools::tool;

/// Look up one order by id.
#[tool]
async fn lookup_order(/// The order.
    #[tool(description = "Which order.")]
    order_id: String,
) -> String {
    String::new()
}

fn main() {}
