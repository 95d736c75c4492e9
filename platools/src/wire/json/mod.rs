//! Access to JSON text without decoding it: members of an object as slices of the text.
//!
//! Signatures cover the exact text, so received JSON is never re-serialized. [`Scan`] validates text while skipping
//! over it; [`members`] iterates over validated text. Invalid text yields fewer members, never a panic. This module
//! must not know what the members mean.

mod scan;

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use serde::de::{Deserializer as _, MapAccess, Visitor};
use serde_json::value::RawValue;

pub(crate) use self::scan::{MAX_DEPTH, Scan, Span, Value};

/// One member of an object, still as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Member<'a> {
    /// The name with its quotes and escapes.
    pub(crate) raw_name: &'a str,
    /// The value's text, without surrounding white space.
    pub(crate) value: &'a str,
    /// Offset of the name's opening quote in the object's text.
    start: usize,
    /// Offset of the value's end in the object's text.
    end: usize,
    /// Whether the name has no escapes.
    is_name_plain: bool,
}

impl<'a> Member<'a> {
    fn new(scan: Scan<'a>, name: Span, value: Span) -> Self {
        let (start, end) = (name.start(), value.end());
        let (name, value) = (scan.get(name), scan.get(value));
        Self { raw_name: name.text(), value: value.text(), start, end, is_name_plain: name.is_plain() }
    }

    /// Returns the decoded name, or `None` if it is not valid Unicode (a lone surrogate).
    pub(crate) fn name(&self) -> Option<Cow<'a, str>> {
        decode(self.raw_name, self.is_name_plain)
    }

    /// Returns whether the decoded name is `name`.
    pub(crate) fn is(&self, name: &str) -> bool {
        self.name().is_some_and(|decoded| decoded == name)
    }

    /// Returns the byte range of this member in the object's text: name, colon and value.
    pub(crate) fn range(&self) -> Range<usize> {
        self.start..self.end
    }
}

/// Why a text is not an object that [`Scan`] accepts.
#[derive(Debug)]
pub(crate) enum Problem {
    /// It is not JSON, or not an object: the error of `serde_json`.
    Syntax(serde_json::Error),
    /// A value in it is nested more than [`MAX_DEPTH`] levels deep.
    TooDeep,
}

/// Returns why [`Scan`] has rejected `text` as an object.
#[cold]
pub(crate) fn problem(text: &str) -> Problem {
    struct Object;

    impl<'de> Visitor<'de> for Object {
        type Value = ();

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
            while map.next_entry::<&RawValue, &RawValue>()?.is_some() {}
            Ok(())
        }
    }

    let mut deserializer = serde_json::Deserializer::from_str(text);
    let read = deserializer.deserialize_map(Object).and_then(|()| deserializer.end());
    read.map_or_else(Problem::Syntax, |()| Problem::TooDeep)
}

/// Returns whether `text`, which is JSON, is nested more than [`MAX_DEPTH`] levels deep.
pub(crate) fn is_too_deep(text: &str) -> bool {
    // Most texts are seen to be flat without a scan: they are short, or have few brackets.
    let opens = |byte: &u8| matches!(byte, b'[' | b'{');
    text.len() > 2 * MAX_DEPTH
        && text.as_bytes().iter().filter(|byte| opens(byte)).count() > MAX_DEPTH
        && Scan::new(text).value(0).is_none()
}

/// Describes the type of the JSON value `raw`, for error texts.
pub(crate) fn kind(raw: &str) -> &'static str {
    match raw.trim_start().as_bytes().first() {
        Some(b'{') => "an object",
        Some(b'[') => "an array",
        Some(b'"') => "a string",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        Some(b'-' | b'0'..=b'9') => "a number",
        _ => "not JSON",
    }
}

/// Iterates over the members of the object in `text`, in order and with duplicates.
pub(crate) fn members(text: &str) -> Members<'_> {
    let scan = Scan::new(text);
    Members { scan, next: scan.open(0) }
}

/// Iterator over the members of an object; see [`members`].
#[derive(Debug, Clone)]
pub(crate) struct Members<'a> {
    scan: Scan<'a>,
    /// Offset of the next member, if any.
    next: Option<usize>,
}

impl<'a> Iterator for Members<'a> {
    type Item = Member<'a>;

