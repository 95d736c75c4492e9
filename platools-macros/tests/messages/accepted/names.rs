//! Generated code does not depend on what names mean where it stands.
#![no_implicit_prelude]
#![allow(dead_code, non_camel_case_types)]

use ::std::borrow::ToOwned as _;

mod std {}
mod core {}
mod platools {}
struct Option;
struct Result;
struct Some;
struct None;
struct Ok;
struct Err;
struct String;
struct Vec;
struct Tool;
struct ToolCall;
struct Returned;
struct InputSchema;
struct Default;
struct Into;
struct Registration;
fn drop() {}
fn input() {}
fn call() {}
fn names() {}
fn spec() {}
fn reader() {}
const VALUE: u32 = 1;

type Answer = ::std::result::Result<::std::string::String, ::std::string::String>;

/// Look up one order by id.
#[::platools::tool(
    timeout = "10s",
    rate_limit = "5/s",
    annotations(team = "orders", tags = ["a", 1, null])
)]
async fn lookup_order(
    call: &str,
    input: &[u32],
    names: ::std::option::Option<&str>,
    #[tool(range(min = VALUE, max = 3_000_000_000), default = 10)] reader: u64,
    #[tool(length(max = 20), pattern = "^[a-z]*$", default = "x")] spec: &str,
) -> Answer {
    let _ = (call, input, names, reader);
    ::std::result::Result::Ok(spec.to_owned())
}

/// Count.
#[::platools::tool]
fn count() -> u32 {
    1
}

struct Orders;

#[::platools::toolset]
impl Orders {
    /// Count.
    #[::platools::tool]
    async fn count(&self, toolset: u32, tools: u32) -> u32 {
        toolset + tools
    }
}

fn main() {
    let tools = ::platools::tools![lookup_order, count];
    ::std::assert_eq!(tools.len(), 2);
}
