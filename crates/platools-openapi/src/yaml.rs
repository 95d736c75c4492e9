//! YAML 1.2 as JSON, by the core schema: what looks like a text is one. `NO` is Norway, and `n` is a name.
//!
//! The words of YAML 1.1 for true and false are texts, and a remark says so, since other readers take them otherwise. A
//! number that is not written as JSON writes it, such as `1.10`, keeps its text where OpenAPI has nothing but texts;
//! elsewhere a remark tells. Readers for serde do not hand on how a number was written, so events of the parser are
//! read here.

use std::borrow::Cow;
use std::collections::HashMap;

use granit_parser::{Event, Parser, ScalarStyle, ScanError, Span, Tag};
use serde_json::{Map, Number, Value};

use crate::document::shown;

/// How deep collections may be nested, aliases followed.
const MAX_DEPTH: usize = 128;

/// How many values there may be, aliases followed.
const MAX_VALUES: usize = 4_000_000;

/// How many remarks are kept.
const MAX_REMARKS: usize = 200;

/// Words that YAML 1.1 takes for true and false.
const OLD_BOOLEANS: [&str; 8] = ["y", "yes", "on", "true", "n", "no", "off", "false"];

/// Keys whose values are texts, or lists of texts, in OpenAPI and JSON Schema.
const TEXTS: [&str; 12] = [
    "$ref",
    "description",
    "format",
    "in",
    "name",
    "operationId",
    "pattern",
    "required",
    "summary",
    "tags",
    "title",
    "version",
];

/// Keys of a schema whose values are of the schema's type: those that mean something, and those that show something.
const OF_TYPE: [&str; 3] = ["const", "default", "enum"];
const SHOWN: [&str; 2] = ["example", "examples"];

/// Why a text cannot be read.
#[derive(Debug)]
pub(crate) struct YamlError {
    line: usize,
    column: usize,
    problem: String,
}

impl YamlError {
    fn at(span: Span, problem: impl Into<String>) -> Self {
        Self { line: span.start.line(), column: span.start.col() + 1, problem: problem.into() }
    }

    /// Where, and what.
    pub(crate) fn text(&self) -> String {
        format!(" (line {}, column {}): {}", self.line, self.column, shown(&self.problem))
    }
}

impl From<ScanError> for YamlError {
    fn from(error: ScanError) -> Self {
        let (line, column) = (error.marker().line(), error.marker().col() + 1);
        Self { line, column, problem: error.info().lines().next().unwrap_or_default().to_owned() }
    }
}

/// A value, and how large it is with everything in it.
#[derive(Debug, Clone)]
struct Node {
    value: Value,
    values: usize,
    bytes: usize,
    depth: usize,
}

/// A number, a truth value or null that may have been meant as a text.
#[derive(Debug)]
struct Doubtful {
    /// As it is written.
    text: String,
    line: usize,
}

/// A collection that has begun.
#[derive(Debug)]
struct Open {
    anchor: usize,
    kind: Kind,
    /// The doubtful entries: the key, or that and the index in the list behind it.
    doubtful: Vec<(String, Option<usize>, Doubtful)>,
    /// Whether it is data rather than a description: what stands in it may be of any type.
    is_data: bool,
    /// How many values and bytes there were before it.
    before: (usize, usize),
    depth: usize,
}

#[derive(Debug)]
enum Kind {
    List(Vec<Value>),
    Map {
        members: Map<String, Value>,
        /// The key whose value comes next.
        key: Option<String>,
        /// Values of `<<`.
        merged: Vec<Value>,
    },
}

/// Reads a text. Returns the value, and remarks.
///
/// # Errors
/// Why it cannot be read, and where.
pub(crate) fn read(text: &str, max_bytes: usize) -> Result<(Value, Vec<String>), YamlError> {
    let options = granit_parser::options! {
        emit_comments: false,
        flow_nesting_limit: MAX_DEPTH,
        block_nesting_limit: MAX_DEPTH,
    };
    let mut builder = Builder { max_bytes, ..Builder::default() };
    for next in Parser::new_from_str_with_options(text, options) {
        let (event, span) = next?;
        builder.take(event, span)?;
    }
    Ok((builder.root.unwrap_or_default(), builder.remarks))
}

