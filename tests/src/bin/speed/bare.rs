//! What a call needs and nothing else. No task, limit, timeout, replay guard, metric or span.

use hmac::{Hmac, KeyInit as _, Mac as _};
use load::SECRET;
use memchr::memmem;
use serde::Deserialize;
use serde_json::value::RawValue;
use sha2::Sha256;

use super::loop_host::Answer;

pub(crate) struct Bare {
    key: Hmac<Sha256>,
    /// The arguments of one call, reused.
    arguments: String,
}

#[derive(Deserialize)]
struct Frame<'a> {
    call_id: &'a str,
    #[serde(borrow)]
    tool_name: &'a RawValue,
    #[serde(borrow)]
    params: &'a RawValue,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    timestamp: &'a str,
    nonce: &'a str,
    signature: &'a str,
}

#[derive(Deserialize)]
struct Sum {
    a: i64,
    b: i64,
    #[serde(rename = "note")]
    _note: String,
}

impl Bare {
    pub(crate) fn new() -> Self {
        Self { key: Hmac::new_from_slice(SECRET.as_bytes()).unwrap(), arguments: String::new() }
    }
}

impl Answer for Bare {
    fn answer(&mut self, frame: &str) -> Option<String> {
        let Frame { call_id, tool_name, params } = serde_json::from_str(frame).ok()?;
        let params = params.get();
        let cut = memmem::rfind(params.as_bytes(), b",\"__platos\":")?;
        let (arguments, envelope) = (&params[..cut], &params[cut + 12..params.len() - 1]);
        let Envelope { timestamp, nonce, signature } = serde_json::from_str(envelope).ok()?;
        let mut mac = self.key.clone();
        for piece in [
            timestamp,
            ".",
            nonce,
            r#".{"method":"tools/call","params":{"name":"#,
            tool_name.get(),
            r#","arguments":"#,
            arguments,
            "}}}",
        ] {
            mac.update(piece.as_bytes());
        }
        mac.verify_slice(&decoded(signature)?).ok()?;
        self.arguments.clear();
        self.arguments.push_str(arguments);
        self.arguments.push('}');
        let Sum { a, b, .. } = serde_json::from_str(&self.arguments).ok()?;
        let sum = a + b;
        Some(format!(r#"{{"type":"tool_result","call_id":"{call_id}","result":{sum},"latency_ms":0}}"#))
    }
}

fn decoded(hex: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    let digit = |byte: u8| char::from(byte).to_digit(16);
    if hex.len() != 64 {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
        *byte = (digit(pair[0])? * 16 + digit(pair[1])?) as u8;
    }
    Some(bytes)
}
