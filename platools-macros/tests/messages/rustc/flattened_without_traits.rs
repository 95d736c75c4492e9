use platools::tool;

struct Filter {
    size: u32,
}

/// List orders.
#[tool]
async fn list_orders(#[tool(flatten)] filter: Filter) -> u32 {
    filter.size
}

fn main() {}
