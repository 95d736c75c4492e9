use platools::{tool, toolset};

struct Orders {
    seen: std::cell::RefCell<u32>,
}

#[toolset]
impl Orders {
    /// Count.
    #[tool]
    fn count(&self) -> u32 {
        *self.seen.borrow()
    }
}

fn main() {}
