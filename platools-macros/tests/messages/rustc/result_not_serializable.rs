use platools::tool;

struct Order {
    id: u32,
}

/// Look up one order.
#[tool]
async fn lookup_order(id: u32) -> Option<Order> {
    Some(Order { id })
}

/// Look up one order, or not.
#[tool]
async fn try_lookup_order(id: u32) -> Result<Order, String> {
    Ok(Order { id })
}

fn main() {}
