use platools::tool;

/// Look up one order by id.
#[tool(allow = ["unbounded_result", "no_retrn_schema"])]
async fn lookup_order(order_id: String) -> String {
    order_id
}

fn main() {}
