//! The text of JSON: members of an object, as slices of the text they stand in.
//!
//! Signatures are made over exact text, so the host never rebuilds JSON it was sent. [`visit_object`]
//! checks text that came from outside; everything else here takes text that `serde_json` has already
//! accepted and returns parts of it. It must not know what the members mean. Text that is not JSON
//! yields fewer members, never a panic.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use serde::de::{Deserializer as _, MapAccess, Visitor};
use serde_json::value::RawValue;

/// One member of an object, still as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Member<'a> {
    /// The name with its quotes and escapes.
    pub(crate) raw_name: &'a str,
    /// The value's text, without surrounding white space.
    pub(crate) value: &'a str,
    /// Where the name's opening quote stands in the object's text.
    start: usize,
    /// Where the value ends in the object's text.
    end: usize,
    /// Whether the name stands there as it is meant, without escapes.
    is_name_plain: bool,
    /// The same for the value, when that is a string.
    is_value_plain: bool,
}

impl<'a> Member<'a> {
    /// The decoded name, or `None` when it is not valid Unicode (a lone surrogate).
    pub(crate) fn name(&self) -> Option<Cow<'a, str>> {
        decode(self.raw_name, self.is_name_plain)
    }

    /// The decoded value; `None` when it is no string or not valid Unicode.
    pub(crate) fn string(&self) -> Option<Cow<'a, str>> {
        decode(self.value, self.is_value_plain)
    }

    /// Whether the decoded name is `name`.
    pub(crate) fn is(&self, name: &str) -> bool {
        self.name().is_some_and(|decoded| decoded == name)
    }

    /// The bytes of the object's text that this member occupies: name, colon and value.
    pub(crate) fn range(&self) -> Range<usize> {
        self.start..self.end
    }
}

/// Checks that `text` is one JSON object and hands out its members, in one pass: the name with its
/// quotes and escapes, and the value's text. Duplicates are handed out too. Nesting of any depth needs
/// no stack, and strings need not be valid Unicode.
///
/// # Errors
/// When `text` is not JSON, or not an object. Members may have been handed out by then.
pub(crate) fn visit_object<'a>(text: &'a str, visit: impl FnMut(&'a str, &'a str)) -> serde_json::Result<()> {
    struct ObjectVisitor<F>(F);

    impl<'de, F: FnMut(&'de str, &'de str)> Visitor<'de> for ObjectVisitor<F> {
        type Value = ();

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
            while let Some((name, value)) = map.next_entry::<&RawValue, &RawValue>()? {
                (self.0)(name.get(), value.get());
            }
            Ok(())
        }
    }

    let mut deserializer = serde_json::Deserializer::from_str(text);
    deserializer.deserialize_map(ObjectVisitor(visit))?;
    deserializer.end()
}

/// What kind of JSON value `raw` is, in words for an error message.
pub(crate) fn kind(raw: &str) -> &'static str {
    match raw.trim_start().as_bytes().first() {
        Some(b'{') => "an object",
        Some(b'[') => "a list",
        Some(b'"') => "a string",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        Some(b'-' | b'0'..=b'9') => "a number",
        _ => "not JSON",
    }
}

/// The members of the object in `text`, in the order they stand there. Duplicates are kept.
pub(crate) fn members(text: &str) -> Members<'_> {
    let mut members = Members { text, at: 0 };
    members.skip_space();
    if members.peek() == Some(b'{') {
        members.at += 1;
    } else {
        members.at = text.len();
    }
    members
}

/// Iterates over the members of one object; see [`members`].
#[derive(Debug, Clone)]
pub(crate) struct Members<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Iterator for Members<'a> {
    type Item = Member<'a>;

    fn next(&mut self) -> Option<Member<'a>> {
        self.skip_space();
        if self.peek() == Some(b',') {
            self.at += 1;
            self.skip_space();
        }
        let start = self.at;
        if self.peek() != Some(b'"') {
            return None;
        }
        let is_name_plain = self.skip_string()?;
        let raw_name = self.text.get(start..self.at)?;
        self.skip_space();
        if self.peek() != Some(b':') {
            return None;
        }
        self.at += 1;
        self.skip_space();
        let value_start = self.at;
        let is_value_plain = self.skip_value()?;
        let end = self.at;
        let value = self.text.get(value_start..end).filter(|value| !value.is_empty())?;
        Some(Member { raw_name, value, start, end, is_name_plain, is_value_plain })
    }
}

impl Members<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    /// Steps over the string whose opening quote is at the cursor. `true` when it has no escapes.
    fn skip_string(&mut self) -> Option<bool> {
        let bytes = self.text.as_bytes();
        let mut at = self.at + 1;
        let mut is_plain = true;
        loop {
            at += quote_or_backslash(bytes.get(at..)?)?;
            if bytes[at] == b'"' {
                self.at = at + 1;
                return Some(is_plain);
            }
            is_plain = false;
            at += 2;
        }
    }

    /// Steps over the value at the cursor, however deep it nests, without recursion. `true` when it has no
    /// string with escapes.
    fn skip_value(&mut self) -> Option<bool> {
        let bytes = self.text.as_bytes();
        let mut depth = 0_usize;
        let mut is_plain = true;
        loop {
            match *bytes.get(self.at)? {
                b'"' => is_plain &= self.skip_string()?,
                b'{' | b'[' => {
                    depth += 1;
                    self.at += 1;
                    continue;
                }
                b'}' | b']' if depth > 0 => {
                    depth -= 1;
                    self.at += 1;
                }
                b',' | b':' | b' ' | b'\n' | b'\r' | b'\t' if depth > 0 => {
                    self.at += 1;
                    continue;
                }
                _ => self.skip_scalar()?,
            }
            if depth == 0 {
                return Some(is_plain);
            }
        }
    }

    /// Steps over a number, `true`, `false` or `null`.
    fn skip_scalar(&mut self) -> Option<()> {
        let rest = self.text.as_bytes().get(self.at..)?;
        let length = rest
            .iter()
            .position(|byte| matches!(byte, b',' | b'}' | b']' | b':' | b'"' | b' ' | b'\n' | b'\r' | b'\t'))
            .unwrap_or(rest.len());
        if length == 0 {
            return None;
        }
        self.at += length;
        Some(())
    }
}

