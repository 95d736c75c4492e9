use std::sync::Arc;

use platools::tool::Toolset;
use platools::{tool, toolset, tools};

mod orders {
    /// Look up one order by id.
    #[platools::tool(timout = "10s")]
    pub async fn lookup(order_id: String) -> String {
        order_id
    }
}

struct Orders;

#[toolset]
impl Orders {
    /// Count.
    #[tool(timout = "10s")]
    fn count(&self) -> u32 {
        1
    }
}

fn main() {
    // Neither the lists nor the functions are missing because of a mistake in an attribute.
    let _ = tools![orders::lookup];
    let _ = Arc::new(Orders).tools();
    let _ = orders::lookup(String::new());
    let _ = Orders.count();
}
