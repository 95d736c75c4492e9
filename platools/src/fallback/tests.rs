//! Requests against the router, without a server.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::to_bytes;
use futures_util::{StreamExt as _, stream};
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, Method};
use tower::ServiceExt as _;

use super::*;
use crate::caller::Credentials;
use crate::prelude::*;
use crate::verify::{Secret, SigningKey};
use crate::{Host, Platools, SecretSource, tools};

const SECRET: &str = "s3cret-s3cret-s3cret";

/// Say who is calling.
#[tool(register = false)]
async fn whoami(ctx: CallContext) -> serde_json::Value {
    serde_json::json!([ctx.user_id(), ctx.context()["source"], ctx.traceparent(), ctx.user_token()])
}

/// Repeat a text.
#[tool(register = false)]
async fn echo(text: String) -> String {
    text
}

/// Fail in one way or another.
#[tool(register = false)]
async fn fail(how: String) -> Result<(), ToolError> {
    match how.as_str() {
        "user" => Err(ToolError::user("not today")),
        "denied" => Err(ToolError::denied("not you")),
        "panic" => panic!("password=hunter2"),
        "slow" => {
            std::future::pending::<()>().await;
            Ok(())
        }
        _ => Err(std::io::Error::other("password=hunter2").into()),
    }
}

/// Answer twice an hour.
#[tool(register = false, rate_limit = "2/h")]
async fn rarely() {}

/// Answer admins only.
#[tool(register = false, auth = "admin")]
async fn restricted() {}

fn host() -> Host {
    builder().build().unwrap()
}

fn builder() -> Platools {
    let limits = crate::Limits { call_timeout: Duration::from_millis(200), ..crate::Limits::default() };
    Platools::builder()
        .url("ws://127.0.0.1:1?entity=orders")
        .secret(SECRET)
        .authenticator(|_: Credentials| async { Ok(Identity::new("usr_1")) })
        .limits(limits)
        .tools(tools![whoami, echo, fail, rarely, restricted])
}

/// A request as the platform sends it.
struct Sent {
    method: Method,
    headers: HeaderMap,
    body: String,
}

impl Sent {
    fn call(tool: &str, arguments: &str) -> Self {
        let name = serde_json::to_string(tool).unwrap();
        Self::signed(format!(
            r#"{{"method":"tools/call","params":{{"name":{name},"arguments":{arguments}}}}}"#
        ))
    }

    fn signed(body: String) -> Self {
        let sent = Self { method: Method::POST, headers: HeaderMap::new(), body };
        let nonce = format!("{:032x}", fastrand::u128(..));
        let sent = sent.with("x-platos-timestamp", &jiff::Timestamp::now().to_string());
        sent.with("x-platos-nonce", &nonce).sign()
    }

    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.insert(HeaderName::from_static(name), value.parse().unwrap());
        self
    }

    fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }

    /// Signs the current fields.
    fn sign(self) -> Self {
        let key = SigningKey::new(&Secret::new(SECRET).unwrap());
        let (timestamp, nonce) = (self.header("x-platos-timestamp"), self.header("x-platos-nonce"));
        let signature = key.sign_body(timestamp, Some(nonce), &self.body);
        self.with("x-platos-signature", &signature)
    }

    /// Sends the request; returns the status, the headers and the text.
    async fn to(&self, router: &Router) -> (u16, HeaderMap, String) {
        self.with_body(Body::from(self.body.clone()), router).await
    }

    /// Sends the request with another body.
    async fn with_body(&self, body: Body, router: &Router) -> (u16, HeaderMap, String) {
        let mut request = Request::new(body);
        *request.method_mut() = self.method.clone();
        *request.headers_mut() = self.headers.clone();
        let response = router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        (parts.status.as_u16(), parts.headers, String::from_utf8(body.to_vec()).unwrap())
    }
}

fn router(host: &Host) -> Router {
    HttpFallback::new(&host.handle()).into_router()
}

