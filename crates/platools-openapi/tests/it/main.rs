//! OpenAPI documents: a store of pets, odd ones, and broken ones by the hundred.

#![allow(clippy::unwrap_used, reason = "helpers of tests are not inside of a test function")]

mod broken;
mod calls;
mod many;
mod store;

use platools_openapi::{Document, Import, Operation, Selection, import};

const PETSTORE: &str = include_str!("petstore-3.0.yaml");
const ODD: &str = include_str!("odd-3.1.json");

fn imported(document: &str, selection: &Selection) -> Import {
    import(&Document::parse(document.as_bytes()).unwrap(), selection).unwrap()
}

fn operation(name: &str) -> Operation {
    let found = imported(PETSTORE, &Selection::default()).operations.into_iter();
    found.into_iter().find(|operation| operation.name == name).unwrap()
}
