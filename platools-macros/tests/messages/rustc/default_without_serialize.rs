use platools::tool;

#[derive(Default, serde::Deserialize, schemars::JsonSchema)]
struct Filter {
    size: u32,
}

/// List orders.
#[tool]
fn list_orders(#[tool(default)] filter: Filter) -> u32 {
    filter.size
}

fn main() {}
