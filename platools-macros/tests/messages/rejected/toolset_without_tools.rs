use platools::toolset;

struct Orders;

#[toolset]
impl Orders {
    fn new() -> Self {
        Orders
    }
}

fn main() {
    Orders::new();
}
