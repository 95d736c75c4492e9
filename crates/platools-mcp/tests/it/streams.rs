//! On streams: what a client that starts the program sees.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::Duration;

use platools::CallContext;
use platools_mcp::McpServer;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::time::timeout;

use super::support::{Client, another, assert_let_go, bench, initialize, settle};

#[tokio::test]
async fn every_version_with_a_handshake_is_spoken() {
    let bench = bench();
    for version in ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"] {
        let mut client =
            Client::new(McpServer::new(bench.local.door()).name("orders").version("7").title("Orders"));
        client.send(&initialize(version)).await;
        let result = client.next().await["result"].clone();
        assert_eq!(result["protocolVersion"], version);
        assert_eq!(result["serverInfo"], json!({"name": "orders", "version": "7", "title": "Orders"}));
        assert_eq!(result["capabilities"]["tools"], json!({"listChanged": true}));
    }
    for version in ["2027-01-01", "tomorrow", "2026-07-28"] {
        let mut client = Client::new(McpServer::new(bench.local.door()));
        client.send(&initialize(version)).await;
        assert_eq!(client.next().await["result"]["protocolVersion"], "2025-11-25", "{version}");
    }
}

#[tokio::test]
async fn the_newest_version_needs_no_handshake() {
    let bench = bench();
    let mut client = Client::new(McpServer::new(bench.local.door()));
    let params = json!({"name": "add", "arguments": {"a": 1, "b": 2}, "_meta": newest()});
    client.request(1, "tools/call", params).await;
    let answer = client.next().await;
    assert_eq!(answer["result"]["structuredContent"], json!({"sum": 3}), "{answer}");
    assert_eq!(answer["result"]["resultType"], "complete");
}

fn newest() -> Value {
    json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    })
}

#[tokio::test]
async fn without_a_handshake_each_request_names_its_version() {
    let bench = bench();
    let mut client = Client::new(McpServer::new(bench.local.door()));
    let call = |meta: Value| json!({"name": "add", "arguments": {"a": 1, "b": 2}, "_meta": meta});
    client.request(1, "tools/call", call(newest())).await;
    assert_eq!(client.next().await["result"]["resultType"], "complete");
    let mut unknown = newest();
    unknown["io.modelcontextprotocol/protocolVersion"] = json!("2027-01-01");
    for (method, meta, code) in [
        ("tools/call", json!({}), -32602),
        ("tools/list", json!({}), -32602),
        ("tools/call", unknown.clone(), -32022),
        ("tools/list", unknown, -32022),
    ] {
        let params = if method == "tools/call" { call(meta) } else { json!({"_meta": meta}) };
        client.request(2, method, params).await;
        let refused = client.next().await;
        assert_eq!((&refused["id"], &refused["error"]["code"]), (&json!(2), &json!(code)), "{refused}");
    }
}

#[tokio::test]
async fn a_subscription_hears_of_changes_until_the_end_of_input() {
    let bench = bench();
    let mut client = Client::new(McpServer::new(bench.local.door()));
    let params = json!({"notifications": {"toolsListChanged": true}, "_meta": newest()});
    client.request("s", "subscriptions/listen", params).await;
    assert_eq!(client.next().await["method"], "notifications/subscriptions/acknowledged");
    bench.local.tools().insert(another("more")).unwrap();
    assert_eq!(client.next().await["method"], "notifications/tools/list_changed");
    client.writer.take().unwrap().shutdown().await.unwrap();
    let end = client.next().await;
    assert_eq!((&end["id"], &end["result"]["resultType"]), (&json!("s"), &json!("complete")), "{end}");
    assert_eq!(client.next_or_end().await, None);
    client.ended().await.unwrap();
}

