//! Tokens made by hand, right and wrong, without the code that is tested.

use data_encoding::BASE64URL_NOPAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use platools::session_token::SessionScope;
use platools::session_token::TokenVerifier;
use platools::verify::Secret;
use serde_json::{Map, Value, json};
use sha2::Sha256;

pub(crate) const SECRET: &str = "b7f1c2d3e4f5a6978899aabbccddeeff";
pub(crate) const HEADER: &str = r#"{"alg":"HS256","typ":"JWT"}"#;

/// When the tokens here are minted, in seconds since 1970.
pub(crate) const NOW: u64 = 1_790_000_000;

pub(crate) fn scope() -> SessionScope {
    SessionScope::new("org_1", "proj_1", "env_1", "orders")
}

pub(crate) fn verifier() -> TokenVerifier {
    TokenVerifier::new(&Secret::new(SECRET).unwrap())
}

pub(crate) fn base64(text: impl AsRef<[u8]>) -> String {
    BASE64URL_NOPAD.encode(text.as_ref())
}

/// The signature of header and claims, in base64.
pub(crate) fn signature(signed: &str, secret: &str) -> String {
    let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    base64(mac.chain_update(signed).finalize().into_bytes())
}

/// A token with these texts for header and claims, rightly signed.
pub(crate) fn token(header: &str, claims: &str) -> String {
    let signed = format!("{}.{}", base64(header), base64(claims));
    let signature = signature(&signed, SECRET);
    format!("{signed}.{signature}")
}

/// The claims that every token has.
pub(crate) fn claims() -> Map<String, Value> {
    let claims = json!({
        "organizationId": "org_1",
        "projectId": "proj_1",
        "environmentId": "env_1",
        "entityId": "orders",
        "userId": "usr_7",
        "iat": NOW,
        "exp": NOW + 3_600,
    });
    claims.as_object().unwrap().clone()
}

/// A token with one claim changed, or removed.
pub(crate) fn token_with(claim: &str, value: Option<Value>) -> String {
    let mut claims = claims();
    match value {
        Some(value) => claims.insert(claim.to_owned(), value),
        None => claims.remove(claim),
    };
    token(HEADER, &Value::from(claims).to_string())
}
