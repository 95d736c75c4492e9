use platools::tool;

/// Look up one order by id.
///
/// # Arguments
/// * `order_id` - the order to look up
#[tool]
async fn lookup_order(
    /// The order.
    order_id: String,
) -> String {
    order_id
}

fn main() {}
