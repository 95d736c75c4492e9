use platools::tool;

/// Look up one order by id.
#[tool("lookup", read_only)]
async fn lookup_order(order_id: String) -> String {
    order_id
}

fn main() {}
