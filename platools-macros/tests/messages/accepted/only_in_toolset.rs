//! The import of `tool` counts as used when only methods are tools.
#![deny(warnings)]

use platools::tool::Toolset;
use platools::{tool, toolset};

struct Orders;

#[toolset]
impl Orders {
    /// Count.
    #[tool]
    fn count(&self) -> u32 {
        1
    }
}

fn main() {
    assert_eq!(std::sync::Arc::new(Orders).tools()[0].name(), "count");
}
