use platools::tool;

#[tool(description = "")]
async fn lookup_order(order_id: String) -> String {
    order_id
}

fn main() {}
