//! Steps over JSON text, and checks it on the way.
//!
//! What `serde_json` accepts is accepted here, and nothing else: a frame that was stepped over to its end needs no
//! second look, and its members are found in the pass that checks it. `serde_json` is asked only for what is wrong.
//! As there, nesting of any depth needs no stack, and the escapes of a string need not be valid Unicode.

use std::borrow::Cow;
use std::num::NonZeroUsize;

use super::{Member, decode};

/// A place in JSON text. After a `None` it stands where the text is wrong, and leads nowhere.
#[derive(Debug, Clone)]
pub(crate) struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

/// Where a value stands in the cursor's text, without surrounding white space.
///
/// Two words, so that it travels in registers: on the path of a call, spans that go through memory cost more than
/// the stepping.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    start: usize,
    /// Twice its end, and one more if it is a string without escapes. A value is not empty, so this is never zero.
    end: NonZeroUsize,
}

impl Span {
    fn new(start: usize, end: usize, is_plain: bool) -> Option<Self> {
        Some(Self { start, end: NonZeroUsize::new(end * 2 + usize::from(is_plain))? })
    }

    pub(crate) fn start(self) -> usize {
        self.start
    }

    pub(crate) fn end(self) -> usize {
        self.end.get() / 2
    }

    /// Whether it is a string that stands there as it is meant, without escapes.
    fn is_plain(self) -> bool {
        self.end.get() % 2 == 1
    }
}

/// The text of a value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Value<'a> {
    text: &'a str,
    is_plain: bool,
}

