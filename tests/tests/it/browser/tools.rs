//! Tools of all sorts, for a page that makes forms of their schemas.

use std::fmt::Write as _;
use std::time::Duration;

use platools::prelude::*;
use platools::tool::{Content, EmbeddedResource};
use platools::{Tool, ToolCall, ToolSpec, tools};
use serde_json::value::RawValue;
use serde_json::{Value, json};

/// The class of a seat.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Cabin {
    /// The usual one.
    Economy,
    /// With more room.
    Business,
}

/// Somebody who travels.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Passenger {
    /// As in the passport.
    #[schemars(length(min = 1, max = 60))]
    name: String,
    /// In years.
    #[schemars(range(min = 0, max = 120))]
    age: Option<u8>,
    /// Whether a meal without meat is wanted.
    #[serde(default)]
    vegetarian: bool,
}

/// How a trip is paid.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Payment {
    /// By card.
    #[schemars(title = "Card")]
    Card {
        /// The last four digits.
        #[schemars(regex(pattern = r"^\d{4}$"))]
        last_four: String,
    },
    /// By invoice.
    #[schemars(title = "Invoice")]
    Invoice {
        /// Who pays.
        company: String,
        /// The tax number.
        tax_number: Option<String>,
    },
}

/// Book a trip for one or more passengers, and answer with its itinerary.
#[tool(register = false, category = "travel", auth = "user", destructive)]
async fn book_trip(
    ctx: CallContext,
    /// Where to, as an airport's code.
    #[tool(length(min = 3, max = 3), pattern = "^[A-Z]{3}$")]
    destination: String,
    /// Who travels, at most four.
    #[tool(length(min = 1, max = 4))]
    passengers: Vec<Passenger>,
    /// How it is paid.
    payment: Payment,
    /// The class of all seats.
    #[tool(default = Cabin::Economy)]
    cabin: Cabin,
    /// The most it may cost, in euros.
    #[tool(range(min = 1, max = 20000))]
    budget: Option<f64>,
    /// A note for the crew.
    note: Option<String>,
) -> Value {
    json!({
        "booking": "PLT-4711",
        "destination": destination,
        "cabin": cabin,
        "legs": [
            {"from": "ZRH", "to": "FRA", "minutes": 65, "gate": null},
            {"from": "FRA", "to": destination, "minutes": 415, "gate": "B42"},
        ],
        "passengers": passengers,
        "payment": payment,
        "price": {"amount": budget.unwrap_or(1240.0), "currency": "EUR"},
        "note": note,
        "booked_by": ctx.user_id(),
    })
}

/// Add two whole numbers.
#[tool(register = false, category = "arithmetic", read_only, idempotent)]
async fn add(
    /// The one.
    a: i64,
    /// The other.
    b: i64,
) -> i64 {
    a + b
}

/// Draw the sales of a week as a chart.
#[tool(register = false, category = "reports", read_only)]
async fn sales_chart(
    /// How many days to show.
    #[tool(range(min = 2, max = 14), default = 7)]
    days: u32,
) -> Media {
    let mut bars = String::new();
    for day in 0..days {
        let height = 30 + (day * 53 + 17) % 90;
        let _ = write!(
            bars,
            "<rect x='{}' y='{}' width='24' height='{height}' rx='4' fill='#5b7cfa'/>",
            16 + day * 34,
            140 - height
        );
    }
    let width = 24 + days * 34;
    let picture = format!(
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width} 156' width='{}' height='312'>\
         <rect width='{width}' height='156' rx='10' fill='#f4f6fb'/>{bars}\
         <path d='M10 142H{}' stroke='#9aa5b8'/></svg>",
        width * 2,
        width - 10
    );
    Media::new("image/svg+xml", picture.into_bytes())
}

/// Write some paragraphs about nothing in particular.
#[tool(register = false, category = "text")]
async fn essay(
    /// How many paragraphs.
    #[tool(range(min = 1, max = 50), default = 3)]
    paragraphs: usize,
) -> String {
    let paragraph = "A tool host stands between an agent platform and the functions of a backend. It dials out, \
                     declares what it can do, and answers calls, each of which it verifies before anything runs.";
    vec![paragraph; paragraphs].join("\n\n")
}

/// Fail with a message that the model can act on.
#[tool(register = false, category = "trouble")]
async fn fail(
    /// What to say.
    message: String,
) -> Result<(), String> {
    Err(message)
}

/// Take some time.
#[tool(register = false, category = "trouble", timeout = "20s")]
async fn slow(
    /// How many milliseconds.
    #[tool(range(max = 15000))]
    ms: u64,
) -> u64 {
    tokio::time::sleep(Duration::from_millis(ms)).await;
    ms
}

/// Answer with a long text.
#[tool(register = false, category = "trouble")]
async fn huge(
    /// How many bytes.
    bytes: usize,
) -> String {
    "x".repeat(bytes)
}

/// Answer with lists in lists.
#[tool(register = false, category = "trouble")]
async fn deep(
    /// How many.
    levels: usize,
) -> Result<ToolOutput, ToolError> {
    let lists = format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    let lists = RawValue::from_string(lists).map_err(|error| ToolError::user(error.to_string()))?;
    ToolOutput::json(&lists)
}

/// Say who is calling.
#[tool(register = false, category = "identity", read_only)]
async fn whoami(ctx: CallContext) -> Value {
    json!({
        "user": ctx.user_id(),
        "agent": ctx.agent_id(),
        "thread": ctx.thread_id(),
        "has_user_token": ctx.user_token().is_some(),
        "context": ctx.context(),
    })
}

/// A tool that answers with its arguments.
fn echo(spec: ToolSpec) -> Tool {
    Tool::new(spec, |call: ToolCall| async move {
        let arguments: Value = call.arguments.parse()?;
        platools::ToolOutput::json(&arguments)
    })
}

