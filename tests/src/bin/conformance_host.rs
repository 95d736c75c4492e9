//! A host with a known set of tools, for wire-level tests by any platform.
//!
//! Configured by `PLATOS_URL`, `PLATOS_SECRET` or `PLATOS_SECRET_FILE`, `PLATOS_ENTITY`, `PLATOS_ENV`,
//! `PLATOOLS_STATE_DIR` and `PLATOOLS_HEARTBEAT_INTERVAL`; joins a fleet if `PLATOOLS_FLEET` is set; logs to standard error as `RUST_LOG` says.

use std::time::Duration;

use platools::prelude::*;
use platools_fleet::Fleet;
use serde_json::{Value, json};

/// Look up one order by id.
#[tool(auth = "user", roles = ["support", "admin"], category = "orders")]
async fn lookup_order(
    ctx: CallContext,
    /// The order to look up.
    order_id: String,
    /// How many of it.
    quantity: i64,
    /// Whether it is a gift.
    #[tool(default = false)]
    gift: bool,
    /// A note for the packer.
    note: Option<String>,
) -> Value {
    let _ = note;
    json!({
        "received": {"order_id": order_id, "quantity": quantity, "gift": gift},
        "scope": {
            "organizationId": ctx.organization_id(),
            "projectId": ctx.project_id(),
            "environmentId": ctx.environment_id(),
        },
    })
}

/// Add two whole numbers.
#[tool]
async fn add(a: i64, b: i64, #[tool(default = "")] note: String) -> Result<i64, &'static str> {
    let _ = note;
    a.checked_add(b).ok_or("the sum does not fit into 64 bits")
}

/// Wait for some milliseconds.
#[tool(timeout = "5s")]
async fn sleep(ms: u64) -> u64 {
    tokio::time::sleep(Duration::from_millis(ms)).await;
    ms
}

/// Block a thread for some milliseconds.
#[tool]
fn block(ms: u64) -> u64 {
    std::thread::sleep(Duration::from_millis(ms));
    ms
}

/// Fail with a message for the caller.
#[tool]
async fn fail(message: String) -> Result<(), String> {
    Err(message)
}

/// Panic.
#[tool]
async fn panic() {
    panic!("this tool panics")
}

/// Answer with a long text.
#[tool]
async fn huge(
    /// How many bytes.
    bytes: usize,
) -> Result<String, &'static str> {
    // More than a machine has would end the process, not the call.
    if bytes > 1 << 30 { Err("at most 1 GiB") } else { Ok("x".repeat(bytes)) }
}

/// Answer 1, at most five times a second.
#[tool(rate_limit = "5/s")]
async fn limited() -> u8 {
    1
}

/// Say who is calling.
#[tool]
async fn whoami(ctx: CallContext) -> Value {
    json!({
        "organizationId": ctx.organization_id(),
        "projectId": ctx.project_id(),
        "environmentId": ctx.environment_id(),
        "entityId": ctx.entity_id(),
        "userId": ctx.user_id(),
        "agentId": ctx.agent_id(),
        "threadId": ctx.thread_id(),
        "callId": ctx.call_id(),
        "timestamp": ctx.timestamp(),
        "hasUserToken": ctx.user_token().is_some(),
        "hasEntityToken": ctx.entity_token().is_some(),
        "entityIds": ctx.entity_ids(),
        "context": ctx.context(),
    })
}

#[tokio::main]
async fn main() -> platools::Result<()> {
    platools::logging::init();
    let mut host = Platools::from_env()?;
    if let Some(fleet) = Fleet::from_env_if_set()? {
        host = host.coordinator(fleet);
    }
    host.run().await
}
