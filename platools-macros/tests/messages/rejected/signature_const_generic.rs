use platools::tool;

/// Echo.
#[tool]
async fn echo<const N: usize>(value: u32) -> usize {
    value as usize + N
}

fn main() {}
