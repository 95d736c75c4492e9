//! Nothing need be imported when the attributes are written with their path.
#![deny(warnings)]

use platools as agents;
use platools::tool::Toolset as _;

struct Orders;

#[platools::toolset]
impl Orders {
    /// Count.
    #[platools::tool]
    fn count(&self) -> u32 {
        1
    }

    /// Count otherwise.
    #[agents::tool(read_only)]
    async fn count_otherwise(&self) -> u32 {
        2
    }
}

/// Count alone.
#[platools::tool]
fn count() -> u32 {
    3
}

fn main() {
    assert_eq!(std::sync::Arc::new(Orders).tools().len(), 2);
    assert_eq!(platools::tools![count].len(), 1);
}
