use platools::tool;

/// Look up one order by id.
#[tool(timeout = 10)]
async fn lookup_order(order_id: String) -> String {
    order_id
}

fn main() {}