impl<'a> Value<'a> {
    pub(crate) fn text(&self) -> &'a str {
        self.text
    }

    /// Whether it is a string without escapes.
    pub(super) fn is_plain(&self) -> bool {
        self.is_plain
    }

    /// The decoded string; `None` when it is no string or not valid Unicode.
    pub(crate) fn string(&self) -> Option<Cow<'a, str>> {
        decode(self.text, self.is_plain)
    }

    /// Whether it is a string that says `text`.
    pub(crate) fn is(&self, text: &str) -> bool {
        self.string().is_some_and(|decoded| decoded == text)
    }
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// How many bytes lie behind it.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// The text from `start` to here.
    pub(crate) fn since(&self, start: usize) -> &'a str {
        self.text.get(start..self.at).unwrap_or_default()
    }

    /// The value at `span`.
    pub(crate) fn get(&self, span: Span) -> Value<'a> {
        Value { text: &self.text[span.start..span.end()], is_plain: span.is_plain() }
    }

    /// What stands between the quotes at `span`, if that is what is meant.
    #[inline]
    pub(crate) fn plain(&self, span: Span) -> Option<&'a str> {
        if span.is_plain() { self.text.get(span.start + 1..span.end() - 1) } else { None }
    }

    /// Whether at `span` is a string that says `text`.
    #[inline]
    pub(crate) fn says(&self, span: Span, text: &str) -> bool {
        if span.is_plain() {
            return self.text.as_bytes().get(span.start + 1..span.end() - 1) == Some(text.as_bytes());
        }
        self.get(span).is(text)
    }

    /// The next byte that is no white space; the cursor stands before it.
    pub(crate) fn peek(&mut self) -> Option<u8> {
        loop {
            match *self.text.as_bytes().get(self.at)? {
                b' ' | b'\n' | b'\r' | b'\t' => self.at += 1,
                byte => return Some(byte),
            }
        }
    }

    /// Makes sure that nothing is left but white space.
    pub(crate) fn end(&mut self) -> Option<()> {
        self.peek().is_none().then_some(())
    }

    /// Steps over an object. `member` is given the name of each member, and has to step over its value.
    pub(crate) fn object(&mut self, mut member: impl FnMut(&mut Self, Span) -> Option<()>) -> Option<()> {
        let mut more = self.enter_object()?;
        while more {
            let name = self.name()?;
            member(self, name)?;
            more = self.next_or_leave()?;
        }
        Some(())
    }

    /// Steps over the next member of an object.
    pub(super) fn member(&mut self) -> Option<Member<'a>> {
        let name = self.name()?;
        let value = self.value()?;
        Some(Member::new(self, name, value))
    }

    /// Steps over the brace that opens an object, and an empty object as a whole. Whether there are members.
    pub(super) fn enter_object(&mut self) -> Option<bool> {
        self.expect(b'{')?;
        if self.peek()? == b'}' {
            self.at += 1;
            return Some(false);
        }
        Some(true)
    }

    /// Steps over the comma behind a member, or the brace that closes the object. Whether there are more.
    pub(super) fn next_or_leave(&mut self) -> Option<bool> {
        let byte = self.peek()?;
        self.at += 1;
        match byte {
            b',' => Some(true),
            b'}' => Some(false),
            _ => None,
        }
    }

    /// Steps over the name of a member and its colon; then the value begins.
    fn name(&mut self) -> Option<Span> {
        self.peek()?;
        let name = self.string()?;
        self.expect(b':')?;
        self.peek()?;
        Some(name)
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        let found = self.peek()? == byte;
        self.at += usize::from(found);
        found.then_some(())
    }

    /// Steps over a value of any kind, however deep it nests.
    pub(crate) fn value(&mut self) -> Option<Span> {
        match self.peek()? {
            b'"' => self.string(),
            b'{' | b'[' => {
                let start = self.at;
                self.nested()?;
                Span::new(start, self.at, false)
            }
            _ => {
                let start = self.at;
                self.scalar()?;
                Span::new(start, self.at, false)
            }
        }
    }

    /// Steps over the string at the cursor.
    fn string(&mut self) -> Option<Span> {
        let bytes = self.text.as_bytes();
        let start = self.at;
        if bytes.get(start) != Some(&b'"') {
            return None;
        }
        let mut at = start + 1;
        let mut is_plain = true;
        loop {
            at += special(bytes.get(at..)?)?;
            match bytes[at] {
                b'"' => break,
                b'\\' => {
                    is_plain = false;
                    at += escape(&bytes[at..])?;
                }
                _control => return None,
            }
        }
        self.at = at + 1;
        Span::new(start, self.at, is_plain)
    }

    /// Steps over the list or object at the cursor.
    fn nested(&mut self) -> Option<()> {
        let mut open = Open::default();
        loop {
            // A value begins here.
            match self.peek()? {
                b'"' => {
                    self.string()?;
                }
                b'{' => {
                    if self.enter_object()? {
                        open.push(true);
                        self.name()?;
                        continue;
                    }
                }
                b'[' => {
                    self.at += 1;
                    if self.peek()? != b']' {
                        open.push(false);
                        continue;
                    }
                    self.at += 1;
                }
                _ => self.scalar()?,
            }
            // A value ended here; perhaps it was the last one of those around it.
            loop {
                let Some(in_object) = open.last() else { return Some(()) };
                match (self.peek()?, in_object) {
                    (b',', true) => {
                        self.at += 1;
                        self.name()?;
                        break;
                    }
                    (b',', false) => {
                        self.at += 1;
                        break;
                    }
                    (b'}', true) | (b']', false) => {
                        self.at += 1;
                        open.pop();
                    }
                    _ => return None,
                }
            }
        }
    }

    /// Steps over a number, `true`, `false` or `null`.
    fn scalar(&mut self) -> Option<()> {
        let rest = &self.text.as_bytes()[self.at..];
        for word in [&b"true"[..], b"false", b"null"] {
            if rest.starts_with(word) {
                self.at += word.len();
                return Some(());
            }
        }
        self.at += number(rest)?;
        Some(())
    }
}

/// Which lists and objects are open, innermost last: a bit for each, set for an object.
#[derive(Default)]
struct Open {
    /// The innermost ones, up to 64.
    bits: u64,
    count: usize,
    /// Those around them, 64 at a time.
    outer: Vec<u64>,
}

impl Open {
    fn push(&mut self, is_object: bool) {
        if self.count == 64 {
            self.outer.push(self.bits);
            self.count = 0;
        }
        self.bits = self.bits << 1 | u64::from(is_object);
        self.count += 1;
    }

    fn last(&self) -> Option<bool> {
        (self.count > 0).then_some(self.bits & 1 == 1)
    }

    fn pop(&mut self) {
        self.bits >>= 1;
        self.count -= 1;
        if self.count == 0
            && let Some(bits) = self.outer.pop()
        {
            (self.bits, self.count) = (bits, 64);
        }
    }
}

