//! What the host hands to a function, beside the arguments.

use platools::caller::Credentials;
use platools::{
    Arguments, CallContext, CancellationToken, FromCall, Identity, State, ToolCall, ToolError, tool, tools,
};
use platools::{CallContext as Ctx, State as Shared};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::caller::{builder, call, call_in, host};

struct Db(&'static str);

/// Take everything there is.
#[tool(register = false)]
async fn everything(
    ctx: CallContext,
    order_id: String,
    db: State<Db>,
    cancel: CancellationToken,
    maybe: Option<CallContext>,
    by_reference: &CallContext,
    state_by_reference: &State<Db>,
) -> Value {
    json!([
        ctx.user_id(),
        order_id,
        db.0,
        cancel.is_cancelled(),
        maybe.is_some_and(|maybe| maybe.user_id() == by_reference.user_id()),
        state_by_reference.0,
    ])
}

#[tokio::test]
async fn the_host_hands_over_context_state_and_token() {
    let tools = tools![everything];
    let properties = tools[0].spec().input_schema["properties"].as_object().unwrap();
    assert_eq!(properties.keys().collect::<Vec<_>>(), ["order_id"]);
    let host = builder().state(Db("here")).tools(tools).build().unwrap();
    let answer = call_in(host, "everything", json!({"order_id": "a"})).await;
    assert_eq!(answer, Ok(json!(["user-7", "a", "here", false, true, "here"])));
}

#[tokio::test]
async fn a_state_that_nobody_registered_is_an_error_before_any_call() {
    let error = builder().tools(tools![everything]).build().unwrap_err().to_string();
    assert!(error.contains("everything") && error.contains("Db"), "{error}");
}

/// Say who is calling, verified.
#[tool(roles = ["support"], register = false)]
async fn verified(identity: Identity, by_reference: &Identity, maybe: Option<Identity>) -> Value {
    json!([identity.subject(), by_reference.roles(), maybe == Some(identity)])
}

#[tokio::test]
async fn a_verified_identity_is_handed_over() {
    let tools = tools![verified];
    assert_eq!(tools[0].spec().input_schema["properties"], json!({}));
    let known = |_: Credentials| async { Ok(Identity::new("usr_1").with_role("support")) };
    let host = builder().authenticator(known).tools(tools).build().unwrap();
    let context = CallContext::builder().user_id("usr_2").user_token("token").build();
    let answer = host.call("verified", Arguments::empty(), context).await.unwrap();
    assert_eq!(answer.to_value(), json!(["usr_1", ["support"], true]));
}

#[tokio::test]
async fn an_identity_that_nobody_verifies_is_an_error_before_any_call() {
    let error = builder().tools(tools![verified]).build().unwrap_err().to_string();
    assert!(error.contains("`verified`") && error.contains(".authenticator("), "{error}");
}

/// Take them under other names.
#[tool(register = false)]
async fn renamed(#[tool(inject)] c: Ctx, #[tool(inject)] db: Shared<Db>) -> Value {
    json!([c.user_id(), db.0])
}

#[tokio::test]
async fn renamed_imports_are_marked() {
    let host = builder().state(Db("here")).tools(tools![renamed]).build().unwrap();
    assert_eq!(call_in(host, "renamed", json!({})).await, Ok(json!(["user-7", "here"])));
}

struct Caller(String);

impl FromCall for Caller {
    fn from_call(call: &ToolCall) -> Result<Self, ToolError> {
        match call.extract::<CallContext>()?.user_id() {
            "user-7" => Ok(Caller("seven".to_owned())),
            _ => Err(ToolError::denied("only user 7")),
        }
    }
}

/// Take something of one's own.
#[tool(register = false)]
fn own(#[tool(inject)] caller: Caller, #[tool(inject)] again: &Caller, greeting: &str) -> String {
    assert_eq!(caller.0, again.0);
    format!("{greeting}, {}", caller.0)
}

#[tokio::test]
async fn injections_come_before_arguments() {
    let tool = &tools![own][0];
    assert_eq!(call(tool, json!({"greeting": "hello"})).await, Ok(json!("hello, seven")));
    let host = host([tool.clone()]);
    let stranger = CallContext::builder().user_id("user-8").build();
    // The argument is missing too, and a caller who may not call does not hear about it.
    let error = host.call("own", json!({}).try_into().unwrap(), stranger).await.unwrap_err();
    assert_eq!(error.to_string(), "denied: only user 7");
}

mod geography {
    use super::{Deserialize, JsonSchema};

    #[derive(Debug, Deserialize, JsonSchema)]
    pub(super) struct State {
        pub(super) capital: String,
    }
}

/// Take an argument that is called like something the host has.
#[tool(register = false)]
fn capital(#[tool(argument)] state: geography::State) -> String {
    state.capital
}

#[tokio::test]
async fn an_argument_of_such_a_name_is_marked_too() {
    let tool = &tools![capital][0];
    assert_eq!(call(tool, json!({"state": {"capital": "Bern"}})).await, Ok(json!("Bern")));
}
