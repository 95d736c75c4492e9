//! Headers, scopes, and what is refused before anything is sent.

use platos_client::testing::{CannedAnswer, PlatosDouble, Script};
use platos_client::{
    ConfigError, Error, NewMessage, PlatosClient, ProxyConfig, RawRequest, RefreshOutcome, Scope, Transport,
};

use super::support::{all, conversation, hi};

fn scope() -> Scope {
    Scope::new("org_1", "proj_1", "env_1")
}

#[tokio::test]
async fn session_mode_sends_the_token_and_the_scope_where_it_is_given() {
    let platos = PlatosDouble::start().await.unwrap();
    let client = platos.client();
    client.agents().list().await.unwrap();
    let scoped = client.with_scope(scope().user("usr_7")).unwrap().with_user_token("proof-of-usr-7").unwrap();
    scoped.agents().list().await.unwrap();
    client.agents().list().await.unwrap();
    let requests = platos.requests();
    for (request, is_scoped) in requests.iter().zip([false, true, false]) {
        assert_eq!(request.header("x-platos-session-token"), Some(platos.session_token()));
        assert_eq!(request.header("authorization"), None);
        assert_eq!(request.header("user-agent"), Some(concat!("platools-rs/", env!("CARGO_PKG_VERSION"))));
        for (name, value) in [
            ("x-platos-organization-id", "org_1"),
            ("x-platos-project-id", "proj_1"),
            ("x-platos-environment-id", "env_1"),
            ("x-platos-user-id", "usr_7"),
            ("x-platos-user-token", "proof-of-usr-7"),
        ] {
            assert_eq!(request.header(name), is_scoped.then_some(value), "{name}");
        }
    }
}

#[tokio::test]
async fn direct_mode_sends_the_key_and_the_scope_also_on_the_upgrade() {
    let platos = PlatosDouble::start().await.unwrap();
    let scope = scope().user("usr_7").entity("orders-prod");
    let client = platos.builder().api_key(platos.api_key()).scope(scope).build().unwrap();
    client.agents().list().await.unwrap();
    platos.script(Script::new().done());
    client.threads().send("thr_1", hi()).collect().await.unwrap();
    let requests = platos.requests();
    assert_eq!((requests.len(), requests[1].path.as_str()), (2, "/socket.io/"));
    assert_eq!(requests[1].query, "EIO=4&transport=websocket");
    for request in requests {
        assert_eq!(request.header("authorization"), Some("Bearer plt_double_key"));
        assert_eq!(request.header("x-platos-session-token"), None);
        assert_eq!(request.header("x-platos-environment-id"), Some("env_1"));
        assert_eq!(request.header("x-platos-user-id"), Some("usr_7"));
        assert_eq!(request.header("x-platos-entity-id"), Some("orders-prod"));
    }
}

#[tokio::test]
async fn direct_mode_without_a_scope_sends_nothing() {
    let platos = PlatosDouble::start().await.unwrap();
    let client = platos.builder().api_key(platos.api_key()).build().unwrap();
    let error = client.agents().list().await.unwrap_err();
    assert!(matches!(error, Error::Config(ConfigError::MissingScope)));
    assert!(error.to_string().contains("`.scope(…)`"), "{error}");
    let (events, error) = all(client.threads().send("thr_1", hi())).await;
    assert!(
        events.is_empty() && matches!(error, Some(Error::Config(ConfigError::MissingScope))),
        "{error:?}"
    );
    assert!(platos.requests().is_empty());
    let error = client.with_scope(scope()).unwrap().agents().list().await.unwrap_err();
    assert!(matches!(error, Error::Config(ConfigError::MissingUser)), "{error}");
    assert!(platos.requests().is_empty());
    client.with_scope(scope().user("usr_7")).unwrap().agents().list().await.unwrap();
    let incomplete = client.with_scope(Scope::new("org_1", " ", "env_1")).unwrap_err();
    assert_eq!(incomplete, ConfigError::IncompleteScope { part: "project" });
}

#[test]
fn direct_mode_through_a_proxy_that_forwards_is_refused_before_anything_is_sent() {
    let proxy = ProxyConfig::new("http://127.0.0.1:9").unwrap();
    let direct = |url: &str| {
        let builder = PlatosClient::builder(url).allow_insecure(true).proxy(proxy.clone());
        builder.api_key("plt_key").scope(scope().user("usr_7")).build()
    };
    let error = direct("http://platos.internal:3100").unwrap_err();
    assert_eq!(error, ConfigError::DirectThroughProxy);
    assert!(error.to_string().contains("NO_PROXY"), "{error}");
    // Through TLS it only passes bytes on, and this machine is reached without it.
    direct("https://platos.example").unwrap();
    direct("http://127.0.0.1:3100").unwrap();
}

