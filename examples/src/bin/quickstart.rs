//! A signed call, end to end, on this machine and with nothing to configure.
//!
//! An embedded development platform starts, a host with three tools connects to it, and the platform calls
//! one of them; then it is your turn. `--once` exits after the first calls.
//!
//! ```sh
//! cargo run -p examples --bin quickstart
//! ```

use std::collections::BTreeMap;
use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use platools::prelude::*;
use platools::protocol::Inbound;
use platools_dev::{CallReport, DevPlatform, Outcome, Tamper};
use serde_json::{Value, json};
use tokio::sync::mpsc;

/// What the shop sells, by order.
struct Shop {
    orders: BTreeMap<&'static str, &'static [(&'static str, u32)]>,
}

#[derive(Serialize, JsonSchema)]
struct Order {
    id: String,
    asked_by: String,
    lines: Vec<Line>,
}

#[derive(Serialize, JsonSchema)]
struct Line {
    article: &'static str,
    pieces: u32,
}

/// Look up one order by id.
#[tool(auth = "user", category = "orders", read_only, timeout = "5s")]
async fn lookup_order(
    ctx: CallContext,
    shop: State<Shop>,
    /// The order to look up, such as `ord-1042`.
    order_id: String,
) -> Result<Order, String> {
    let lines = shop.orders.get(order_id.as_str()).ok_or(format!("there is no order {order_id}"))?;
    let lines = lines.iter().map(|&(article, pieces)| Line { article, pieces }).collect();
    Ok(Order { id: order_id, asked_by: ctx.user_id().to_owned(), lines })
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Speed {
    Standard,
    Express,
}

/// Say what sending a parcel costs, in cents.
#[tool(category = "orders", read_only)]
async fn quote_shipping(
    /// The parcel's weight in grams.
    #[tool(range(min = 1, max = 31_500))]
    grams: u32,
    /// How soon it has to arrive.
    speed: Option<Speed>,
) -> u32 {
    let base = 390 + grams / 1_000 * 110;
    if matches!(speed, Some(Speed::Express)) { base * 2 } else { base }
}

/// Count the words of a text. A plain function: it runs on the blocking pool.
#[tool(read_only, idempotent)]
fn count_words(
    /// The text.
    #[tool(length(max = 100_000))]
    text: &str,
) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for word in text.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty()) {
        *counts.entry(word.to_lowercase()).or_default() += 1;
    }
    counts
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let once = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => false,
        ["--once"] => true,
        _ => {
            eprintln!("usage: quickstart [--once]");
            return ExitCode::from(2);
        }
    };
    if std::env::var_os("RUST_LOG").is_some() {
        platools::logging::init();
    }
    match run(once).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("quickstart: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(once: bool) -> Result<(), Box<dyn std::error::Error>> {
    let started = Instant::now();
    println!("{}", bold("A signed call, end to end"));

    let platform = DevPlatform::start().await?;
    step("platform", &format!("a development platform listens on {}", platform.base_url()));

    let shop = Shop { orders: [("ord-1042", &[("lamp", 2), ("bulb", 4)][..])].into() };
    let secret = platform.secret();
    let host = Platools::builder().url(platform.url()).secret(secret.expose()).state(shop).build()?;
    let names: Vec<String> = host.registry().iter().map(|tool| tool.name().to_owned()).collect();
    let handle = host.handle();
    let running = tokio::spawn(host.run_until(std::future::pending()));
    platform.wait_for_tool("lookup_order").await?;
    step("host", &format!("connected as entity `{}` with the tools {}", platform.entity(), names.join(", ")));

    let arguments = json!({"order_id": "ord-1042"});
    step("call", &format!("the platform calls lookup_order {arguments} for user usr_ada"));
    let report = platform.calling("lookup_order").arguments(arguments.clone()).user("usr_ada").send().await?;
    show_verification(&report);
    show_answer(&report, "error");
    if report.error().is_some() {
        return Err("the call should have been answered".into());
    }
    step("done", &format!("{} ms after the start", started.elapsed().as_millis()));

    step("attack", "the same call, with one argument changed on the way");
    let calling = platform.calling("lookup_order").arguments(arguments).tamper(Tamper::Arguments);
    show_answer(&calling.send().await?, "refused");

    if !once {
        converse(&platform, &names).await?;
    }
    handle.shutdown().await;
    running.await??;
    Ok(())
}

/// Shows what the host checked before the function ran, from the frame as it was sent.
fn show_verification(report: &CallReport) {
    let Ok(Inbound::ToolCall(call)) = Inbound::parse(&report.sent) else { return };
    let envelope = call.envelope();
    let text = |value: &Option<std::borrow::Cow<'_, str>>| value.as_deref().unwrap_or("-").to_owned();
    let signature = text(&envelope.signature);
    let line = |name: &str, what: &str| println!("               {} {what}", faint(&format!("{name:<10}")));
    println!("    {}   before anything ran", green("verified"));
    line("signature", &format!("{}…, HMAC-SHA256 of {} bytes", &signature[..16], report.signed_text().len()));
    line("timestamp", &format!("{}, at most 300 s old", text(&envelope.timestamp)));
    line("nonce", &format!("{}, never seen before", text(&envelope.nonce)));
    line("call id", &format!("{}, the frame's own", text(&envelope.call_id)));
    line(
        "scope",
        &format!("entity {}, environment {}", text(&envelope.entity_id), text(&envelope.environment_id)),
    );
}

/// Shows what came of a call; `failure` is what an answer that is no result is called.
fn show_answer(report: &CallReport, failure: &str) {
    match &report.outcome {
        Outcome::Result(value) => println!("    {}     {value}", green("answer")),
        Outcome::Error(error) => println!("    {} {error}", red(&format!("{failure:<10}"))),
        _ => println!("    {}", red("no answer in time")),
    }
    println!("    {}       {} µs there and back", faint("took"), report.latency.as_micros());
}

/// Calls what is typed, until Ctrl-C.
async fn converse(platform: &DevPlatform, tools: &[String]) -> Result<(), Box<dyn std::error::Error>> {
    println!();
    println!("{}", bold("Your turn"));
    println!("  The host stays up until Ctrl-C. Type a tool and its arguments, for example");
    println!("    lookup_order {{\"order_id\": \"ord-7\"}}");
    println!("    quote_shipping {{\"grams\": 2500, \"speed\": \"express\"}}");
    println!("    quote_shipping {{\"weight\": 2500}}");
    println!("    count_words {{\"text\": \"to be or not to be\"}}");
    println!("  or `tools` to see what there is. Its source is examples/src/bin/quickstart.rs.");
    let mut lines = read_lines();
    let mut stop = std::pin::pin!(tokio::signal::ctrl_c());
    loop {
        prompt()?;
        let line = tokio::select! {
            stopped = &mut stop => {
                println!();
                return Ok(stopped?);
            }
            // Without a terminal there is nothing to read, and the host stays up all the same.
            Some(line) = lines.recv() => line,
        };
        let (name, arguments) = line.trim().split_once(char::is_whitespace).unwrap_or((line.trim(), "{}"));
        match name {
            "" => {}
            "quit" | "exit" => return Ok(()),
            "tools" => platform.tools().iter().for_each(|tool| {
                println!("  {}  {}", bold(&tool.name), tool.description);
                println!("      {}", faint(&tool.input_schema.to_string()));
            }),
            name if !tools.iter().any(|tool| tool == name) => {
                println!("  there is no tool `{name}`; there are {}", tools.join(", "));
            }
            name => match serde_json::from_str::<Value>(arguments) {
                Ok(arguments) if arguments.is_object() => {
                    show_answer(&platform.call(name, arguments).await?, "error");
                }
                Ok(_) => println!(
                    "  the arguments have to be a JSON object, such as {{\"order_id\": \"ord-1042\"}}"
                ),
                Err(error) => println!("  the arguments are not JSON: {error}"),
            },
        }
    }
}

/// The lines of standard input, read by a thread that does not keep the program alive.
fn read_lines() -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel(16);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
        // The end of the input is not the end of the program: hold the channel open.
        std::thread::sleep(Duration::MAX);
    });
    receiver
}

fn prompt() -> std::io::Result<()> {
    if std::io::stdin().is_terminal() {
        print!("> ");
        std::io::stdout().flush()?;
    }
    Ok(())
}

fn step(name: &str, what: &str) {
    println!("  {} {what}", bold(&format!("{name:<10}")));
}

fn styled(code: &str, text: &str) -> String {
    if std::io::stdout().is_terminal() { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
}

fn bold(text: &str) -> String {
    styled("1", text)
}

fn faint(text: &str) -> String {
    styled("2", text)
}

fn green(text: &str) -> String {
    styled("32", text)
}

fn red(text: &str) -> String {
    styled("31", text)
}
