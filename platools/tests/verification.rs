//! Verification of calls as a host does it: whole frames in, verdicts out.

#![allow(clippy::unwrap_used)]

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use platools::verify::{Refusal, Secret, SigningKey, VerificationMode, Verifier, VerifierOptions};
use platools::wire::{CallFrame, Envelope, Inbound, RawEnvelope, Scope, platform};
use proptest::prelude::*;
use serde::Deserialize;
use serde_json::Value;

const SECRET: &str = "b7f1c2d3e4f5a6978899aabbccddeeff00112233445566778899aabbccddeeff";
const NOW: &str = "2026-11-21T12:00:30.000Z";

fn secret() -> Secret {
    Secret::new(SECRET).unwrap()
}

fn at(text: &str) -> SystemTime {
    text.parse::<Timestamp>().unwrap().into()
}

fn verifier() -> Verifier {
    Verifier::new(&secret(), VerifierOptions::default())
}

fn scope() -> Scope {
    Scope {
        organization_id: Some("org_1".to_owned()),
        project_id: Some("prj_1".to_owned()),
        environment_id: Some("env_1".to_owned()),
        entity_id: Some("orders".to_owned()),
    }
}

fn call(text: &str) -> CallFrame<'_> {
    match Inbound::parse(text) {
        Ok(Inbound::ToolCall(call)) => call,
        other => panic!("not a call: {other:?}"),
    }
}

fn verify<'a>(verifier: &Verifier, text: &'a str) -> Result<RawEnvelope<'a>, Refusal> {
    verifier.verify(&call(text), &scope(), at(NOW)).cloned()
}

/// The verdict of a fresh verifier.
fn verdict(text: &str) -> &'static str {
    match verify(&verifier(), text) {
        Ok(_) => "accept",
        Err(refusal) => refusal.reason(),
    }
}

/// A signed call whose envelope can be changed before and after the signature is made.
struct Call {
    tool_name: String,
    arguments: String,
    envelope: Envelope,
}

impl Call {
    fn new() -> Self {
        let mut envelope = Envelope::default();
        envelope.organization_id = Some("org_1".to_owned());
        envelope.project_id = Some("prj_1".to_owned());
        envelope.environment_id = Some("env_1".to_owned());
        envelope.entity_id = Some("orders".to_owned());
        envelope.user_id = Some("usr_1".to_owned());
        envelope.call_id = Some("call-1".to_owned());
        envelope.timestamp = Some("2026-11-21T12:00:00.000Z".to_owned());
        envelope.nonce = Some("30344d9eeb4a4a6e0e5edd79911d444c".to_owned());
        Self {
            tool_name: "lookup_order".to_owned(),
            arguments: r#"{"order_id":"ord-1"}"#.to_owned(),
            envelope,
        }
    }

    fn signed(mut self) -> Self {
        let timestamp = self.envelope.timestamp.as_deref().unwrap();
        let nonce = self.envelope.nonce.as_deref();
        self.envelope.signature =
            Some(SigningKey::new(&secret()).sign_call(timestamp, nonce, &self.tool_name, &self.arguments));
        self
    }

    fn changed(mut self, change: impl FnOnce(&mut Envelope)) -> Self {
        change(&mut self.envelope);
        self
    }

    fn text(&self) -> String {
        platform::tool_call("call-1", &self.tool_name, &self.arguments, &self.envelope)
    }
}

#[derive(Deserialize)]
struct Vectors {
    secret: String,
    now: String,
    max_skew_seconds: u64,
    entity_id: String,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    frame: String,
    expect: String,
    arguments_json: String,
}

#[test]
fn every_recorded_call_gets_its_verdict() {
    let vectors: Vectors = serde_json::from_str(include_str!("data/signed-calls.json")).unwrap();
    let secret = Secret::new(vectors.secret).unwrap();
    let mut options = VerifierOptions::default();
    options.max_skew = Duration::from_secs(vectors.max_skew_seconds);
    let verifier = Verifier::new(&secret, options);
    let scope = Scope { entity_id: Some(vectors.entity_id), ..Scope::default() };
    assert!(!vectors.cases.is_empty());
    for case in &vectors.cases {
        let call = call(&case.frame);
        let verdict = verifier.verify(&call, &scope, at(&vectors.now));
        let reason = verdict.as_ref().map_or_else(Refusal::reason, |_| "accept");
        if case.expect == "accept_or_mismatch" {
            assert!(["accept", "signature_mismatch"].contains(&reason), "{}", case.frame);
        } else {
            assert_eq!(reason, case.expect, "{}", case.frame);
        }
        if verdict.is_ok() {
            assert_eq!(call.params().signed_pieces().concat(), case.arguments_json);
        }
    }
}

