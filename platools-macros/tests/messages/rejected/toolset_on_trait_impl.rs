use platools::{tool, toolset};

struct Orders;

trait Lookup {
    fn lookup(&self) -> u32;
}

#[toolset]
impl Lookup for Orders {
    /// Look up.
    #[tool]
    fn lookup(&self) -> u32 {
        1
    }
}

fn main() {
    Orders.lookup();
}
