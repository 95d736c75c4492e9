//! What is accepted, and every way of being refused.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use platools::SecretSource;
use platools::session_token::{MAX_TOKEN_BYTES, TokenError, UserIdentity, decode_unverified};
use platools::session_token::{SessionClaims, SessionScope, SessionTokens};
use serde_json::{Value, json};

use crate::forged::{self, HEADER, NOW, SECRET, base64, claims, scope, token, token_with, verifier};

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

fn verify(token: &str) -> Result<platools::session_token::SessionTokenClaims, TokenError> {
    verifier().verify_at(token, at(NOW))
}

#[track_caller]
fn refused(token: &str, reason: &str) {
    let error = verify(token).unwrap_err();
    assert_eq!(error.reason(), reason, "{error}");
}

fn plain() -> String {
    token(HEADER, &Value::from(claims()).to_string())
}

#[tokio::test]
async fn what_is_minted_is_verified_with_every_claim() {
    let tokens = SessionTokens::local(SecretSource::text(SECRET), scope()).unwrap();
    let claims = SessionClaims::for_user("usr_7")
        .lifetime(Duration::from_secs(90))
        .user_token("opaque")
        .agent("agt_1")
        .name("Ada")
        .email("ada@example.com")
        .identity(UserIdentity::new(" Slack ", " U7 ").verified(true))
        .permission("orders:read")
        .claim("plan", json!({"name": "pro", "seats": [1, 2.5, null, "naïve ☕"]}));
    let token = tokens.mint(claims).await.unwrap();
    let found = verifier().scope(scope()).verify(token.as_str()).unwrap();
    assert_eq!(found.scope, scope());
    assert_eq!((&*found.user_id, found.user_token.as_deref()), ("usr_7", Some("opaque")));
    assert_eq!((found.agent_id.as_deref(), found.issuer.as_deref()), (Some("agt_1"), Some("entity")));
    let meta = found.user_meta.as_ref().unwrap();
    assert_eq!((meta.name.as_deref(), meta.email.as_deref()), (Some("Ada"), Some("ada@example.com")));
    assert_eq!(found.user_identities, [UserIdentity::new("slack", "U7").verified(true)]);
    assert_eq!(found.permissions.as_deref(), Some(&["orders:read".to_owned()][..]));
    assert_eq!(found.extra["plan"]["seats"][3], "naïve ☕");
    assert_eq!(found.extra.len(), 1);
    assert_eq!((found.expires_at - found.issued_at, found.expires_at), (90, token.expires_at()));
    assert!(token.remaining() <= Duration::from_secs(90) && token.remaining() > Duration::from_secs(60));
    let shown = format!("{found:?} {token:?}");
    assert!(
        !shown.contains("opaque") && !shown.contains("ada@") && !shown.contains(token.as_str()),
        "{shown}"
    );
}

