#![allow(unused_variables)]

use platools::tool;

/// Look up one order by id.
#[tool]
async fn lookup_order(ids: Vec<&str>) -> String {
    String::new()
}

fn main() {}