#[test]
fn a_signed_call_is_accepted_once() {
    let verifier = verifier();
    let text = Call::new().signed().text();
    let envelope = verify(&verifier, &text).unwrap();
    assert_eq!(envelope.user_id.as_deref(), Some("usr_1"));
    assert_eq!(verify(&verifier, &text).unwrap_err().reason(), "nonce_replay");
    // The same nonce, signed once more a second later, was seen all the same.
    let later = Call::new().changed(|envelope| {
        envelope.timestamp = Some("2026-11-21T12:00:01.000Z".to_owned());
    });
    assert_eq!(verify(&verifier, &later.signed().text()).unwrap_err().reason(), "nonce_replay");
}

#[test]
fn the_skew_is_allowed_to_its_edge_on_both_sides() {
    for (timestamp, expected) in [
        ("2026-11-21T11:55:30.000Z", "accept"),
        ("2026-11-21T11:55:29.999Z", "timestamp_skew_exceeded"),
        ("2026-11-21T12:05:30.000Z", "accept"),
        ("2026-11-21T12:05:30.001Z", "timestamp_skew_exceeded"),
        ("2026-11-21T14:00:30+02:00", "accept"),
        ("2026-11-21T12:00:30", "timestamp_invalid"),
        ("", "timestamp_invalid"),
        ("-009999-01-01T00:00:00Z", "timestamp_invalid"),
        ("9999-12-30T22:00:00Z", "timestamp_skew_exceeded"),
        ("0000-01-01T00:00:00Z", "timestamp_skew_exceeded"),
    ] {
        let call = Call::new().changed(|envelope| envelope.timestamp = Some(timestamp.to_owned()));
        assert_eq!(verdict(&call.signed().text()), expected, "{timestamp}");
    }
}

#[test]
fn reasons_come_in_the_order_of_the_page() {
    // Everything is wrong; what is checked first is repaired step by step.
    let mut wrong = Call::new().changed(|envelope| {
        envelope.call_id = Some("another".to_owned());
        envelope.entity_id = Some("another".to_owned());
        envelope.timestamp = None;
        envelope.nonce = None;
    });
    assert_eq!(verdict(&wrong.text()), "signature_missing");
    wrong.envelope.signature = Some("0".repeat(64));
    assert_eq!(verdict(&wrong.text()), "timestamp_invalid");
    wrong.envelope.timestamp = Some("2026-11-20T12:00:00.000Z".to_owned());
    assert_eq!(verdict(&wrong.text()), "timestamp_skew_exceeded");
    wrong.envelope.timestamp = Some(NOW.to_owned());
    assert_eq!(verdict(&wrong.text()), "nonce_missing");
    wrong.envelope.nonce = Some("n".to_owned());
    assert_eq!(verdict(&wrong.text()), "signature_mismatch");
    let wrong = wrong.signed();
    let verifier = verifier();
    assert_eq!(verify(&verifier, &wrong.text()).unwrap_err().reason(), "call_id_mismatch");
    assert_eq!(verify(&verifier, &wrong.text()).unwrap_err().reason(), "nonce_replay");
    let wrong = wrong.changed(|envelope| envelope.call_id = Some("call-1".to_owned()));
    assert_eq!(verdict(&wrong.text()), "scope_mismatch");
}

#[test]
fn each_part_of_the_scope_must_agree_where_both_state_it() {
    type Part = fn(&mut Envelope) -> &mut Option<String>;
    let parts: [(&str, Part); 4] = [
        ("entityId", |envelope| &mut envelope.entity_id),
        ("environmentId", |envelope| &mut envelope.environment_id),
        ("projectId", |envelope| &mut envelope.project_id),
        ("organizationId", |envelope| &mut envelope.organization_id),
    ];
    for (member, part) in parts {
        let other =
            Call::new().signed().changed(|envelope| *part(envelope) = Some("other".to_owned())).text();
        assert_eq!(verify(&verifier(), &other).unwrap_err(), Refusal::ScopeMismatch { member });
        let other = call(&other);
        let verifier = verifier();
        let unstated = verifier.verify(&other, &Scope::default(), at(NOW));
        assert!(unstated.is_ok(), "an old platform's welcome says less: {member}");
        let absent = Call::new().signed().changed(|envelope| *part(envelope) = None).text();
        assert_eq!(verdict(&absent), "accept", "{member}");
    }
}