#[tokio::test]
async fn ids_that_are_none_are_refused_before_anything_is_sent() {
    let (platos, client, _) = conversation().await;
    let before = platos.requests().len();
    for id in ["", " ", ".", ".."] {
        let error = client.threads().get(id).await.unwrap_err();
        assert!(matches!(error, Error::Config(ConfigError::Id { .. })), "{id}: {error}");
        let (_, error) = all(client.threads().send(id, "Hi")).await;
        assert!(matches!(error, Some(Error::Config(ConfigError::Id { .. }))), "{id}: {error:?}");
    }
    let (_, error) = all(client.threads().send("thr_1", " ")).await;
    assert!(error.unwrap().to_string().contains("a text that is not blank"));
    assert_eq!(platos.requests().len(), before);
    // Whatever else it may be, it stays one segment.
    assert_eq!(client.threads().get("../agents?x=1#y").await.unwrap(), None);
    assert_eq!(platos.requests().pop().unwrap().path, "/api/v1/agent/threads/..%2Fagents%3Fx=1%23y");
}

#[tokio::test]
async fn credentials_that_cannot_travel_are_refused_by_the_builder() {
    let builder = || PlatosClient::builder("https://platos.example");
    let forever = platos_client::StreamLimits::default().idle_timeout(std::time::Duration::MAX);
    for (error, part) in [
        (builder().session_token("").build().unwrap_err(), "the session token is empty"),
        (builder().session_token("s3c\nret").build().unwrap_err(), "the session token contains a line break"),
        (builder().api_key("s3crèt").build().unwrap_err(), "the API key contains characters"),
        (builder().api_key("k").user_token(" ").build().unwrap_err(), "the user token is empty"),
        (builder().api_key("k").scope(Scope::new("", "p", "e")).build().unwrap_err(), "no organization"),
        (builder().session_token("t").socket_namespace("agent").build().unwrap_err(), "`socket_namespace`"),
        (builder().session_token("t").timeout(std::time::Duration::ZERO).build().unwrap_err(), "`timeout`"),
        (builder().session_token("t").stream_limits(forever).build().unwrap_err(), "`without_idle_timeout`"),
        (
            builder().session_token("t").ca_file("/no/such/file").build().unwrap_err(),
            "/no/such/file: cannot be read",
        ),
        (PlatosClient::builder("platos").session_token("t").build().unwrap_err(), "is not a URL"),
        (PlatosClient::builder("http://10.0.0.1").session_token("t").build().unwrap_err(), "not encrypted"),
    ] {
        let text = error.to_string();
        assert!(text.contains(part) && !text.contains("s3c"), "{text}");
    }
    PlatosClient::builder("http://10.0.0.1").allow_insecure(true).session_token("t").build().unwrap();
}

#[tokio::test]
async fn nothing_that_is_shown_holds_a_credential() {
    let platos = PlatosDouble::start().await.unwrap();
    let secret = platos.session_token();
    let client = platos.builder().session_token(secret).user_token("proof-of-usr-7").build().unwrap();
    let shown =
        format!("{client:?} {:?}", platos.builder().api_key("s3cret-key").user_token("proof-of-usr-7"));
    assert!(!shown.contains(secret) && !shown.contains("proof-of") && !shown.contains("s3cret"), "{shown}");

    // What was put where a URL belongs, and is looked at only by `build`.
    let shown = format!("{:?}", PlatosClient::builder("https://me:s3cret@platos.example/?token=s3cret"));
    assert!(!shown.contains("s3cret"), "{shown}");

    // A platform that repeats what it was sent.
    let echo = format!("your token {secret} for proof-of-usr-7 is bad");
    for status in [401, 400, 500, 418] {
        for _ in 0..4 {
            platos.answer_next("agents", CannedAnswer::status(status).message(&echo));
        }
        let error = client.agents().list().await.unwrap_err();
        let shown = format!("{error} {error:?} {:?}", error.body());
        assert!(!shown.contains(secret) && !shown.contains("proof-of"), "{shown}");
        assert!(shown.contains("your token [redacted] for [redacted] is bad"), "{shown}");
        while client.raw(RawRequest::get("/api/v1/agent/agents")).await.is_err() {}
    }
    platos.answer_next("agents", CannedAnswer::status(200).html(&format!("<html>{echo}")));
    let error = client.agents().list().await.unwrap_err();
    assert!(!format!("{error:?}").contains(secret), "{error:?}");
    let odd = serde_json::json!({"agents": format!("for {secret}: {}", "x".repeat(10_000))});
    platos.answer_next("agents", CannedAnswer::status(200).json(&odd));
    let error = client.agents().list().await.unwrap_err();
    let shown = format!("{error} {error:?}");
    assert!(shown.contains("for [redacted]: xxx") && !shown.contains(secret), "{shown}");
    assert!(error.to_string().len() < 1_000, "{error}");
}

