use platools::tool;

/// Echo.
#[tool]
async fn echo<T: serde::de::DeserializeOwned + Send>(value: T) -> u32 {
    drop(value);
    1
}

fn main() {}