#[tokio::test]
async fn a_client_that_does_not_wait_for_the_handshake_has_its_answer_first() {
    let bench = bench();
    let mut client = Client::new(McpServer::new(bench.local.door()));
    let params = json!({"name": "add", "arguments": {"a": 1, "b": 2}});
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params});
    // JSON permits the escape, and some libraries write it.
    let call = call.to_string().replace("tools/call", "tools\\/call");
    client.line(&format!("{}\n{call}", initialize("2025-06-18"))).await;
    assert_eq!(client.next().await["id"], "init");
    let answer = client.next().await;
    assert_eq!((&answer["id"], &answer["result"]["isError"]), (&json!(1), &json!(false)), "{answer}");
}

#[tokio::test]
async fn a_tool_is_declared_with_all_that_is_known_about_it() {
    let bench = bench();
    let mut client = Client::begun(McpServer::new(bench.local.door())).await;
    client.request(1, "tools/list", json!({})).await;
    let tools = client.next().await["result"]["tools"].clone();
    let declared = |name: &str| tools.as_array().unwrap().iter().find(|tool| tool["name"] == name).unwrap();
    let add = declared("add");
    assert_eq!(add["title"], "Addition");
    assert_eq!(add["description"], "Add two whole numbers.");
    let hints = json!({"title": "Addition", "readOnlyHint": true, "idempotentHint": true});
    assert_eq!(add["annotations"], hints);
    assert_eq!(add["inputSchema"]["required"], json!(["a", "b"]));
    assert_eq!(add["outputSchema"]["required"], json!(["sum"]));
    assert_eq!(declared("count")["outputSchema"]["properties"]["result"]["type"], "integer");
    assert_eq!(declared("explode").get("annotations"), None);
}

#[tokio::test]
async fn pages_follow_each_other_and_changes_are_told() {
    let bench = bench();
    let mut client = Client::begun(McpServer::new(bench.local.door()).page_size(3)).await;
    let mut names = Vec::new();
    let mut cursor = Value::Null;
    loop {
        let params = if cursor.is_null() { json!({}) } else { json!({"cursor": cursor}) };
        client.request(1, "tools/list", params).await;
        let result = client.next().await["result"].clone();
        let page: Vec<_> =
            result["tools"].as_array().unwrap().iter().map(|tool| tool["name"].clone()).collect();
        assert!(page.len() <= 3);
        names.extend(page);
        match result.get("nextCursor") {
            Some(next) => cursor = next.clone(),
            None => break,
        }
    }
    let all: Vec<Value> = bench.local.tools().list().iter().map(|tool| tool.name().into()).collect();
    assert_eq!(names, all);

    client.request(2, "tools/list", json!({"cursor": "???"})).await;
    assert_eq!(client.next().await["error"]["code"], -32602);

    // Whoever has answered a request has begun to listen for changes.
    bench.local.tools().insert(another("more")).unwrap();
    assert_eq!(client.next().await["method"], "notifications/tools/list_changed");
    assert_eq!(client.result_of("more", json!({})).await["content"][0]["text"], "more");
    bench.local.tools().enable("more", false);
    assert_eq!(client.next().await["method"], "notifications/tools/list_changed");
    client.call(3, "more", json!({})).await;
    assert_eq!(client.next().await["error"]["code"], -32602);
}

#[tokio::test]
async fn results_come_as_text_structure_and_media() {
    let bench = bench();
    let mut client = Client::begun(McpServer::new(bench.local.door())).await;
    let sum = client.result_of("add", json!({"a": 1, "b": 2})).await;
    assert_eq!(sum["structuredContent"], json!({"sum": 3}));
    assert_eq!(sum["content"], json!([{"type": "text", "text": "{\"sum\":3}"}]));
    assert_eq!(sum["isError"], false);
    let count = client.result_of("count", json!({"text": "äöü"})).await;
    assert_eq!(count["structuredContent"], json!({"result": 3}));
    let hello = client.result_of("hello", json!({"name": "Ada"})).await;
    assert_eq!(hello["content"][0]["text"], "hello \"Ada\"");
    assert_eq!(hello["structuredContent"], json!({"result": "hello \"Ada\""}));
    let drawn = client.result_of("draw", json!({})).await;
    assert_eq!(drawn["content"][1], json!({"type": "image", "mimeType": "image/png", "data": "AQ=="}));
}

