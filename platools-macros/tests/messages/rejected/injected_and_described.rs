#![allow(unused_variables)]

use platools::tool;

/// Look up one order by id.
#[tool]
async fn lookup_order(#[tool(inject, description = "Who calls.")] caller: String) -> String {
    String::new()
}

fn main() {}
