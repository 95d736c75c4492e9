//! The door for programs.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use platools_upstream::{Bearer, Client, UpstreamError};
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;

use super::support::{GUARD, Server, TOKEN, local, within};

fn bearer() -> Bearer {
    Bearer::new(TOKEN).unwrap()
}

fn arguments(value: Value) -> Map<String, Value> {
    serde_json::from_value(value).unwrap()
}

#[tokio::test]
async fn tools_are_listed_and_called_over_http() {
    let (host, bearer) = (local(), bearer());
    let server = Server::start(&host).await;
    let client = within(Client::connect_http(&server.url, Some(&bearer))).await.unwrap();
    let tools = within(client.list_tools()).await.unwrap();
    let names: Vec<_> = tools.iter().map(|tool| tool.name.as_str()).collect();
    assert_eq!(names, ["add", "draw", "fork", "letters", "linger", "refuse", "variable"]);
    assert_eq!(tools[0].description, "Add two whole numbers.");
    assert_eq!(tools[0].input_schema["properties"]["a"]["type"], "integer");
    assert_eq!(
        (&tools[0].annotations["readOnlyHint"], &tools[0].annotations["title"]),
        (&json!(true), &json!("Adder"))
    );

    let sum =
        within(client.call_tool("add", arguments(json!({"a": 40, "b": 2})), GUARD)).await.unwrap().unwrap();
    assert_eq!(sum.to_value(), json!({"result": 42}));
    let refused = within(client.call_tool("refuse", Map::new(), GUARD)).await.unwrap().unwrap_err();
    assert_eq!(refused.to_string(), "there is none today");
    let wrong =
        within(client.call_tool("add", arguments(json!({"a": 1})), GUARD)).await.unwrap().unwrap_err();
    assert!(wrong.to_string().contains("`b` is missing"), "{wrong}");
    let drawn = within(client.call_tool("draw", Map::new(), GUARD)).await.unwrap().unwrap();
    assert_eq!(drawn.as_content().unwrap().len(), 2);
    let unknown = within(client.call_tool("ad", Map::new(), GUARD)).await.unwrap_err();
    assert!(
        matches!(&unknown, UpstreamError::Rejected { message, .. } if message.contains("did you mean `add`"))
    );
    within(client.close()).await;
    within(server.stop()).await;
}

#[tokio::test]
async fn a_call_that_takes_too_long_is_taken_back() {
    let (host, bearer) = (local(), bearer());
    let server = Server::start(&host).await;
    let client = within(Client::connect_http(&server.url, Some(&bearer))).await.unwrap();
    let time = Duration::from_millis(300);
    let error = within(client.call_tool("linger", Map::new(), time)).await.unwrap_err();
    assert_eq!(error, UpstreamError::Timeout(time));
    within(async {
        while host.in_flight() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn who_is_not_there_refuses_or_is_no_mcp_server_is_told_apart() {
    let server = Server::start(&local()).await;
    let wrong = Bearer::new("s3cret-and-not-the-right-one").unwrap();
    let error = within(Client::connect_http(&server.url, Some(&wrong))).await.unwrap_err();
    assert!(matches!(error, UpstreamError::Refused(_)), "{error:?}");
    assert!(!error.to_string().contains("s3cret"), "{error}");

    let other_path = format!("http://{}/elsewhere?key=s3cret", server.address);
    let error = within(Client::connect_http(&other_path, Some(&bearer()))).await.unwrap_err();
    assert!(matches!(error, UpstreamError::NotMcp(_)), "{error:?}");
    assert!(!error.to_string().contains("s3cret"), "{error}");

    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let error = within(Client::connect_http(&format!("http://{free}/?key=s3cret"), None)).await.unwrap_err();
    assert!(matches!(error, UpstreamError::Unreachable(_)), "{error:?}");
    assert!(!error.to_string().contains("s3cret"), "{error}");

    let unwell = move || async move { (axum::http::StatusCode::SERVICE_UNAVAILABLE, "later") };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(unwell)).await });
    let error = within(Client::connect_http(&url, None)).await.unwrap_err();
    assert_eq!(error, UpstreamError::Unwell(503));

    for (kind, body) in [("text/html", "<html>"), ("application/json", "{}"), ("application/json", "[")] {
        let page = move || async move { ([("content-type", kind)], body) };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, Router::new().fallback(page)).await });
        let error = within(Client::connect_http(&url, None)).await.unwrap_err();
        assert!(matches!(error, UpstreamError::NotMcp(_)), "{kind} {body}: {error:?}");
    }
}

/// A log that can be read afterwards.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_key_in_a_url_stays_out_of_the_log() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber =
        tracing_subscriber::fmt().with_max_level(tracing::Level::INFO).with_writer(move || writer.clone());
    let _guard = tracing::subscriber::set_default(subscriber.finish());
    let server = Server::start(&local()).await;
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    for address in [free, server.address] {
        let url = format!("http://{address}/mcp?key=s3cret");
        within(Client::connect_http(&url, None)).await.unwrap_err();
    }
    within(server.stop()).await;
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("worker quit"), "the library says what went wrong: {log}");
    assert!(!log.contains("s3cret"), "{log}");
}
