//! Tools whose arguments and results have all sorts of shapes.

use platools::prelude::*;

/// An order.
#[derive(Serialize, JsonSchema)]
struct Order {
    id: String,
    lines: Vec<Line>,
    note: Option<String>,
}

/// One line of an order.
#[derive(Serialize, JsonSchema)]
struct Line {
    article: String,
    #[schemars(range(min = 1))]
    pieces: u32,
}

/// A folder, with what is in it.
#[derive(Serialize, JsonSchema)]
struct Folder {
    name: String,
    folders: Vec<Folder>,
}

/// Who is calling.
#[derive(Serialize, JsonSchema)]
struct Caller {
    subject: Option<String>,
    source: Option<String>,
    traceparent: Option<String>,
    entity_token: Option<String>,
}

/// Add two whole numbers.
#[tool(title = "Addition", read_only, idempotent)]
async fn add(a: i64, b: i64) -> Result<i64, &'static str> {
    a.checked_add(b).ok_or("the sum does not fit into 64 bits")
}

/// Look up one order by id.
#[tool(category = "orders", read_only)]
async fn lookup_order(
    /// The order to look up, such as `ord-1042`.
    #[tool(length(min = 1, max = 40))]
    order_id: String,
) -> Result<Order, String> {
    if order_id != "ord-1042" {
        return Err(format!("there is no order {order_id}"));
    }
    let lines = vec![Line { article: "naïve ☕ 🚀".to_owned(), pieces: 3 }];
    Ok(Order { id: order_id, lines, note: None })
}

/// Make folders within folders.
#[tool]
fn folders(
    /// How deep they are.
    #[tool(range(max = 8))]
    depth: u8,
) -> Vec<Folder> {
    (0..depth).map(|depth| Folder { name: format!("folder {depth}"), folders: folders(depth) }).collect()
}

/// Answer with a long text.
#[tool]
async fn lines(
    /// How many lines.
    #[tool(range(max = 1_000_000))]
    count: u32,
) -> ToolOutput {
    let lines: Vec<_> = (0..count).map(|line| format!("line {line}")).collect();
    ToolOutput::text(lines.join("\n"))
}

/// Say how many characters a text has.
#[tool]
async fn length(text: &str) -> usize {
    text.chars().count()
}

/// Say who is calling, verified or not.
#[tool]
async fn whoami(ctx: CallContext, identity: Option<Identity>) -> Caller {
    Caller {
        subject: identity.map(|identity| identity.subject().to_owned()),
        source: ctx.source().map(str::to_owned),
        traceparent: ctx.traceparent().map(str::to_owned),
        entity_token: ctx.entity_token().map(str::to_owned),
    }
}

/// Say which user is calling.
#[tool(auth = "user")]
async fn account(identity: Identity) -> String {
    identity.subject().to_owned()
}
