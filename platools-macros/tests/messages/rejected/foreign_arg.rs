#![allow(unused_variables)]

use platools::tool;

/// Look up one order by id.
#[tool]
async fn lookup_order(#[arg(long, default_value_t = 10)] limit: u32) -> String {
    String::new()
}

fn main() {}
