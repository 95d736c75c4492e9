use platools::tool;

/// Look up one order by id.
#[tool(rate_limit = "60/fortnight")]
async fn lookup_order(order_id: String) -> String {
    order_id
}

fn main() {}
