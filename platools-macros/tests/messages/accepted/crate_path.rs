//! `crate = …` finds platools through another crate.
mod framework {
    pub mod agents {
        pub use platools::*;
    }
}

use framework::agents::{tool, toolset};

/// Count.
#[tool(crate = framework::agents)]
fn count(#[tool(range(min = 1))] from: u32) -> u32 {
    from
}

struct Orders;

#[toolset(crate = framework::agents)]
impl Orders {
    /// Count.
    #[tool]
    fn count(&self) -> u32 {
        1
    }
}

fn main() {
    assert_eq!(framework::agents::tools![count].len(), 1);
}
