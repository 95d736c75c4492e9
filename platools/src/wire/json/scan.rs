//! A scanner that validates JSON text while skipping over it.
//!
//! Accepts exactly what `serde_json` accepts, so a scanned frame needs no second validation, and its members are
//! found in the same pass. `serde_json` is used only to describe errors. A value may be nested [`MAX_DEPTH`] levels deep,
//! and nesting uses no stack. The escapes of a string need not be valid Unicode, as in `serde_json`'s `IgnoredAny`.

use std::borrow::Cow;
use std::num::NonZeroUsize;

use super::decode;

/// Maximum depth of a value: as many arrays and objects may be open at once. It is what `serde_json` reads into a value,
/// give or take one; text that is only passed on could be deeper, and whoever reads it in the end may run out of stack.
pub(crate) const MAX_DEPTH: usize = 128;

/// JSON text to scan.
///
/// Offsets are passed from step to step in registers instead of being stored in this struct: a store and load per step
/// takes longer than the step itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scan<'a>(&'a str);

/// The position of a value in the text, without surrounding whitespace.
///
/// Two machine words, so that it is passed in registers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    start: usize,
    /// Twice the end offset, plus 1 for a string without escapes. Values are not empty, so this is never zero.
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

    /// Returns whether the value is a string without escapes.
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

    /// Returns whether the value is a string without escapes.
    pub(super) fn is_plain(&self) -> bool {
        self.is_plain
    }

    /// Returns the decoded string; `None` if it is not a string or not valid Unicode.
    pub(crate) fn string(&self) -> Option<Cow<'a, str>> {
        decode(self.text, self.is_plain)
    }

    /// Returns whether the value is a string equal to `text`.
    pub(crate) fn is(&self, text: &str) -> bool {
        self.string().is_some_and(|decoded| decoded == text)
    }
}

