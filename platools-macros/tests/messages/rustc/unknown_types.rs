use platools::tool;

/// List orders.
#[tool]
async fn list_orders(filter: Filter, limit: u32) -> Result<u32, OrderError> {
    let _ = filter;
    Ok(limit)
}

fn main() {}
