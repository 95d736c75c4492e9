use platools::tool;

async fn fetch() -> u32 {
    1
}

fn check(id: u32) -> Result<u32, Box<dyn std::error::Error>> {
    Ok(id)
}

/// Look up one order.
#[tool]
async fn lookup_order(id: u32) -> Result<u32, Box<dyn std::error::Error>> {
    let checked = check(id);
    Ok(fetch().await + checked?)
}

fn main() {}
