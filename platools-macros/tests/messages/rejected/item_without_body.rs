use platools::tool;

trait Orders {
    #[tool]
    fn lookup(&self, order_id: String) -> String;
}

fn main() {}