#[derive(Debug, Default)]
struct Builder {
    open: Vec<Open>,
    anchors: HashMap<usize, Node>,
    root: Option<Value>,
    remarks: Vec<String>,
    max_bytes: usize,
    /// So far, aliases followed.
    values: usize,
    bytes: usize,
}

impl Builder {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), YamlError> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.scalar(&text, style, anchor, tag.as_deref(), span)
            }
            Event::SequenceStart(_, anchor, _) => self.begin(anchor, Kind::List(Vec::new()), span),
            Event::MappingStart(_, anchor, _) => {
                let kind = Kind::Map { members: Map::new(), key: None, merged: Vec::new() };
                self.begin(anchor, kind, span)
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(span),
            Event::Alias(anchor) => {
                let node = self.anchors.get(&anchor).cloned();
                let node = node.ok_or_else(|| YamlError::at(span, "something contains itself"))?;
                self.count(node.values, node.bytes, span)?;
                self.put(node, None, span)
            }
            _ => Ok(()),
        }
    }

    fn scalar(
        &mut self,
        text: &str,
        style: ScalarStyle,
        anchor: usize,
        tag: Option<&Tag>,
        span: Span,
    ) -> Result<(), YamlError> {
        if let Some(Open { kind: Kind::Map { key: key @ None, members, .. }, .. }) = self.open.last_mut() {
            if members.contains_key(text) {
                return Err(YamlError::at(span, format!("the key `{text}` is there already")));
            }
            *key = Some(text.to_owned());
            self.count(0, text.len(), span)?;
            if style == ScalarStyle::Plain {
                self.remark_on_text(text, span);
            }
            return Ok(());
        }
        let is_text = style != ScalarStyle::Plain
            || tag.is_some_and(|tag| {
                tag.suffix() == "str" || matches!((tag.handle(), tag.suffix()), ("!", "") | ("", "!"))
            });
        let value = if is_text { None } else { resolved(text) };
        let doubtful = value.as_ref().map(|_| Doubtful { text: text.to_owned(), line: span.start.line() });
        if value.is_none() && !is_text {
            self.remark_on_text(text, span);
        }
        let value = value.unwrap_or_else(|| text.into());
        let node = Node { value, values: 1, bytes: text.len(), depth: 0 };
        self.count(node.values, node.bytes, span)?;
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        self.put(node, doubtful, span)
    }

    fn begin(&mut self, anchor: usize, kind: Kind, span: Span) -> Result<(), YamlError> {
        let is_data = self.open.last().is_some_and(|open| match &open.kind {
            Kind::Map { key: Some(key), .. } => {
                open.is_data || OF_TYPE.contains(&key.as_str()) || SHOWN.contains(&key.as_str())
            }
            _ => open.is_data,
        });
        if let Some(Open { kind: Kind::Map { key: None, .. }, .. }) = self.open.last() {
            return Err(YamlError::at(span, "a key has to be a text"));
        }
        let before = (self.values, self.bytes);
        self.count(1, 0, span)?;
        self.open.push(Open { anchor, kind, doubtful: Vec::new(), is_data, before, depth: 1 });
        Ok(())
    }

    /// Counts values and bytes; what an anchor stands for counts each time that it is referred to.
    fn count(&mut self, values: usize, bytes: usize, span: Span) -> Result<(), YamlError> {
        self.values += values;
        self.bytes += bytes;
        if self.values > MAX_VALUES || self.bytes > self.max_bytes {
            return Err(YamlError::at(span, "it is too large once its aliases are followed"));
        }
        Ok(())
    }

    fn end(&mut self, span: Span) -> Result<(), YamlError> {
        let Some(open) = self.open.pop() else { return Ok(()) };
        let Open { anchor, kind, doubtful, is_data, before, depth } = open;
        let value = match kind {
            Kind::List(items) => {
                // Whether they are texts is known when the mapping around them ends.
                if let Some(Open { kind: Kind::Map { key: Some(key), .. }, doubtful: above, .. }) =
                    self.open.last_mut()
                {
                    above.extend(doubtful.into_iter().map(|(_, index, one)| (key.clone(), index, one)));
                }
                Value::Array(items)
            }
            Kind::Map { mut members, merged, .. } => {
                for (key, value) in merged.into_iter().flat_map(maps) {
                    members.entry(key).or_insert(value);
                }
                self.settle(&mut members, doubtful, is_data);
                Value::Object(members)
            }
        };
        let node = Node { value, values: self.values - before.0, bytes: self.bytes - before.1, depth };
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        self.put(node, None, span)
    }

    /// Puts a value in its place.
    fn put(&mut self, node: Node, doubtful: Option<Doubtful>, span: Span) -> Result<(), YamlError> {
        let Node { value, depth, .. } = node;
        if self.open.len() + depth > MAX_DEPTH {
            return Err(YamlError::at(span, format!("it is nested more than {MAX_DEPTH} levels deep")));
        }
        let Some(open) = self.open.last_mut() else {
            if self.root.is_some() {
                return Err(YamlError::at(span, "there is a second document in it"));
            }
            self.root = Some(value);
            return Ok(());
        };
        open.depth = open.depth.max(depth + 1);
        match &mut open.kind {
            Kind::List(items) => {
                if let Some(doubtful) = doubtful {
                    open.doubtful.push((String::new(), Some(items.len()), doubtful));
                }
                items.push(value);
            }
            Kind::Map { members, key, merged } => {
                let key = key.take().ok_or_else(|| YamlError::at(span, "a key has to be a text"))?;
                if key == "<<" && (value.is_object() || value.is_array()) {
                    merged.push(value);
                    return Ok(());
                }
                if let Some(doubtful) = doubtful {
                    open.doubtful.push((key.clone(), None, doubtful));
                }
                members.insert(key, value);
            }
        }
        Ok(())
    }

    /// Has what can only be a text be one, and remarks on what else is written as JSON would not.
    fn settle(
        &mut self,
        members: &mut Map<String, Value>,
        doubtful: Vec<(String, Option<usize>, Doubtful)>,
        is_data: bool,
    ) {
        let types: Vec<String> = match members.get("type") {
            Some(Value::String(name)) => vec![name.clone()],
            Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            _ => Vec::new(),
        };
        let is_of = |names: &[&str]| {
            let mut types = types.iter().filter(|name| *name != "null").peekable();
            types.peek().is_some() && types.all(|name| names.contains(&name.as_str()))
        };
        let (is_text_type, is_number_type) = (is_of(&["string"]), is_of(&["integer", "number"]));
        for (key, index, Doubtful { text, line }) in doubtful {
            let found = match index {
                None => members.get_mut(&key),
                Some(index) => members.get_mut(&key).and_then(|list| list.get_mut(index)),
            };
            let Some(found) = found else { continue };
            let (is_of_type, is_shown) = (OF_TYPE.contains(&key.as_str()), SHOWN.contains(&key.as_str()));
            let is_flag = key == "required" && index.is_none();
            let is_text =
                TEXTS.contains(&key.as_str()) && !is_flag || is_text_type && (is_of_type || is_shown);
            if is_data || found.is_null() {
                continue;
            }
            if is_text {
                *found = text.into();
            } else if is_of_type && !is_number_type && found.is_number() && *found.to_string() != text {
                let number = found.to_string();
                let text = shown(&text);
                self.remark(
                    line,
                    &format!("`{text}` is the number {number}: put it in quotes if it is a text"),
                );
            }
        }
    }

    /// Remarks on a plain text that readers of YAML 1.1 take for something else.
    fn remark_on_text(&mut self, text: &str, span: Span) {
        let is_word = |word: &&str| {
            let upper = word.to_uppercase();
            let title = format!("{}{}", &upper[..1], &word[1..]);
            [*word, &upper, &title].contains(&text)
        };
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let old = if let Some(at) = OLD_BOOLEANS.iter().position(is_word) {
            if at < OLD_BOOLEANS.len() / 2 { "true" } else { "false" }
        } else if text.contains(['_', ':']) && text.split(['_', ':']).all(digits) {
            "a number"
        } else {
            return;
        };
        let text =
            format!("`{text}` is a text, as YAML 1.2 has it; others take it for {old}: put it in quotes");
        self.remark(span.start.line(), &text);
    }

    fn remark(&mut self, line: usize, text: &str) {
        if self.remarks.len() < MAX_REMARKS {
            self.remarks.push(format!("line {line}: {text}"));
        }
    }
}

