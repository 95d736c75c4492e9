use platools::tool;

#[doc = concat!("Look up one order", " by id.")]
#[tool]
async fn lookup_order(order_id: String) -> String {
    order_id
}

fn main() {}