#[test]
fn a_call_without_a_call_id_in_its_envelope_is_for_no_call() {
    let absent = Call::new().signed().changed(|envelope| envelope.call_id = None);
    assert_eq!(verdict(&absent.text()), "call_id_mismatch");
}

#[test]
fn the_legacy_form_needs_permission() {
    let text = Call::new().changed(|envelope| envelope.nonce = None).signed().text();
    assert_eq!(verdict(&text), "nonce_missing");

    let mut options = VerifierOptions::default();
    options.allow_legacy = true;
    assert_eq!(options.weaknesses().len(), 1);
    let lenient = Verifier::new(&secret(), options);
    assert!(verify(&lenient, &text).is_ok());

    // Taking the nonce out of a call does not make it a legacy one.
    let stripped = Call::new().signed().changed(|envelope| envelope.nonce = None).text();
    assert_eq!(verify(&lenient, &stripped).unwrap_err().reason(), "signature_mismatch");
    // Nor does moving the fraction of a legacy call's timestamp into a nonce make it a new one.
    let moved = Call::new().changed(|envelope| envelope.nonce = None).signed().changed(|envelope| {
        envelope.timestamp = Some("2026-11-21T12:00:00".to_owned());
        envelope.nonce = Some("000Z".to_owned());
    });
    assert_eq!(verify(&lenient, &moved.text()).unwrap_err().reason(), "timestamp_invalid");
}

#[test]
fn a_signature_counts_in_either_case_and_only_whole() {
    let upper = Call::new().signed().changed(|envelope| {
        envelope.signature = envelope.signature.take().map(|signature| signature.to_uppercase());
    });
    assert_eq!(verdict(&upper.text()), "accept");
    for (signature, expected) in [
        (String::new(), "signature_missing"),
        ("0".repeat(63), "signature_mismatch"),
        ("é".repeat(32), "signature_mismatch"),
        (format!("{} ", Call::new().signed().envelope.signature.unwrap()), "signature_mismatch"),
    ] {
        let changed = Call::new().signed().changed(|envelope| envelope.signature = Some(signature));
        assert_eq!(verdict(&changed.text()), expected);
    }
}

/// The text of an envelope's JSON, as it stands in a frame.
fn envelope_text(signed: &Call) -> String {
    call(&signed.text()).params().envelope_text().unwrap().to_owned()
}

