#![allow(unused_variables)]

use platools::{CancellationToken, tool};

/// Look up one order by id.
#[tool]
async fn lookup_order(#[tool(default)] token: CancellationToken) -> String {
    String::new()
}

fn main() {}
