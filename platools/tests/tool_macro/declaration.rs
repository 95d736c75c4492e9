//! What attributes and doc comments declare.

use std::time::Duration;

use platools::tool::{Auth, RateLimit};
use platools::{tool, tools};
use serde_json::{Value, json};

/// Look up one order by id.
///
/// Also finds archived ones:
///
/// * by number
/// * by id
///
/// # Errors
/// When there is none.
///
/// # Examples
/// ```text
/// # Notes
/// ```
#[tool(
    auth = "user",
    roles = ["support", "admin"],
    category = "orders",
    title = "Order lookup",
    timeout = "1m 30s",
    rate_limit = "60/min",
    concurrency = 4,
    read_only,
    destructive = false,
    idempotent = true,
    open_world = false,
    annotations(team = "orders", "x-cost" = 3, limits(soft = 1, hard = [2, (a = null)]), beta, big = 3_000_000_000),
    register = false,
)]
async fn lookup_order() -> u32 {
    1
}

#[test]
fn every_attribute_is_in_the_declaration() {
    let tools = tools![lookup_order];
    let spec = tools[0].spec();
    assert_eq!(spec.name, "lookup_order");
    assert_eq!(
        spec.description,
        "Look up one order by id.\n\nAlso finds archived ones:\n\n* by number\n* by id"
    );
    assert_eq!(spec.auth, Auth::User);
    assert_eq!(spec.roles, ["support", "admin"]);
    assert_eq!(spec.timeout, Some(Duration::from_secs(90)));
    assert_eq!(spec.rate_limit, Some(RateLimit::per(60, Duration::from_secs(60))));
    assert_eq!(spec.concurrency, Some(4));
    assert_eq!(
        Value::Object(spec.annotations.clone()),
        json!({
            "title": "Order lookup", "category": "orders",
            "readOnlyHint": true, "destructiveHint": false, "idempotentHint": true, "openWorldHint": false,
            "team": "orders", "x-cost": 3, "limits": {"soft": 1, "hard": [2, {"a": null}]}, "beta": true,
            "big": 3_000_000_000_u64,
        })
    );
}

/// Run an action of a catalogue.
#[tool(dynamic_executor, describe_parameters, register = false)]
fn run_action(
    /// The action, such as `send_mail`. It need not exist.
    tool_name: String,
    /// What it takes.
    params: serde_json::Map<String, Value>,
) -> String {
    format!("{tool_name} {}", params.len())
}

#[test]
fn what_the_platform_is_told_beside_is_said_by_switches() {
    let tools = tools![run_action];
    let spec = tools[0].spec();
    assert_eq!(spec.input_schema["x-dynamic-executor"], true);
    assert_eq!(spec.executor_parameters(), Some(("tool_name", "params")));
    assert_eq!(
        spec.declared_description(false),
        "Run an action of a catalogue.\n\nParameters:\n- tool_name (string, required): The action, such as \
         `send_mail`.\n- params (object, required): What it takes."
    );
}

#[tool(register = false)]
fn undescribed(a: u8) -> u8 {
    a
}

#[test]
fn what_is_not_said_has_defaults() {
    let tools = tools![undescribed];
    let spec = tools[0].spec();
    assert_eq!((spec.description.as_str(), spec.auth), ("", Auth::None));
    assert!(spec.roles.is_empty() && spec.annotations.is_empty());
    assert_eq!((spec.timeout, spec.rate_limit, spec.concurrency), (None, None, None));
    assert_eq!(spec.input_schema["properties"]["a"]["description"], Value::Null);
}

/// For people.
#[tool(name = "orders.look-up", description = "For the model.", auth = "admin", register = false)]
fn renamed() -> u8 {
    1
}

/// For people.
#[tool(description = include_str!("caller.rs"), auth = "none", register = false)]
fn described_by_a_file() -> u8 {
    1
}

#[test]
fn name_and_description_can_be_given() {
    let tools = tools![renamed, described_by_a_file];
    assert_eq!(tools[0].name(), "orders.look-up");
    assert_eq!(tools[0].spec().description, "For the model.");
    assert_eq!(tools[0].spec().auth, Auth::Admin);
    assert!(tools[1].spec().description.starts_with("//! Calls tools as a platform would"));
    assert_eq!(tools[1].spec().auth, Auth::None);
}

const DESCRIPTION: &str = "By a constant.";

/// Describe arguments in all ways.
///
/// # Arguments
///
/// * `starred` - By a list item,
///   which goes on.
/// - dashed: By a bare name.
/// * `token` - Handed over by the host, for readers only.
///
/// # Panics
/// * `never` - really
#[tool(register = false)]
fn described(
    starred: u8,
    dashed: u8,
    token: platools::CancellationToken,
    /// By a comment
    /// of two lines.
    commented: u8,
    #[tool(description = "By an attribute.")] attributed: u8,
    #[tool(description = DESCRIPTION)] constant: u8,
    /** By a block. */
    block: u8,
    silent: u8,
) -> u8 {
    drop(token);
    starred + dashed + commented + attributed + constant + block + silent
}

#[test]
fn arguments_are_described_in_four_ways() {
    let tools = tools![described];
    let spec = tools[0].spec();
    assert_eq!(spec.description, "Describe arguments in all ways.");
    let properties = spec.input_schema["properties"].as_object().unwrap();
    let descriptions: Vec<_> =
        properties.iter().map(|(name, schema)| (name.as_str(), &schema["description"])).collect();
    assert_eq!(
        descriptions,
        [
            ("starred", &json!("By a list item, which goes on.")),
            ("dashed", &json!("By a bare name.")),
            ("commented", &json!("By a comment\nof two lines.")),
            ("attributed", &json!("By an attribute.")),
            ("constant", &json!("By a constant.")),
            ("block", &json!("By a block.")),
            ("silent", &Value::Null),
        ]
    );
}

/// Ring at a door.
#[tool(allow = ["no_return_schema", "unreachable_param"], register = false)]
async fn ring(#[tool(user_providable)] door_id: u32, #[tool(user_providable = false)] bell_id: Value) {
    let _ = (door_id, bell_id);
}

#[test]
fn what_the_doctor_is_told_is_in_the_declaration() {
    let tools = tools![ring];
    let spec = tools[0].spec();
    assert_eq!(spec.allowed, ["no_return_schema", "unreachable_param"]);
    let properties = &spec.input_schema["properties"];
    assert_eq!(properties["door_id"]["x-user-providable"], true);
    assert_eq!(properties["bell_id"], json!({"x-user-providable": false}));
}
