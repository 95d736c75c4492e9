//! The `params` of a call: the arguments and the members `__platos` and `_context` (protocol §5).
//!
//! The platform signs the text of `params` without `__platos`, so the text is never rebuilt: the signed text is the
//! two slices around that member. This module must not know keys, clocks or what a tool expects.
//!
//! Names are compared after decoding escapes, so an escaped `__platos` is still the envelope and never an argument. Of
//! duplicates the last one wins, as in JavaScript. Earlier `__platos` members remain in the signed text, which no
//! platform signs, so verification rejects such a call. All of them are removed from the handler's arguments.

use std::fmt;
use std::ops::Range;

use super::{CONTEXT_MEMBER, ENVELOPE_MEMBER, RawEnvelope};
use crate::wire::json::{self, Member, Scan, Span};

/// The `params` of a call, as text.
#[derive(Clone, Default)]
pub struct Params<'a> {
    text: &'a str,
    envelope: Option<Found>,
    /// The parsed envelope.
    read_envelope: RawEnvelope<'a>,
    context: Option<Found>,
    /// Whether `__platos` or `_context` occurs more than once.
    repeated: bool,
}

/// The position of a member in the text of `params`.
#[derive(Debug, Clone, Copy)]
struct Found {
    name: usize,
    value: usize,
    end: usize,
}

impl Found {
    /// Creates the position of a member, relative to `base`, the start of the object.
    fn new(name: Span, value: usize, end: usize, base: usize) -> Self {
        Self { name: name.start() - base, value: value - base, end: end - base }
    }

    /// Returns the range of name, colon and value.
    fn range(self) -> Range<usize> {
        self.name..self.end
    }
}

impl<'a> Params<'a> {
    /// Scans `params` at `base` into this empty value and returns the end.
    ///
    /// In place: returning the value would copy several hundred bytes.
    pub(super) fn read(&mut self, scan: Scan<'a>, base: usize) -> Option<usize> {
        let end = scan.object(base, |name, at| {
            if scan.is_text(name, ENVELOPE_MEMBER) {
                if self.envelope.is_some() {
                    self.read_envelope = RawEnvelope::default();
                }
                let end = match scan.byte(at)? {
                    b'{' => self.read_envelope.read(scan, at)?,
                    _ => scan.value(at)?.end(),
                };
                self.repeated |= self.envelope.replace(Found::new(name, at, end, base)).is_some();
                return Some(end);
            }
            let end = scan.value(at)?.end();
            if scan.is_text(name, CONTEXT_MEMBER) {
                self.repeated |= self.context.replace(Found::new(name, at, end, base)).is_some();
            }
            Some(end)
        })?;
        self.text = scan.text(base, end);
        Some(end)
    }

    /// Returns the unverified envelope; empty if there is none.
    pub fn envelope(&self) -> &RawEnvelope<'a> {
        &self.read_envelope
    }

    /// Returns the whole text, as received.
    pub fn text(&self) -> &'a str {
        self.text
    }

    /// Returns the text of `__platos`, whatever its type.
    pub fn envelope_text(&self) -> Option<&'a str> {
        self.envelope.map(|member| &self.text[member.value..member.end])
    }

    /// Returns the text of `_context`, whatever its type. The signature covers it.
    pub fn context_text(&self) -> Option<&'a str> {
        self.context.map(|member| &self.text[member.value..member.end])
    }

    /// Returns the signed text of the arguments, `params` without `__platos`, as two pieces to concatenate.
    pub fn signed_pieces(&self) -> [&'a str; 2] {
        match &self.envelope {
            Some(member) => {
                let cut = json::widen_to_comma(self.text, member.range(), 0);
                [&self.text[..cut.start], &self.text[cut.end..]]
            }
            None => [self.text, ""],
        }
    }

    /// Returns the arguments as the text of an object: `params` without `__platos` and `_context`.
    pub fn arguments_text(&self) -> String {
        if self.repeated {
            let is_envelope = |member: &Member<'_>| member.is(ENVELOPE_MEMBER) || member.is(CONTEXT_MEMBER);
            let cuts: Vec<_> =
                json::members(self.text).filter(is_envelope).map(|member| member.range()).collect();
            return json::without(self.text, &cuts);
        }
        match (self.envelope.map(Found::range), self.context.map(Found::range)) {
            (None, None) => self.text.to_owned(),
            (Some(only), None) | (None, Some(only)) => json::without(self.text, &[only]),
            (Some(one), Some(other)) if one.start < other.start => json::without(self.text, &[one, other]),
            (Some(one), Some(other)) => json::without(self.text, &[other, one]),
        }
    }
}

