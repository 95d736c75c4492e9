//! What it costs to make a typed event of a frame, beside what it costs to parse the frame's JSON at all.
//!
//! ```sh
//! cargo bench -p platos-client --features testing --bench events
//! ```
#![allow(missing_docs, clippy::unwrap_used)]

use std::borrow::Cow;
use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use platos_client::testing::event_of_frame;
use serde::Deserialize;
use serde_json::{Value, json};

/// The least that can be made of an event: its type and text, borrowed from the frame.
#[derive(Deserialize)]
struct Borrowed<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow, alias = "chunk", alias = "name")]
    text: Option<Cow<'a, str>>,
}

fn events(criterion: &mut Criterion) {
    let thread = json!({"threadId": "thr_01HZX4T6Q8", "agentId": "agt_support"});
    let with_thread = |mut event: Value| {
        event.as_object_mut().unwrap().extend(thread.as_object().unwrap().clone());
        event
    };
    for (name, event) in [
        ("token", with_thread(json!({"type": "token", "text": "word "}))),
        (
            "tool_call",
            with_thread(json!({
                "type": "tool_call", "name": "lookup_order", "callId": "call_01HZX4T6Q8",
                "params": {"order_id": "ord-1042", "limit": 20, "note": null, "tags": ["open", "late"]},
            })),
        ),
        (
            "artifact_delta of 4 KB",
            with_thread(json!({
                "type": "artifact_delta", "artifactId": "art_1", "artifactKey": "notes",
                "chunk": "A line of \"text\", as agents write it.\n".repeat(100),
            })),
        ),
    ] {
        let json = event.to_string();
        let frame = format!("42/agent,[\"agent_event\",{json}]");
        let mut group = criterion.benchmark_group(format!("{name}, {} bytes", frame.len()));
        group.throughput(Throughput::Bytes(frame.len() as u64));
        group.bench_function("frame to event", |bencher| {
            bencher.iter(|| event_of_frame(black_box(&frame)).unwrap());
        });
        group.bench_function("its JSON to a Value", |bencher| {
            bencher.iter(|| serde_json::from_str::<Value>(black_box(&json)).unwrap());
        });
        group.bench_function("its JSON to two borrowed fields", |bencher| {
            bencher.iter(|| {
                let event: Borrowed<'_> = serde_json::from_str(black_box(&json)).unwrap();
                (event.kind.len(), event.text.map(|text| text.len()))
            });
        });
        group.finish();
    }
}

criterion_group!(benches, events);
criterion_main!(benches);
