use platools::{tool, toolset};

struct Orders;

#[toolset(auth = "user")]
impl Orders {
    /// Count.
    #[tool]
    fn count(&self) -> u32 {
        1
    }
}

fn main() {}