impl fmt::Debug for Params<'_> {
    /// Writes only sizes: arguments and envelopes may contain secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Params")
            .field("bytes", &self.text.len())
            .field("has_envelope", &self.envelope.is_some())
            .field("has_context", &self.context.is_some())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(text: &str) -> Option<Params<'_>> {
        let mut params = Params::default();
        params.read(Scan::new(text), 0).map(|_end| params)
    }

    fn cut(text: &str) -> (String, String) {
        let params = params(text).unwrap();
        (params.signed_pieces().concat(), params.arguments_text())
    }

    #[test]
    fn envelopes_are_removed_at_any_position() {
        for (text, signed, arguments) in [
            (r#"{"a":1,"_context":{"c":2},"__platos":{}}"#, r#"{"a":1,"_context":{"c":2}}"#, r#"{"a":1}"#),
            (r#"{"__platos":{},"a":1,"_context":{}}"#, r#"{"a":1,"_context":{}}"#, r#"{"a":1}"#),
            (r#"{"a":1,"__platos":{},"b":2}"#, r#"{"a":1,"b":2}"#, r#"{"a":1,"b":2}"#),
            (r#"{"_context":[],"__platos":{}}"#, r#"{"_context":[]}"#, "{}"),
            (r#"{"__platos":1}"#, "{}", "{}"),
            (r#"{"_context":{}}"#, r#"{"_context":{}}"#, "{}"),
            (r#"{"a":{"__platos":{}}}"#, r#"{"a":{"__platos":{}}}"#, r#"{"a":{"__platos":{}}}"#),
            ("{}", "{}", "{}"),
            (r#"{"a": 1, "__platos": {}}"#, r#"{"a": 1}"#, r#"{"a": 1}"#),
        ] {
            assert_eq!(cut(text), (signed.to_owned(), arguments.to_owned()), "{text}");
        }
    }

    #[test]
    fn an_escaped_name_is_the_same_name() {
        let params = params(r#"{"a":1,"__pl\u0061tos":{"x":2},"_conte\u0078t":[3]}"#).unwrap();
        assert_eq!(params.envelope_text(), Some(r#"{"x":2}"#));
        assert_eq!(params.context_text(), Some("[3]"));
        assert_eq!(params.arguments_text(), r#"{"a":1}"#);
    }

    #[test]
    fn the_last_duplicate_wins_and_none_is_an_argument() {
        let params =
            params(r#"{"__platos":{"x":1},"_context":1,"a":0,"_context":2,"__platos":{"x":2}}"#).unwrap();
        assert_eq!(params.envelope_text(), Some(r#"{"x":2}"#));
        assert_eq!(params.context_text(), Some("2"));
        assert_eq!(
            params.signed_pieces().concat(),
            r#"{"__platos":{"x":1},"_context":1,"a":0,"_context":2}"#,
            "an earlier envelope stays in the signed text"
        );
        assert_eq!(params.arguments_text(), r#"{"a":0}"#);
    }

    #[test]
    fn only_an_object_has_members() {
        for text in ["[]", "null", "\"{}\"", "1"] {
            assert!(params(text).is_none(), "{text}");
        }
    }

    #[test]
    fn debug_shows_no_content() {
        let params = params(r#"{"password":"hunter2"}"#).unwrap();
        assert!(!format!("{params:?}").contains("hunter2"));
    }
}