#[tokio::test]
async fn failures_are_results_that_a_model_can_read() {
    let bench = bench();
    let mut client = Client::begun(McpServer::new(bench.local.door())).await;
    let text = |result: &Value| {
        assert_eq!(result["isError"], true, "{result}");
        result["content"][0]["text"].as_str().unwrap().to_owned()
    };
    let wrong = text(&client.result_of("add", json!({"a": "x", "B": 2})).await);
    assert!(wrong.starts_with("invalid arguments: ") && wrong.contains("`a`"), "{wrong}");
    let broken = text(&client.result_of("explode", json!({})).await);
    assert!(broken.starts_with("internal error (call mcp-") && !broken.contains("hunter2"), "{broken}");
    assert_eq!(text(&client.result_of("refuse", json!({})).await), "not on a Sunday");
    let denied = text(&client.result_of("secret", json!({})).await);
    assert!(denied.starts_with("denied: "), "{denied}");
    // The server lives on.
    assert_eq!(client.result_of("add", json!({"a": 1, "b": 2})).await["isError"], false);
}

#[tokio::test]
async fn rules_about_callers_hold_as_on_the_socket() {
    let bench = bench();
    let admin = CallContext::builder().user_token("admin-token").build();
    let mut client = Client::begun(McpServer::new(bench.local.door()).caller(admin)).await;
    assert_eq!(client.result_of("secret", json!({})).await["content"][0]["text"], "42");
    let stranger = CallContext::builder().user_token("forged").build();
    let mut client = Client::begun(McpServer::new(bench.local.door()).caller(stranger)).await;
    assert_eq!(client.result_of("secret", json!({})).await["isError"], true);
}

#[tokio::test]
async fn reports_come_before_the_result_and_only_when_they_are_asked_for() {
    let bench = bench();
    let mut client = Client::begun(McpServer::new(bench.local.door())).await;
    let meta = json!({"progressToken": "p-1"});
    client.request(1, "tools/call", json!({"name": "crawl", "arguments": {}, "_meta": meta})).await;
    let mut steps = Vec::new();
    let mut messages = Vec::new();
    let result = loop {
        let message = client.next().await;
        match message["method"].as_str() {
            Some("notifications/progress") => steps.push(message["params"].clone()),
            Some("notifications/message") => messages.push(message["params"].clone()),
            _ => break message,
        }
    };
    assert_eq!(result["result"]["structuredContent"], json!({"result": true}));
    let step = |done: f64| json!({"progressToken": "p-1", "progress": done, "total": 3.0, "message": format!("step {done}")});
    assert_eq!(steps, [step(1.0), step(2.0), step(3.0)]);
    let message = |did: u32| json!({"level": "info", "logger": "crawl", "data": format!("did {did}")});
    assert_eq!(messages, [message(1), message(2), message(3)]);

    client.request(2, "logging/setLevel", json!({"level": "error"})).await;
    assert_eq!(client.next().await["result"], json!({}));
    client.call(3, "crawl", json!({})).await;
    assert_eq!(client.next().await["result"]["structuredContent"], json!({"result": false}));
}

#[tokio::test]
async fn a_request_says_its_trace_and_each_call_has_an_id() {
    let bench = bench();
    let caller = CallContext::builder().user_id("usr_7").build();
    let mut client = Client::begun(McpServer::new(bench.local.door()).caller(caller)).await;
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let params = json!({"name": "who", "arguments": {}, "_meta": {"traceparent": trace}});
    client.request(1, "tools/call", params).await;
    let first = client.next().await["result"]["structuredContent"].clone();
    assert_eq!((&first["trace"], &first["user"]), (&json!(trace), &json!("usr_7")));
    assert_eq!(first["source"], "mcp_client");
    let second = client.result_of("who", json!({})).await["structuredContent"].clone();
    assert_ne!(first["call_id"], second["call_id"]);
}

