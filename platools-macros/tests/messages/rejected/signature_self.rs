use platools::tool;

struct Orders;

impl Orders {
    /// Look up one order by id.
    #[tool]
    async fn lookup(&self, order_id: String) -> String {
        order_id
    }
}

fn main() {
    drop(Orders);
}
