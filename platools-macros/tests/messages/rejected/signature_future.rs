use platools::tool;

/// Look up one order by id.
#[tool]
fn lookup_order(order_id: String) -> impl Future<Output = String> + Send {
    async move { order_id }
}

fn main() {}