impl<'a> Scan<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self(text)
    }

    pub(crate) fn byte(self, at: usize) -> Option<u8> {
        self.0.as_bytes().get(at).copied()
    }

    /// Returns the text between two offsets.
    pub(crate) fn text(self, from: usize, to: usize) -> &'a str {
        self.0.get(from..to).unwrap_or_default()
    }

    /// Returns the value at `span`.
    pub(crate) fn get(self, span: Span) -> Value<'a> {
        Value { text: self.text(span.start, span.end()), is_plain: span.is_plain() }
    }

    /// Returns the text between the quotes at `span`, if it has no escapes.
    #[inline]
    pub(crate) fn plain(self, span: Span) -> Option<&'a str> {
        if span.is_plain() { self.0.get(span.start + 1..span.end() - 1) } else { None }
    }

    /// Returns whether the string at `span` equals `text`.
    #[inline]
    pub(crate) fn is_text(self, span: Span, text: &str) -> bool {
        if span.is_plain() {
            return self.0.as_bytes().get(span.start + 1..span.end() - 1) == Some(text.as_bytes());
        }
        self.get(span).is(text)
    }

    /// Returns the offset of the next non-whitespace byte.
    #[inline]
    pub(crate) fn skip_space(self, mut at: usize) -> usize {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.byte(at) {
            at += 1;
        }
        at
    }

    /// Returns whether only whitespace is left.
    pub(crate) fn is_end(self, at: usize) -> bool {
        self.byte(self.skip_space(at)).is_none()
    }

    /// Scans an object. `member` receives each member's name and the offset of its value, and returns the end of the
    /// value.
    #[inline]
    pub(crate) fn object(
        self,
        at: usize,
        mut member: impl FnMut(Span, usize) -> Option<usize>,
    ) -> Option<usize> {
        let mut at = self.open(at)?;
        if self.byte(at)? == b'}' {
            return Some(at + 1);
        }
        loop {
            let name = self.string(at)?;
            at = self.skip_space(member(name, self.colon(name)?)?);
            match self.byte(at)? {
                b',' => at = self.skip_space(at + 1),
                b'}' => return Some(at + 1),
                _ => return None,
            }
        }
    }

    /// Skips the opening brace of an object; returns the offset of the first member's name or of the closing brace.
    pub(super) fn open(self, at: usize) -> Option<usize> {
        let at = self.skip_space(at);
        (self.byte(at)? == b'{').then(|| self.skip_space(at + 1))
    }

    /// Scans the member at `at`; returns its name and its value.
    pub(super) fn member(self, at: usize) -> Option<(Span, Span)> {
        let name = self.string(at)?;
        Some((name, self.value(self.colon(name)?)?))
    }

    /// Skips the colon behind a name; returns the offset of the value.
    #[inline]
    fn colon(self, name: Span) -> Option<usize> {
        let at = self.skip_space(name.end());
        (self.byte(at)? == b':').then(|| self.skip_space(at + 1))
    }

    /// Scans a value of any type.
    #[inline]
    pub(crate) fn value(self, at: usize) -> Option<Span> {
        let at = self.skip_space(at);
        match self.byte(at)? {
            b'"' => self.string(at),
            b'{' | b'[' => Span::new(at, self.nested(at)?, false),
            _ => Span::new(at, self.scalar(at)?, false),
        }
    }

    /// Scans the string at `start`.
    #[expect(
        clippy::inline_always,
        reason = "how the compiler divides the crate must not decide: 8 % of a frame"
    )]
    #[inline(always)]
    fn string(self, start: usize) -> Option<Span> {
        let bytes = self.0.as_bytes();
        if self.byte(start)? != b'"' {
            return None;
        }
        let at = start + 1 + special(bytes.get(start + 1..)?)?;
        match bytes[at] {
            b'"' => Span::new(start, at + 1, true),
            _ => Span::new(start, self.string_with_escapes(at)?, false),
        }
    }

    /// Scans the rest of a string that has escapes.
    fn string_with_escapes(self, mut at: usize) -> Option<usize> {
        let bytes = self.0.as_bytes();
        loop {
            match *bytes.get(at)? {
                b'"' => return Some(at + 1),
                b'\\' => at += escape(&bytes[at..])?,
                _control => return None,
            }
            at += special(bytes.get(at..)?)?;
        }
    }

    /// Scans an array or object.
    fn nested(self, mut at: usize) -> Option<usize> {
        let mut open = Open::default();
        loop {
            // Start of a value.
            at = self.skip_space(at);
            match self.byte(at)? {
                b'"' => at = self.string(at)?.end(),
                b'{' => {
                    at = self.skip_space(at + 1);
                    if self.byte(at)? != b'}' {
                        open.push(true)?;
                        at = self.colon(self.string(at)?)?;
                        continue;
                    }
                    at += 1;
                }
                b'[' => {
                    at = self.skip_space(at + 1);
                    if self.byte(at)? != b']' {
                        open.push(false)?;
                        continue;
                    }
                    at += 1;
                }
                _ => at = self.scalar(at)?,
            }
            // End of a value, and possibly of the values around it.
            loop {
                let Some(in_object) = open.last() else { return Some(at) };
                at = self.skip_space(at);
                match (self.byte(at)?, in_object) {
                    (b',', true) => {
                        at = self.colon(self.string(self.skip_space(at + 1))?)?;
                        break;
                    }
                    (b',', false) => {
                        at += 1;
                        break;
                    }
                    (b'}', true) | (b']', false) => {
                        at += 1;
                        open.pop();
                    }
                    _ => return None,
                }
            }
        }
    }

    /// Scans a number, `true`, `false` or `null`.
    fn scalar(self, at: usize) -> Option<usize> {
        let rest = self.0.as_bytes().get(at..)?;
        for word in [&b"true"[..], b"false", b"null"] {
            if rest.starts_with(word) {
                return Some(at + word.len());
            }
        }
        Some(at + number(rest)?)
    }
}

/// A bit stack of the open arrays and objects, innermost last; a set bit is an object.
#[derive(Default)]
struct Open {
    /// The innermost entries, up to 64.
    bits: u64,
    count: usize,
    /// The 64 outer entries, if there are more.
    outer: Option<u64>,
}

