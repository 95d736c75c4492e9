#![allow(unused_variables)]

use platools::tool;

/// Look up one order by id.
#[tool]
async fn lookup_order(#[default(10)] limit: u32) -> String {
    String::new()
}

fn main() {}