fn frame_with_params(params: &str) -> String {
    format!(r#"{{"type":"tool_call","call_id":"call-1","tool_name":"lookup_order","params":{params}}}"#)
}

#[test]
fn the_envelope_may_stand_anywhere_and_be_spelt_with_escapes() {
    let envelope = envelope_text(&Call::new().signed());
    for params in [
        format!(r#"{{"order_id":"ord-1","__platos":{envelope}}}"#),
        format!(r#"{{"__platos":{envelope},"order_id":"ord-1"}}"#),
        format!(r#"{{"order_id":"ord-1","__pl\u0061tos":{envelope}}}"#),
    ] {
        let text = frame_with_params(&params);
        assert_eq!(verdict(&text), "accept", "{params}");
        assert_eq!(call(&text).params().arguments_text(), r#"{"order_id":"ord-1"}"#);
    }
    let two = Call { arguments: r#"{"a":1,"b":2}"#.to_owned(), ..Call::new() }.signed();
    let middle = frame_with_params(&format!(r#"{{"a":1,"__platos":{},"b":2}}"#, envelope_text(&two)));
    assert_eq!(verdict(&middle), "accept");
}

#[test]
fn a_second_envelope_is_never_verified_by_the_first() {
    let genuine = envelope_text(&Call::new().signed());
    let forged = genuine.replace("usr_1", "admin");
    for params in [
        format!(r#"{{"order_id":"ord-1","__platos":{genuine},"__platos":{forged}}}"#),
        format!(r#"{{"order_id":"ord-1","__platos":{forged},"__platos":{genuine}}}"#),
        format!(r#"{{"order_id":"ord-1","__platos":{genuine},"__pl\u0061tos":{forged}}}"#),
        format!(r#"{{"__platos":{genuine},"order_id":"ord-1","__platos":{genuine}}}"#),
    ] {
        let text = frame_with_params(&params);
        assert_eq!(verdict(&text), "signature_mismatch", "{params}");
        assert_eq!(call(&text).params().arguments_text(), r#"{"order_id":"ord-1"}"#);
    }
}

#[test]
fn an_envelope_that_is_no_object_signs_nothing() {
    for value in ["null", "[]", "\"text\"", "7", "{}", r#"{"signature":7}"#, r#"{"signature":"\ud800"}"#] {
        let text = frame_with_params(&format!(r#"{{"order_id":"ord-1","__platos":{value}}}"#));
        assert_eq!(verdict(&text), "signature_missing", "{value}");
    }
    assert_eq!(verdict(&frame_with_params(r#"{"order_id":"ord-1"}"#)), "signature_missing");
    let inner =
        frame_with_params(&format!(r#"{{"a":{{"__platos":{}}}}}"#, envelope_text(&Call::new().signed())));
    assert_eq!(verdict(&inner), "signature_missing", "an envelope inside an argument is an argument");
}

#[test]
fn other_members_do_not_change_the_verdict() {
    let text = Call::new().signed().text();
    for unreadable in ["7", "null", r#""\ud800""#, "{}", r#""other""#] {
        let text = text.replace(r#""userId":"usr_1""#, &format!(r#""userId":{unreadable},"new":[{{}}]"#));
        assert_eq!(verdict(&text), "accept", "{unreadable}");
    }
}

#[test]
fn a_rotated_secret_takes_effect_at_once() {
    let verifier = verifier();
    verifier.replace_secret(&Secret::new("another-secret-another").unwrap());
    let text = Call::new().signed().text();
    assert_eq!(verify(&verifier, &text).unwrap_err().reason(), "signature_mismatch");
    verifier.replace_secret(&secret());
    assert!(verify(&verifier, &text).is_ok());
    verifier.replace_secret(&secret());
    assert_eq!(verify(&verifier, &text).unwrap_err().reason(), "nonce_replay");
}

#[test]
fn verification_can_be_switched_off_explicitly() {
    let mut options = VerifierOptions::default();
    assert_eq!(options.weaknesses(), Vec::<String>::new());
    options.mode = VerificationMode::Off;
    assert_eq!(options.weaknesses().len(), 1);
    let off = Verifier::new(&secret(), options);
    assert!(verify(&off, &frame_with_params("{}")).is_ok());
}

#[test]
fn a_refusal_shows_nothing_secret() {
    let text = Call::new().signed().changed(|envelope| envelope.user_token = Some("s3cret-token".to_owned()));
    let signature = text.envelope.signature.clone().unwrap();
    let verifier = verifier();
    verifier.replace_secret(&Secret::new("another-secret-another").unwrap());
    let refusal = verify(&verifier, &text.text()).unwrap_err();
    let shown = format!("{refusal} {refusal:?} {verifier:?} {:?}", call(&text.text()));
    for hidden in ["s3cret-token", &signature, SECRET, "another-secret"] {
        assert!(!shown.contains(hidden), "{shown}");
    }
}

/// 300 000 calls in a row on one verifier of the default capacity: each is accepted,
/// and none that comes again.
fn flood(calls_per_tick: usize) {
    const CALLS: usize = 300_000;
    /// One in so many is sent again, at once and after the flood.
    const REPLAYED: usize = 11;
    let verifier = verifier();
    let key = SigningKey::new(&secret());
    let start: Timestamp = NOW.parse().unwrap();
    let mut envelope = Envelope::default();
    envelope.call_id = Some("call-1".to_owned());
    let mut frame = |number: usize| {
        let tick = start + Duration::from_millis((number / calls_per_tick) as u64);
        let timestamp = format!("{tick:.3}");
        let mut nonce = String::new();
        write!(nonce, "{number:032x}").unwrap();
        envelope.signature = Some(key.sign_call(&timestamp, Some(&nonce), "add", "{}"));
        envelope.timestamp = Some(timestamp);
        envelope.nonce = Some(nonce);
        (platform::tool_call("call-1", "add", "{}", &envelope), SystemTime::from(tick))
    };
    let mut now = at(NOW);
    for number in 0..CALLS {
        let (text, tick) = frame(number);
        now = tick;
        assert!(verifier.verify(&call(&text), &scope(), now).is_ok(), "call {number} is fresh");
        if number % REPLAYED == 0 {
            let refusal = verifier.verify(&call(&text), &scope(), now).unwrap_err();
            assert_eq!(refusal.reason(), "nonce_replay", "call {number} comes again at once");
        }
    }
    let mut reasons = [0; 2];
    for number in (0..CALLS).step_by(REPLAYED) {
        let (text, _) = frame(number);
        match verifier.verify(&call(&text), &scope(), now).unwrap_err().reason() {
            "nonce_replay" => reasons[0] += 1,
            "timestamp_skew_exceeded" => reasons[1] += 1,
            other => panic!("call {number} comes again: {other}"),
        }
    }
    let remembered = 100_000 - calls_per_tick.min(100_000);
    assert!(reasons[0] >= remembered / REPLAYED, "the capacity is used: {reasons:?}");
}

#[test]
fn three_hundred_thousand_calls_over_seconds_are_accepted_and_none_again() {
    flood(100);
}

#[test]
fn three_hundred_thousand_calls_in_one_tick_are_accepted_and_none_again() {
    flood(300_000);
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(|number| serde_json::json!(number)),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((any::<String>(), inner), 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_signed_verifies_and_arrives(
        tool_name: String,
        arguments in prop::collection::vec((any::<String>(), any_json()), 0..4),
        context in prop::option::of(prop::collection::vec((any::<String>(), any_json()), 0..3)),
    ) {
        let object = |members: Vec<(String, Value)>| Value::Object(members.into_iter().collect()).to_string();
        let arguments = object(arguments);
        let context = context.map(object);
        let signed_arguments = platform::signed_arguments(&arguments, context.as_deref());
        let signed = Call { tool_name: tool_name.clone(), arguments: signed_arguments, ..Call::new() }.signed();
        let text = signed.text();
        prop_assert_eq!(verdict(&text), "accept");
        let call = call(&text);
        let exact = call.tool_name().exact();
        prop_assert_eq!(exact.as_deref(), Some(tool_name.as_str()));
        prop_assert_eq!(call.params().arguments_text(), arguments);
        prop_assert_eq!(call.params().context_text(), context.as_deref());
    }

    /// Whatever byte of the frame is changed: either the call is refused, or the change is in what the
    /// signature does not cover, and tool and arguments are what they were.
    #[test]
    fn no_changed_byte_changes_what_runs(at in any::<prop::sample::Index>(), byte in 32_u8..127) {
        let arguments = r#"{"order_id":"ord-1","list":[1,{"a":null}],"_context":{"user.id":"u"}}"#;
        let signed = Call { arguments: arguments.to_owned(), ..Call::new() }.signed();
        let original = signed.text();
        let at = at.index(original.len());
        let mut text = original.clone();
        text.replace_range(at..=at, &char::from(byte).to_string());
        let Ok(Inbound::ToolCall(changed)) = Inbound::parse(&text) else { return Ok(()) };
        if verifier().verify(&changed, &scope(), verification_time()).is_err() {
            return Ok(());
        }
        let original = call(&original);
        let covered = |call: &CallFrame<'_>| {
            (call.tool_name().raw_json().to_owned(), call.params().signed_pieces().concat())
        };
        prop_assert_eq!(covered(&changed), covered(&original));
        let envelope = |call: &CallFrame<'_>| call.envelope().to_envelope();
        let (changed, original) = (envelope(&changed), envelope(&original));
        prop_assert_eq!((changed.timestamp, changed.nonce), (original.timestamp, original.nonce));
    }

    #[test]
    fn a_changed_byte_in_a_signed_part_is_refused(part in 0_usize..4, at in any::<prop::sample::Index>(), byte: u8) {
        let original = Call { arguments: r#"{"order_id":"ord-1","n":12}"#.to_owned(), ..Call::new() }.signed();
        let change = |text: &mut String| {
            let at = at.index(text.len());
            let byte = char::from(byte % 95 + 32);
            let differs = !text[at..].starts_with(byte);
            text.replace_range(at..=at, &byte.to_string());
            differs
        };
        let mut changed = Call { arguments: original.arguments.clone(), ..Call::new() }.signed();
        let differs = match part {
            0 => change(&mut changed.tool_name),
            1 => change(&mut changed.arguments),
            2 => change(changed.envelope.timestamp.as_mut().unwrap()),
            _ => change(changed.envelope.nonce.as_mut().unwrap()),
        };
        prop_assume!(differs);
        let text = changed.text();
        if let Ok(Inbound::ToolCall(call)) = Inbound::parse(&text) {
            prop_assert!(verifier().verify(&call, &scope(), verification_time()).is_err());
        }
    }
}

fn verification_time() -> SystemTime {
    at(NOW)
}
