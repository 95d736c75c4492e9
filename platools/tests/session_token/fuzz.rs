//! Whatever text is presented as a token: no panic, one reading, and nothing accepted that was not signed.

use std::time::{Duration, UNIX_EPOCH};

use platools::session_token::decode_unverified;
use proptest::prelude::*;
use serde_json::Value;

use crate::forged::{HEADER, NOW, base64, claims, signature, token, verifier};

/// The body: takes any bytes, panics when something is wrong.
fn decode_anything(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let unverified = decode_unverified(&text);
    let verified = verifier().verify_at(&text, UNIX_EPOCH + Duration::from_secs(NOW));
    for error in [unverified.as_ref().err(), verified.as_ref().err()].into_iter().flatten() {
        assert!(error.to_string().starts_with(error.reason()) && error.to_string().len() < 300, "{error}");
    }
    let Ok(verified) = verified else { return };
    // What is accepted can be looked into, says the same there, and its signature is the secret's.
    let unverified = unverified.expect("what is verified can be decoded");
    assert_eq!(unverified.text("userId"), Some(&*verified.user_id));
    assert_eq!(unverified.number("exp"), Some(verified.expires_at));
    assert_eq!(unverified.algorithm, "HS256");
    assert!(verified.expires_at > NOW && verified.issued_at <= NOW + 60);
    let (signed, found) = text.rsplit_once('.').expect("three parts");
    assert_eq!(found, signature(signed, crate::forged::SECRET));
}

#[test]
fn the_corpus_is_survived() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/session_token/corpus");
    let mut files = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        decode_anything(&std::fs::read(entry.unwrap().path()).unwrap());
        files += 1;
    }
    assert!(files >= 10, "{files}");
}

fn good() -> String {
    token(HEADER, &Value::from(claims()).to_string())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        decode_anything(&bytes);
    }

    #[test]
    fn any_three_parts_are_survived(header in "\\PC{0,60}", claims in "\\PC{0,200}", json_like in "[{}\\[\\]:,\"\\\\a1.e ]{0,60}") {
        decode_anything(token(&header, &claims).as_bytes());
        decode_anything(token(HEADER, &json_like).as_bytes());
        decode_anything(format!("{}.{}.{}", base64(header), base64(claims), json_like).as_bytes());
    }

    #[test]
    fn one_byte_changed_is_never_accepted(at in 0_usize..1_000, byte: u8) {
        let good = good();
        let mut bytes = good.clone().into_bytes();
        let at = at % bytes.len();
        prop_assume!(bytes[at] != byte);
        bytes[at] = byte;
        decode_anything(&bytes);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        prop_assert!(verifier().verify_at(&text, UNIX_EPOCH + Duration::from_secs(NOW)).is_err(), "{}", text);
    }
}
