#![allow(unused_variables)]

use platools::tool;

/// Look up one order by id.
#[tool]
async fn lookup_order(#[validate(length(max = 9), email)] to: String) -> String {
    String::new()
}

fn main() {}
