use platools::tool;

/// Look up one order by id.
///
/// # Arguments
/// * `order_id` -
#[tool]
async fn lookup_order(order_id: String) -> String {
    order_id
}

fn main() {}
