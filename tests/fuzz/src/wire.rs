//! What comes over the WebSocket: frames, envelopes, the times in them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use platools::verify::{Secret, SigningKey, Verifier, VerifierOptions};
use platools::wire::{CallFrame, Inbound, RawEnvelope, Scope};
use serde_json::Value;

use super::{SECRET, hmac_hex};

/// When everything here arrives: 2026-11-29T12:00:00Z.
const NOW: u64 = 1_795_953_600;

/// How far a timestamp may be from now, in seconds (protocol §6).
const SKEW: f64 = 300.0;

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(NOW)
}

fn secret() -> Secret {
    Secret::new(SECRET).expect("the secret is long enough")
}

fn call(text: &str) -> Option<CallFrame<'_>> {
    match Inbound::parse(text) {
        Ok(Inbound::ToolCall(call)) => Some(call),
        Ok(other) => {
            let _ = format!("{other:?}");
            None
        }
        Err(error) => {
            assert!(error.to_string().len() < 2_000, "{error}");
            None
        }
    }
}

/// A frame: what it says is what another reader of JSON finds.
pub fn frame(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let Some(call) = call(text) else { return false };
    let _ = (format!("{call:?}"), call.tool_name().display(), call.envelope().to_envelope());
    let [before, after] = call.params().signed_pieces();
    assert!(text.contains(before) && text.contains(after), "what is signed is text that came");
    let arguments = call.params().arguments_text();
    // Deep nesting and lone surrogates are for one reader only.
    let Ok(read) = serde_json::from_str::<Value>(text) else { return false };
    assert_eq!(read["type"], "tool_call");
    assert_eq!(read["call_id"].as_str(), Some(call.call_id()));
    if let Some(name) = call.tool_name().exact() {
        assert_eq!(read["tool_name"].as_str(), Some(&*name));
    }
    let signed: Value = serde_json::from_str(&format!("{before}{after}")).expect("the signed text is JSON");
    let without = |value: &Value, names: &[&str]| {
        let mut members = value.as_object().cloned().unwrap_or_default();
        members.retain(|name, _| !names.contains(&name.as_str()));
        members
    };
    let params = &read["params"];
    assert_eq!(without(&signed, &["__platos"]), without(params, &["__platos"]));
    let arguments: Value = serde_json::from_str(&arguments).expect("the arguments are JSON");
    assert_eq!(
        without(&arguments, &["__platos", "_context"]),
        without(params, &["__platos", "_context"]),
        "{text}"
    );
    true
}

/// A frame with an envelope, in which `@signature@` stands for the right signature: accepted only if it is genuine, and
/// only once.
pub fn envelope(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let Some(draft) = call(text) else { return false };
    let text = text.replace("@signature@", &genuine(&draft));
    let Some(call) = call(&text) else { return false };
    let verifier = Verifier::new(&secret(), VerifierOptions::default());
    let scope = Scope::default();
    let (timestamp, nonce, found) = match verifier.verify(&call, &scope, now()) {
        Ok(envelope) => {
            assert_eq!(envelope.call_id.as_deref(), Some(call.call_id()));
            let text = |part: Option<&str>| part.expect("it is signed").to_owned();
            let RawEnvelope { timestamp, nonce, signature, .. } = envelope;
            (text(timestamp.as_deref()), text(nonce.as_deref()), text(signature.as_deref()))
        }
        Err(refusal) => {
            assert!(!refusal.to_string().contains(SECRET));
            return false;
        }
    };
    assert!(is_recent(&timestamp) && !nonce.is_empty());
    let expected = genuine(&call);
    assert_eq!(found.to_ascii_lowercase(), expected, "{text}");
    let again = verifier.verify(&call, &scope, now()).expect_err("once");
    assert_eq!(again.reason(), "nonce_replay");
    true
}

/// The signature that the platform would write (protocol §6).
fn genuine(call: &CallFrame<'_>) -> String {
    let RawEnvelope { timestamp, nonce, .. } = call.envelope();
    let [before, after] = call.params().signed_pieces();
    let name = call.tool_name().raw_json();
    let (timestamp, nonce) = (timestamp.as_deref().unwrap_or_default(), nonce.as_deref().unwrap_or_default());
    let start = r#"{"method":"tools/call","params":{"name":"#;
    hmac_hex(&[timestamp, ".", nonce, ".", start, name, r#","arguments":"#, before, after, "}}"])
}

/// Whether another reader of times finds this one near now.
fn is_recent(timestamp: &str) -> bool {
    timestamp
        .parse::<jiff::Timestamp>()
        .is_ok_and(|at| (at.as_second() as f64 - NOW as f64).abs() <= SKEW + 1.0)
}

/// The timestamp of a call that is signed correctly: accepted only where another reader finds it recent.
pub fn timestamp(bytes: &[u8]) -> bool {
    let Ok(timestamp) = std::str::from_utf8(bytes) else { return false };
    let signature = SigningKey::new(&secret()).sign_call(timestamp, Some("n-1"), "t", "{}");
    let envelope = serde_json::json!({
        "timestamp": timestamp, "nonce": "n-1", "signature": signature, "callId": "call-1",
    });
    let text = serde_json::json!({
        "type": "tool_call", "call_id": "call-1", "tool_name": "t", "params": {"__platos": envelope},
    })
    .to_string();
    let call = call(&text).expect("a call");
    let verifier = Verifier::new(&secret(), VerifierOptions::default());
    match verifier.verify(&call, &Scope::default(), now()) {
        Ok(_) => {
            assert!(is_recent(timestamp), "{timestamp:?}");
            // What stands before a dot is signed with what follows, so no part of a time may be one with another rest.
            assert!(timestamp.bytes().filter(|byte| *byte == b'.').count() <= 1, "{timestamp:?}");
            true
        }
        Err(refusal) => {
            let reason = refusal.reason();
            assert!(
                matches!(reason, "timestamp_invalid" | "timestamp_skew_exceeded"),
                "{timestamp:?}: {reason}"
            );
            if reason == "timestamp_skew_exceeded" {
                assert!(timestamp.parse::<jiff::Timestamp>().is_ok(), "{timestamp:?}");
            }
            false
        }
    }
}
