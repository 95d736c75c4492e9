use platools::tool;

/// Look up one order.
#[tool]
fn lookup_order(#[tool(range(min = 1))] id: String) -> String {
    id
}

fn main() {}
