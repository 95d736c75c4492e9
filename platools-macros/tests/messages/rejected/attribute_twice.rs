use platools::tool;

/// Look up one order by id.
#[tool(timeout = "10s", read_only, timeout = "20s")]
async fn lookup_order(order_id: String) -> String {
    order_id
}

fn main() {}
