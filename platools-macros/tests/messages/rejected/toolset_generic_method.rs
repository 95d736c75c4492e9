use platools::{tool, toolset};

struct Orders;

#[toolset]
impl Orders {
    /// Count.
    #[tool]
    fn count<T>(&self) -> u32 {
        1
    }
}

fn main() {}
