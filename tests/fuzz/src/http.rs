//! Calls over HTTP: the headers and the body of a request.

use std::cell::{OnceCell, RefCell};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderName, HeaderValue, Request};
use platools::fallback::HttpFallback;
use platools::{Host, Platools, Tool, ToolOutput, ToolSpec};
use tokio::runtime::Runtime;
use tower::ServiceExt as _;

use super::{SECRET, hmac_hex};

struct Server {
    runtime: Runtime,
    router: Router,
    _host: Host,
}

thread_local! {
    static SERVER: OnceCell<Server> = const { OnceCell::new() };
    /// How many requests there were: nonces and ids are new each time.
    static COUNT: RefCell<u64> = const { RefCell::new(0) };
}

fn server() -> Server {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let echo =
        Tool::new(ToolSpec::new("echo").description("Says so."), |_| async { Ok(ToolOutput::text("so")) });
    let host = Platools::builder()
        .url("ws://127.0.0.1:1?entity=fuzz")
        .secret(SECRET)
        .tools([echo])
        .build()
        .expect("a host");
    let router = HttpFallback::new(&host.handle()).into_router();
    Server { runtime, router, _host: host }
}

/// Lines `Name: value`, an empty line, and the body. `@now@`, `@nonce@` and `@signature@` stand for what a genuine
/// request has. A call runs only if its signature is that of its body.
pub fn http_request(bytes: &[u8]) -> bool {
    let (head, body) = match bytes.windows(2).position(|pair| pair == b"\n\n") {
        Some(at) => (&bytes[..at], &bytes[at + 2..]),
        None => (bytes, &[][..]),
    };
    let number = COUNT.with_borrow_mut(|count| {
        *count += 1;
        *count
    });
    let (now, nonce) = (jiff::Timestamp::now().to_string(), format!("nonce-{number}"));
    let head = String::from_utf8_lossy(head).replace("@now@", &now).replace("@nonce@", &nonce);
    let mut request = Request::builder().method("POST").uri("/");
    let headers = request.headers_mut().expect("a request");
    for line in head.lines() {
        let Some((name, value)) = line.split_once(": ") else { continue };
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_bytes(value.as_bytes()))
        {
            headers.append(name, value);
        }
    }
    let text = |headers: &axum::http::HeaderMap, name| {
        headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
    };
    let (timestamp, nonce) = (text(headers, "x-platos-timestamp"), text(headers, "x-platos-nonce"));
    let genuine = std::str::from_utf8(body).map(|body| hmac_hex(&[&timestamp, ".", &nonce, ".", body]));
    if text(headers, "x-platos-signature") == "@signature@"
        && let Ok(genuine) = &genuine
    {
        headers.insert("x-platos-signature", genuine.parse().expect("hexadecimal"));
    }
    let signature = text(headers, "x-platos-signature");
    let request = request.body(Body::from(body.to_vec())).expect("a request");
    SERVER.with(|server_once| {
        let server = server_once.get_or_init(server);
        let (status, answer) = server.runtime.block_on(async {
            let response = server.router.clone().oneshot(request).await.expect("an answer");
            (response.status().as_u16(), to_bytes(response.into_body(), 1 << 20).await.expect("a body"))
        });
        let answer = String::from_utf8(answer.to_vec()).expect("answers are UTF-8");
        assert!(!answer.contains(SECRET));
        if status == 401 {
            return false;
        }
        assert!(matches!(status, 200 | 400 | 404 | 408 | 409 | 413 | 422 | 429 | 503), "{status}: {answer}");
        if matches!(status, 200 | 404 | 409) {
            let genuine = genuine.expect("UTF-8");
            assert_eq!(signature.to_ascii_lowercase(), genuine, "{status}: {answer}");
        }
        status == 200
    })
}
