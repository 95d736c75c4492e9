//! The host as users have it.

use std::time::Duration;

use load::SECRET;
use platools::prelude::*;
use platools::tools;

/// How long a call of `nap` waits.
pub(crate) const NAP: Duration = Duration::from_millis(10);

/// Add two whole numbers.
#[tool(register = false)]
async fn add(a: i64, b: i64, note: String) -> i64 {
    let _ = note;
    a + b
}

/// Add two whole numbers, after a while.
#[tool(register = false)]
async fn nap(a: i64, b: i64, note: String) -> i64 {
    let _ = note;
    tokio::time::sleep(NAP).await;
    a + b
}

pub(crate) fn run(address: &str) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let url = format!("ws://{address}?entity=speed");
    runtime.block_on(async {
        let host = Platools::builder().url(url).secret(SECRET).tools(tools![add, nap]).build().unwrap();
        host.run().await.unwrap();
    });
}