#[tokio::test]
async fn a_cancelled_call_ends_and_is_not_answered() {
    let bench = bench();
    let mut client = Client::begun(McpServer::new(bench.local.door())).await;
    client.call(1, "hold", json!({})).await;
    bench.seen.started.take(1).await;
    let cancelled = json!({"requestId": 1, "reason": "no longer needed"});
    let notification = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": cancelled});
    client.send(&notification).await;
    bench.seen.cancelled.take(1).await;
    client.request(2, "ping", json!({})).await;
    assert_eq!(client.next().await["id"], 2);
    client.writer.take().unwrap().shutdown().await.unwrap();
    assert_eq!(client.next_or_end().await, None, "nobody waits for its answer");
    client.ended().await.unwrap();
    assert_eq!(bench.local.in_flight(), 0);
}

#[tokio::test]
async fn a_call_means_the_same_with_and_without_unknown_metadata() {
    let bench = bench();
    let mut client = Client::begun(McpServer::new(bench.local.door())).await;
    for (tool, arguments) in [
        ("add", json!({"a": 1, "b": 2})),
        ("add", json!({"a": "x"})),
        ("add", json!([1])),
        ("add", json!(null)),
        ("count", json!({"text": "a\n\"\u{1f600}\u{0}"})),
        ("hello", json!({"name": "Ada\r\n\\"})),
        ("draw", json!({})),
        ("refuse", json!({})),
        ("secret", json!({})),
        ("crawl", json!({})),
        ("nothing", json!({})),
    ] {
        for token in [json!("p"), json!(7)] {
            let mut all = Vec::new();
            for meta in [json!({"progressToken": token}), json!({"progressToken": token, "x/y": {"a": [1]}})]
            {
                let params = json!({"name": tool, "arguments": arguments, "_meta": meta});
                client.request("same", "tools/call", params).await;
                let mut messages = vec![client.next().await];
                while messages.last().is_some_and(|message| message["id"] != "same") {
                    messages.push(client.next().await);
                }
                all.push(messages);
            }
            assert_eq!(all[0], all[1], "{tool} {arguments}");
        }
    }
}

#[tokio::test]
async fn the_end_of_input_loses_no_answer() {
    let bench = bench();
    let mut client = Client::begun(McpServer::new(bench.local.door())).await;
    for id in 0..20 {
        client.call(id, "hold", json!({})).await;
    }
    bench.seen.started.take(20).await;
    client.writer.take().unwrap().shutdown().await.unwrap();
    settle().await;
    bench.release(20);
    let mut answered = BTreeSet::new();
    while let Some(answer) = client.next_or_end().await {
        assert_let_go(&answer);
        answered.insert(answer["id"].as_u64().unwrap());
    }
    assert_eq!(answered, (0..20).collect());
    client.ended().await.unwrap();
}