#[tokio::test]
async fn tokens_follow_a_secret_that_is_rotated() {
    let path = std::env::temp_dir().join(format!("platools-rotated-token-{}", std::process::id()));
    std::fs::write(&path, SECRET).unwrap();
    let tokens = SessionTokens::local(SecretSource::file(&path), scope()).unwrap();
    let mint = || tokens.mint(SessionClaims::for_user("usr_7"));
    verifier().verify(mint().await.unwrap().as_str()).unwrap();
    std::fs::write(&path, "another-s3cret-another-s3cret-00").unwrap();
    // The file is looked at once a second; this ends as soon as that happened.
    let started = Instant::now();
    while verifier().verify(mint().await.unwrap().as_str()).is_ok() {
        assert!(started.elapsed() < Duration::from_secs(60), "the rotation was not seen");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    std::fs::remove_file(&path).unwrap();
    assert!(mint().await.is_ok(), "the last secret stays in use");
}

#[test]
fn a_token_made_by_hand_is_accepted_until_its_last_second() {
    let token = plain();
    assert_eq!(verify(&token).unwrap().user_id, "usr_7");
    verifier().verify_at(&token, at(NOW + 3_599)).unwrap();
    let expired = verifier().verify_at(&token, at(NOW + 3_600)).unwrap_err();
    assert_eq!(expired, TokenError::Expired { seconds: 0 });
    let lenient = verifier().leeway(Duration::from_secs(30));
    lenient.verify_at(&token, at(NOW + 3_629)).unwrap();
    assert_eq!(lenient.verify_at(&token, at(NOW + 3_630)).unwrap_err().reason(), "expired");

    verifier().verify_at(&token, at(NOW - 60)).unwrap();
    let early = verifier().verify_at(&token, at(NOW - 61)).unwrap_err();
    assert_eq!(early, TokenError::IssuedInTheFuture { seconds: 61 });
    let lenient = lenient.verify_at(&token, at(NOW - 61)).unwrap_err();
    assert_eq!(lenient.reason(), "issued_in_the_future", "the leeway is about the end alone");
}

#[test]
fn no_number_overflows_and_none_is_rounded() {
    verify(&token_with("exp", Some(u64::MAX.into()))).unwrap();
    verifier().leeway(Duration::MAX).verify_at(&token_with("exp", Some(u64::MAX.into())), at(NOW)).unwrap();
    refused(&token_with("iat", Some(u64::MAX.into())), "issued_in_the_future");
    for claim in ["iat", "exp"] {
        for value in [json!(-1), json!(1.5), json!(1e300), json!("1790003600"), json!(null), json!([1])] {
            refused(&token_with(claim, Some(value)), "claim_invalid");
        }
    }
    verifier().verify_at(&plain(), UNIX_EPOCH - Duration::from_secs(1)).unwrap_err();
}

#[test]
fn every_required_claim_is_required_and_has_its_type() {
    for claim in ["organizationId", "projectId", "environmentId", "entityId", "userId", "iat", "exp"] {
        let error = verify(&token_with(claim, None)).unwrap_err();
        assert_eq!(error, TokenError::ClaimMissing { claim });
        assert!(error.to_string().contains(claim), "{error}");
    }
    for claim in ["organizationId", "projectId", "environmentId", "entityId", "userId"] {
        for value in [json!(7), json!(null), json!(""), json!(" "), json!({}), json!(["usr_7"])] {
            let error = verify(&token_with(claim, Some(value))).unwrap_err();
            assert!(
                matches!(error, TokenError::ClaimInvalid { claim: named, .. } if named == claim),
                "{error}"
            );
        }
    }
    for (claim, value) in [
        ("userToken", json!(1)),
        ("agentId", json!({})),
        ("userMeta", json!("Ada")),
        ("userMeta", json!({"name": 1})),
        ("userIdentities", json!({})),
        ("userIdentities", json!([{"channel": "sms"}])),
        ("permissions", json!("read")),
        ("permissions", json!([1])),
        ("iss", json!(1)),
    ] {
        refused(&token_with(claim, Some(value)), "claim_invalid");
    }
    let found = verify(&token_with("isGuest", Some(json!(true)))).unwrap();
    assert_eq!(found.extra["isGuest"], json!(true));
}

#[test]
fn only_hs256_is_accepted_whatever_the_header_says() {
    let claims = Value::from(claims()).to_string();
    for algorithm in
        ["none", "None", "NONE", "hs256", "HS384", "HS512", "RS256", "ES256", "EdDSA", "", "HS256 "]
    {
        // Signed with the secret all the same: as when a public key is taken for one.
        let header = json!({"alg": algorithm, "typ": "JWT"}).to_string();
        refused(&token(&header, &claims), "wrong_algorithm");
        let unsigned = format!("{}.{}.", base64(&header), base64(&claims));
        refused(&unsigned, "wrong_algorithm");
    }
    for header in ["{}", r#"{"alg":null}"#, r#"{"alg":["HS256"]}"#, r#"{"typ":"JWT"}"#] {
        refused(&token(header, &claims), "wrong_algorithm");
    }
    refused(&token(r#"{"alg":"none","alg":"HS256"}"#, &claims), "duplicate_claim");
    refused(&token(r#"{"alg":"HS256","crit":["exp"]}"#, &claims), "malformed");
    let error = verify(&token(&json!({"alg": "s3cret".repeat(9)}).to_string(), &claims)).unwrap_err();
    assert!(!error.to_string().contains("s3cret"), "{error}");
    // A header with other members is nothing bad.
    verify(&token(r#"{"typ":"JWT","kid":"1","alg":"HS256"}"#, &claims)).unwrap();
}

#[test]
fn a_signature_of_anything_else_is_refused() {
    let good = plain();
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let other = forged::signature(signed, "another-s3cret-another-s3cret-00");
    refused(&format!("{signed}.{other}"), "bad_signature");
    refused(&format!("{signed}."), "bad_signature");
    refused(&format!("{signed}.{}", &signature[..40]), "bad_signature");
    let other = token_with("userId", Some(json!("usr_8")));
    refused(&format!("{}.{signature}", other.rsplit_once('.').unwrap().0), "bad_signature");
    // The last character has bits that belong to no byte: a lax reader takes several texts for one.
    let mut twin = good.clone();
    let last = twin.pop().unwrap();
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    twin.push(alphabet.chars().nth(alphabet.find(last).unwrap() ^ 1).unwrap());
    refused(&twin, "malformed");
    // The secret's text is the key, not the bytes that its digits mean.
    let hex: Vec<u8> =
        (0..16).map(|at| u8::from_str_radix(&SECRET[2 * at..2 * at + 2], 16).unwrap()).collect();
    let mac = <hmac::Hmac<sha2::Sha256> as hmac::KeyInit>::new_from_slice(&hex).unwrap();
    let mac = hmac::Mac::finalize(hmac::Mac::chain_update(mac, signed)).into_bytes();
    refused(&format!("{signed}.{}", base64(mac)), "bad_signature");
}

#[test]
fn what_is_cut_padded_or_decorated_is_refused() {
    let good = plain();
    for length in 0..good.len() {
        let error = verify(&good[..length]).unwrap_err();
        assert!(matches!(error.reason(), "malformed" | "bad_signature"), "{length}: {error}");
    }
    for bad in [
        format!("{good}="),
        format!("{good}=="),
        format!("{good} "),
        format!(" {good}"),
        format!("{good}\n"),
        format!("{good}."),
        format!(".{good}"),
        format!("Bearer {good}"),
        good.replace('.', ".."),
        good.replace('.', "=."),
        "..".to_owned(),
        "a.b.c.d.e".to_owned(),
        "é.é.é".to_owned(),
    ] {
        refused(&bad, "malformed");
    }
    for (header, claims) in [("[]", "{}"), (HEADER, "[]"), (HEADER, ""), (HEADER, "{}x"), (HEADER, "\"x\"")] {
        refused(&token(header, claims), "malformed");
    }
}

#[test]
fn a_claim_that_stands_there_twice_is_refused_though_it_is_signed() {
    let once = Value::from(claims()).to_string();
    for more in [
        r#","userId":"usr_8"}"#,
        r#","\u0075serId":"usr_8"}"#,
        r#","userId":"usr_7"}"#,
        r#","userMeta":{"name":"a","name":"b"}}"#,
        r#","extra":[{"a":1,"a":2}]}"#,
    ] {
        let twice = format!("{}{more}", once.strip_suffix('}').unwrap());
        refused(&token(HEADER, &twice), "duplicate_claim");
        assert_eq!(decode_unverified(&token(HEADER, &twice)).unwrap_err().reason(), "duplicate_claim");
    }
}

#[test]
fn a_huge_token_is_refused_before_anything_is_done_with_it() {
    let largest = token_with("story", Some("x".repeat(11_000).into()));
    assert!(largest.len() <= MAX_TOKEN_BYTES && verify(&largest).is_ok());
    let huge = token_with("story", Some("x".repeat(1 << 20).into()));
    assert_eq!(
        verify(&huge).unwrap_err(),
        TokenError::TooLarge { bytes: huge.len(), limit: MAX_TOKEN_BYTES }
    );
    assert_eq!(decode_unverified(&huge).unwrap_err().reason(), "too_large");
    let dots = ".".repeat(1 << 20);
    refused(&dots, "too_large");
}

#[test]
fn a_token_of_another_scope_is_refused_where_one_is_expected() {
    let verifier = verifier().scope(scope());
    verifier.verify_at(&plain(), at(NOW)).unwrap();
    let SessionScope { .. } = scope();
    for claim in ["organizationId", "projectId", "environmentId", "entityId"] {
        let other = token_with(claim, Some(json!("other")));
        assert!(verify(&other).is_ok());
        assert_eq!(verifier.verify_at(&other, at(NOW)).unwrap_err(), TokenError::ScopeMismatch { claim });
    }
}

#[test]
fn a_token_of_the_platform_can_be_looked_into_and_is_not_verified() {
    let header = r#"{"alg":"ES256","kid":"1"}"#;
    let platform = token(header, r#"{"iss":"platos-platform","userId":"usr_7","exp":1790003600}"#);
    let inside = decode_unverified(&platform).unwrap();
    assert_eq!((inside.algorithm.as_str(), inside.text("iss")), ("ES256", Some("platos-platform")));
    assert_eq!((inside.number("exp"), inside.text("exp")), (Some(1_790_003_600), None));
    refused(&platform, "wrong_algorithm");
    assert!(!format!("{inside:?}").contains("usr_7"));
    for bad in ["", "a.b", "a.b.c", "....", &plain()[1..], &format!("{}=", plain())] {
        assert_eq!(decode_unverified(bad).unwrap_err().reason(), "malformed", "{bad}");
    }
}
