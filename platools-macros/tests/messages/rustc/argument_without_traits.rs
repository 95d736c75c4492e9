use platools::tool;

struct Filter {
    size: u32,
}

/// List orders.
#[tool]
async fn list_orders(limit: u32, filter: Filter) -> u32 {
    limit + filter.size
}

fn main() {}
