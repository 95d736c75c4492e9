#![allow(unused_variables)]

use platools::tool;

/// Look up one order by id.
#[tool]
async fn lookup_order(#[tool(range())] limit: u32) -> String {
    String::new()
}

fn main() {}
