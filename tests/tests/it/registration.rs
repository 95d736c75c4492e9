//! What is declared to the platform, and what cannot be.

use std::time::{Duration, Instant};

use platools::prelude::*;
use platools::{Error, Tool, ToolSpec, tools};
use platools_dev::DevPlatform;
use serde_json::json;

use super::support::{Running, answer, builder, connected};

struct Database;

/// Needs a database.
#[tool(register = false)]
async fn needs_state(_database: State<Database>) {}

mod other {
    /// Another tool of the same name.
    #[platools::tool(register = false)]
    pub(super) async fn needs_state() {}
}

struct Counter {
    start: i64,
}

#[toolset]
impl Counter {
    /// Count on from the start.
    #[tool]
    async fn count(&self, by: i64) -> i64 {
        self.start + by
    }
}

fn small_tools(count: usize) -> impl Iterator<Item = Tool> {
    (0..count).map(|index| {
        let spec = ToolSpec::new(format!("tool_{index:05}"))
            .description("Does one small thing.")
            .input_schema(json!({
                "type": "object",
                "properties": {"id": {"type": "string", "description": "What to do it to."}},
                "required": ["id"],
                "additionalProperties": false,
            }));
        Tool::new(spec, |_| async { Ok(ToolOutput::null()) })
    })
}

#[tokio::test]
async fn the_built_in_ping_answers_the_wire_test_where_it_is_wanted() {
    let (platform, host) = connected().await;
    assert!(platform.tools().iter().all(|tool| tool.name != "ping"), "off by default");
    host.handle.shutdown().await;
    let _host = Running::start(builder(&platform).ping(true).build().unwrap());
    platform.wait_for_tool("ping").await.unwrap();
    for arguments in [json!({}), json!({"any": "parameter"})] {
        assert_eq!(answer(&platform, "ping", arguments).await["ok"], json!(true));
    }
    let own = platools::tool::ping();
    let twice = builder(&platform).tool(own).ping(true).build().unwrap_err().to_string();
    assert!(twice.contains("`ping`"), "{twice}");
}

#[tokio::test]
async fn a_tool_is_declared_with_all_that_was_said_about_it() {
    /// Cancel an order.
    #[tool(
        register = false,
        auth = "admin",
        roles = ["support"],
        category = "orders",
        title = "Cancel",
        destructive,
        read_only = false,
        annotations(team = "shop")
    )]
    async fn cancel(
        /// Which one.
        order_id: String,
        #[tool(range(min = 1), default = 1)] times: u8,
    ) -> Result<bool, String> {
        let _ = (order_id, times);
        Ok(true)
    }

    let platform = DevPlatform::start().await.unwrap();
    let host =
        Platools::builder().url(platform.url()).secret(platform.secret().expose()).tools(tools![cancel]);
    let _host = Running::start(host.build().unwrap());
    platform.wait_for_tool("cancel").await.unwrap();
    let tool = platform.tool("cancel").unwrap();
    assert_eq!((tool.description.as_str(), tool.auth.as_deref()), ("Cancel an order.", Some("admin")));
    assert_eq!(tool.roles, ["support"]);
    assert_eq!(tool.output_schema, Some(json!({"type": "boolean"})));
    assert_eq!(
        json!(tool.annotations),
        json!({
            "title": "Cancel", "category": "orders", "destructiveHint": true, "readOnlyHint": false, "team": "shop",
        })
    );
    assert_eq!(
        tool.input_schema,
        json!({
            "type": "object",
            "properties": {
                "order_id": {"type": "string", "description": "Which one."},
                "times": {"type": "integer", "minimum": 1, "maximum": 255, "default": 1},
            },
            "required": ["order_id"],
            "additionalProperties": false,
        })
    );
}

#[tokio::test]
async fn toolsets_can_be_there_several_times() {
    let platform = DevPlatform::start().await.unwrap();
    let host = builder(&platform)
        .toolset_with_prefix("small_", Counter { start: 10 })
        .toolset_with_prefix("large_", Counter { start: 1_000 });
    let _host = Running::start(host.build().unwrap());
    platform.wait_for_tool("large_count").await.unwrap();
    assert_eq!(answer(&platform, "small_count", json!({"by": 1})).await, json!(11));
    assert_eq!(answer(&platform, "large_count", json!({"by": 1})).await, json!(1_001));
    assert_eq!(answer(&platform, "add", json!({"a": 1, "b": 1})).await, json!(2), "beside the others");
}

#[tokio::test]
async fn ten_thousand_tools_are_registered() {
    let platform = DevPlatform::start().await.unwrap();
    let builder = Platools::builder().url(platform.url()).secret(platform.secret().expose());
    let started = Instant::now();
    let host = builder.tools(small_tools(10_000)).build().unwrap();
    assert!(started.elapsed() < Duration::from_secs(20), "a guard against a hang, not a measurement");
    let _host = Running::start(host);
    platform.wait_for_tool("tool_09999").await.unwrap();
    assert_eq!(platform.tools().len(), 10_000);
    assert_eq!(answer(&platform, "tool_00000", json!({})).await, json!({"ok": true}));
}

#[test]
fn what_cannot_be_declared_is_an_error_at_start() {
    let builder = || Platools::builder().url("ws://127.0.0.1:9/?entity=a").secret("0123456789abcdef");
    let error = builder().tools(tools![needs_state]).build().unwrap_err();
    assert!(matches!(error, Error::MissingState(_)));
    let text = error.to_string();
    assert!(
        text.contains("`needs_state`") && text.contains("Database") && text.contains(".state("),
        "{text}"
    );
    assert!(builder().tools(tools![needs_state]).state(Database).build().is_ok());

    let text = builder().tools(tools![needs_state, other::needs_state]).build().unwrap_err().to_string();
    assert_eq!(text.matches("registration.rs:").count(), 2, "both places: {text}");

    let large = ToolSpec::new("large").description("x".repeat(11 << 20));
    let large = Tool::new(large, |_| async { Ok(ToolOutput::null()) });
    let text = builder().tools([large]).build().unwrap_err().to_string();
    assert!(text.contains("11.0 MiB") && text.contains("`large`"), "{text}");
}
