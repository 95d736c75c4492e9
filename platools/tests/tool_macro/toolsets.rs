//! Methods as tools.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use platools::tool::Toolset;
use platools::{CallContext, State, tool, toolset};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::caller::{builder, call_in};

#[derive(Debug, Default)]
struct Orders {
    region: &'static str,
    calls: AtomicU32,
}

#[derive(Debug, Deserialize, JsonSchema)]
struct Filter {
    open: bool,
}

#[toolset]
impl Orders {
    const FIRST: u32 = 100;

    fn new(region: &'static str) -> Self {
        Orders { region, calls: AtomicU32::new(Self::FIRST) }
    }

    /// Look up one order by id.
    ///
    /// # Arguments
    /// * `order_id` - The order.
    #[tool(auth = "user", timeout = "5s")]
    async fn lookup(
        &self,
        ctx: CallContext,
        order_id: &str,
        #[tool(range(max = 9), default = 1)] limit: u32,
        #[tool(flatten)] filter: Filter,
    ) -> Result<Value, String> {
        tokio::task::yield_now().await;
        self.count();
        Ok(json!([self.region, ctx.user_id(), order_id, limit, filter.open]))
    }

    /// How many calls there were.
    #[tool(name = "calls", read_only)]
    fn calls(&self, offset: Option<u32>) -> u32 {
        self.calls.load(Ordering::Relaxed) + offset.unwrap_or_default()
    }

    /// Without a receiver.
    #[tool]
    fn version(db: State<u8>) -> u8 {
        *db
    }

    /// With a share of the toolset.
    #[tool]
    async fn shared(self: Arc<Self>) -> bool {
        Arc::strong_count(&self) > 1
    }

    /// With a receiver that spells out its type.
    #[tool]
    #[expect(clippy::needless_arbitrary_self_type, reason = "the test is about it")]
    async fn spelled(self: &Self) -> &'static str {
        self.region
    }

    /// Not a tool.
    fn count(&self) {
        self.calls.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn only_marked_methods_are_tools() {
    let tools = Arc::new(Orders::new("eu")).tools();
    let names: Vec<_> = tools.iter().map(|tool| tool.name().to_owned()).collect();
    assert_eq!(names, ["lookup", "calls", "version", "shared", "spelled"]);
    assert_eq!(tools[0].spec().input_schema["properties"]["order_id"]["description"], "The order.");
    let blocking: Vec<_> = tools.iter().map(platools::Tool::is_blocking).collect();
    assert_eq!(blocking, [false, true, true, false, false]);
    let location = tools[1].spec().location.unwrap();
    let line = include_str!("toolsets.rs").lines().nth(location.line as usize - 1).unwrap();
    assert!(line.contains("fn calls"), "{line}");
}

#[tokio::test]
async fn instances_keep_their_own_state_under_prefixes() {
    let host = || {
        let builder = builder().tools([]).state(3_u8);
        builder
            .toolset_with_prefix("eu_", Orders::new("eu"))
            .toolset_with_prefix("us_", Orders::new("us"))
            .toolset(Orders::new("all"))
            .build()
            .unwrap()
    };
    let lookup = json!({"order_id": "a", "open": true});
    for (name, region) in [("eu_lookup", "eu"), ("us_lookup", "us"), ("lookup", "all")] {
        let answer = call_in(host(), name, lookup.clone()).await;
        assert_eq!(answer, Ok(json!([region, "user-7", "a", 1, true])));
    }
    assert_eq!(call_in(host(), "eu_calls", json!({"offset": 1})).await, Ok(json!(101)));
    assert_eq!(call_in(host(), "version", json!({})).await, Ok(json!(3)));
    assert_eq!(call_in(host(), "us_shared", json!({})).await, Ok(json!(true)));
    assert_eq!(call_in(host(), "us_spelled", json!({})).await, Ok(json!("us")));
    let error = call_in(host(), "eu_lookup", json!({"order_id": "a", "open": true, "limit": 10})).await;
    assert!(error.unwrap_err().contains(" 9, got the number 10"));
}

#[test]
fn a_missing_state_names_the_tool_of_the_toolset() {
    let error =
        builder().tools([]).toolset_with_prefix("eu_", Orders::new("eu")).build().unwrap_err().to_string();
    assert!(error.contains("eu_version") && error.contains("u8"), "{error}");
}

trait Store: Send + Sync + 'static {
    fn name(&self) -> String;
}

struct Memory;

impl Store for Memory {
    fn name(&self) -> String {
        "memory".to_owned()
    }
}

struct Stored<S>(S);

#[toolset]
impl<S> Stored<S>
where
    S: Store,
{
    /// The name of the store.
    #[tool]
    async fn store(&self, #[tool(pattern = "^[a-z]*$")] suffix: &str) -> String {
        self.0.name() + suffix
    }
}

#[tokio::test]
async fn a_generic_type_can_be_a_toolset() {
    let host = builder().tools([]).toolset(Stored(Memory)).build().unwrap();
    assert_eq!(call_in(host, "store", json!({"suffix": "x"})).await, Ok(json!("memoryx")));
}