#[tokio::test]
async fn the_last_line_needs_no_end() {
    let bench = bench();
    let mut client = Client::begun(McpServer::new(bench.local.door())).await;
    let mut writer = client.writer.take().unwrap();
    writer.write_all(br#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#).await.unwrap();
    writer.shutdown().await.unwrap();
    assert_eq!(client.next().await["id"], 1);
    assert_eq!(client.next_or_end().await, None);
    client.ended().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_client_that_never_reads_does_not_keep_the_server_for_ever() {
    for is_stopped in [false, true] {
        let bench = bench();
        let mut client = Client::begun(McpServer::new(bench.local.door())).await;
        let mut writer = client.writer.take().unwrap();
        // More answers than there is room for; and refusals, for which reading waits.
        let refused = if is_stopped { "[]\n" } else { "" };
        let call = json!({"name": "count", "arguments": {"text": "a"}});
        tokio::spawn(async move {
            for id in 0..2_000 {
                let call = json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": call});
                let ping = json!({"jsonrpc": "2.0", "id": format!("p{id}"), "method": "ping"});
                let lines = format!("{call}\n{ping}\n{refused}");
                if writer.write_all(lines.as_bytes()).await.is_err() {
                    return;
                }
            }
            let _ = writer.shutdown().await;
        });
        // Paused time passes only when nothing else is left to do.
        tokio::time::sleep(Duration::from_millis(1)).await;
        if is_stopped {
            client.stop.cancel();
        }
        let hour = Duration::from_secs(3_600);
        timeout(hour, client.serving).await.expect("it ends").unwrap().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_calls_whose_answers_nobody_reads_is_not_read_either() {
    let bench = bench();
    let mut client = Client::begun(McpServer::new(bench.local.door())).await;
    let mut writer = client.writer.take().unwrap();
    let calls = 12_000;
    let writing = tokio::spawn(async move {
        for id in 0..calls {
            let params = json!({"name": "count", "arguments": {"text": "a"}});
            let call = json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params});
            writer.write_all(format!("{call}\n").as_bytes()).await.unwrap();
        }
        writer.shutdown().await.unwrap();
    });
    // Paused time passes only when nothing else is left to do.
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert!(!writing.is_finished());
    // It goes on with a client that reads.
    for _ in 0..calls {
        client.next().await;
    }
    assert_eq!(client.next_or_end().await, None);
    writing.await.unwrap();
    client.ended().await.unwrap();
}

#[tokio::test]
async fn a_stop_answers_what_is_in_flight() {
    let bench = bench();
    let mut client = Client::begun(McpServer::new(bench.local.door())).await;
    client.call(1, "hold", json!({})).await;
    bench.seen.started.take(1).await;
    client.stop.cancel();
    settle().await;
    bench.release(1);
    assert_let_go(&client.next().await);
    assert_eq!(client.next_or_end().await, None);
    client.ended().await.unwrap();
}

#[tokio::test]
async fn a_client_that_is_gone_leaves_nothing_running() {
    let bench = bench();
    let mut client = Client::begun(McpServer::new(bench.local.door())).await;
    client.call(1, "hold", json!({})).await;
    bench.seen.started.take(1).await;
    // The next notification cannot be written.
    let Client { reader, writer, serving, .. } = client;
    drop((reader, writer));
    bench.local.tools().insert(another("more")).unwrap();
    bench.seen.cancelled.take(1).await;
    serving.await.unwrap().unwrap();
    assert_eq!(bench.seen.running.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_second_request_of_an_id_is_refused_and_the_first_one_goes_on() {
    let bench = bench();
    let mut client = Client::begun(McpServer::new(bench.local.door())).await;
    client.call(1, "hold", json!({})).await;
    bench.seen.started.take(1).await;
    client.request(1, "ping", json!({})).await;
    client.call(1, "add", json!({"a": 1, "b": 2})).await;
    for _ in 0..2 {
        let refused = client.next().await;
        assert_eq!((&refused["id"], &refused["error"]["code"]), (&json!(1), &json!(-32600)), "{refused}");
    }
    bench.release(1);
    assert_let_go(&client.next().await);
    assert_eq!(bench.seen.cancelled.0.available_permits(), 0);
}

#[tokio::test]
async fn the_id_of_a_cancelled_call_stands_for_the_call_that_has_it_next() {
    let bench = bench();
    let mut client = Client::begun(McpServer::new(bench.local.door())).await;
    client.call(1, "hold", json!({})).await;
    bench.seen.started.take(1).await;
    let params = json!({"requestId": 1});
    let cancelled = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params});
    let params = json!({"name": "hold", "arguments": {}});
    let next = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params});
    client.line(&format!("{cancelled}\n{next}")).await;
    bench.seen.cancelled.take(1).await;
    bench.seen.started.take(1).await;
    bench.release(1);
    assert_let_go(&client.next().await);
}

#[tokio::test]
async fn a_client_that_says_twice_that_it_is_ready_is_told_once() {
    let bench = bench();
    let mut client = Client::begun(McpServer::new(bench.local.door())).await;
    client.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).await;
    client.request(1, "ping", json!({})).await;
    assert_eq!(client.next().await["id"], 1);
    bench.local.tools().insert(another("more")).unwrap();
    assert_eq!(client.next().await["method"], "notifications/tools/list_changed");
    client.call(2, "hold", json!({})).await;
    bench.seen.started.take(1).await;
    // A second notification would have come by now.
    settle().await;
    bench.release(1);
    assert_eq!(client.next().await["id"], 2);
}

