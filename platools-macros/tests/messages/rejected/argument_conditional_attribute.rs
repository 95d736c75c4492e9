#![allow(unused_variables)]

use platools::tool;

/// Look up one order by id.
#[tool]
async fn lookup_order(order_id: String, #[cfg_attr(unix, tool(default = 10))] limit: u32) -> String {
    String::new()
}

fn main() {}
