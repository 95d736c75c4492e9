//! Calls, signed before they are sent, as one run of WebSocket frames.

use jiff::Timestamp;
use platools::verify::{Secret, SigningKey};
use platools::wire::platform::{signed_arguments, tool_call};
use platools::wire::{Envelope, Scope};

/// The secret of every host that is measured.
pub const SECRET: &str = "5eed0f0a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6";

/// Calls, ready to be sent in any pieces.
#[derive(Debug)]
pub struct Calls {
    bytes: Vec<u8>,
    /// Where each frame ends.
    ends: Vec<usize>,
}

impl Calls {
    /// As many calls of a tool with these arguments, which are a JSON object; the first has the number `from`.
    ///
    /// # Panics
    /// When `arguments` is no JSON object.
    pub fn new(tool: &str, arguments: &str, count: usize, from: usize) -> Self {
        Self::of(|_| tool.to_owned(), arguments, count, from)
    }

    /// The same, of the tool that `tool` names for each number.
    ///
    /// # Panics
    /// When `arguments` is no JSON object.
    pub fn of(tool: impl Fn(usize) -> String, arguments: &str, count: usize, from: usize) -> Self {
        Self::each(|number| (tool(number), arguments.to_owned()), count, from)
    }

    /// The same, of the tool and with the arguments that `call` names for each number.
    ///
    /// # Panics
    /// When arguments are no JSON object.
    pub fn each(mut call: impl FnMut(usize) -> (String, String), count: usize, from: usize) -> Self {
        let key = key();
        let (mut bytes, mut ends) = (Vec::new(), Vec::with_capacity(count));
        for number in from..from + count {
            let (tool, arguments) = call(number);
            push_frame(&mut bytes, &signed(&key, &tool, &arguments, number));
            ends.push(bytes.len());
        }
        Self { bytes, ends }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The frames of the calls `from..to`, counted from 0.
    pub fn frames(&self, from: usize, to: usize) -> &[u8] {
        let start = |index: usize| index.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.bytes[start(from)..start(to)]
    }

    /// How long one frame is, in bytes.
    pub fn bytes_each(&self) -> usize {
        self.bytes.len() / self.ends.len().max(1)
    }
}

/// The text of one call with the whole envelope, signed now.
///
/// # Panics
/// When `arguments` is no JSON object.
pub fn call(tool: &str, arguments: &str, number: usize) -> String {
    signed(&key(), tool, arguments, number)
}

fn key() -> SigningKey {
    SigningKey::new(&Secret::new(SECRET).expect("a secret"))
}

fn signed(key: &SigningKey, tool: &str, arguments: &str, number: usize) -> String {
    let context = r#"{"user.id":"usr_7Qm2","user.plan":"pro","source":"agent_turn"}"#;
    let arguments = signed_arguments(arguments, Some(context));
    let call_id = format!("call_{number:012}");
    let timestamp = format!("{:.3}", Timestamp::now());
    // As long as a random one, and another for each call.
    let nonce =
        format!("{:032x}", (number as u128 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835));
    let signature = key.sign_call(&timestamp, Some(&nonce), tool, &arguments);
    let mut envelope = Envelope::from(scope());
    envelope.user_id = Some("usr_7Qm2".to_owned());
    envelope.user_token = Some("tok_0123456789abcdef".to_owned());
    envelope.agent_id = Some("agent_42".to_owned());
    envelope.thread_id = Some("thread_0123456789".to_owned());
    envelope.call_id = Some(call_id.clone());
    envelope.timestamp = Some(timestamp);
    envelope.nonce = Some(nonce);
    envelope.signature = Some(signature);
    tool_call(&call_id, tool, &arguments, &envelope)
}

/// Where the entity is.
pub fn scope() -> Scope {
    Scope {
        organization_id: Some("org_0123456789".to_owned()),
        project_id: Some("proj_0123456789".to_owned()),
        environment_id: Some("env_0123456789".to_owned()),
        entity_id: Some("speed".to_owned()),
    }
}

/// Appends a text frame as a server writes it: unmasked.
pub fn push_frame(bytes: &mut Vec<u8>, text: &str) {
    bytes.push(0x81);
    match text.len() {
        length @ 0..=125 => bytes.push(length as u8),
        length @ 126..=0xffff => {
            bytes.push(126);
            bytes.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            bytes.push(127);
            bytes.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    bytes.extend_from_slice(text.as_bytes());
}
