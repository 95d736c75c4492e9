//! Entities and tools through the API.

use axum::http::StatusCode;
use platools_dev::DevPlatform;
use serde_json::{Value, json};

use super::{Client, local};
use crate::host::RawHost;

#[tokio::test]
async fn entities_tell_who_is_connected_and_no_secret() {
    let platform = DevPlatform::options()
        .entity_with_random_secret("orders")
        .entity_with_random_secret("billing")
        .start()
        .await
        .unwrap();
    let client = Client::new(&platform);
    let production = platform.entity_in("billing", "prod").unwrap();
    let mut host = RawHost::with_tools(&production, &["a", "b"]).await;
    host.send(json!({"type": "heartbeat", "tools_health": {
        "a": {"status": "degraded", "avg_latency_ms": 12, "error_count_1h": 3, "last_error": "no"}}}))
        .await;
    assert_eq!(host.frame().await["type"], "heartbeat_ack");

    let answer = client.get("/api/v1/entities").await;
    let list = answer.json();
    assert_eq!(list["default"], json!({"entity": "orders", "environment": "dev"}));
    let slugs: Vec<&Value> =
        list["entities"].as_array().unwrap().iter().map(|entity| &entity["entity"]).collect();
    assert_eq!(slugs, ["billing", "orders"]);
    let seats = list["entities"][0]["environments"].as_array().unwrap();
    let connected: Vec<_> = seats.iter().map(|seat| (&seat["environment"], &seat["connected"])).collect();
    let expected = json!([["dev", false], ["staging", false], ["preview", false], ["prod", true]]);
    assert_eq!(json!(connected), expected);
    assert_eq!((&seats[3]["tools"], &seats[3]["heartbeats"]), (&json!(2), &json!(1)));
    assert_eq!(seats[3]["url"], production.url());
    assert_eq!(seats[3]["connection"]["id"], json!(production.connection_id().unwrap()));
    assert_eq!(client.get("/api/v1/entities/billing/prod").await.json(), seats[3]);
    assert_eq!(list["counters"]["heartbeats"], 1);
    for slug in ["orders", "billing"] {
        let secret = platform.entity_in(slug, "dev").unwrap().secret();
        assert!(!answer.text.contains(secret.expose()));
        let shown = client.get(format!("/api/v1/entities/{slug}/secret")).await.json();
        assert_eq!(shown["secret"], secret.expose());
    }

    let health = client.get("/api/v1/entities/billing/prod/health").await.json();
    assert_eq!((&health["heartbeats"], health["beats"].as_array().unwrap().len()), (&json!(1), 1));
    assert_eq!(health["tools"]["a"]["latest"]["status"], "degraded");
    assert_eq!(health["tools"]["a"]["samples"][0]["avg_latency_ms"], 12);
    assert_eq!(client.get("/api/v1/entities/none/dev/health").await.status, StatusCode::NOT_FOUND);
    assert_eq!(client.get("/api/v1/health").await.json()["status"], "ok");
}

#[tokio::test]
async fn ten_thousand_tools_come_page_by_page_and_are_searched() {
    let platform = DevPlatform::start().await.unwrap();
    let mut host = RawHost::connect(&platform).await;
    let tools: Vec<Value> = (0..10_000)
        .map(|number| {
            let description = if number == 7_777 { "Finds the needle." } else { "Hay." };
            json!({"name": format!("tool_{number:05}"), "description": description, "input_schema": {"n": number},
                   "auth": "none", "roles": [], "annotations": {}})
        })
        .collect();
    host.send(json!({"type": "tool_register", "tools": tools})).await;
    assert_eq!(host.frame().await["count"], 10_000);

    let client = Client::new(&platform);
    let mut names = Vec::new();
    loop {
        let page = client.get(local(&format!("/tools?offset={}&limit=1000", names.len()))).await.json();
        assert_eq!((&page["total"], &page["matching"]), (&json!(10_000), &json!(10_000)));
        let page = page["tools"].as_array().unwrap();
        if page.is_empty() {
            break;
        }
        assert!(page[0].get("input_schema").is_none(), "schemas are asked for");
        names.extend(page.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()));
    }
    assert_eq!(names.len(), 10_000);
    assert!(names.is_sorted());

    let first = client.get(local("/tools")).await.json();
    assert_eq!(first["tools"].as_array().unwrap().len(), 100);
    for (search, matching, best) in [
        ("NEEDLE", 1, "tool_07777"),
        ("tool_0999", 10, "tool_09990"),
        ("needle%20tool", 1, "tool_07777"),
        ("nowhere", 0, ""),
    ] {
        let page = client.get(local(&format!("/tools?search={search}"))).await.json();
        assert_eq!(page["matching"], matching, "{search}");
        assert_eq!(page["tools"][0]["name"].as_str().unwrap_or_default(), best, "{search}");
    }
    let whole = client.get(local("/tools?search=needle&schemas=true")).await.json();
    assert_eq!(whole["tools"][0]["input_schema"], json!({"n": 7_777}));
    let one = client.get(local("/tools/tool_00042")).await.json();
    assert_eq!(one["input_schema"], json!({"n": 42}));
    let missing = client.get(local("/tools/tool_99999")).await;
    assert_eq!(missing.code(), (404, "unknown_tool".to_owned()));
    for query in ["limit=0", "limit=1001", "limit=x", "offset=-1", "serach=x"] {
        let answer = client.get(local(&format!("/tools?{query}"))).await;
        assert_eq!(answer.code(), (400, "invalid_query".to_owned()), "{query}");
    }
}

#[tokio::test]
async fn a_name_is_a_better_match_than_a_description() {
    let platform = DevPlatform::start().await.unwrap();
    let mut host = RawHost::connect(&platform).await;
    let tool =
        |name: &str, description: &str| json!({"name": name, "description": description, "input_schema": {}});
    let tools =
        [tool("cancel", "Cancels an order."), tool("my_order", ""), tool("order_lookup", ""), tool("x", "")];
    host.send(json!({"type": "tool_register", "tools": tools})).await;
    host.frame().await;
    let page = Client::new(&platform).get(&local("/tools?search=order")).await.json();
    let names: Vec<&Value> = page["tools"].as_array().unwrap().iter().map(|tool| &tool["name"]).collect();
    assert_eq!(names, ["order_lookup", "my_order", "cancel"]);
}
