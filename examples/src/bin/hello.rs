//! A tool host. `quickstart` shows one with a platform; this one needs `PLATOS_URL` and `PLATOS_SECRET`.
use platools::prelude::*;

/// Greet a person.
#[tool(read_only)]
async fn greet(
    /// The person's name.
    name: String,
) -> String {
    format!("Hello, {name}!")
}

#[tokio::main]
async fn main() -> platools::Result<()> {
    Platools::from_env()?.run().await
}
