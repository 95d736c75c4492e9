//! JSON Web Tokens, split and read: session tokens and those of users.

use std::time::{Duration, UNIX_EPOCH};

use data_encoding::BASE64URL_NOPAD as BASE64;
use platools::caller::{Authenticator as _, Credentials, JwtAuthenticator};
use platools::session_token::{TokenVerifier, decode_unverified};
use platools::verify::Secret;
use serde_json::Value;

use super::{SECRET, hmac};

/// When session tokens are verified: 2026-11-29T12:00:00Z.
const NOW: u64 = 1_795_953_600;

/// A token, or two lines of header and claims that are signed here. Accepted only if it is signed with HS256 and has
/// not expired.
pub fn jwt(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let token = match text.split_once('\n') {
        Some((header, claims)) => {
            let signed = format!("{}.{}", BASE64.encode(header.as_bytes()), BASE64.encode(claims.as_bytes()));
            let signature = BASE64.encode(&hmac(&[&signed]));
            format!("{signed}.{signature}")
        }
        None => text.to_owned(),
    };
    let secret = Secret::new(SECRET).expect("the secret is long enough");
    let unverified = decode_unverified(&token);
    let session = TokenVerifier::new(&secret).verify_at(&token, UNIX_EPOCH + Duration::from_secs(NOW));
    for error in [unverified.as_ref().err(), session.as_ref().err()].into_iter().flatten() {
        assert!(error.to_string().len() < 500, "{error}");
    }
    if let Ok(session) = &session {
        let unverified = unverified.expect("what is verified can be decoded");
        assert_eq!(unverified.text("userId"), Some(&*session.user_id));
        assert!(session.expires_at > NOW, "{token}");
        genuine(&token);
    }
    let user = user(&secret, &token);
    if user {
        genuine(&token);
    }
    session.is_ok() || user
}

/// Whether the token is accepted as a user's.
fn user(secret: &Secret, token: &str) -> bool {
    let users = JwtAuthenticator::shared_secret(secret.expose()).expect("a secret");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let found = runtime.block_on(users.authenticate(&Credentials::new().with_user_token(token)));
    match found {
        Ok(identity) => {
            assert!(!identity.subject().is_empty());
            true
        }
        Err(error) => {
            assert!(token.len() < 20 || !format!("{error:?}").contains(token), "{error:?}");
            false
        }
    }
}

/// Checks an accepted token with nothing of the library.
fn genuine(token: &str) {
    let (signed, signature) = token.rsplit_once('.').expect("three parts");
    assert_eq!(BASE64.decode(signature.as_bytes()).as_deref(), Ok(&*hmac(&[signed])), "{token}");
    let header = signed.split_once('.').expect("three parts").0;
    let header = BASE64.decode(header.as_bytes()).expect("base64");
    let header: Value = serde_json::from_slice(&header).expect("a header");
    assert_eq!(header["alg"], "HS256");
}
