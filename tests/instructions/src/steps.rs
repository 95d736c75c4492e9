//! The steps of a call's path, one by one, as often as is wanted. What they work on is made before, in every run, so that
//! it cancels out.

use std::error::Error;
use std::hint::black_box;
use std::time::{Duration, SystemTime};

use load::{SECRET, call, scope};
use platools::__private::{ArgumentReader, InputSchema};
use platools::bench::{Lookup, Nonces, is_genuine};
use platools::tool::IntoOutput;
use platools::verify::{Secret, SigningKey, Verifier, VerifierOptions};
use platools::wire::{CallFrame, Inbound, outbound};
use platools::{Arguments, Tool, ToolOutput, ToolSpec};
use tokio::time::Instant;

/// What every call here is made with.
pub(crate) const ARGUMENTS: &str = r#"{"a":1,"b":2,"note":"hi"}"#;

/// How many nonces are remembered when the next ones come.
const NONCES: usize = 5_000;

/// The most rounds of a step: what is made for each of them is made for so many, however many there are.
const MOST: usize = super::ROUNDS[1];

type Step = fn(usize);

const STEPS: [(&str, Step); 8] = [
    ("frame and envelope parsed", frame_parsed),
    ("signature checked", signature_checked),
    ("nonce remembered, another forgotten", nonce_remembered),
    ("call verified", call_verified),
    ("tool found and admitted", tool_admitted),
    ("arguments cut out", arguments_cut),
    ("arguments decoded", arguments_decoded),
    ("result encoded", result_encoded),
];

pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    STEPS.iter().map(|(name, _)| *name)
}

/// Whether there is a hash in it.
pub(crate) fn needs_hash(name: &str) -> bool {
    ["signature checked", "call verified"].contains(&name)
}

/// Takes that step so many times.
pub(crate) fn run(name: &str, rounds: usize) -> Result<(), Box<dyn Error>> {
    if rounds > MOST {
        return Err("so many rounds are not prepared".into());
    }
    let (_, step) = STEPS.iter().find(|(step, _)| *step == name).ok_or("no such step")?;
    step(rounds);
    Ok(())
}

fn parsed(text: &str) -> CallFrame<'_> {
    match Inbound::parse(text) {
        Ok(Inbound::ToolCall(call)) => call,
        other => panic!("not a call: {other:?}"),
    }
}

fn secret() -> Secret {
    Secret::new(SECRET).expect("a secret")
}

fn frame_parsed(rounds: usize) {
    let text = call("add", ARGUMENTS, 1);
    for _ in 0..rounds {
        black_box(parsed(black_box(&text)));
    }
}

fn signature_checked(rounds: usize) {
    let (text, key) = (call("add", ARGUMENTS, 1), SigningKey::new(&secret()));
    let call = parsed(&text);
    let envelope = call.envelope();
    for _ in 0..rounds {
        assert!(is_genuine(&key, black_box(&call), envelope));
    }
}

fn nonce_remembered(rounds: usize) {
    let mut nonces = Nonces::new(NONCES, Duration::from_secs(300));
    let texts: Vec<String> = (0..NONCES + MOST).map(|number| format!("{number:032x}")).collect();
    // Two to a millisecond.
    for (nonce, number) in texts.iter().zip(0_i64..).take(NONCES + rounds) {
        assert!(nonces.remember(black_box(nonce), number / 2 * 1_000));
    }
}

fn call_verified(rounds: usize) {
    let texts: Vec<String> = (0..MOST).map(|number| call("add", ARGUMENTS, number)).collect();
    let verifier = Verifier::new(&secret(), VerifierOptions::default());
    let (scope, now) = (scope(), SystemTime::now());
    let calls: Vec<CallFrame<'_>> = texts.iter().map(|text| parsed(text)).collect();
    for call in &calls[..rounds] {
        black_box(verifier.verify(black_box(call), &scope, now).expect("a call that is verified"));
    }
}

fn tool_admitted(rounds: usize) {
    let name = |index: usize| format!("tool_{index:05}");
    let tool = |index| Tool::new(ToolSpec::new(name(index)), |_| async { Ok(ToolOutput::null()) });
    let tools = Lookup::new((0..100).map(tool)).expect("tools");
    let (names, arrived): (Vec<String>, _) = ((0..100).map(name).collect(), Instant::now());
    for name in names.iter().cycle().take(rounds) {
        assert!(tools.admit(black_box(name), Some("usr_7Qm2"), 25, arrived));
    }
}

fn arguments_cut(rounds: usize) {
    let text = call("add", ARGUMENTS, 1);
    let call = parsed(&text);
    for _ in 0..rounds {
        black_box(black_box(&call).params().arguments_text());
    }
}

fn arguments_decoded(rounds: usize) {
    let mut schema = InputSchema::new();
    let _ = schema.argument::<i64>("a", None);
    let _ = schema.argument::<i64>("b", None);
    let _ = schema.argument::<String>("note", None);
    let (names, arguments) = (schema.names(), Arguments::from_json(ARGUMENTS).expect("an object"));
    for _ in 0..rounds {
        let mut reader = ArgumentReader::new(black_box(&arguments), &names);
        let (a, b) = (reader.take::<i64>("a"), reader.take::<i64>("b"));
        let note = reader.take::<String>("note");
        reader.finish().expect("arguments that fit");
        black_box((a, b, note));
    }
}

fn result_encoded(rounds: usize) {
    for _ in 0..rounds {
        let result = black_box(3_i64).into_output().expect("a result").into_json();
        black_box(outbound::tool_result("call_000000000001", &result, Duration::from_millis(3)));
    }
}
