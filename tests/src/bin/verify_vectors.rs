//! Holds the verification against a file of signed frames, such as `signed-calls.json`, and prints a
//! verdict per case. Exit code 1 when one differs, 2 when the file cannot be read.

use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use platools::verify::{Secret, Verifier, VerifierOptions};
use platools::wire::{Inbound, Scope};
use serde::Deserialize;

#[derive(Deserialize)]
struct Vectors {
    secret: String,
    entity_id: Option<String>,
    now: String,
    max_skew_seconds: Option<u64>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    frame: String,
    expect: String,
    arguments_json: Option<String>,
}

fn main() -> ExitCode {
    let Some(path) = std::env::args_os().nth(1) else {
        eprintln!("usage: verify-vectors FILE");
        return ExitCode::from(2);
    };
    match check(&path) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(problem) => {
            eprintln!("{}: {problem}", path.display());
            ExitCode::from(2)
        }
    }
}

/// Checks every case and returns how many differ.
fn check(path: &std::ffi::OsStr) -> Result<usize, Box<dyn std::error::Error>> {
    let vectors: Vectors = serde_json::from_slice(&std::fs::read(path)?)?;
    let secret = Secret::new(vectors.secret.as_str())?;
    let now = SystemTime::from(vectors.now.parse::<jiff::Timestamp>()?);
    let mut different = 0;
    for (index, case) in vectors.cases.iter().enumerate() {
        let (verdict, detail) = verdict(&vectors, &secret, now, case);
        let fits = verdict == case.expect
            || (case.expect == "accept_or_mismatch" && matches!(verdict, "accept" | "signature_mismatch"));
        different += usize::from(!fits);
        let mark = if fits { "ok  " } else { "DIFF" };
        println!("{mark} case {index}: expected {}, got {verdict}{detail}", case.expect);
    }
    println!("{} passed, {different} failed", vectors.cases.len() - different);
    Ok(different)
}

/// What the host would say to one frame. Each case stands for itself, so nonces are not remembered.
fn verdict(vectors: &Vectors, secret: &Secret, now: SystemTime, case: &Case) -> (&'static str, String) {
    let mut options = VerifierOptions::default();
    if let Some(seconds) = vectors.max_skew_seconds {
        options.max_skew = Duration::from_secs(seconds);
    }
    let verifier = Verifier::new(secret, options);
    let scope = Scope { entity_id: vectors.entity_id.clone(), ..Scope::default() };
    let call = match Inbound::parse(&case.frame) {
        Ok(Inbound::ToolCall(call)) => call,
        Ok(other) => return ("malformed", format!(" (not a call: {other:?})")),
        Err(error) => return ("malformed", format!(" ({error})")),
    };
    if let Err(refusal) = verifier.verify(&call, &scope, now) {
        return (refusal.reason(), String::new());
    }
    let signed = call.params().signed_pieces().concat();
    match &case.arguments_json {
        Some(expected) if *expected != signed => {
            ("signed_text_differs", format!(" (verified `{signed}`, the file has `{expected}`)"))
        }
        _ => ("accept", String::new()),
    }
}
