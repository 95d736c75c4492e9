//! `list` and `call` with the URL of an MCP server.

use platools::{Platools, Tool, tools};
use platools_mcp::McpServer;
use serde_json::json;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::support::{Dev, add, hang, refuse, run, verbatim};

const TOKEN: &str = "a-token-of-24-characters";

struct Served {
    url: String,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Served {
    async fn start() -> Self {
        Self::with(tools![add, hang, refuse]).await
    }

    async fn with(tools: impl IntoIterator<Item = Tool>) -> Self {
        let local = Platools::builder().tools(tools).build_local().unwrap();
        let listener =
            McpServer::new(local.door()).http(TOKEN).unwrap().bind(("127.0.0.1", 0)).await.unwrap();
        let (url, (stop, stopped)) = (listener.url(), oneshot::channel());
        let stopped = async {
            let _ = stopped.await;
        };
        Self { url, stop, task: tokio::spawn(listener.serve_until(stopped)) }
    }

    async fn stop(self) {
        self.stop.send(()).unwrap();
        self.task.await.unwrap();
    }
}

#[tokio::test]
async fn tools_of_an_mcp_server_are_listed_and_called() {
    let server = Served::start().await;
    let token = [("PLATOOLS_SERVE_TOKEN", TOKEN)];
    let url = format!("--url={}", server.url);
    let ran = run(&["list", &url], &token).await;
    let lines: Vec<&str> = ran.out.lines().collect();
    assert_eq!((ran.code, lines.len()), (0, 3), "{ran:?}");
    assert!(lines[0].starts_with("add ") && lines[0].contains("Add two whole numbers."), "{ran:?}");
    let tools = run(&["list", "NUMBERS add", "--json", &url], &token).await.json();
    assert_eq!(tools.as_array().unwrap().len(), 1);
    assert_eq!(tools[0]["input_schema"]["required"], json!(["a", "b"]));
    assert_eq!(tools[0]["annotations"]["readOnlyHint"], true);
    assert!(run(&["list", "nothing", &url], &token).await.errors.contains("no tool has these words"));

    let ran = run(&["call", "add", "--params", r#"{"a": 2, "b": 40}"#, &url, "--token", TOKEN], &[]).await;
    // As a development platform prints it, although MCP has objects only.
    assert_eq!((ran.code, ran.out.as_str()), (0, "42\n"), "{ran:?}");
    let called = run(&["call", "add", "-p", r#"{"a": 2, "b": 40}"#, "--json", &url], &token).await.json();
    assert_eq!((&called["outcome"], &called["result"]), (&json!("result"), &json!(42)));
    assert!(called["latency_ms"].as_f64().unwrap() > 0.0);
    server.stop().await;
}

#[tokio::test]
async fn what_goes_wrong_with_an_mcp_server_is_said() {
    let server = Served::start().await;
    let token = [("PLATOOLS_SERVE_TOKEN", TOKEN)];
    let url = format!("--url={}", server.url);
    run(&["call", "refuse", &url], &token).await.failed(1, "not today");
    run(&["call", "add", "--params", r#"{"a": 1}"#, &url], &token).await.failed(1, "`b` is missing");
    run(&["call", "hang", "--timeout", "50ms", &url], &token).await.failed(1, "no answer within 50ms");
    let ran = run(&["call", "hang", "--timeout", "50ms", "--json", &url], &token).await;
    assert_eq!((ran.code, &ran.json()["outcome"]), (1, &json!("timed_out")));
    let ran = run(&["call", "refuse", "--json", &url], &token).await;
    assert_eq!((ran.code, &ran.json()["message"]), (1, &json!("not today")));
    for (arguments, message) in [
        (&["call", "ad", &url][..], "there is no tool `ad`; did you mean `add`?"),
        (&["call", "add", "--user", "ada", &url], "an MCP server says itself who is calling"),
        (&["list", "--entity", "local", &url], "an MCP server has no entities: leave out --entity"),
        (&["list", &url, "--token", "wrong"], "check the bearer token, in --token or PLATOOLS_SERVE_TOKEN"),
        (&["list", &url, "--token", "wr ong"], "the bearer token has a space"),
        (&["list", &format!("{url}/other")], "HTTP status 404"),
        (&["list", "--url", "http://192.0.2.1/mcp"], "is not encrypted"),
    ] {
        run(arguments, &token).await.failed(2, message);
    }
    // The token of a platform is not for an MCP server.
    let ran = run(&["list", &url], &[("PLATOOLS_DEV_TOKEN", TOKEN)]).await;
    ran.failed(2, "refuses access (401)");
    server.stop().await;
}

#[tokio::test]
async fn a_result_prints_the_same_over_mcp_and_over_the_connection() {
    let server = Served::with(tools![verbatim]).await;
    let mut dev = Dev::start(&[]).await;
    let host = dev.connect("local").await;
    let token = [("PLATOOLS_SERVE_TOKEN", TOKEN)];
    let url = format!("--url={}", server.url);
    for result in
        [r#""two\nlines""#, "42", "1.5", "null", "[1, [2]]", r#"{"b": 1, "a": {"text": "ü"}}"#, "[]", "{}"]
    {
        let params = format!("--params={}", json!({"text": result}));
        let over_mcp = run(&["call", "verbatim", &params, &url], &token).await;
        let over_platform = dev.run(&["call", "verbatim", &params]).await;
        assert_eq!(over_mcp.code, 0, "{over_mcp:?}");
        assert_eq!(over_mcp.out, over_platform.out, "{result}");
    }
    host.stop().await;
    dev.stop().await;
    server.stop().await;
}
