use platools::tool;

/// Look up one order by id.
#[tool]
async fn größe() -> u32 {
    1
}

fn main() {}
