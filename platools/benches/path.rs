//! What each step of a call's path costs by itself, beside the least that could be done with the same bytes.
//!
//! ```sh
//! cargo bench -p platools --features __bench --bench path
//! ```
//!
//! Session tokens, which are not on this path, are in the benchmark `session_token`.
#![allow(missing_docs, clippy::unwrap_used)]

use std::collections::{HashMap, HashSet};
use std::hint::black_box;
use std::time::Duration;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use hmac::{Hmac, KeyInit as _, Mac as _};
use load::{SECRET, call};
use platools::__private::{ArgumentReader, InputSchema};
use platools::bench::{Lookup, Nonces, is_genuine};
use platools::tool::IntoOutput;
use platools::verify::{Secret, SigningKey};
use platools::wire::{CallFrame, Inbound, outbound};
use platools::{Arguments, Tool, ToolOutput, ToolSpec};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::Sha256;
use tokio::time::Instant;

const ARGUMENTS: &str = r#"{"a":1,"b":2,"note":"hi"}"#;

fn parsed(text: &str) -> CallFrame<'_> {
    match Inbound::parse(text) {
        Ok(Inbound::ToolCall(call)) => call,
        other => panic!("not a call: {other:?}"),
    }
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "read, as a host would")]
struct BareFrame<'a> {
    call_id: &'a str,
    tool_name: &'a str,
    #[serde(borrow)]
    params: &'a RawValue,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "read, as a host would")]
struct BareEnvelope<'a> {
    call_id: &'a str,
    user_id: &'a str,
    timestamp: &'a str,
    nonce: &'a str,
    signature: &'a str,
}

