//! What the sidecar adds to a call of an HTTP backend, beside a bare proxy of the same call.
//!
//! Both are measured in one run, against the same server on the loopback: `cargo bench -p platools-sidecar`.
//!
//! * `backend` is the request alone, sent with a bare HTTP client;
//! * `proxy` is the least that a program in between does: arguments in, a request, the answer as JSON out;
//! * `sidecar` is a call of the same tool: admission, the schema's validation, the template, the request, the answer;
//! * `signed` is the same with the caller's identity forwarded and signed.

use std::hint::black_box;
use std::net::SocketAddr;

use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use criterion::{Criterion, criterion_group, criterion_main};
use platools::{Arguments, CallContext, LocalHost};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

/// A backend with a small JSON answer.
async fn backend() -> SocketAddr {
    let order = |Path(id): Path<String>| async move {
        axum::Json(json!({"id": id, "pieces": 3, "lines": [{"sku": "a", "price": "1.10"}]}))
    };
    let router = Router::new().route("/orders/{id}", get(order));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

async fn tools(address: SocketAddr) -> LocalHost {
    let text = format!(
        "[backend.plain]\nurl = \"http://{address}\"\n\
         [backend.signed]\nurl = \"http://{address}\"\nforward = [\"user_id\", \"call_id\"]\nsign = \"a-key-of-the-sidecar-alone\"\n\
         [[tool.http]]\nname = \"plain\"\nbackend = \"plain\"\nurl = \"/orders/{{id}}\"\n\
         arguments.id = {{ type = \"string\", minLength = 1, maxLength = 40 }}\n\
         [[tool.http]]\nname = \"signed\"\nbackend = \"signed\"\nurl = \"/orders/{{id}}\"\n\
         arguments.id = {{ type = \"string\", minLength = 1, maxLength = 40 }}\n"
    );
    let file = std::env::temp_dir().join(format!("platools-sidecar-bench-{}.toml", std::process::id()));
    std::fs::write(&file, text).expect("a file");
    let host = platools_sidecar::local(&file).await.expect("the file is right");
    let _ = std::fs::remove_file(&file);
    host.host().clone()
}

fn overhead(criterion: &mut Criterion) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = Runtime::new().expect("a runtime");
    let address = runtime.block_on(backend());
    let host = runtime.block_on(tools(address));
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let mut group = criterion.benchmark_group("overhead");
    group.bench_function("backend", |bencher| {
        bencher.to_async(&runtime).iter(|| async {
            let answer =
                client.get(format!("http://{address}/orders/ord-1042")).send().await.expect("an answer");
            black_box(answer.bytes().await.expect("a body"))
        });
    });
    group.bench_function("proxy", |bencher| {
        bencher.to_async(&runtime).iter(|| async {
            let arguments: Value = serde_json::from_str(r#"{"id":"ord-1042"}"#).expect("arguments");
            let url = format!("http://{address}/orders/{}", arguments["id"].as_str().expect("an id"));
            let answer = client.get(url).send().await.expect("an answer");
            let answer: Value = answer.json().await.expect("JSON");
            black_box(answer.to_string())
        });
    });
    for tool in ["plain", "signed"] {
        let name = if tool == "plain" { "sidecar" } else { tool };
        group.bench_function(name, |bencher| {
            bencher.to_async(&runtime).iter(|| async {
                let arguments = Arguments::from_json(r#"{"id":"ord-1042"}"#).expect("arguments");
                let context = CallContext::builder().user_id("usr_7").build();
                let answer = host.call(tool, arguments, context).await.expect("an answer");
                black_box(answer.into_json())
            });
        });
    }
    group.finish();
}

criterion_group!(benches, overhead);
criterion_main!(benches);
