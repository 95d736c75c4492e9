#![allow(unused_variables)]

use platools::tool;

/// Look up one order by id.
#[tool]
async fn lookup_order(#[tool(range(min = 100, max = 1))] limit: u32) -> String {
    String::new()
}

fn main() {}
