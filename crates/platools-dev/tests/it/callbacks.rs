//! Calls over HTTP: when they are made, what is sent, and what a response becomes.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Response};
use http_body_util::BodyExt as _;
use platools::verify::SigningKey;
use platools_dev::{CallReport, CallStatus, DevPlatform, Event, Outcome, Tamper, Transport};
use serde_json::json;
use tokio::net::TcpListener;

use crate::host::RawHost;

/// An HTTP server of an entity: it keeps what it gets, and answers as it is told.
#[derive(Clone, Default)]
struct Entity {
    received: Arc<Mutex<Vec<(String, HeaderMap, String)>>>,
    answers: Arc<Mutex<VecDeque<Response<Body>>>>,
}

impl Entity {
    /// Starts a server; returns its URL.
    async fn start() -> (Self, String) {
        let entity = Self::default();
        let app = Router::new().fallback(take).with_state(entity.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/calls", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        (entity, url)
    }

    /// The next answer. Without any, it is the number of requests so far.
    fn answers(&self, status: u16, headers: &[(&str, &str)], body: &str) {
        let mut answer = Response::builder().status(status);
        for (name, value) in headers {
            answer = answer.header(*name, *value);
        }
        self.answers.lock().unwrap().push_back(answer.body(Body::from(body.to_owned())).unwrap());
    }

    fn count(&self) -> usize {
        self.received.lock().unwrap().len()
    }
}

async fn take(State(entity): State<Entity>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let body = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
    let target = format!("{} {}", parts.method, parts.uri);
    entity.received.lock().unwrap().push((target, parts.headers, body));
    let answer = entity.answers.lock().unwrap().pop_front();
    let count = entity.count();
    match answer {
        Some(answer) if answer.status() == 599 => std::future::pending().await,
        Some(answer) => answer,
        None => Response::new(Body::from(count.to_string())),
    }
}

/// A platform whose host was there, declared `add` with a callback, and is gone.
async fn left_behind(platform: &DevPlatform) -> Entity {
    let (entity, url) = Entity::start().await;
    drop(RawHost::with_callback(platform, &["add"], &url).await);
    platform.wait_disconnected().await.unwrap();
    entity
}

async fn call(platform: &DevPlatform) -> CallReport {
    platform.call("add", json!({"a": 1})).await.unwrap()
}

#[tokio::test]
async fn a_call_goes_over_http_only_while_no_host_is_connected() {
    let platform = DevPlatform::start().await.unwrap();
    let (entity, url) = Entity::start().await;
    let mut host = RawHost::with_callback(&platform, &["add"], &url).await;
    assert_eq!(platform.callback_url().as_deref(), Some(&*url));
    let (report, ()) = tokio::join!(call(&platform), async {
        let call = host.next_call().await;
        host.answer(&call, json!("socket")).await;
    });
    assert_eq!((report.outcome, report.transport), (Outcome::Result(json!("socket")), Transport::WebSocket));
    // A call that fails or times out on the socket is not repeated over HTTP.
    let (report, ()) = tokio::join!(call(&platform), async {
        let call = host.next_call().await;
        host.send(json!({"type": "tool_error", "call_id": call["call_id"], "error": "no"})).await;
    });
    assert_eq!(report.error(), Some("no"));
    platform.faults().freeze().unwrap();
    let report = platform.calling("add").pending_time(Duration::from_millis(50)).send().await.unwrap();
    assert_eq!((&report.outcome, report.status()), (&Outcome::TimedOut, CallStatus::Timeout));
    assert_eq!(entity.count(), 0);

    // Another environment of the entity is connected, which does not count.
    let production = platform.entity_in("local", "prod").unwrap();
    let _elsewhere = RawHost::with_tools(&production, &["add"]).await;
    platform.faults().drop_connection().unwrap();
    platform.wait_disconnected().await.unwrap();
    let mut events = platform.events();
    let report = call(&platform).await;
    assert_eq!(report.outcome, Outcome::Result(json!(1)));
    assert_eq!(report.transport, Transport::Http { url, status: Some(200) });
    assert!(matches!(events.next().await, Some(Event::Called { over_http: true, .. })));
    assert!(matches!(events.next().await, Some(Event::Answered { ok: true, .. })));
    let kept = &platform.history(1)[0];
    assert_eq!(kept.report(), report);
    let _back = RawHost::with_tools(&platform, &["add"]).await;
    let report = platform.calling("add").pending_time(Duration::from_millis(50)).send().await.unwrap();
    assert_eq!((report.outcome, entity.count()), (Outcome::TimedOut, 1));
}

#[tokio::test]
async fn the_request_is_signed_and_says_who_is_calling() {
    let platform = DevPlatform::start().await.unwrap();
    let entity = left_behind(&platform).await;
    let calling = platform.calling("add").arguments_text(r#"{"a":1.0,"b":"ü"}"#).context(json!({"k": 1}));
    let calling = calling.user("usr_ü").user_token("t0ken").agent("a1").thread("t1").entity_token("oidc");
    let report = calling.call_id("call-1").send().await.unwrap();
    report.clone().into_result().unwrap();
    call(&platform).await;
    let received = entity.received.lock().unwrap().clone();
    let (target, headers, body) = &received[0];
    assert_eq!(target, "POST /calls");
    let expected =
        r#"{"method":"tools/call","params":{"name":"add","arguments":{"a":1.0,"b":"ü","_context":{"k":1}}}}"#;
    assert_eq!(body, expected);
    let header = |name: &str| std::str::from_utf8(headers[name].as_bytes()).unwrap().to_owned();
    for (name, value) in [
        ("content-type", "application/json"),
        ("x-platos-organization-id", "org_dev"),
        ("x-platos-project-id", "proj_dev"),
        ("x-platos-environment-id", "env_dev"),
        ("x-platos-entity-id", "local"),
        ("x-platos-user-id", "usr_ü"),
        ("x-platos-user-token", "t0ken"),
        ("x-platos-agent-id", "a1"),
        ("x-platos-thread-id", "t1"),
        ("x-platos-call-id", "call-1"),
        ("x-platos-entity-token", "oidc"),
    ] {
        assert_eq!(header(name), value, "{name}");
    }
    let (timestamp, nonce) = (header("x-platos-timestamp"), header("x-platos-nonce"));
    let key = SigningKey::new(&platform.secret());
    assert_eq!(header("x-platos-signature"), key.sign_body(&timestamp, Some(&nonce), body));
    assert!(header("traceparent").starts_with("00-"));

    let (_, headers, _) = &received[1];
    assert!(headers["x-platos-thread-id"].is_empty() && !headers.contains_key("x-platos-user-token"));
    let anonymous = platform.calling("add").envelope(|envelope| envelope.agent_id = None).send();
    anonymous.await.unwrap();
    assert_eq!(entity.received.lock().unwrap()[2].1["x-platos-agent-id"], "default");

    // Faults and replays work as on the socket.
    platform.calling("add").tamper(Tamper::Unsigned).send().await.unwrap();
    assert!(!entity.received.lock().unwrap()[3].1.contains_key("x-platos-signature"));
    let again = platform.faults().replay_last_call().await.unwrap();
    assert_eq!(again.transport.as_str(), "http");
    let received = entity.received.lock().unwrap();
    assert_eq!(
        (&received[3].2, &received[3].1["x-platos-nonce"]),
        (&received[4].2, &received[4].1["x-platos-nonce"])
    );
}

#[tokio::test]
async fn without_a_callback_a_call_fails_at_once_and_the_tools_are_hidden() {
    let platform = DevPlatform::start().await.unwrap();
    let host = RawHost::with_tools(&platform, &["add"]).await;
    assert_eq!(platform.visible_tools().len(), 1);
    drop(host);
    platform.wait_disconnected().await.unwrap();
    let started = Instant::now();
    let report = call(&platform).await;
    assert_eq!(
        report.error(),
        Some(
            "entity callback URL blocked: no host is connected, and the tools were declared without a callback_url"
        ),
        "{report:?}"
    );
    assert!(started.elapsed() < Duration::from_secs(5));
    let stored = "ws://platos/tools/sync?entity=local&env=dev".to_owned();
    assert_eq!(report.transport, Transport::Http { url: stored, status: None });
    assert!(!platform.is_visible() && platform.visible_tools().is_empty() && platform.tools().len() == 1);

    let _entity = left_behind(&platform).await;
    assert_eq!(platform.visible_tools().len(), 1, "they can be called over HTTP");
    platform.restart().await.unwrap();
    assert!(platform.is_visible());
}

#[tokio::test]
async fn a_response_becomes_what_the_server_makes_of_it() {
    let platform = DevPlatform::start().await.unwrap();
    let entity = left_behind(&platform).await;
    let large = json!("x".repeat(300_000));
    entity.answers(200, &[("content-type", "text/plain")], &large.to_string());
    assert_eq!(call(&platform).await.into_result().unwrap(), large, "not cut, whatever its type");
    for (status, headers, body, error) in [
        (200, &[][..], "", "the entity's callback answered 200 without a result"),
        (200, &[], "done", "the entity's callback answered 200 with something that is not JSON"),
        (429, &[("retry-after", "7")], "slow down", "rate_limit: retry in 7s"),
        (429, &[], "slow down", "rate_limit: retry in 30s"),
        (422, &[], "not today", "HTTP 422: not today"),
        (504, &[], "timed out after 5 s", "HTTP 504: timed out after 5 s"),
        (401, &[], "signature_mismatch: no", "HTTP 401: signature_mismatch: no"),
    ] {
        entity.answers(status, headers, body);
        let report = call(&platform).await;
        assert_eq!((report.error(), report.status()), (Some(error), CallStatus::Failed));
        let wait = if error.contains("7s") { 7 } else { 30 };
        let payload = json!({"error": "rate_limit", "message": error, "retryAfterSeconds": wait});
        assert_eq!(report.error_payload(), (status == 429).then_some(payload));
    }
    entity.answers(599, &[], "");
    let silent = platform.calling("add").pending_time(Duration::from_millis(100)).send().await.unwrap();
    assert_eq!((silent.outcome, silent.reply), (Outcome::TimedOut, None));

    let report = platform.calling("add").user("a\nb").send().await.unwrap();
    assert!(report.error().unwrap().contains("x-platos-user-id"), "{report:?}");
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    drop(RawHost::with_callback(&platform, &["add"], &format!("http://{free}/?key=s3cret")).await);
    platform.wait_disconnected().await.unwrap();
    let report = call(&platform).await;
    assert!(report.error().unwrap().starts_with("entity callback failed: "), "{report:?}");
    assert!(!format!("{report:?}").contains("s3cret"));
}

#[tokio::test]
async fn three_redirects_are_followed_with_body_and_headers_and_each_is_checked() {
    let platform = DevPlatform::start().await.unwrap();
    let entity = left_behind(&platform).await;
    for status in [301, 302, 307] {
        entity.answers(status, &[("location", "/elsewhere")], "");
    }
    assert_eq!(call(&platform).await.into_result().unwrap(), json!(4));
    {
        let received = entity.received.lock().unwrap();
        let targets: Vec<_> = received.iter().map(|(target, ..)| target.as_str()).collect();
        assert_eq!(targets, ["POST /calls", "POST /elsewhere", "POST /elsewhere", "POST /elsewhere"]);
        assert!(received.iter().all(|(_, headers, body)| {
            (&received[0].2, &received[0].1["x-platos-signature"]) == (body, &headers["x-platos-signature"])
        }));
    }
    for _ in 0..4 {
        entity.answers(308, &[("location", "/elsewhere")], "");
    }
    assert_eq!(call(&platform).await.error(), Some("entity callback failed: more than 3 redirects"));
    entity.answers(307, &[("location", "http://127.0.0.1:6379/")], "");
    let error = call(&platform).await.error().unwrap().to_owned();
    assert!(error.starts_with("entity callback URL blocked: has port 6379"), "{error}");
}

#[tokio::test]
async fn the_real_server_calls_neither_plain_http_nor_this_machine() {
    for (http, private, part) in [
        (false, false, "blocked: is not encrypted"),
        (true, false, "blocked: leads to 127.0.0.1, which is not public"),
        (false, true, "blocked: is not encrypted"),
        (true, true, ""),
    ] {
        let options = DevPlatform::options().as_real_server();
        let options = options.allow_http_callbacks(http).allow_private_callbacks(private);
        let platform = options.start().await.unwrap();
        let entity = left_behind(&platform).await;
        assert!(platform.is_visible(), "it is checked only when it is called");
        let report = call(&platform).await;
        if part.is_empty() {
            assert_eq!((report.into_result().unwrap(), entity.count()), (json!(1), 1));
        } else {
            let error = report.error().unwrap();
            assert!(error.contains(part) && entity.count() == 0, "{error}");
        }
    }
}

#[tokio::test]
async fn a_callback_over_tls_needs_a_certificate_that_is_trusted() {
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let folder = std::env::temp_dir().join(format!("platools-dev-callback-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let ca_file = folder.join("ca.pem");
    std::fs::write(&ca_file, certified.cert.pem()).unwrap();
    // Anything that speaks TLS will do, and another platform does.
    let server = DevPlatform::options().tls_pem(certified.cert.pem(), certified.signing_key.serialize_pem());
    let server = server.start().await.unwrap();
    let url = format!("https://localhost:{}/tools/sync", server.address().port());
    for (trusted, part) in [(false, "entity callback failed: "), (true, "HTTP 400: tool hosts connect here")]
    {
        let options = DevPlatform::options();
        let options = if trusted { options.callback_ca_file(&ca_file) } else { options };
        let platform = options.start().await.unwrap();
        drop(RawHost::with_callback(&platform, &["add"], &url).await);
        platform.wait_disconnected().await.unwrap();
        let report = call(&platform).await;
        assert!(report.error().unwrap().starts_with(part), "{report:?}");
    }
    std::fs::remove_dir_all(folder).unwrap();
}
