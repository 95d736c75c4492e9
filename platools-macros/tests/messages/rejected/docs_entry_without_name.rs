use platools::tool;

/// Look up one order by id.
///
/// # Arguments
/// * the order to look up
#[tool]
async fn lookup_order(order_id: String) -> String {
    order_id
}

fn main() {}
