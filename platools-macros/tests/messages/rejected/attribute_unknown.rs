use platools::tool;

/// Look up one order by id.
#[tool(timout = "10s")]
async fn lookup_order(order_id: String) -> String {
    order_id
}

fn main() {}
