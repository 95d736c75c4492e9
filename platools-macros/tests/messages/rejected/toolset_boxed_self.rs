use platools::{tool, toolset};

struct Orders(u32);

#[toolset]
impl Orders {
    /// Count.
    #[tool]
    fn count(self: Box<Self>) -> u32 {
        self.0
    }
}

fn main() {}
