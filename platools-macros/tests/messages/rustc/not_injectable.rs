use platools::tool;

#[derive(serde::Deserialize)]
struct State {
    size: u32,
}

/// List orders.
#[tool]
async fn list_orders(state: State) -> u32 {
    state.size
}

fn main() {}