/// What `lookup_order` is for, at length and in Markdown, with what must not become part of a page.
const ORDERS: &str = "Look up **one order** by its number, with its lines.

## When to use it

Use it when a customer names an order, as in *where is ord-1042*. Lines that are wrapped like
this one belong together.

1. Ask for the number if it is missing.
2. Say what `status` means:
   - `open`: nobody has packed it
   - `shipped`: see [the handbook](https://handbook.example/orders?a=1&b=2)

| status | meaning |
| --- | --- |
| open | not packed |
| shipped | on its way |

> Never guess a number.

```json
{\"order_id\": \"ord-1042\"}
```

<img src=x onerror=\"document.title='broken in'\"> and [a trap](javascript:alert(1)) stay text.";

/// Tools with titles, long descriptions, and answers of several parts.
fn told() -> Vec<Tool> {
    let order = json!({"type": "object", "required": ["order_id"], "properties": {
        "order_id": {"type": "string", "title": "Order number", "description": "As printed on the **invoice**, such as `ord-1042`."},
        "note": {"type": "string", "description": "What to tell the customer."},
        "reply": {"type": "string", "maxLength": 2000},
    }});
    let spec = ToolSpec::new("lookup_order").title("Order look-up").description(ORDERS).input_schema(order);
    let report = ToolSpec::new("report").description("Answer with text, a picture, sound and resources.");
    vec![
        echo(spec.annotation("readOnlyHint", true).annotation("category", "orders")),
        Tool::new(report, |_: ToolCall| async move {
            let picture = "<svg xmlns='http://www.w3.org/2000/svg' width='160' height='60'>\
                           <rect width='160' height='60' rx='8' fill='#5b7cfa'/></svg>";
            Ok(ToolOutput::content([
                Content::text("# The week\n\nSales went **up**."),
                Media::new("image/svg+xml", picture.as_bytes().to_vec()).into(),
                Media::new("audio/wav", silence()).into(),
                EmbeddedResource::text("orders://terms", "All sales are final.").into(),
                EmbeddedResource::bytes("orders://invoice.pdf", b"%PDF-1.7".to_vec()).into(),
            ]))
        }),
    ]
}

/// A tenth of a second of nothing, as a WAV file.
fn silence() -> Vec<u8> {
    let samples = [128; 800];
    let mut file = b"RIFF".to_vec();
    file.extend_from_slice(&(36 + samples.len() as u32).to_le_bytes());
    file.extend_from_slice(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    file.extend_from_slice(&8000_u32.to_le_bytes());
    file.extend_from_slice(&8000_u32.to_le_bytes());
    file.extend_from_slice(b"\x01\0\x08\0data");
    file.extend_from_slice(&(samples.len() as u32).to_le_bytes());
    file.extend_from_slice(&samples);
    file
}

/// Schemas as other hosts write them, and some that cannot be met.
fn odd() -> Vec<Tool> {
    let node = json!({"type": "object", "properties": {
        "label": {"type": "string"}, "children": {"type": "array", "items": {"$ref": "#/$defs/Node"}}}, "required": ["label"]});
    let shapes = json!({"type": "object", "$defs": {"Node": node}, "required": ["tree", "nothing"], "properties": {
        "tree": {"$ref": "#/$defs/Node"},
        "labels": {"type": "object", "additionalProperties": {"type": "integer"}},
        "pair": {"type": "array", "prefixItems": [{"type": "string"}, {"type": "number"}], "items": false},
        "either": {"anyOf": [{"type": "string"}, {"type": "integer"}, {"type": "null"}]},
        "nothing": {"type": ["string", "null"]},
        "any": true,
        "always": {"const": "v1"},
    }});
    let impossible = json!({"type": "object", "required": ["number", "text", "choice"], "properties": {
        "number": {"type": "integer", "minimum": 10, "maximum": 5},
        "text": {"type": "string", "minLength": 5, "maxLength": 2, "pattern": "([unclosed"},
        "choice": {"enum": []},
        "open": {"type": "number", "exclusiveMinimum": 1, "exclusiveMaximum": 1},
        "list": {"type": "array", "items": {"type": "string"}, "minItems": 4, "maxItems": 1},
        "never": false,
        "lost": {"$ref": "#/$defs/Nowhere"},
        "circle": {"$ref": "#/properties/circle"},
    }});
    let broken = json!({"type": "object", "required": ["e"], "properties": {
        "a": {"type": 5}, "b": {"enum": "x"}, "c": {"anyOf": 5}, "d": {"type": "array", "items": [1, 2]},
        "e": {"$ref": 5}, "f": {"allOf": "x"}, "g": {"type": "number", "minimum": "a"}, "h": null,
        "i": {"type": "string", "examples": "x"}, "fine": {"type": "string"},
    }});
    vec![
        echo(ToolSpec::new("broken").description("Declare what is no schema.").input_schema(broken)),
        echo(
            ToolSpec::new("shapes").description("Echo shapes that other hosts declare.").input_schema(shapes),
        ),
        echo(
            ToolSpec::new("impossible").description("Demand what no value can be.").input_schema(impossible),
        ),
    ]
}

pub(crate) fn all() -> Vec<Tool> {
    let mut all = tools![book_trip, add, sales_chart, essay, fail, slow, huge, deep, whoami];
    all.extend(odd());
    all.extend(told());
    all
}

/// Many tools.
pub(crate) fn crowd(count: usize) -> Vec<Tool> {
    (0..count)
        .map(|number| {
            let description = format!("One of many tools, with the number {number}.");
            echo(ToolSpec::new(format!("tool_{number:05}")).description(description))
        })
        .collect()
}
