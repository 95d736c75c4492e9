use platools::{tool, toolset};

struct Orders;

#[toolset]
impl Orders {
    /// Count.
    #[tool]
    fn count(#[tool(inject)] &self) -> u32 {
        1
    }
}

fn main() {}
