#![allow(unused_variables)]

use platools::tool;

/// Look up one order by id.
#[tool]
async fn lookup_order(a: u32, #[tool(rename = "a")] b: u32) -> u32 {
    a + b
}

fn main() {}