impl Open {
    /// Returns `None` if [`MAX_DEPTH`] are open already.
    fn push(&mut self, is_object: bool) -> Option<()> {
        if self.count == MAX_DEPTH / 2 {
            if self.outer.replace(self.bits).is_some() {
                return None;
            }
            self.count = 0;
        }
        self.bits = self.bits << 1 | u64::from(is_object);
        self.count += 1;
        Some(())
    }

    fn last(&self) -> Option<bool> {
        (self.count > 0).then_some(self.bits & 1 == 1)
    }

    fn pop(&mut self) {
        self.bits >>= 1;
        self.count -= 1;
        if self.count == 0
            && let Some(bits) = self.outer.take()
        {
            (self.bits, self.count) = (bits, MAX_DEPTH / 2);
        }
    }
}

/// Returns the length of the escape at the start of `bytes`.
fn escape(bytes: &[u8]) -> Option<usize> {
    match *bytes.get(1)? {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(2),
        b'u' => bytes.get(2..6)?.iter().all(u8::is_ascii_hexdigit).then_some(6),
        _ => None,
    }
}

/// Returns the length of the number at the start of `bytes`.
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
    // Rejects `01`; the caller checks the byte behind the number, as in `1x`.
    (!bytes.get(at).is_some_and(u8::is_ascii_digit)).then_some(at)
}

/// Returns the offset of the first byte that is special in a string: a quote, a backslash or a control character.
fn special(bytes: &[u8]) -> Option<usize> {
    // 16 bytes at a time; most strings are shorter.
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

/// Sets the high bit of the lowest special byte, and possibly of bytes above it.
fn specials(word: u64) -> u64 {
    // Subtracting a number from a smaller byte borrows, which sets the byte's high bit.
    let below = |word: u64, number: u64| word.wrapping_sub(EACH * number) & !word & (EACH << 7);
    // With this bit flipped, the quote directly follows the control characters; the backslash becomes zero.
    below(word ^ (EACH * 0x02), 0x21) | below(word ^ (EACH * u64::from(b'\\')), 1)
}

/// A one in each byte.
const EACH: u64 = u64::from_le_bytes([1; 8]);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::value::RawValue;

    use super::*;

    /// Splits `text`, which must be one object, into its members.
    fn split(text: &str) -> Option<Vec<(&str, &str)>> {
        let mut members = Vec::new();
        let scan = Scan::new(text);
        let end = scan.object(0, |name, at| {
            let value = scan.value(at)?;
            members.push((scan.get(name).text(), scan.get(value).text()));
            Some(value.end())
        })?;
        scan.is_end(end).then_some(members)
    }

    /// Returns whether `text` is one JSON value, according to the scanner and to `serde_json`.
    fn verdicts(text: &str) -> (bool, bool) {
        let scan = Scan::new(text);
        let ours = scan.value(0).is_some_and(|value| {
            let is_all = scan.is_end(value.end());
            assert!(
                !is_all || scan.get(value).text() == text.trim_matches([' ', '\n', '\r', '\t']),
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
    fn depth_is_bounded_and_brackets_must_match() {
        for depth in [1, 63, 64, 65, 127, 128, 129, 1_000, 400_000] {
            let mixed = |open: [&str; 2], close: [&str; 2]| {
                let opened: String = (0..depth).map(|level| open[level % 2]).collect();
                let closed: String = (0..depth).rev().map(|level| close[level % 2]).collect();
                format!("{{\"deep\":{opened}1{closed},\"after\":2}}")
            };
            let deep = mixed(["[", "{\"x\":"], ["]", "}"]);
            let after = split(&deep).map(|members| members[1]);
            assert_eq!(after, (depth <= MAX_DEPTH).then_some(("\"after\"", "2")), "{depth}");
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
                let scan = Scan::new(&text);
                let read = scan.value(0).and_then(|value| scan.get(value).string().map(Cow::into_owned));
                assert_eq!(read, serde_json::from_str(&text).ok(), "{text}");
                assert_eq!(verdicts(&text[..text.len() - 1]), (false, false), "cut short: {text}");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_096))]

        /// Compares both on almost valid JSON: bytes are changed, inserted and removed.
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