/// How long the escape is that begins with the first byte.
fn escape(bytes: &[u8]) -> Option<usize> {
    match *bytes.get(1)? {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(2),
        b'u' => bytes.get(2..6)?.iter().all(u8::is_ascii_hexdigit).then_some(6),
        _ => None,
    }
}

/// How long the number is at the start.
fn number(bytes: &[u8]) -> Option<usize> {
    let digits = |at: usize| bytes[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut at = usize::from(bytes.first() == Some(&b'-'));
    at += match bytes.get(at)? {
        b'0' => 1,
        _ => Some(digits(at)).filter(|count| *count > 0)?,
    };
    if bytes.get(at) == Some(&b'.') {
        at += 1 + Some(digits(at + 1)).filter(|count| *count > 0)?;
    }
    if let Some(b'e' | b'E') = bytes.get(at) {
        at += 1 + usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-')));
        at += Some(digits(at)).filter(|count| *count > 0)?;
    }
    // `01` and `1x` are no numbers; what follows is for others to judge.
    (!bytes.get(at).is_some_and(u8::is_ascii_digit)).then_some(at)
}

/// Where the first byte stands that is not simply part of a string: a quote, a backslash, a control character.
fn special(bytes: &[u8]) -> Option<usize> {
    // Sixteen at a time, which most strings are shorter than.
    let (chunks, rest) = bytes.as_chunks::<16>();
    for (index, chunk) in chunks.iter().enumerate() {
        let (words, _) = chunk.as_chunks::<8>();
        let [first, second] = [words[0], words[1]].map(|word| specials(u64::from_le_bytes(word)));
        if first | second != 0 {
            let (found, before) = if first != 0 { (first, 0) } else { (second, 8) };
            return Some(index * 16 + before + found.trailing_zeros() as usize / 8);
        }
    }
    let at = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20))?;
    Some(bytes.len() - rest.len() + at)
}

/// The high bit of the lowest special byte, and perhaps of others above it.
fn specials(word: u64) -> u64 {
    // A byte below a number is one from which the number cannot be taken without a borrow, which sets its high bit.
    let below = |word: u64, number: u64| word.wrapping_sub(EACH * number) & !word & (EACH << 7);
    // With this bit changed a quote comes right behind the control characters, and a backslash becomes zero.
    below(word ^ (EACH * 0x02), 0x21) | below(word ^ (EACH * u64::from(b'\\')), 1)
}

