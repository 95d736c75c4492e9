use platools::tool;

#[tool]
struct Orders;

fn main() {
    let _ = Orders;
}
