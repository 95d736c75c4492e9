//! Calls, signed before they are sent, as one run of WebSocket frames.

use jiff::Timestamp;
use platools::protocol::platform::{signed_arguments, tool_call};
use platools::protocol::{Envelope, Scope};
use platools::security::{Secret, SigningKey};

/// The secret of every host here.
pub(crate) const SECRET: &str = "5eed0f0a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6";
/// The most calls of one run: what fits into memory with room to spare.
pub(crate) const MOST: usize = 400_000;

pub(crate) struct Calls {
    bytes: Vec<u8>,
    /// Where each frame ends.
    ends: Vec<usize>,
}

impl Calls {
    /// As many calls of a tool; the first has the number `from` in its id.
    pub(crate) fn new(tool: &str, count: usize, from: usize) -> Self {
        let key = SigningKey::new(&Secret::new(SECRET).unwrap());
        let context = r#"{"user.id":"usr_7Qm2","user.plan":"pro","source":"agent_turn"}"#;
        let arguments = signed_arguments(r#"{"a":1,"b":2,"note":"hi"}"#, Some(context));
        let (mut bytes, mut ends) = (Vec::new(), Vec::with_capacity(count));
        let scope = scope();
        for index in from..from + count {
            let call_id = format!("call_{index:012}");
            let timestamp = format!("{:.3}", Timestamp::now());
            let nonce = format!("{:032x}", fastrand::u128(..));
            let signature = key.sign_call(&timestamp, Some(&nonce), tool, &arguments);
            let mut envelope = Envelope::default();
            envelope.organization_id.clone_from(&scope.organization_id);
            envelope.project_id.clone_from(&scope.project_id);
            envelope.environment_id.clone_from(&scope.environment_id);
            envelope.entity_id.clone_from(&scope.entity_id);
            envelope.user_id = Some("usr_7Qm2".to_owned());
            envelope.user_token = Some("tok_0123456789abcdef".to_owned());
            envelope.agent_id = Some("agent_42".to_owned());
            envelope.thread_id = Some("thread_0123456789".to_owned());
            envelope.call_id = Some(call_id.clone());
            envelope.timestamp = Some(timestamp);
            envelope.nonce = Some(nonce);
            envelope.signature = Some(signature);
            push_frame(&mut bytes, &tool_call(&call_id, tool, &arguments, &envelope));
            ends.push(bytes.len());
        }
        Self { bytes, ends }
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The frames of calls `from..to`.
    pub(crate) fn frames(&self, from: usize, to: usize) -> &[u8] {
        let start = |index: usize| index.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.bytes[start(from)..start(to)]
    }

    /// How long one frame is, in bytes.
    pub(crate) fn bytes_each(&self) -> usize {
        self.bytes.len() / self.ends.len()
    }
}

/// Where the entity is.
pub(crate) fn scope() -> Scope {
    Scope {
        organization_id: Some("org_0123456789".to_owned()),
        project_id: Some("proj_0123456789".to_owned()),
        environment_id: Some("env_0123456789".to_owned()),
        entity_id: Some("speed".to_owned()),
    }
}

/// Appends a text frame as a server writes it: unmasked.
pub(crate) fn push_frame(bytes: &mut Vec<u8>, text: &str) {
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
