//! The sidecar's signature of a request, so that a backend can check that a call came through its sidecar, and for
//! whom.
//!
//! The scheme is that of calls (protocol §6): HMAC-SHA256, in hexadecimal, over `{timestamp}.{nonce}.{text}`, under
//! a key of its own. The text is the request line, the `x-platos-` headers sorted by name, an empty line, and the
//! body:
//!
//! ```text
//! POST /orders?dry=1
//! x-platos-call-id: call_7
//! x-platos-user-id: usr_7
//!
//! {"sku":"a"}
//! ```

use std::time::SystemTime;

use http::{HeaderMap, HeaderValue, Method};
use platools::verify::SigningKey;
use url::Url;

const TIMESTAMP: &str = "x-platos-timestamp";
const NONCE: &str = "x-platos-nonce";
const SIGNATURE: &str = "x-platos-signature";

/// Adds timestamp, nonce and signature to the headers of a request.
pub(crate) fn sign(key: &SigningKey, method: &Method, url: &Url, headers: &mut HeaderMap, body: &[u8]) {
    let timestamp = humantime::format_rfc3339_millis(SystemTime::now()).to_string();
    let nonce = format!("{:032x}", fastrand::u128(..));
    let signature = key.sign_body(&timestamp, Some(&nonce), text(method, url, headers, body));
    for (name, value) in [(TIMESTAMP, timestamp), (NONCE, nonce), (SIGNATURE, signature)] {
        // All three are plain ASCII.
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(name, value);
        }
    }
}

/// What is signed.
fn text(method: &Method, url: &Url, headers: &HeaderMap, body: &[u8]) -> Vec<u8> {
    let mut text = format!("{method} {}", url.path());
    if let Some(query) = url.query() {
        text.push('?');
        text.push_str(query);
    }
    text.push('\n');
    let mut named: Vec<(&str, &[u8])> = headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_bytes()))
        .filter(|(name, _)| name.starts_with("x-platos-"))
        .collect();
    named.sort_unstable();
    for (name, value) in named {
        text.push_str(name);
        text.push_str(": ");
        text.push_str(&String::from_utf8_lossy(value));
        text.push('\n');
    }
    text.push('\n');
    let mut text = text.into_bytes();
    text.extend_from_slice(body);
    text
}

#[cfg(test)]
mod tests {
    use platools::verify::Secret;

    use super::*;

    #[test]
    fn the_request_line_the_platos_headers_and_the_body_are_signed() {
        let key = SigningKey::new(&Secret::new("a-key-of-the-sidecar").unwrap());
        let url = Url::parse("http://127.0.0.1:8080/orders?dry=1").unwrap();
        let mut headers = HeaderMap::new();
        headers.insert("x-platos-user-id", HeaderValue::from_static("usr_7"));
        headers.insert("x-platos-call-id", HeaderValue::from_static("call_7"));
        headers.insert("accept", HeaderValue::from_static("application/json"));
        let signed =
            "POST /orders?dry=1\nx-platos-call-id: call_7\nx-platos-user-id: usr_7\n\n{\"sku\":\"a\"}";
        assert_eq!(text(&Method::POST, &url, &headers, b"{\"sku\":\"a\"}"), signed.as_bytes());
        sign(&key, &Method::POST, &url, &mut headers, b"{\"sku\":\"a\"}");
        let get = |name: &str| headers[name].to_str().unwrap();
        assert_eq!(get(SIGNATURE), key.sign_body(get(TIMESTAMP), Some(get(NONCE)), signed));
        assert_eq!(get(NONCE).len(), 32);
    }
}
