use platools::tool;

async fn fetch() -> u32 {
    1
}

/// Look up one order.
#[tool]
async fn lookup_order(id: u32) -> u32 {
    let id = std::rc::Rc::new(id);
    fetch().await + *id
}

fn main() {}