    fn next(&mut self) -> Option<Member<'a>> {
        let (name, value) = self.scan.member(self.next?)?;
        let end = self.scan.skip_space(value.end());
        self.next = (self.scan.byte(end) == Some(b',')).then(|| self.scan.skip_space(end + 1));
        Some(Member::new(self.scan, name, value))
    }
}

/// Decodes a JSON string with its quotes; returns `None` if it is not a string or not valid Unicode.
pub(crate) fn decode_string(raw: &str) -> Option<Cow<'_, str>> {
    decode(raw, !raw.contains('\\'))
}

/// Decodes a JSON string with its quotes; `is_plain` says that it has no escapes.
fn decode(raw: &str, is_plain: bool) -> Option<Cow<'_, str>> {
    let inner = raw.strip_prefix('"')?.strip_suffix('"')?;
    if is_plain { Some(Cow::Borrowed(inner)) } else { serde_json::from_str(raw).ok().map(Cow::Owned) }
}

/// Decodes a JSON string for display; invalid Unicode is replaced by `\u{fffd}`.
pub(crate) fn decode_string_lossy(raw: &str) -> Cow<'_, str> {
    struct Lossy;

    impl Visitor<'_> for Lossy {
        type Value = String;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a string")
        }

        fn visit_bytes<E>(self, bytes: &[u8]) -> Result<String, E> {
            Ok(String::from_utf8_lossy(bytes).into_owned())
        }
    }

    decode_string(raw).unwrap_or_else(|| {
        serde_json::Deserializer::from_str(raw)
            .deserialize_bytes(Lossy)
            .map_or(Cow::Borrowed("\u{fffd}"), Cow::Owned)
    })
}

/// Appends `text` as a JSON string.
pub(crate) fn push_string(json: &mut String, text: &str) {
    if text.bytes().any(|byte| byte < 0x20 || byte == b'"' || byte == b'\\') {
        json.push_str(&serde_json::Value::from(text).to_string());
    } else {
        json.push('"');
        json.push_str(text);
        json.push('"');
    }
}

/// Returns the object's text without the members at `ranges`, which are sorted [`Member::range`]s.
///
/// The result is what a serializer would have written without those members.
pub(crate) fn without(object: &str, ranges: &[Range<usize>]) -> String {
    // The removed members are often most of the text.
    let cut: usize = ranges.iter().map(Range::len).sum();
    let mut text = String::with_capacity(object.len() - cut);
    let mut from = 0;
    for range in ranges {
        let cut = widen_to_comma(object, range.clone(), from);
        text.push_str(&object[from..cut.start]);
        from = cut.end;
    }
    text.push_str(&object[from..]);
    text
}

