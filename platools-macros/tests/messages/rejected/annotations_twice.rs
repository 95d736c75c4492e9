use platools::tool;

/// Look up one order by id.
#[tool(annotations(team = "orders", team = "billing"))]
async fn lookup_order(order_id: String) -> String {
    order_id
}

fn main() {}