#[tokio::test]
async fn an_access_key_and_other_headers_go_with_requests_and_streams_and_are_not_shown() {
    let (platos, _, thread) = conversation().await;
    let client = platos.builder().access_key("platos_live_1234").header("X-Gateway", "gateway-secret");
    let client = client.session_token(platos.session_token()).build().unwrap();
    client.threads().send(&thread, "Hi").collect().await.unwrap();
    client.threads().send(&thread, NewMessage::new("Hi").transport(Transport::Sse)).collect().await.unwrap();
    let requests = platos.requests();
    // Of the thread, a socket, and a stream.
    assert_eq!(requests[1..].len(), 3);
    for request in &requests[1..] {
        let sent = (request.header("x-platos-api-key"), request.header("x-gateway"));
        assert_eq!(sent, (Some("platos_live_1234"), Some("gateway-secret")), "{}", request.path);
    }
    let echo = "no: platos_live_1234 gateway-secret";
    let refused = serde_json::json!({"error": "INVALID_ACCESS_KEY", "message": echo});
    platos.answer_next("agents", CannedAnswer::status(401).json(&refused));
    let error = client.agents().list().await.unwrap_err();
    assert_eq!(error.code(), Some(platos_client::codes::INVALID_ACCESS_KEY));
    assert!(matches!(&error, Error::Auth { refresh: RefreshOutcome::NeedsAccessKey, .. }), "{error:?}");
    let shown = format!("{error} {error:?} {client:?}");
    assert!(!shown.contains("live_1234") && !shown.contains("gateway-secret"), "{shown}");
    for (name, value) in [("X-Platos-User-Id", "u"), ("Host", "h"), ("a b", "c"), ("x-y", "a\nb")] {
        let bad = platos.builder().header(name, value).session_token("t").build();
        assert!(bad.is_err(), "{name}");
    }
}

#[tokio::test]
async fn a_message_carries_what_it_was_given_and_nothing_else() {
    let (platos, client, thread) = conversation().await;
    client.threads().send(&thread, "Hi").collect().await.unwrap();
    let message = NewMessage::new("Hi")
        .agent("agt_writer")
        .context("order", "ord-1")
        .dynamic_block("plan", "pro")
        .dynamic_block("tone", "kind")
        .attachment("att_1")
        .attachment("att_2")
        .model_label("fast")
        .field("replyToMessageId", "msg_1");
    client.threads().send(&thread, message).collect().await.unwrap();
    let full = serde_json::json!({
        "message": "Hi", "threadId": thread, "agentId": "agt_writer", "contextType": "order", "contextId": "ord-1",
        "dynamicBlocks": {"plan": "pro", "tone": "kind"}, "attachmentIds": ["att_1", "att_2"], "modelLabel": "fast",
        "replyToMessageId": "msg_1",
    });
    let short = serde_json::json!({"message": "Hi", "threadId": thread, "agentId": "agt_support"});
    let mut messages = platos.messages();
    let mut key = |at: usize| messages[at].as_object_mut().unwrap().remove("idempotencyKey").unwrap();
    assert_ne!(key(0), key(1));
    assert_eq!(messages, [short, full]);
}

#[tokio::test]
async fn a_raw_request_has_every_verb() {
    let platos = PlatosDouble::start().await.unwrap();
    let client = platos.client();
    let path = "/api/v1/memory";
    let purge = RawRequest::method("PURGE", path).unwrap();
    let requests = [
        RawRequest::get(path),
        RawRequest::head(path),
        RawRequest::options(path),
        RawRequest::post(path),
        RawRequest::put(path),
        RawRequest::patch(path),
        RawRequest::delete(path),
        purge,
    ];
    for request in requests {
        platos.answer_next("memory", CannedAnswer::status(204));
        assert_eq!(client.raw(request).await.unwrap().status(), 204);
    }
    let methods: Vec<_> = platos.requests().into_iter().map(|request| request.method).collect();
    assert_eq!(methods, ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "PURGE"]);
    assert!(RawRequest::method("a b", path).is_err());
}
