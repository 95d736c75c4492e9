//! Calls that are changed after they were signed, as on a hostile wire.

use std::time::Duration;

use jiff::Timestamp;
use platools::wire::Envelope;

use crate::random;

/// A change to a call after it was signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Tamper {
    /// One byte of the arguments. Must be refused as `signature_mismatch`.
    Arguments,
    /// The tool's name. Must be refused as `signature_mismatch`.
    ToolName,
    /// The timestamp, by a millisecond. Must be refused as `signature_mismatch`.
    Timestamp,
    /// The nonce. Must be refused as `signature_mismatch`.
    Nonce,
    /// One digit of the signature. Must be refused as `signature_mismatch`.
    Signature,
    /// The signature is left out. Must be refused as `signature_missing`.
    Unsigned,
    /// The envelope's call id. Must be refused as `call_id_mismatch`.
    CallId,
    /// The envelope's entity. Must be refused as `scope_mismatch`.
    Scope,
}

impl Tamper {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Arguments,
        Self::ToolName,
        Self::Timestamp,
        Self::Nonce,
        Self::Signature,
        Self::Unsigned,
        Self::CallId,
        Self::Scope,
    ];

    /// Its name, such as `tool_name`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Arguments => "arguments",
            Self::ToolName => "tool_name",
            Self::Timestamp => "timestamp",
            Self::Nonce => "nonce",
            Self::Signature => "signature",
            Self::Unsigned => "unsigned",
            Self::CallId => "call_id",
            Self::Scope => "scope",
        }
    }

    pub(crate) fn apply(
        self,
        tool: &mut String,
        arguments: &mut String,
        envelope: &mut Envelope,
        time: Timestamp,
    ) {
        match self {
            Self::Arguments => change_a_byte(arguments),
            Self::ToolName => tool.push('_'),
            Self::Timestamp => {
                envelope.timestamp = Some(format!("{:.3}", time + Duration::from_millis(1)));
            }
            Self::Nonce => envelope.nonce = Some(random::nonce()),
            Self::Signature => {
                if let Some(last) = envelope.signature.as_mut().and_then(String::pop) {
                    let other = if last == '0' { '1' } else { '0' };
                    envelope.signature.get_or_insert_default().push(other);
                }
            }
            Self::Unsigned => envelope.signature = None,
            Self::CallId => envelope.call_id = Some(random::uuid()),
            Self::Scope => envelope.entity_id = Some("another-entity".to_owned()),
        }
    }
}

/// Changes the first character of the first name in an object's text, or adds a member where there is
/// none to change.
fn change_a_byte(object: &mut String) {
    let first = object.find('"').map(|quote| quote + 1);
    match first.and_then(|at| Some((at, object[at..].chars().next()?))) {
        Some((at, character)) if character.is_ascii_alphanumeric() || character == '_' => {
            let other = if character == 'x' { "y" } else { "x" };
            object.replace_range(at..=at, other);
        }
        _ => {
            let tail = if object.trim_end() == "{}" { r#""x":0"# } else { r#""x":0,"# };
            object.insert_str(1, tail);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn a_changed_byte_leaves_an_object_that_differs() {
        for object in ["{}", r#"{"a":1}"#, r#"{"x":1}"#, r#"{"":1}"#, r#"{"é":1}"#, r#"{"\"":1}"#] {
            let mut changed = object.to_owned();
            change_a_byte(&mut changed);
            assert_ne!(changed, object);
            serde_json::from_str::<serde_json::Map<String, Value>>(&changed).unwrap();
        }
    }
}