#[tokio::test]
async fn a_signed_call_is_answered_with_its_result() {
    let router = router(&host());
    let call = Sent::call("whoami", r#"{"_context":{"source":"replay"}}"#)
        .with("x-platos-organization-id", "org")
        .with("x-platos-project-id", "project")
        .with("x-platos-environment-id", "env")
        .with("x-platos-entity-id", "orders")
        .with("x-platos-user-id", "usr_7")
        .with("x-platos-user-token", "t0ken")
        .with("x-platos-agent-id", "agent")
        .with("x-platos-thread-id", "")
        .with("x-platos-call-id", "call-1")
        .with("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    let (status, headers, body) = call.to(&router).await;
    let expected = r#"["usr_7","replay","00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01","t0ken"]"#;
    assert_eq!((status, body.as_str()), (200, expected));
    assert_eq!(headers[CONTENT_TYPE], "application/json");
    assert_eq!(headers[CACHE_CONTROL], "no-store");

    let (status, _, body) = Sent::call("whoami", "{}").with("x-platos-user-id", "usr_7").to(&router).await;
    assert_eq!(status, 403, "{body}");
    assert!(body.starts_with("denied: call context incomplete: organizationId"), "{body}");
}

#[tokio::test]
async fn what_is_not_verified_is_401_with_its_reason() {
    let router = router(&host());
    let call = || Sent::call("echo", r#"{"text":"hi"}"#);
    let with_body = |body: &str| Sent { body: body.to_owned(), ..call() };
    let without = |name: &str| {
        let mut sent = call();
        sent.headers.remove(name);
        sent
    };
    for (sent, reason) in [
        (without("x-platos-signature"), "signature_missing: "),
        (without("x-platos-timestamp"), "timestamp_invalid: "),
        (without("x-platos-nonce"), "nonce_missing: "),
        (call().with("x-platos-timestamp", "2020-01-01T00:00:00Z").sign(), "timestamp_skew_exceeded: "),
        (call().with("x-platos-nonce", "another"), "signature_mismatch: "),
        (call().with("x-platos-signature", "00"), "signature_mismatch: "),
        (
            with_body(r#"{"method":"tools/call","params":{"name":"echo","arguments":{"text":"ho"}}}"#),
            "signature_mismatch: ",
        ),
        (with_body("not even JSON"), "signature_mismatch: "),
        (call().with("x-platos-entity-id", "billing"), "scope_mismatch: "),
    ] {
        let (status, headers, body) = sent.to(&router).await;
        assert_eq!(status, 401, "{reason}{body}");
        assert!(body.starts_with(reason), "{reason}{body}");
        assert_eq!(headers[CACHE_CONTROL], "no-store");
    }
    let once = call();
    assert_eq!(once.to(&router).await.0, 200);
    let (status, _, body) = once.to(&router).await;
    assert!(status == 401 && body.starts_with("nonce_replay: "), "{status} {body}");
}

/// A body of which some bytes come, and nothing more.
fn unfinished(bytes: usize) -> Body {
    let some = stream::iter([Ok::<_, std::io::Error>(vec![b' '; bytes])]);
    Body::from_stream(some.chain(stream::pending()))
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_genuine_is_refused_before_its_body_is_there() {
    let router = router(&host());
    let call = || Sent::call("echo", r#"{"text":"hi"}"#);
    let without = |name: &str| {
        let mut sent = call();
        sent.headers.remove(name);
        sent
    };
    let mut twice = call();
    twice.headers.append("x-platos-nonce", "other".parse().unwrap());
    let began = Instant::now();
    for (sent, status, reason) in [
        (without("x-platos-signature"), 401, "signature_missing: "),
        (without("x-platos-timestamp"), 401, "timestamp_invalid: "),
        (without("x-platos-nonce"), 401, "nonce_missing: "),
        (call().with("x-platos-timestamp", "2020-01-01T00:00:00Z"), 401, "timestamp_skew_exceeded: "),
        (call().with("x-platos-signature", "no signature"), 401, "signature_mismatch: "),
        (twice, 400, "duplicate header"),
    ] {
        let (got, _, body) = sent.with_body(unfinished(8), &router).await;
        assert!(got == status && body.starts_with(reason), "{reason}: {got} {body}");
    }
    assert_eq!(began.elapsed(), Duration::ZERO, "none was waited for");
}

#[tokio::test(start_paused = true)]
async fn unfinished_bodies_keep_no_genuine_call_out() {
    let router = router(&host());
    let began = Instant::now();
    let hostile: Vec<_> = (0..12)
        .map(|_| {
            let router = router.clone();
            // The headers are plausible: whether the signature is right shows only when all is there.
            let sent = Sent::call("echo", "{}");
            tokio::spawn(async move { sent.with_body(unfinished(9 << 20), &router).await.0 })
        })
        .collect();
    while hostile.iter().filter(|hostile| hostile.is_finished()).count() < 7 {
        tokio::task::yield_now().await;
    }
    let text = "x".repeat(60_000);
    for _ in 0..100 {
        let (status, _, body) = Sent::call("echo", &format!(r#"{{"text":"{text}"}}"#)).to(&router).await;
        assert_eq!(status, 200, "{body}");
    }
    assert_eq!(began.elapsed(), Duration::ZERO);
    for hostile in hostile {
        assert!(matches!(hostile.await.unwrap(), 408 | 429));
    }
    assert!(began.elapsed() <= Duration::from_secs(31));
}

/// Counts the log lines about refused calls.
struct Lines(Arc<AtomicUsize>);

impl tracing::Subscriber for Lines {
    fn enabled(&self, _metadata: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _span: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _span: &tracing::span::Id, _values: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _span: &tracing::span::Id, _follows: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        if *event.metadata().level() <= tracing::Level::WARN {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn enter(&self, _span: &tracing::span::Id) {}

    fn exit(&self, _span: &tracing::span::Id) {}
}

#[tokio::test]
async fn a_flood_of_refused_calls_does_not_fill_the_log() {
    let router = router(&host());
    let lines = Arc::new(AtomicUsize::new(0));
    let _logging = tracing::subscriber::set_default(Lines(Arc::clone(&lines)));
    let mut unsigned = Sent::call("echo", "{}");
    unsigned.headers.remove("x-platos-signature");
    for _ in 0..1_000 {
        assert_eq!(unsigned.to(&router).await.0, 401);
    }
    let lines = lines.load(Ordering::Relaxed);
    assert!((1..=40).contains(&lines), "{lines} lines");
}

#[tokio::test]
async fn a_secret_that_changed_in_its_file_is_found() {
    let path = std::env::temp_dir().join(format!("platools-http-secret-{}", std::process::id()));
    std::fs::write(&path, "another-s3cret-0123456789").unwrap();
    let host =
        Platools::builder().url("ws://127.0.0.1:1?entity=orders").secret_source(SecretSource::file(&path));
    let host = host.tools(tools![echo]).build().unwrap();
    let router = router(&host);
    let call = Sent::call("echo", r#"{"text":"hi"}"#);
    assert_eq!(call.to(&router).await.0, 401);
    std::fs::write(&path, SECRET).unwrap();
    assert_eq!(call.to(&router).await.0, 401, "it was looked up a moment ago");
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(1)).await;
    let (status, _, body) = call.to(&router).await;
    std::fs::remove_file(path).unwrap();
    assert_eq!((status, body.as_str()), (200, "\"hi\""));
}

#[tokio::test]
async fn every_failure_has_its_status_and_the_text_of_the_wire() {
    let router = router(&host());
    let fail = |how: &str| Sent::call("fail", &format!(r#"{{"how":"{how}"}}"#)).with("x-platos-call-id", how);
    for (sent, status, text) in [
        (Sent::call("nope", "{}"), 404, "unknown tool: nope"),
        (Sent::call("echo", r#"{"txt":"a"}"#), 400, "invalid arguments: "),
        (Sent::call("echo", r#"{"text":"\ud800"}"#), 400, "invalid arguments: "),
        (Sent::call("restricted", "{}").with("x-platos-user-token", "a"), 403, "denied: needs an admin"),
        (fail("user"), 422, "not today"),
        (fail("denied"), 403, "denied: not you"),
        (fail("panic"), 500, "internal error (call panic)"),
        (fail("inside"), 500, "internal error (call inside)"),
        (fail("slow"), 504, "timed out after 200 ms"),
        (Sent::signed("[]".to_owned()), 400, "the body is not a JSON object"),
        (
            Sent::signed(r#"{"method":"tools/list"}"#.to_owned()),
            400,
            "`method` is missing or is not `tools/call`",
        ),
    ] {
        let (got, headers, body) = sent.to(&router).await;
        assert_eq!(got, status, "{text}: {body}");
        assert!(body.starts_with(text) && !body.contains("hunter2"), "{body}");
        assert_eq!(headers[CONTENT_TYPE], "text/plain; charset=utf-8");
    }
}

#[tokio::test]
async fn a_rate_limit_says_when_to_come_again() {
    let router = router(&host());
    for _ in 0..2 {
        assert_eq!(Sent::call("rarely", "{}").to(&router).await.0, 200);
    }
    let (status, headers, body) = Sent::call("rarely", "{}").to(&router).await;
    assert_eq!(status, 429, "{body}");
    let wait: u64 = headers[RETRY_AFTER].to_str().unwrap().parse().unwrap();
    assert!((1..=3_600).contains(&wait) && body.starts_with("rate limited: "), "{wait} {body}");
}

#[tokio::test]
async fn an_overload_is_429_so_that_the_platform_passes_the_wait_on() {
    let limits = crate::Limits { max_running: 1, max_waiting: 0, ..crate::Limits::default() };
    let host = Platools::builder().url("ws://127.0.0.1:1?entity=orders").secret(SECRET).limits(limits);
    let host = host.tools(tools![fail, echo]).build().unwrap();
    let router = router(&host);
    let occupied = {
        let router = router.clone();
        tokio::spawn(async move { Sent::call("fail", r#"{"how":"slow"}"#).to(&router).await })
    };
    while host.handle().in_flight() == 0 {
        tokio::task::yield_now().await;
    }
    let (status, headers, body) = Sent::call("echo", r#"{"text":"hi"}"#).to(&router).await;
    assert_eq!(status, 429, "{body}");
    assert!(headers[RETRY_AFTER].to_str().unwrap().parse::<u64>().unwrap() >= 1);
    assert!(body.starts_with("overloaded: "), "{body}");
    occupied.abort();
}

#[tokio::test]
async fn the_result_is_the_bare_json_value_whatever_it_is() {
    let router = router(&host());
    for (text, expected) in [("hi", r#""hi""#), ("", r#""""#), (r#"{\"a\":1}"#, r#""{\"a\":1}""#)] {
        let (status, headers, body) =
            Sent::call("echo", &format!(r#"{{"text":"{text}"}}"#)).to(&router).await;
        assert_eq!((status, body.as_str()), (200, expected));
        assert_eq!(headers[CONTENT_TYPE], "application/json");
        serde_json::from_str::<serde_json::Value>(&body).unwrap();
    }
    // A tool without a result answers JSON too: an empty body would be a failure.
    let (status, _, body) = Sent::call("rarely", "{}").to(&router).await;
    assert_eq!((status, serde_json::from_str::<serde_json::Value>(&body).is_ok()), (200, true), "{body}");
}

#[tokio::test]
async fn what_is_no_request_for_a_call_is_told_so() {
    let host = host();
    let router = router(&host);
    let call = Sent::call("echo", r#"{"text":"hi"}"#);
    let (status, headers, _) = Sent { method: Method::GET, ..Sent::call("echo", "{}") }.to(&router).await;
    assert_eq!(status, 405);
    assert_eq!(headers[ALLOW], "POST");

    let mut twice = call;
    twice.headers.append("x-platos-nonce", "another".parse().unwrap());
    let (status, _, body) = twice.to(&router).await;
    assert_eq!((status, body.as_str()), (400, "duplicate header `X-Platos-Nonce`"));

    let small = HttpFallback::new(&host.handle()).body_limit(100).into_router();
    let large = Sent::call("echo", &format!(r#"{{"text":"{}"}}"#, "x".repeat(100)));
    let (status, _, body) = large.to(&small).await;
    assert_eq!((status, body.as_str()), (413, "the call has more than 100 bytes: shorten its arguments"));
    let lying = Sent::call("echo", "{}").with("content-length", "1000000000000");
    assert_eq!(lying.to(&small).await.0, 413);
}

#[tokio::test]
async fn a_call_id_runs_once() {
    let router = router(&host());
    let again = || Sent::call("echo", r#"{"text":"hi"}"#).with("x-platos-call-id", "call-1");
    assert_eq!(again().to(&router).await.0, 200);
    let (status, _, body) = again().to(&router).await;
    assert_eq!(
        (status, body.as_str()),
        (409, "this call is running or was answered already: send a new call under a new id")
    );
    for other in [Sent::call("echo", r#"{"text":"ho"}"#), Sent::call("whoami", r#"{"text":"hi"}"#)] {
        let (status, _, body) = other.with("x-platos-call-id", "call-1").to(&router).await;
        assert!(status == 409 && body.starts_with("call_id_reused: "), "{status} {body}");
    }
    let unnamed = || Sent::call("echo", r#"{"text":"hi"}"#).with("x-platos-call-id", "");
    assert_eq!((unnamed().to(&router).await.0, unnamed().to(&router).await.0), (200, 200));
    let refused = || Sent::call("echo", "{}").with("x-platos-call-id", "call-2");
    assert_eq!(refused().to(&router).await.0, 400);
}

#[tokio::test]
async fn a_host_that_never_connects_remembers_calls_over_a_restart() {
    let state = std::env::temp_dir().join(format!("platools-fallback-{:016x}", fastrand::u64(..)));
    // A host, its handles and its router, one after the other in one process.
    let start = || {
        let host = builder().state_dir(&state).build().unwrap();
        HttpFallback::new(&host.handle()).into_router()
    };
    let sent = Sent::call("echo", r#"{"text":"hello"}"#);
    let (status, _, body) = sent.to(&start()).await;
    assert_eq!(
        (status, &*body),
        (
            401,
            "signed_before_restart: the call was signed before this host started, so it could be a replay of a call that ran; sign a new call instead of resending it"
        )
    );
    let router = start();
    let sent = Sent::call("echo", r#"{"text":"hello"}"#);
    assert_eq!(sent.to(&router).await.0, 200);
    drop(router);
    let router = start();
    let (status, _, body) = sent.to(&router).await;
    assert!(status == 401 && body.starts_with("nonce_replay: "), "{status} {body}");
    assert_eq!(Sent::call("echo", r#"{"text":"hello"}"#).to(&router).await.0, 200);
    drop(router);
    std::fs::remove_dir_all(state).unwrap();
}