/// The members of a map, or of a list of maps: the first that has a key wins.
fn maps(value: Value) -> Vec<(String, Value)> {
    match value {
        Value::Object(members) => members.into_iter().collect(),
        Value::Array(items) => items.into_iter().flat_map(maps).collect(),
        _ => Vec::new(),
    }
}

/// Resolves a plain scalar by the core schema (YAML 1.2.2, §10.3.2); `None` for a text.
fn resolved(text: &str) -> Option<Value> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Some(Value::Null),
        "true" | "True" | "TRUE" => return Some(true.into()),
        "false" | "False" | "FALSE" => return Some(false.into()),
        _ => {}
    }
    for (prefix, radix) in [("0o", 8), ("0x", 16)] {
        if let Some(digits) = text.strip_prefix(prefix).filter(|digits| !digits.starts_with(['+', '-'])) {
            return u64::from_str_radix(digits, radix).ok().map(Value::from);
        }
    }
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if !unsigned.starts_with(|next: char| next.is_ascii_digit() || next == '.') {
        return None;
    }
    if unsigned.bytes().all(|byte| byte.is_ascii_digit()) {
        let digits: Cow<'_, str> = if text.starts_with('+') { unsigned.into() } else { text.into() };
        if let Ok(number) = digits.parse::<i64>() {
            return Some(number.into());
        }
        if let Ok(number) = digits.parse::<u64>() {
            return Some(number.into());
        }
    }
    let is_float = unsigned.bytes().all(|byte| byte.is_ascii_digit() || b".eE+-".contains(&byte))
        && unsigned.bytes().any(|byte| byte.is_ascii_digit());
    let number = is_float.then(|| text.parse::<f64>().ok()).flatten()?;
    Number::from_f64(number).map(Value::Number)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn yaml(text: &str) -> Value {
        read(text, 1 << 20).unwrap().0
    }

    fn remarks(text: &str) -> Vec<String> {
        read(text, 1 << 20).unwrap().1
    }

    #[test]
    fn words_that_were_truth_values_once_are_texts_and_remarked_upon() {
        for word in ["NO", "n", "N", "y", "Yes", "on", "OFF", "off"] {
            assert_eq!(yaml(&format!("enum: [{word}, SE]")), json!({"enum": [word, "SE"]}));
            assert_eq!(yaml(&format!("{word}: 1")), json!({word: 1}));
        }
        let found = remarks(
            "a: b\nenum:\n  - NO\n  - \"NO\"\n  - Norway\nn: {in: query}\nat: [12:30, 1_000, 2020-01-01]\n",
        );
        assert_eq!(found.len(), 4, "{found:?}");
        assert!(
            found[0].starts_with("line 3: `NO` is a text") && found[0].contains("others take it for false")
        );
        assert!(found[1].starts_with("line 6: `n` is a text"), "{found:?}");
        assert!(
            found[2].starts_with("line 7: `12:30`") && found[3].starts_with("line 7: `1_000`"),
            "{found:?}"
        );
    }

    #[test]
    fn scalars_are_what_the_core_schema_says() {
        let text = "[null, ~, NULL, true, False, 0, -7, +7, 0o17, 0x1F, 1.5, -.5, 1., 1e3, 18446744073709551615, .inf, .nan, \
                    1e999, nul, TRue, 0b1, 1 2, '1', \"true\", !!str 1, ! 1, 12e, .]";
        let expected = json!([
            null,
            null,
            null,
            true,
            false,
            0,
            -7,
            7,
            15,
            31,
            1.5,
            -0.5,
            1.0,
            1000.0,
            u64::MAX,
            ".inf",
            ".nan",
            "1e999",
            "nul",
            "TRue",
            "0b1",
            "1 2",
            "1",
            "true",
            "1",
            "1",
            "12e",
            ".",
        ]);
        assert_eq!(yaml(text), expected);
    }

    #[test]
    fn numbers_keep_their_text_where_only_a_text_can_be_meant() {
        let text = "openapi: 3.1.0\ninfo: {version: 1.10, title: 404}\nname: 1.10\ntags: [2020, true]\nrequired: [1, n]\n\
                    a: {type: string, enum: [1.10, 1.9, 007, true, null], default: 1.10}\n\
                    b: {type: [string, 'null'], const: 1e3}\n\
                    c: {type: number, enum: [1.10, 1.9], minimum: 0.50}\n\
                    d: {required: true, default: {name: 1.10}}\n\
                    e: {enum: [1.10, 1.9], example: 1.50}\n";
        let expected = json!({
            "openapi": "3.1.0", "info": {"version": "1.10", "title": "404"}, "name": "1.10", "tags": ["2020", "true"],
            "required": ["1", "n"],
            "a": {"type": "string", "enum": ["1.10", "1.9", "007", "true", null], "default": "1.10"},
            "b": {"type": ["string", "null"], "const": "1e3"},
            "c": {"type": "number", "enum": [1.1, 1.9], "minimum": 0.5},
            "d": {"required": true, "default": {"name": 1.1}},
            "e": {"enum": [1.1, 1.9], "example": 1.5},
        });
        assert_eq!(yaml(text), expected);
        let numbers: Vec<String> =
            remarks(text).into_iter().filter(|remark| remark.contains("is the number")).collect();
        assert_eq!(numbers, ["line 10: `1.10` is the number 1.1: put it in quotes if it is a text"]);
    }

    #[test]
    fn anchors_aliases_and_merges_are_followed_within_bounds() {
        let text = "base: &base {a: 1, b: [x]}\none: {<<: *base, a: 2}\ntwo: {<<: [*base, {c: 3}]}\nx: &x 1.10\ny: *x\n";
        let expected = json!({
            "base": {"a": 1, "b": ["x"]}, "one": {"a": 2, "b": ["x"]}, "two": {"a": 1, "b": ["x"], "c": 3},
            "x": 1.1, "y": 1.1,
        });
        assert_eq!(yaml(text), expected);
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..12 {
            let last = format!("*a{}, ", level - 1).repeat(10);
            bomb = format!("{bomb}a{level}: &a{level} [{last}]\n");
        }
        let mut tower = "a0: &a0 [x]\n".to_owned();
        for level in 1..1_000 {
            tower = format!("{tower}a{level}: &a{level} [*a{}]\n", level - 1);
        }
        let long = format!("a: &a {}\nb: [{}]\n", "x".repeat(100_000), "*a, ".repeat(100));
        for (text, part) in [
            (bomb.as_str(), "too large"),
            (&long, "too large"),
            (&tower, "levels deep"),
            (&"[".repeat(1_000), "(line 1"),
            ("a: &a [*a]", "contains itself"),
            ("a: 1\na: 2\n", "(line 2, column 1): the key `a` is there already"),
            ("? [a]\n: b\n", "a key has to be a text"),
            ("a: 1\n---\nb: 2\n", "second document"),
            ("a: *b", "(line 1"),
            ("a: [", "(line"),
        ] {
            let error = read(text, 1 << 20).unwrap_err().text();
            assert!(error.contains(part), "{part}: {error}");
        }
    }
}