/// Extends the range of a member by one comma: the one before it, or, if there is none at or after `floor` (for the
/// first member, or if all members before it are removed), the one behind it.
pub(crate) fn widen_to_comma(object: &str, member: Range<usize>, floor: usize) -> Range<usize> {
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\n' | b'\r' | b'\t');
    let bytes = object.as_bytes();
    let space_before = bytes[floor..member.start].iter().rev().take_while(|byte| is_space(byte)).count();
    let before = member.start - space_before;
    if before > floor && bytes[before - 1] == b',' {
        return before - 1..member.end;
    }
    let behind = member.end + bytes[member.end..].iter().take_while(|byte| is_space(byte)).count();
    if bytes.get(behind) == Some(&b',') { member.start..behind + 1 } else { member }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, Value, json};

    use super::*;

    fn names(text: &str) -> Vec<String> {
        members(text).map(|member| member.name().unwrap().into_owned()).collect()
    }

    fn without_named(text: &str, names: &[&str]) -> String {
        let cut: Vec<_> = members(text)
            .filter(|member| names.iter().any(|name| member.is(name)))
            .map(|member| member.range())
            .collect();
        without(text, &cut)
    }

    #[test]
    fn members_are_slices_of_the_text() {
        let text = r#" { "a" : 1 , "b\"c":[{"x":"}"},null] ,"d":"\\" } "#;
        let found: Vec<_> = members(text).map(|member| (member.raw_name, member.value)).collect();
        assert_eq!(found, [(r#""a""#, "1"), (r#""b\"c""#, r#"[{"x":"}"},null]"#), (r#""d""#, r#""\\""#)]);
        assert_eq!(names(text), ["a", "b\"c", "d"]);
    }

    #[test]
    fn a_cut_takes_one_comma_with_it() {
        let text = r#"{"a":1,"b":2,"c":3}"#;
        assert_eq!(without_named(text, &["a"]), r#"{"b":2,"c":3}"#);
        assert_eq!(without_named(text, &["b"]), r#"{"a":1,"c":3}"#);
        assert_eq!(without_named(text, &["c"]), r#"{"a":1,"b":2}"#);
        assert_eq!(without_named(text, &["a", "b"]), r#"{"c":3}"#);
        assert_eq!(without_named(text, &["a", "c"]), r#"{"b":2}"#);
        assert_eq!(without_named(text, &["b", "c"]), r#"{"a":1}"#);
        assert_eq!(without_named(text, &["a", "b", "c"]), "{}");
        assert_eq!(without_named("{}", &["a"]), "{}");
        assert_eq!(without_named(r#"{"a":1}"#, &["b"]), r#"{"a":1}"#);
    }

    #[test]
    fn names_are_compared_decoded() {
        let member = members(r#"{"\u0061":1}"#).next().unwrap();
        assert!(member.is("a"));
        let lone = members(r#"{"\ud800":1}"#).next().unwrap();
        assert_eq!(lone.name(), None);
        assert!(!lone.is("\u{fffd}"));
    }

    #[test]
    fn deep_nesting_is_found() {
        let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        for (depth, is_found) in [(1, false), (MAX_DEPTH, false), (MAX_DEPTH + 1, true), (400_000, true)] {
            let text = format!(r#"{{"deep":{},"after":2}}"#, nested(depth));
            assert_eq!(names(&text), if is_found { &[][..] } else { &["deep", "after"] });
            assert_eq!(is_too_deep(&nested(depth)), is_found, "{depth}");
            assert!(!is_found || matches!(problem(&text), Problem::TooDeep));
        }
        let wide = format!("[{}{{}}]", "[[1]],\"[[[[\",".repeat(1_000));
        assert!(!is_too_deep(&wide));
    }

    #[test]
    fn any_string_is_decoded_for_display() {
        assert_eq!(decode_string_lossy(r#""caf\u00e9""#), "café");
        assert!(decode_string_lossy(r#""a \ud800 b""#).starts_with("a \u{fffd}"));
        assert_eq!(decode_string_lossy("nonsense"), "\u{fffd}");
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(|number| json!(number)),
            ".*".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::vec((".{0,6}", inner), 0..5)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn members_and_cuts_agree_with_serde_json(
            object in prop::collection::vec((".{0,6}", any_json()), 0..6),
            pretty: bool,
            cut in prop::collection::vec(any::<bool>(), 6),
        ) {
            let object: Map<String, Value> = object.into_iter().collect();
            let text = if pretty {
                serde_json::to_string_pretty(&object).unwrap()
            } else {
                serde_json::to_string(&object).unwrap()
            };
            let found: Map<String, Value> = members(&text)
                .map(|member| (member.name().unwrap().into_owned(), serde_json::from_str(member.value).unwrap()))
                .collect();
            prop_assert_eq!(&found, &object);

            let cut_ranges: Vec<_> =
                members(&text).zip(&cut).filter(|(_, cut)| **cut).map(|(member, _)| member.range()).collect();
            let left: Map<String, Value> = object
                .iter()
                .zip(&cut)
                .filter(|(_, cut)| !**cut)
                .map(|((name, value), _)| (name.clone(), value.clone()))
                .collect();
            let text_left = without(&text, &cut_ranges);
            prop_assert_eq!(serde_json::from_str::<Map<String, Value>>(&text_left).unwrap(), left.clone());
            if !pretty {
                prop_assert_eq!(text_left, serde_json::to_string(&left).unwrap());
            }
        }

        #[test]
        fn a_pushed_string_decodes_to_itself(text: String) {
            let mut json = String::new();
            push_string(&mut json, &text);
            let decoded = decode_string(&json);
            prop_assert_eq!(decoded.as_deref(), Some(text.as_str()));
            prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        }

        #[test]
        fn any_text_is_handled_without_panic(text in "\\PC*", json_like in "[{}\\[\\]:,\"\\\\a1 ]{0,40}") {
            for text in [text, json_like] {
                if let Problem::Syntax(error) = problem(&text) {
                    assert!(error.to_string().len() > 3);
                }
                let _ = decode_string_lossy(&text);
                let ranges: Vec<_> = members(&text).map(|member| member.range()).collect();
                let _ = without(&text, &ranges);
            }
        }
    }
}
