use platools::tool;

/// Look up one order.
#[tool]
fn lookup_order(#[tool(length(min = 1))] id: Option<u32>) -> Option<u32> {
    id
}

fn main() {}
