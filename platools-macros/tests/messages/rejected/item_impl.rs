use platools::tool;

struct Orders;

#[tool]
impl Orders {
    fn new() -> Self {
        Orders
    }
}

fn main() {
    Orders::new();
}