fn frame(criterion: &mut Criterion) {
    let text = call("add", ARGUMENTS, 1);
    let mut group = criterion.benchmark_group(format!("frame of {} bytes", text.len()));
    group.bench_function("parsed, with its envelope", |bencher| bencher.iter(|| parsed(black_box(&text))));
    let envelope = parsed(&text).params().envelope_text().unwrap();
    group.bench_function("bare serde_json, then of the envelope", |bencher| {
        bencher.iter(|| {
            let frame = serde_json::from_str::<BareFrame<'_>>(black_box(&text)).unwrap();
            (frame, serde_json::from_str::<BareEnvelope<'_>>(black_box(envelope)).unwrap())
        });
    });
    let call = parsed(&text);
    group.bench_function("arguments cut out", |bencher| {
        bencher.iter(|| black_box(&call).params().arguments_text());
    });
    group.finish();
}

fn signature(criterion: &mut Criterion) {
    let key = SigningKey::new(&Secret::new(SECRET).unwrap());
    let bare = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    let mut group = criterion.benchmark_group("signature");
    for bytes in [102, 1 << 10, 4 << 10, 16 << 10, 64 << 10] {
        let text = call("add", &format!(r#"{{"note":"{}"}}"#, "x".repeat(bytes)), 1);
        let call = parsed(&text);
        let envelope = call.envelope();
        assert!(is_genuine(&key, &call, envelope));
        let signed = call.params().signed_pieces().concat();
        group.throughput(Throughput::Bytes(signed.len() as u64));
        group.bench_with_input(BenchmarkId::new("verified", bytes), &call, |bencher, call| {
            bencher.iter(|| is_genuine(&key, black_box(call), envelope));
        });
        group.bench_with_input(BenchmarkId::new("bare HMAC-SHA256", bytes), &signed, |bencher, signed| {
            bencher.iter(|| bare.clone().chain_update(black_box(signed)).finalize().into_bytes());
        });
    }
    group.finish();
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "read, as a handler would")]
struct Sum {
    a: i64,
    b: i64,
    note: String,
}

fn arguments(criterion: &mut Criterion) {
    let mut schema = InputSchema::new();
    let _ = schema.argument::<i64>("a", None);
    let _ = schema.argument::<i64>("b", None);
    let _ = schema.argument::<String>("note", None);
    let names = schema.names();
    let arguments = Arguments::from_json(ARGUMENTS).unwrap();
    let mut group = criterion.benchmark_group(format!("arguments of {} bytes", ARGUMENTS.len()));
    group.bench_function("decoded", |bencher| {
        bencher.iter(|| {
            let mut reader = ArgumentReader::new(black_box(&arguments), &names);
            let (a, b) = (reader.take::<i64>("a"), reader.take::<i64>("b"));
            let note = reader.take::<String>("note");
            reader.finish().unwrap();
            (a, b, note)
        });
    });
    group.bench_function("bare serde_json", |bencher| {
        bencher.iter(|| serde_json::from_str::<Sum>(black_box(ARGUMENTS)).unwrap());
    });
    group.finish();
}

#[derive(Serialize)]
struct Order {
    id: u64,
    customer: String,
    lines: Vec<(String, u32)>,
}

fn order() -> Order {
    Order {
        id: 1042,
        customer: "Ada Lovelace".to_owned(),
        lines: (0..20).map(|line| (format!("a thing of the kind {line}"), line)).collect(),
    }
}

fn result(criterion: &mut Criterion) {
    let bytes = serde_json::to_string(&order()).unwrap().len();
    let mut group = criterion.benchmark_group(format!("result of {bytes} bytes"));
    group.bench_function("answered", |bencher| {
        let answer = |order: Order| {
            let result = order.into_output().unwrap().into_json();
            outbound::tool_result("call_000000000001", &result, Duration::from_millis(3))
        };
        bencher.iter_batched(order, answer, BatchSize::SmallInput);
    });
    group.bench_function("bare serde_json", |bencher| {
        bencher.iter_batched(order, |order| serde_json::to_string(&order).unwrap(), BatchSize::SmallInput);
    });
    group.finish();
}

fn lookup(criterion: &mut Criterion) {
    let name = |index: usize| format!("tool_{index:05}");
    for count in [1, 100, 10_000] {
        let tool = |index| Tool::new(ToolSpec::new(name(index)), |_| async { Ok(ToolOutput::null()) });
        let tools = Lookup::new((0..count).map(tool)).unwrap();
        let map: HashMap<String, usize> = (0..count).map(|index| (name(index), index)).collect();
        // All of them in turn, so that a large table is as cold as it is in a host.
        let names: Vec<String> = (0..count).map(|index| name(index * 7_919 % count)).collect();
        let mut group = criterion.benchmark_group(format!("one tool of {count}"));
        let mut wanted = names.iter().cycle();
        group.bench_function("found", |bencher| bencher.iter(|| tools.has(wanted.next().unwrap())));
        let arrived = Instant::now();
        group.bench_function("found and admitted", |bencher| {
            bencher.iter(|| tools.admit(wanted.next().unwrap(), Some("usr_7Qm2"), 25, arrived));
        });
        group.bench_function("bare HashMap", |bencher| bencher.iter(|| map.get(wanted.next().unwrap())));
        group.finish();
    }
}

/// A flood: the memory is full, and each nonce that comes in has an old one thrown out.
fn nonces(criterion: &mut Criterion) {
    const CAPACITY: usize = 100_000;
    let nonces: Vec<String> = (0..3 * CAPACITY).map(|_| format!("{:032x}", fastrand::u128(..))).collect();
    let mut group = criterion.benchmark_group(format!("nonce, {CAPACITY} remembered"));
    let mut incoming = nonces.iter().cycle();
    let mut next = || incoming.next().unwrap();
    let (mut memory, mut clock) = (Nonces::new(CAPACITY, Duration::from_secs(300)), 1_795_262_400_000_000);
    // Two to a millisecond.
    let mut tick = move || {
        clock += 500;
        clock / 1_000 * 1_000
    };
    for _ in 0..CAPACITY {
        assert!(memory.remember(next(), tick()));
    }
    group.bench_function("new, the oldest forgotten", |bencher| {
        bencher.iter(|| assert!(memory.remember(black_box(next()), tick())));
    });
    let seen = next();
    assert!(memory.remember(seen, tick()));
    let now = tick();
    group.bench_function("replayed", |bencher| {
        bencher.iter(|| assert!(!memory.remember(black_box(seen), now)));
    });
    let set: HashSet<&String> = nonces[..CAPACITY].iter().collect();
    group.bench_function("bare HashSet", |bencher| bencher.iter(|| set.contains(black_box(next()))));
    group.finish();
}

criterion_group!(benches, frame, signature, arguments, result, lookup, nonces);
criterion_main!(benches);
