use platools::tool;

#[derive(serde::Deserialize)]
struct Filter {
    size: u32,
}

/// List orders.
#[tool]
fn list_orders(limit: u32, filter: Option<Vec<Filter>>) -> u32 {
    filter.into_iter().flatten().map(|filter| filter.size).sum::<u32>() + limit
}

fn main() {}
