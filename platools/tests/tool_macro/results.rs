//! What functions return.

use std::fmt;

use platools::tool::ToolErrorKind;
use platools::{Media, ToolError, ToolOutput, UserFacingError, tool, tools};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use super::caller::{call, host};

#[derive(Debug, Serialize, JsonSchema)]
struct Order {
    id: u32,
}

#[derive(Debug, Serialize)]
struct Undeclared {
    id: u32,
}

type Answer<T> = Result<T, std::io::Error>;

/// A value.
#[tool(register = false)]
fn value() -> Order {
    Order { id: 1 }
}

/// A value without a schema.
#[tool(register = false)]
fn undeclared() -> Undeclared {
    Undeclared { id: 1 }
}

/// A result behind an alias.
#[tool(register = false)]
async fn aliased(fail: bool) -> Answer<Order> {
    if fail { Err(std::io::Error::other("disk 7")) } else { Ok(Order { id: 1 }) }
}

/// A hidden type.
#[tool(register = false)]
async fn hidden() -> impl Serialize {
    [1, 2]
}

/// A hidden type in a result.
#[tool(register = false)]
fn hidden_in_result() -> Result<impl Serialize + use<>, String> {
    Ok::<_, String>([1, 2])
}

/// Borrowed from an argument.
#[tool(register = false)]
fn shortened(text: &str) -> &str {
    text.split_at(2).0
}

/// Text.
#[tool(register = false)]
fn text() -> ToolOutput {
    ToolOutput::text("plain")
}

/// A picture.
#[tool(register = false)]
fn picture() -> Result<Media, ToolError> {
    Ok(Media::png([1, 2, 3]))
}

#[tokio::test]
async fn values_become_answers() {
    for (tool, answer) in tools![value, undeclared, hidden, hidden_in_result, text].iter().zip([
        json!({"id": 1}),
        json!({"id": 1}),
        json!([1, 2]),
        json!([1, 2]),
        json!("plain"),
    ]) {
        assert_eq!(call(tool, json!({})).await, Ok(answer), "{}", tool.name());
    }
    assert_eq!(call(&tools![shortened][0], json!({"text": "abc"})).await, Ok(json!("ab")));
    let context = platools::CallContext::builder().build();
    let picture = host(tools![picture]).call("picture", platools::Arguments::empty(), context).await;
    assert!(picture.unwrap().as_media().is_some());
}

#[test]
fn an_output_schema_is_there_when_the_type_has_one() {
    let schema = |tool: &platools::Tool| tool.spec().output_schema.as_deref().cloned();
    let all = tools![value, aliased, shortened];
    for tool in &all[..2] {
        assert_eq!(schema(tool).unwrap()["properties"]["id"]["type"], "integer", "{}", tool.name());
    }
    assert_eq!(schema(&all[2]), Some(json!({"type": "string"})));
    for tool in tools![undeclared, hidden, hidden_in_result, text, picture] {
        assert_eq!(schema(&tool), None, "{}", tool.name());
    }
}

#[derive(Debug)]
struct Problem(&'static str);

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

#[derive(Debug)]
struct Shown;

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("meant for the model")
    }
}

impl UserFacingError for Shown {}

/// An internal error.
#[tool(register = false)]
async fn internal() -> Result<u8, std::io::Error> {
    Err(std::io::Error::other("password"))
}

/// A boxed error.
#[tool(register = false)]
fn boxed() -> Result<u8, Box<dyn std::error::Error + Send + Sync>> {
    Err("password".into())
}

/// A boxed error that stays on its thread.
#[tool(register = false)]
fn bound() -> Result<u8, Box<dyn std::error::Error>> {
    Err("password".into())
}

/// A boxed error that is not held across an `.await`.
#[tool(register = false)]
async fn bound_later() -> Result<u8, Box<dyn std::error::Error>> {
    tokio::task::yield_now().await;
    Err("password".into())
}

/// A user-facing error.
#[tool(register = false)]
async fn shown() -> Result<u8, Shown> {
    Err(Shown)
}

/// A text as an error.
#[tool(register = false)]
fn texted() -> Result<(), &'static str> {
    Err("no such order")
}

/// Any error, shown on request.
#[tool(errors = "user", register = false)]
fn on_request() -> Result<u8, Problem> {
    Err(Problem("asked for"))
}

/// No result at all, with the same request.
#[tool(errors = "user", register = false)]
fn on_request_plain() -> u8 {
    1
}

/// An error of ours.
#[tool(register = false)]
fn ours() -> Result<Value, ToolError> {
    Err(ToolError::denied("not today"))
}

/// Errors stay internal when that is said.
#[tool(errors = "internal", register = false)]
fn said() -> Result<u8, std::fmt::Error> {
    Err(std::fmt::Error)
}

#[tokio::test]
async fn errors_go_to_the_model_only_when_they_are_meant_for_it() {
    for (tool, kind, text) in [
        (&tools![internal][0], ToolErrorKind::Internal, "internal error"),
        (&tools![boxed][0], ToolErrorKind::Internal, "internal error"),
        (&tools![bound][0], ToolErrorKind::Internal, "internal error"),
        (&tools![bound_later][0], ToolErrorKind::Internal, "internal error"),
        (&tools![said][0], ToolErrorKind::Internal, "internal error"),
        (&tools![shown][0], ToolErrorKind::Failed, "meant for the model"),
        (&tools![texted][0], ToolErrorKind::Failed, "no such order"),
        (&tools![on_request][0], ToolErrorKind::Failed, "asked for"),
        (&tools![ours][0], ToolErrorKind::Denied, "denied: not today"),
    ] {
        let context = platools::CallContext::builder().build();
        let answer = host([tool.clone()]).call(tool.name(), platools::Arguments::empty(), context).await;
        let error = answer.unwrap_err();
        assert_eq!((error.kind(), error.to_string().as_str()), (kind, text), "{}", tool.name());
    }
    assert_eq!(call(&tools![on_request_plain][0], json!({})).await, Ok(json!(1)));
    let error = call(&tools![aliased][0], json!({"fail": true})).await.unwrap_err();
    assert!(error.ends_with("<- disk 7"), "{error}");
}
