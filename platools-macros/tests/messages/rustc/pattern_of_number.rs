use platools::tool;

/// Look up one order.
#[tool]
fn lookup_order(#[tool(pattern = "^[0-9]$")] id: u32) -> u32 {
    id
}

fn main() {}
