use platools::tool;

/// List orders.
#[tool]
fn list_orders(#[tool(default = "ten")] limit: u32) -> u32 {
    limit
}

/// Count orders.
#[tool]
fn count_orders(#[tool(default = 1.5)] limit: u32) -> u32 {
    limit
}

fn main() {}
