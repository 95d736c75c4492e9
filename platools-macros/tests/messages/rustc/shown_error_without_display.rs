use platools::tool;

#[derive(Debug)]
enum OrderError {
    NotFound,
}

/// Look up one order.
#[tool(errors = "user")]
async fn lookup_order(id: u32) -> Result<u32, OrderError> {
    if id == 0 { Err(OrderError::NotFound) } else { Ok(id) }
}

fn main() {}
