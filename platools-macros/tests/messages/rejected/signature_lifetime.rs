use platools::tool;

/// Echo.
#[tool]
async fn echo<'a>(value: &'a str) -> String {
    value.to_owned()
}

fn main() {}