#[tokio::test]
async fn a_hundred_calls_run_at_the_same_time() {
    let bench = bench();
    let mut client = Client::begun(McpServer::new(bench.local.door())).await;
    for id in 0..100 {
        client.call(id, "hold", json!({})).await;
    }
    bench.seen.started.take(100).await;
    bench.release(100);
    let mut answered = BTreeSet::new();
    for _ in 0..100 {
        answered.insert(client.next().await["id"].as_u64().unwrap());
    }
    assert_eq!(answered.len(), 100);
}

#[tokio::test]
async fn what_is_no_message_is_refused_and_harms_nothing() {
    let bench = bench();
    let mut client = Client::new(McpServer::new(bench.local.door()));
    client.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).await;
    client.request(1, "tools/list", json!({})).await;
    let early = client.next().await;
    assert_eq!((&early["id"], &early["error"]["code"]), (&json!(1), &json!(-32600)), "{early}");
    assert!(early["error"]["message"].as_str().unwrap().contains("`initialize`"), "{early}");
    client.request(2, "initialize", json!({"protocolVersion": 7})).await;
    let wrong = client.next().await;
    assert_eq!((&wrong["id"], &wrong["error"]["code"]), (&json!(2), &json!(-32602)), "{wrong}");
    let text = wrong["error"]["message"].as_str().unwrap();
    assert!(text.starts_with("the parameters of `initialize` are wrong: "), "{text}");
    client.send(&initialize("2025-06-18")).await;
    client.next().await;
    client.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).await;

    client.line("{not json").await;
    client.line("").await;
    client.line("[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}]").await;
    assert!(client.next().await["error"]["message"].as_str().unwrap().contains("batches"));
    for positional in [
        json!(["2.0", 1, "tools/call", {"name": "add", "arguments": {"a": 1, "b": 2}}]),
        json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": ["add", {"a": 1, "b": 2}]}),
        json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "add", "_meta": []}}),
    ] {
        client.send(&positional).await;
        let answer = client.next().await;
        assert!(answer["error"].is_object(), "{positional}: {answer}");
    }
    client.line("{\"jsonrpc\":\"1.0\",\"id\":7,\"method\":\"ping\"}").await;
    let old = client.next().await;
    assert_eq!((&old["id"], &old["error"]["code"]), (&json!(7), &json!(-32600)));
    client.request(2, "tools/destroy", json!({})).await;
    assert_eq!(
        client.next().await["error"],
        json!({"code": -32601, "message": "unknown method: tools/destroy"})
    );
    for params in [json!({}), json!({"name": 7}), json!({"name": "add", "arguments": [1]})] {
        client.request(3, "tools/call", params).await;
        let answer = client.next().await;
        assert_eq!(answer["error"]["code"], -32602, "{answer}");
        let text = answer["error"]["message"].as_str().unwrap();
        assert!(text.starts_with("the parameters of `tools/call` are wrong: "), "{text}");
    }
    client.call(4, "ad", json!({})).await;
    let text = client.next().await["error"]["message"].clone();
    assert_eq!(text, "unknown tool: ad (did you mean `add`?)");
    assert_eq!(client.result_of("add", json!({"a": 1, "b": 2})).await["isError"], false);
}

#[tokio::test]
async fn a_line_without_an_end_takes_no_memory_and_the_next_one_is_read() {
    let bench = bench();
    let mut client = Client::begun(McpServer::new(bench.local.door())).await;
    let chunk = vec![b'x'; 1 << 20];
    let mut writer = client.writer.take().unwrap();
    for _ in 0..20 {
        writer.write_all(&chunk).await.unwrap();
    }
    writer.write_all(b"\n").await.unwrap();
    client.writer = Some(writer);
    client.request(1, "ping", json!({})).await;
    assert_eq!(client.next().await["result"], json!({}));
}