/// Where the first quote or backslash stands.
fn quote_or_backslash(bytes: &[u8]) -> Option<usize> {
    /// Strings are mostly shorter; beyond it a vectorised search is worth its start.
    const SHORT: usize = 64;
    let short = &bytes[..bytes.len().min(SHORT)];
    // Eight at a time: a byte of `word ^ pattern` is zero where the pattern's byte stands.
    let (chunks, rest) = short.as_chunks::<8>();
    for (index, chunk) in chunks.iter().enumerate() {
        let word = u64::from_le_bytes(*chunk);
        let found =
            zero_bytes(word ^ (EACH * u64::from(b'"'))) | zero_bytes(word ^ (EACH * u64::from(b'\\')));
        if found != 0 {
            return Some(index * 8 + found.trailing_zeros() as usize / 8);
        }
    }
    if bytes.len() > SHORT {
        return Some(SHORT + memchr::memchr2(b'"', b'\\', &bytes[SHORT..])?);
    }
    let at = rest.iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
    Some(short.len() - rest.len() + at)
}

/// A one in each byte.
const EACH: u64 = 0x0101_0101_0101_0101;

/// The high bit of the lowest byte that is zero, and perhaps of others above it.
fn zero_bytes(word: u64) -> u64 {
    word.wrapping_sub(EACH) & !word & (EACH << 7)
}

/// Decodes a JSON string with its quotes; `None` when it is no string or not valid Unicode.
pub(crate) fn decode_string(raw: &str) -> Option<Cow<'_, str>> {
    decode(raw, !raw.contains('\\'))
}

/// The same for a string of which it is known whether it has no escapes.
fn decode(raw: &str, is_plain: bool) -> Option<Cow<'_, str>> {
    let inner = raw.strip_prefix('"')?.strip_suffix('"')?;
    if is_plain { Some(Cow::Borrowed(inner)) } else { serde_json::from_str(raw).ok().map(Cow::Owned) }
}

/// Decodes a JSON string for people to read: what is not valid Unicode becomes `\u{fffd}`.
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

/// The object's text without the members at `ranges`, which come from [`Member::range`], in order.
///
/// What is left is what the writer would have written without those members.
pub(crate) fn without(object: &str, ranges: &[Range<usize>]) -> String {
    // What is cut out is often most of it.
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

/// The range of a member together with the one comma that goes with it: the one before it, or, when
/// none stands there at or after `floor` (the first member, or all before it are cut), the one behind.
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
    fn the_end_of_a_string_is_found_at_any_distance() {
        for before in 0..200 {
            for end in ["\"", "\\n\""] {
                let text =
                    format!("{{\"a\":\"{}{end},\"b\":1}}", "é".repeat(before / 2) + &"x".repeat(before % 2));
                let found: Vec<_> = members(&text).collect();
                assert_eq!(found[0].string(), serde_json::from_str(found[0].value).ok(), "{text}");
                assert_eq!((found.len(), found[1].raw_name, found[1].value), (2, "\"b\"", "1"), "{text}");
                assert_eq!(members(&text[..text.len() - 8]).count(), 0, "cut short: {text}");
            }
        }
    }

    #[test]
    fn deep_nesting_needs_no_stack() {
        let depth = 200_000;
        let text = format!(r#"{{"deep":{}1{},"after":2}}"#, "[".repeat(depth), "]".repeat(depth));
        assert_eq!(names(&text), ["deep", "after"]);
    }

    #[test]
    fn an_object_is_checked_and_split_in_one_pass() {
        let mut found = Vec::new();
        visit_object(" {\"a\": [1, {}], \"\\ud800\":\"\\udc00\",\"a\":2 } ", |name, value| {
            found.push((name, value));
        })
        .unwrap();
        assert_eq!(found, [("\"a\"", "[1, {}]"), ("\"\\ud800\"", "\"\\udc00\""), ("\"a\"", "2")]);

        for text in ["", "[]", "{", "{}{}", "{\"a\"}", "{a:1}", "{\"a\":1,}", "null", "\"{}\"", "{\"a\":01}"]
        {
            assert!(visit_object(text, |_, _| ()).is_err(), "{text}");
        }
        let deep = format!("{{\"deep\":{}{}}}", "[".repeat(200_000), "]".repeat(200_000));
        visit_object(&deep, |_, _| ()).unwrap();
        assert!(visit_object(&deep[..300_000], |_, _| ()).is_err());
    }

    #[test]
    fn strings_are_decoded_for_people_whatever_they_hold() {
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
        fn any_text_is_survived(text in "\\PC*", json_like in "[{}\\[\\]:,\"\\\\a1 ]{0,40}") {
            for text in [text, json_like] {
                let _ = visit_object(&text, |_, _| ());
                let _ = decode_string_lossy(&text);
                let ranges: Vec<_> = members(&text).map(|member| member.range()).collect();
                let _ = without(&text, &ranges);
            }
        }
    }
}
