use platools::{tool, toolset};

struct Orders;

#[toolset]
impl Orders {
    /// Count.
    #[tool(register = false)]
    fn count(&self) -> u32 {
        1
    }
}

fn main() {}