/// A one in each byte.
const EACH: u64 = u64::from_le_bytes([1; 8]);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::value::RawValue;

    use super::*;

    /// The members of the one object that `text` has to be.
    fn split(text: &str) -> Option<Vec<(&str, &str)>> {
        let mut members = Vec::new();
        let mut cursor = Cursor::new(text);
        cursor.object(|cursor, name| {
            let value = cursor.value()?;
            members.push((cursor.get(name).text(), cursor.get(value).text()));
            Some(())
        })?;
        cursor.end().map(|()| members)
    }

    /// Whether it is one JSON value, says the cursor, and says `serde_json`.
    fn verdicts(text: &str) -> (bool, bool) {
        let mut cursor = Cursor::new(text);
        let ours = cursor.value().is_some_and(|value| {
            let is_all = cursor.end().is_some();
            assert!(
                !is_all || cursor.get(value).text() == text.trim_matches([' ', '\n', '\r', '\t']),
                "{text}"
            );
            is_all
        });
        (ours, serde_json::from_str::<&RawValue>(text).is_ok())
    }

    #[test]
    fn an_object_is_checked_and_split_in_one_pass() {
        assert_eq!(
            split(" {\"a\": [1, {}], \"\\ud800\":\"\\udc00\",\"a\":2 } ").unwrap(),
            [("\"a\"", "[1, {}]"), ("\"\\ud800\"", "\"\\udc00\""), ("\"a\"", "2")]
        );
        assert_eq!(split("{}").unwrap(), []);
        for text in
            ["", "[]", "{", "{}{}", "{\"a\"}", "{a:1}", "{\"a\":1,}", "{,}", "null", "\"{}\"", "{\"a\":01}"]
        {
            assert_eq!(split(text), None, "{text}");
        }
    }

    #[test]
    fn depth_needs_no_stack_and_brackets_have_to_match() {
        for depth in [1, 63, 64, 65, 127, 128, 129, 1_000, 200_000] {
            let mixed = |open: [&str; 2], close: [&str; 2]| {
                let opened: String = (0..depth).map(|level| open[level % 2]).collect();
                let closed: String = (0..depth).rev().map(|level| close[level % 2]).collect();
                format!("{{\"deep\":{opened}1{closed},\"after\":2}}")
            };
            let deep = mixed(["[", "{\"x\":"], ["]", "}"]);
            assert_eq!(split(&deep).unwrap()[1], ("\"after\"", "2"), "{depth}");
            assert_eq!(split(&deep[..deep.len() - 20]), None, "{depth}");
            assert_eq!(split(&mixed(["[", "{\"x\":"], ["}", "]"])), None, "{depth}");
        }
    }

    #[test]
    fn it_agrees_with_serde_json_on_every_small_mistake() {
        for text in [
            "0",
            "-0",
            "01",
            "-",
            "+1",
            "1.",
            ".5",
            "1.5",
            "1e5",
            "1E+05",
            "1e",
            "1e+",
            "--1",
            "1.5.5",
            "-1.0e-0",
            "00",
            "0x1",
            "1 2",
            "true",
            "tru",
            "truex",
            "nul",
            "null",
            "fals",
            "false ",
            "True",
            "\"\\u12\"",
            "\"\\u12zz\"",
            "\"\\ud800\"",
            "\"\\x\"",
            "\"\\",
            "\"\\\"",
            "\"a\u{1}b\"",
            "\"\u{7f}é\"",
            "\"\n\"",
            "[1,]",
            "[,1]",
            "[1 2]",
            "[",
            "]",
            "[]]",
            "{]",
            "[}",
            "{\"a\":[}",
            "{\"a\":1 \"b\":2}",
            "{\"a\":,}",
            "\u{feff}{}",
            "{\"a\" : 1}\u{a0}",
            " \t\r\n[ { } , [ ] ] ",
            "NaN",
            "'a'",
            "{1:2}",
            "[1]]",
            "{\"a\":{\"b\":[{},[]]}}",
        ] {
            let (ours, theirs) = verdicts(text);
            assert_eq!(ours, theirs, "{text:?}");
        }
    }

    #[test]
    fn the_end_of_a_string_is_found_at_any_distance() {
        for before in 0..100 {
            for end in ["\"", "\\n\"", "\\\\\"", "\u{1f}\"", "\\u00e9\""] {
                let text = format!("\"{}{end}", "é".repeat(before / 2) + &"x".repeat(before % 2));
                let (ours, theirs) = verdicts(&text);
                assert_eq!(ours, theirs, "{text}");
                let mut cursor = Cursor::new(&text);
                let read = cursor.value().and_then(|value| cursor.get(value).string().map(Cow::into_owned));
                assert_eq!(read, serde_json::from_str(&text).ok(), "{text}");
                assert_eq!(verdicts(&text[..text.len() - 1]), (false, false), "cut short: {text}");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_096))]

        /// On text that is nearly JSON: a valid one, with bytes changed, put in and left out.
        #[test]
        fn it_agrees_with_serde_json(
            changes in prop::collection::vec((any::<prop::sample::Index>(), 0..3_u8, "[{}\\[\\]:,\"\\\\ a0-9eE+.tu\\-\u{1}é]"), 0..4),
        ) {
            let mut text = String::from(
                r#"{"a":[1,-2.5e+10,true,null,{}],"b":{"c":"d\u00e9\n","e":[[],{"f":false}]}, "g" : 0 }"#,
            );
            for (at, kind, new) in changes {
                let mut at = at.index(text.len());
                while !text.is_char_boundary(at) {
                    at -= 1;
                }
                match kind {
                    0 => text.insert_str(at, &new),
                    1 => drop(text.remove(at)),
                    _ => {
                        text.remove(at);
                        text.insert_str(at, &new);
                    }
                }
            }
            let (ours, theirs) = verdicts(&text);
            prop_assert_eq!(ours, theirs, "{}", text);
        }
    }
}
