//! Authentication, by path, and the answers to those that fail.

use platools::verify::Secret;
use platools_dev::{DevPlatform, Event};
use tokio_tungstenite::tungstenite::Error;

use crate::host::{RawHost, Received};

#[tokio::test]
async fn refusals_come_as_an_error_frame_and_a_close_in_the_order_of_the_page() {
    let platform = DevPlatform::start().await.unwrap();
    let mut events = platform.events();
    let base = format!("ws://{}/ws/sdk", platform.address());
    let good = format!("Bearer {}", platform.secret().expose());
    let bad = "Bearer 0123456789abcdef0123456789abcdef";
    for (query, authorization, reason) in [
        ("", None, "missing secret"),
        ("?entity=local", None, "missing secret"),
        ("?entity=local", Some("Basic abc"), "missing secret"),
        ("?entity=local", Some("Bearer "), "missing secret"),
        ("", Some(bad), "missing entity id"),
        ("?entity=", Some(&*good), "missing entity id"),
        ("?entity=local&env=nowhere", Some(bad), "invalid secret"),
        ("?entity=other", Some(&*good), "invalid secret"),
        ("?entity=local&env=nowhere", Some(&*good), "unresolvable env"),
    ] {
        let headers: Vec<_> = authorization.map(|value| ("authorization", value)).into_iter().collect();
        let mut host = RawHost::dial(&format!("{base}{query}"), &headers).await.unwrap();
        let error = host.frame().await;
        assert_eq!(error["type"], "error", "{query}");
        if reason == "missing secret" {
            assert_eq!(error["error"], "Missing Authorization: Bearer <secret>");
        }
        host.expect_close(1008, reason).await;
        assert_eq!(events.next().await.unwrap(), Event::Refused { reason });
    }
    assert_eq!(platform.counters().refused, 9);
    assert!(!platform.is_connected());
}

#[tokio::test]
async fn entity_and_environment_come_by_query_or_header_in_every_spelling() {
    let platform = DevPlatform::start().await.unwrap();
    let bearer = format!("Bearer {}", platform.secret().expose());
    let address = platform.address();
    for (path, headers, environment) in [
        ("/ws/sdk?entity=local", &[][..], "dev"),
        ("/tools/sync?source=local&env=production", &[], "prod"),
        ("/tools/sync/ws/sdk?entity=local&env=env_staging", &[], "staging"),
        ("/ws/sdk", &[("x-platos-entity-id", "local"), ("x-platos-environment-id", "stage")], "staging"),
        ("/ws/sdk?env=preview", &[("x-platos-source", "local")], "preview"),
        ("/ws/sdk?entity=local&env=dev", &[("x-platos-entity-id", "other")], "dev"),
    ] {
        let mut headers = headers.to_vec();
        headers.push(("authorization", &bearer));
        let mut host = RawHost::dial(&format!("ws://{address}{path}"), &headers).await.unwrap();
        let welcome = host.frame().await;
        assert_eq!(welcome["type"], "welcome", "{path}");
        assert_eq!(welcome["entity_id"], "local");
        assert_eq!(welcome["environment_id"], format!("env_{environment}"));
        for member in ["sdk_connection_id", "organization_id", "project_id"] {
            assert!(welcome[member].is_string(), "{welcome}");
        }
        assert!(platform.entity_in("local", environment).unwrap().is_connected());
    }
    for path in ["/", "/ws", "/ws/sdk/more?entity=local", "/tools"] {
        let refused = RawHost::dial(&format!("ws://{address}{path}"), &[("authorization", &bearer)]).await;
        match refused.err() {
            Some(Error::Http(response)) => assert_eq!(response.status(), 404, "{path}"),
            other => panic!("{path}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn each_entity_has_its_own_secret_and_connections() {
    let secrets =
        ["orders-secret-0123456789", "stock-secret-0123456789"].map(|text| Secret::new(text).unwrap());
    let platform = DevPlatform::options()
        .entity("orders", secrets[0].clone())
        .entity("stock", secrets[1].clone())
        .start()
        .await
        .unwrap();
    assert_eq!(platform.entity(), "orders");
    assert_eq!(platform.secret(), secrets[0]);
    let stock = platform.entity_in("stock", "production").unwrap();
    assert_eq!(stock.key().environment, "prod");

    let wrong = format!("Bearer {}", secrets[0].expose());
    let mut refused = RawHost::dial(&stock.socket_url(), &[("authorization", &wrong)]).await.unwrap();
    refused.frame().await;
    refused.expect_close(1008, "invalid secret").await;

    let _orders = RawHost::with_tools(&platform, &["a"]).await;
    let _stock = RawHost::with_tools(&stock, &["b"]).await;
    assert_eq!(platform.tools().len(), 1);
    assert!(platform.tool("b").is_none() && stock.tool("b").is_some());
    assert!(platform.entity_in("nobody", "dev").is_err());
    assert!(platform.entity_in("orders", "nowhere").is_err());
}

#[tokio::test]
async fn what_a_host_sends_too_early_is_read_after_the_welcome() {
    let delay = std::time::Duration::from_millis(100);
    let platform = DevPlatform::options().authentication_delay(delay).start().await.unwrap();
    let bearer = format!("Bearer {}", platform.secret().expose());
    let mut host = RawHost::dial(&platform.socket_url(), &[("authorization", &bearer)]).await.unwrap();
    host.send(crate::host::declaration(&["early"])).await;
    assert!(!platform.is_connected());
    assert_eq!(host.frame().await["type"], "welcome");
    assert_eq!(host.frame().await["type"], "tools_registered");
    assert!(platform.tool("early").is_some());
}

#[tokio::test]
async fn a_newer_connection_supersedes_the_older_one_of_the_same_environment_only() {
    let platform = DevPlatform::start().await.unwrap();
    let production = platform.entity_in("local", "prod").unwrap();
    let mut elsewhere = RawHost::connect(&production).await;
    let mut older = RawHost::connect(&platform).await;
    let first = platform.connection_id();
    let _newer = RawHost::connect(&platform).await;
    older.expect_close(1000, "superseded by new connection").await;
    assert_eq!(older.receive().await, Received::Broken);
    platform.wait_for_counters(|counters| counters.superseded == 1).await.unwrap();
    assert!(platform.is_connected());
    assert_ne!(platform.connection_id(), first);

    elsewhere.send(serde_json::json!({"type": "heartbeat", "tools_health": {}})).await;
    assert_eq!(elsewhere.frame().await["type"], "heartbeat_ack");
}
