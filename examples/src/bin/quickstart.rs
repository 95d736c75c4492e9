//! A signed call, end to end, on this machine and without configuration.
//!
//! An embedded development platform starts, a host with three tools connects to it, and the platform calls
//! one of them; then it is your turn. `--once` exits after the first calls.
//!
//! ```sh
//! cargo run -p examples --bin quickstart
//! ```

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use platools::prelude::*;
use platools::wire::Inbound;
use platools_dev::{CallReport, DevPlatform, Outcome, Tamper};
use serde_json::{Value, json};
use tokio::sync::mpsc;

const USAGE: &str = "usage: quickstart [--once]

A signed call, end to end, on this machine and without configuration.

  --once  exit after the first calls";

/// The shop's orders.
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

/// Return the price of sending a parcel, in cents.
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
    // Read by hand: a library for it would make the first build a tenth longer.
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let once = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => false,
        ["--once"] => true,
        ["--help" | "-h"] => return said(say(USAGE).map_err(Into::into)),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    if std::env::var_os("RUST_LOG").is_some() {
        platools::logging::init();
    }
    said(run(once).await)
}

fn said(result: Result<(), Box<dyn std::error::Error>>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read the output has seen enough, as in `quickstart --once | head`.
        Err(error) if is_broken_pipe(&*error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("quickstart: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(once: bool) -> Result<(), Box<dyn std::error::Error>> {
    let started = Instant::now();
    say(&bold("A signed call, end to end"))?;

    let platform = DevPlatform::start().await?;
    step("platform", &format!("a development platform listens on {}", platform.base_url()))?;

    let shop = Shop { orders: [("ord-1042", &[("lamp", 2), ("bulb", 4)][..])].into() };
    let secret = platform.secret();
    let host = Platools::builder().url(platform.url()).secret(secret.expose()).state(shop).build()?;
    let names: Vec<String> = host.tools().list().iter().map(|tool| tool.name().to_owned()).collect();
    let handle = host.handle();
    let running = tokio::spawn(host.run_until(std::future::pending()));
    platform.wait_for_tool("lookup_order").await?;
    step(
        "host",
        &format!("connected as entity `{}` with the tools {}", platform.entity(), names.join(", ")),
    )?;

    let arguments = json!({"order_id": "ord-1042"});
    step("call", &format!("the platform calls lookup_order {arguments} for user usr_ada"))?;
    let report = platform.calling("lookup_order").arguments(arguments.clone()).user("usr_ada").send().await?;
    show_verification(&report)?;
    show_answer(&report, "error")?;
    if report.error().is_some() {
        return Err("the call should have been answered".into());
    }
    step("attack", "the same call, with one argument changed on the way")?;
    let calling = platform.calling("lookup_order").arguments(arguments).tamper(Tamper::Arguments);
    show_answer(&calling.send().await?, "refused")?;
    step("done", &format!("{} ms after the start", started.elapsed().as_millis()))?;

    if !once {
        converse(&platform, &names).await?;
    }
    handle.shutdown().await;
    running.await??;
    Ok(())
}

/// Prints what the host checked before the function ran, read from the frame that was sent.
fn show_verification(report: &CallReport) -> io::Result<()> {
    let Ok(Inbound::ToolCall(call)) = Inbound::parse(&report.sent) else { return Ok(()) };
    let envelope = call.envelope();
    let text = |value: &Option<Cow<'_, str>>| value.as_deref().unwrap_or("-").to_owned();
    let signature: String = text(&envelope.signature).chars().take(16).collect();
    say(&format!("    {}   before anything ran", green("verified")))?;
    for (name, what) in [
        ("signature", format!("{signature}…, HMAC-SHA256 of {} bytes", report.signed_text().len())),
        ("timestamp", format!("{}, at most 300 s old", text(&envelope.timestamp))),
        ("nonce", format!("{}, never seen before", text(&envelope.nonce))),
        ("call id", format!("{}, the frame's own", text(&envelope.call_id))),
        (
            "scope",
            format!("entity {}, environment {}", text(&envelope.entity_id), text(&envelope.environment_id)),
        ),
    ] {
        say(&format!("               {} {what}", faint(&format!("{name:<10}"))))?;
    }
    Ok(())
}

/// Prints the outcome of a call; `failure` labels an error.
fn show_answer(report: &CallReport, failure: &str) -> io::Result<()> {
    match &report.outcome {
        Outcome::Result(value) => say(&format!("    {}     {value}", green("answer")))?,
        Outcome::Error(error) => say(&format!("    {} {error}", red(&format!("{failure:<10}"))))?,
        _ => say(&format!("    {}", red("no answer in time")))?,
    }
    say(&format!("    {}       {} µs there and back", faint("took"), report.latency.as_micros()))
}

const TURN: &str = "
  The host stays up until Ctrl-C. Type a tool and its arguments, for example
    lookup_order {\"order_id\": \"ord-1042\"}
    quote_shipping {\"grams\": 2500, \"speed\": \"express\"}
    count_words {\"text\": \"to be or not to be\"}
  or a call that is refused, and says why:
    lookup_order {\"order_id\": \"ord-7\"}
    quote_shipping {\"weight\": 2500}
  or `tools` for the list of tools. The source is examples/src/bin/quickstart.rs.";

/// Reads calls from standard input until Ctrl-C.
async fn converse(platform: &DevPlatform, tools: &[String]) -> Result<(), Box<dyn std::error::Error>> {
    say(&format!("\n{}{TURN}", bold("Your turn")))?;
    say(&format!("  The same in a browser, by a link that works once: {}", platform.playground_url()))?;
    let mut lines = read_lines();
    let mut stop = std::pin::pin!(tokio::signal::ctrl_c());
    loop {
        prompt()?;
        let line = tokio::select! {
            stopped = &mut stop => {
                say("")?;
                return Ok(stopped?);
            }
            // Without a terminal there is nothing to read, and the host stays up all the same.
            Some(line) = lines.recv() => line,
        };
        let (name, arguments) = line.trim().split_once(char::is_whitespace).unwrap_or((line.trim(), "{}"));
        match name {
            "" => {}
            "quit" | "exit" => return Ok(()),
            "tools" => {
                for tool in platform.tools() {
                    say(&format!("  {}  {}", bold(&tool.name), tool.description))?;
                    say(&format!("      {}", faint(&tool.input_schema.to_string())))?;
                }
            }
            name if !tools.iter().any(|tool| tool == name) => {
                say(&format!("  there is no tool `{name}`; there are {}", tools.join(", ")))?;
            }
            name => match serde_json::from_str::<Value>(arguments) {
                Ok(arguments) if arguments.is_object() => {
                    let calling = platform.calling(name).arguments(arguments).user("usr_ada");
                    show_answer(&calling.send().await?, "error")?;
                }
                _ => say("  the arguments have to be a JSON object, such as {\"order_id\": \"ord-1042\"}")?,
            },
        }
    }
}

/// Reads lines of standard input on a thread that does not keep the program alive.
fn read_lines() -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel(16);
    std::thread::spawn(move || {
        let mut input = io::stdin().lock();
        let mut line = Vec::new();
        while input.read_until(b'\n', &mut line).is_ok_and(|bytes| bytes > 0) {
            if sender.blocking_send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                return;
            }
            line.clear();
        }
        if io::stdin().is_terminal() {
            // Ctrl-D on a terminal means that this was all.
            let _ = sender.blocking_send("quit".to_owned());
        }
        // Elsewhere the end of the input is not the end of the program: hold the channel open.
        std::thread::sleep(Duration::MAX);
    });
    receiver
}

fn prompt() -> io::Result<()> {
    if io::stdin().is_terminal() {
        print!("> ");
        io::stdout().flush()?;
    }
    Ok(())
}

/// Writes one line, without its colours where none are shown; a closed pipe is an error, not a panic.
fn say(line: &str) -> io::Result<()> {
    writeln!(anstream::stdout(), "{line}")
}

fn is_broken_pipe(error: &(dyn std::error::Error + 'static)) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

fn step(name: &str, what: &str) -> io::Result<()> {
    say(&format!("  {} {what}", bold(&format!("{name:<10}"))))
}

fn styled(code: &str, text: &str) -> String {
    format!("\x1b[{code}m{text}\x1b[0m")
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
