use platools::tool;

/// Look up one order by id.
#[tool(name = "2nd_lookup")]
async fn lookup_order(order_id: String) -> String {
    order_id
}

fn main() {}
