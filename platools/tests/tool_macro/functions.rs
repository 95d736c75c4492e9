//! Functions as tools: where they may stand, how they run, and what stays of them.

use platools::tool::{Registry, RegistryError};
use platools::{ToolOutput, tool, tools};
use serde_json::json;

use super::caller::call;

/// Add two numbers.
#[tool(register = false)]
async fn add(a: i64, b: i64) -> i64 {
    a + b
}

/// Wait for a moment, on a thread of its own.
#[tool(register = false)]
fn block(ms: u64) -> u64 {
    std::thread::sleep(std::time::Duration::from_millis(ms));
    ms
}

/// Say nothing.
#[tool(register = false)]
fn nothing() {}

mod billing {
    /// Bill someone.
    #[platools::tool(register = false)]
    pub(super) async fn send(amount: u32) -> u32 {
        amount
    }

    pub(super) mod archive {
        /// Add two other numbers.
        #[platools::tool(register = false)]
        pub(in super::super) fn add(a: u8, b: u8) -> u8 {
            a.saturating_add(b)
        }
    }
}

/// Keywords as names.
#[tool(register = false)]
async fn r#type(r#match: String) -> String {
    r#match
}

/// A mutable parameter.
#[tool(register = false)]
fn count_down(mut from: u32) -> u32 {
    from -= 1;
    from
}

macro_rules! made_tool {
    ($name:ident, $timeout:literal, $calls:expr, $($argument:ident: $type:ty = $default:expr),*) => {
        /// Made by a macro.
        #[tool(
            register = false,
            description = concat!("Gives ", stringify!($($argument),*), "."),
            timeout = $timeout,
            concurrency = $calls,
            annotations(limit = $timeout)
        )]
        fn $name($(#[tool(default = $default)] $argument: $type),*) -> serde_json::Value {
            json!([$($argument),*])
        }
    };
}
made_tool!(made, "3s", 7, borrowed: &str = "x", number: Option<u64> = 3, list: &[u8] = [1, 2]);

/// Work with attributes that are applied later.
#[tool(register = false)]
#[tracing::instrument]
async fn instrumented(#[tool(range(min = 1))] from: u32, name: &str) -> String {
    format!("{name} {from}")
}

/// Be a tool only under a condition.
#[cfg_attr(all(), tool(register = false))]
fn conditional(#[cfg_attr(all(), allow(unused_variables))] a: u8) -> u8 {
    1
}

#[tokio::test]
async fn functions_answer_and_stay_callable() {
    assert_eq!(add(1, 2).await, 3);
    assert_eq!(call(&tools![add][0], json!({"a": 1, "b": 2})).await, Ok(json!(3)));
    assert_eq!(count_down(3), 2);
    assert_eq!(call(&tools![count_down][0], json!({"from": 3})).await, Ok(json!(2)));
    assert_eq!(call(&tools![nothing][0], json!({})).await, Ok(json!(null)));
    nothing();
}

#[tokio::test]
async fn sync_functions_block_a_thread_of_their_own() {
    assert!(tools![block][0].is_blocking());
    assert!(!tools![add][0].is_blocking());
    let host = super::caller::host(tools![add, block]);
    let context = || platools::CallContext::builder().build();
    let arguments = |value: serde_json::Value| platools::Arguments::try_from(value).unwrap();
    // One thread runs this test: a call that blocked it would finish first.
    let order = std::sync::Mutex::new(Vec::new());
    let slow = async {
        host.call("block", arguments(json!({"ms": 200})), context()).await.unwrap();
        order.lock().unwrap().push("block");
    };
    let fast = async {
        host.call("add", arguments(json!({"a": 1, "b": 1})), context()).await.unwrap();
        order.lock().unwrap().push("add");
    };
    tokio::join!(slow, fast);
    assert_eq!(*order.lock().unwrap(), ["add", "block"]);
}

#[tokio::test]
async fn tools_stand_in_any_module_and_in_bodies() {
    /// Inside a body.
    #[tool(register = false)]
    fn inner(a: u8) -> u8 {
        a
    }
    let all = tools![billing::send, billing::archive::add, inner];
    let names: Vec<_> = all.iter().map(|tool| tool.name().to_owned()).collect();
    assert_eq!(names, ["send", "add", "inner"]);
    assert_eq!(call(&all[0], json!({"amount": 5})).await, Ok(json!(5)));
    assert_eq!(call(&all[1], json!({"a": 250, "b": 10})).await, Ok(json!(255)));
    assert_eq!(call(&all[2], json!({"a": 1})).await, Ok(json!(1)));
}

#[tokio::test]
async fn raw_identifiers_lose_their_mark() {
    let tool = &tools![r#type][0];
    assert_eq!(tool.name(), "type");
    assert_eq!(call(tool, json!({"match": "x"})).await, Ok(json!("x")));
}

#[tokio::test]
async fn macros_make_tools() {
    let tool = &tools![made][0];
    assert_eq!(tool.spec().description, "Gives borrowed, number, list.");
    assert_eq!(tool.spec().timeout, Some(std::time::Duration::from_secs(3)));
    assert_eq!((tool.spec().concurrency, &tool.spec().annotations["limit"]), (Some(7), &json!("3s")));
    assert_eq!(call(tool, json!({"list": [5]})).await, Ok(json!(["x", 3, [5]])));
}

#[tokio::test]
async fn other_attributes_are_applied_too() {
    let tools = tools![instrumented, conditional];
    assert_eq!(call(&tools[0], json!({"from": 2, "name": "n"})).await, Ok(json!("n 2")));
    assert!(call(&tools[0], json!({"from": 0, "name": "n"})).await.is_err());
    assert_eq!(call(&tools[1], json!({"a": 2})).await, Ok(json!(1)));
}

/// One that registers itself.
#[tool(name = "tool_macro.registered")]
async fn registered() -> ToolOutput {
    ToolOutput::text("here")
}

#[test]
fn tools_register_themselves_unless_told_not_to() {
    let registry = Registry::collect().unwrap();
    assert!(registry.get("tool_macro.registered").is_some());
    assert!(registry.get("add").is_none());
}

#[test]
fn two_tools_of_one_name_are_an_error_with_both_places() {
    let mut registry = Registry::new();
    let error: RegistryError = registry.extend(tools![add, billing::archive::add]).unwrap_err();
    let text = error.to_string();
    assert_eq!(text.matches("functions.rs:").count(), 2, "{text}");
}

#[test]
fn a_tool_knows_where_it_is_defined() {
    let location = tools![add][0].spec().location.unwrap();
    assert!(location.file.ends_with("functions.rs"), "{location}");
    let source = include_str!("functions.rs");
    let line = source.lines().nth(location.line as usize - 1).unwrap();
    assert!(line.contains("fn add"), "{line}");
}
