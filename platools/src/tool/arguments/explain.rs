//! Rewrites serde's errors for a model: paths instead of line and column, JSON types instead of Rust types.

use std::borrow::Cow;

use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::error::Category;

use super::mismatch;
use super::words::Definitions;

/// Maximum length of a quoted value in an error, in characters.
const MAX_QUOTE: usize = 80;

/// Maximum length of an unshortened path in an error, in bytes.
const MAX_PATH: usize = 400;

/// A decoding error of serde.
#[derive(Debug)]
pub(super) struct DecodeError {
    /// The path, starting with the argument's name. Incomplete inside tagged and untagged enums, whose content serde
    /// buffers.
    path: String,
    /// The error text without the path.
    sentence: Sentence,
}

/// An error text without a path.
#[derive(Debug)]
struct Sentence {
    text: String,
    /// Whether the text is already exact, so that the schema cannot improve it.
    is_exact: bool,
}

impl Sentence {
    fn exact(text: impl Into<String>) -> Self {
        Self { text: text.into(), is_exact: true }
    }

    fn approximate(text: impl Into<String>) -> Self {
        Self { text: text.into(), is_exact: false }
    }
}

/// Decodes a `T` from JSON text; the path of an error starts with `name`.
pub(super) fn parse<T: DeserializeOwned>(text: &str, name: &str) -> Result<T, DecodeError> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    // The text is valid JSON, so of the syntax errors only the recursion limit is left.
    serde_path_to_error::deserialize(&mut deserializer)
        .map_err(|error| DecodeError::new(name, &error.path().to_string(), error.inner()))
}

impl DecodeError {
    fn new(name: &str, path: &str, error: &serde_json::Error) -> Self {
        let path = match (name, path) {
            (name, ".") => name.to_owned(),
            ("", path) => path.to_owned(),
            (name, path) if path.starts_with('[') => format!("{name}{path}"),
            (name, path) => format!("{name}.{path}"),
        };
        Self { path, sentence: sentence(error) }
    }

    /// Returns the problem as serde reports it.
    pub(super) fn into_problem(self) -> String {
        match shorten_path(&self.path) {
            path if path.is_empty() => self.sentence.text,
            path => format!("`{path}`: {}", self.sentence.text),
        }
    }

    /// Returns the problem of the value `text` of the argument `name`, described by the declared schema where that is
    /// more precise than serde's error.
    pub(super) fn into_problem_of(
        self,
        text: &str,
        name: &str,
        schema: &Value,
        definitions: &Definitions,
    ) -> String {
        let mismatch = serde_json::from_str(text)
            .ok()
            .and_then(|value: Value| mismatch::find(schema, definitions, &value, name, &self.path));
        let Some(mismatch) = mismatch else { return self.into_problem() };
        let rest = mismatch.path.strip_prefix(&self.path);
        let is_deeper =
            rest.is_some_and(|rest| rest.starts_with(['.', '[']) || self.path.is_empty() && !rest.is_empty());
        let is_declared = mismatch.is_of_range && mismatch.path == self.path;
        if self.sentence.is_exact && !is_deeper && !is_declared {
            return self.into_problem();
        }
        let path = shorten_path(&mismatch.path);
        match (path.is_empty(), mismatch.is_missing) {
            (true, _) => mismatch.sentence,
            (false, true) => format!("`{path}` {}", mismatch.sentence),
            (false, false) => format!("`{path}`: {}", mismatch.sentence),
        }
    }
}

/// Shortens a long path to its beginning and its end.
pub(super) fn shorten_path(path: &str) -> Cow<'_, str> {
    if path.len() <= MAX_PATH {
        return path.into();
    }
    let boundary = |at: &usize| path.is_char_boundary(*at);
    let begin = (0..MAX_PATH / 2).rev().find(boundary).unwrap_or(0);
    let end = (path.len() - MAX_PATH / 2..path.len()).find(boundary).unwrap_or(path.len());
    format!("{}…{}", &path[..begin], &path[end..]).into()
}

fn sentence(error: &serde_json::Error) -> Sentence {
    let text = error.to_string();
    let position = format!(" at line {} column {}", error.line(), error.column());
    let text = text.strip_suffix(&position).unwrap_or(&text);
    if error.classify() != Category::Data {
        return match text {
            text if text.contains("recursion limit") => {
                Sentence::exact("nested too deeply, the maximum is 127 levels")
            }
            text if text.contains("surrogate") || text.contains("hex escape") || text.contains("unicode") => {
                Sentence::exact("the text is not valid Unicode (a lone surrogate escape)")
            }
            "expected value" => Sentence::approximate("expected a value of another type"),
            text => Sentence::approximate(text),
        };
    }
    if let Some((what, expected)) = text.rsplit_once(", expected ") {
        let (words, is_exact) = in_json_words(expected);
        if let Some(got) =
            what.strip_prefix("invalid type: ").or_else(|| what.strip_prefix("invalid value: "))
        {
            // A whole number is an integer, so the bounds say what is wrong with it.
            let words = match expected {
                "i64" | "isize" if is_whole(got) => integer(&i64::MIN, &i64::MAX),
                _ => words,
            };
            return Sentence { text: format!("expected {words}, got {}", got_in_json_words(got)), is_exact };
        }
        if let Some(count) = what.strip_prefix("invalid length ") {
            return Sentence::approximate(format!("expected {words}, got {count} items"));
        }
        for kind in ["variant", "field"] {
            let name = what.strip_prefix("unknown ").and_then(|rest| rest.strip_prefix(kind));
            if let Some(name) = name.map(|name| name.trim().trim_matches('`')) {
                let known: Vec<&str> = expected.split('`').skip(1).step_by(2).collect();
                let kind = if kind == "variant" { "value" } else { kind };
                let hint = nearest_name(name, known.iter().copied())
                    .map_or_else(String::new, |near| format!(", did you mean `{near}`?"));
                return Sentence::exact(format!(
                    "unknown {kind} `{}`, expected {expected}{hint}",
                    shorten(name)
                ));
            }
        }
    }
    if text.starts_with("data did not match any variant") {
        return Sentence::approximate("matches none of the accepted forms");
    }
    Sentence::approximate(shorten(text))
}

fn integer(min: &dyn std::fmt::Display, max: &dyn std::fmt::Display) -> String {
    format!("an integer from {min} to {max}")
}

/// Returns whether serde received a number without a fraction.
fn is_whole(got: &str) -> bool {
    let number = got.split('`').nth(1).and_then(|number| number.parse::<f64>().ok());
    number.is_some_and(|number| number.fract() == 0.0)
}

/// Translates serde's expectation to JSON types; the flag says whether the translation is exact.
fn in_json_words(expected: &str) -> (String, bool) {
    let exact = match expected {
        "u8" => integer(&u8::MIN, &u8::MAX),
        "u16" => integer(&u16::MIN, &u16::MAX),
        "u32" => integer(&u32::MIN, &u32::MAX),
        "u64" | "usize" => integer(&u64::MIN, &u64::MAX),
        "i8" => integer(&i8::MIN, &i8::MAX),
        "i16" => integer(&i16::MIN, &i16::MAX),
        "i32" => integer(&i32::MIN, &i32::MAX),
        "u128" => "an integer of at least 0".to_owned(),
        "i64" | "isize" | "i128" => "an integer".to_owned(),
        "f32" | "f64" => "a number".to_owned(),
        "a string" | "string" | "str" => "a string".to_owned(),
        "a boolean" | "bool" => "a boolean".to_owned(),
        "a character" | "char" => "a string of one character".to_owned(),
        "a sequence" | "sequence" => "an array".to_owned(),
        "a map" | "map" => "an object".to_owned(),
        "unit" => "null".to_owned(),
        other if other.starts_with("struct ") && !other.contains(" with ") => "an object".to_owned(),
        other => return (without_type_names(other), false),
    };
    (exact, true)
}

/// Translates an expectation that names Rust types, approximately, without the schema.
fn without_type_names(expected: &str) -> String {
    if let Some(number) = expected.strip_prefix("a nonzero ") {
        return format!("{} other than 0", in_json_words(number).0);
    }
    let is = |kind: &str| expected.starts_with(kind);
    if ["struct ", "tuple struct ", "tuple variant ", "struct variant "].into_iter().any(is)
        && let Some((_, elements)) = expected.rsplit_once(" with ")
    {
        let count = elements.split(' ').next().unwrap_or_default();
        return format!("an array of {count} {}", if count == "1" { "item" } else { "items" });
    }
    match expected {
        "string or map" => "a string or an object",
        "path string" | "a borrowed string" | "a formatted string" => "a string",
        "a borrowed byte array" | "byte array" => "an array of bytes",
        "variant identifier" | "field identifier" => "the name of an alternative as a string",
        _ if is("tuple ") => "an array",
        _ if is("struct variant ") || is("internally tagged enum ") || is("adjacently tagged enum ") => {
            "an object"
        }
        _ if is("unit struct ") => "null",
        _ if is("enum ") || is("newtype ") || is("unit variant") => "another form of value",
        other => return shorten(other),
    }
    .to_owned()
}

/// Translates serde's description of the received value to JSON types.
fn got_in_json_words(got: &str) -> String {
    match got {
        "sequence" => "an array".to_owned(),
        "map" | "newtype variant" | "tuple variant" | "struct variant" => "an object".to_owned(),
        "unit value" | "Option value" => "null".to_owned(),
        "unit variant" => "a name without a value".to_owned(),
        got => {
            let (kind, value) = got.split_once(' ').unwrap_or((got, ""));
            match kind {
                "floating" => format!("the number {}", value.trim_start_matches("point ").trim_matches('`')),
                "integer" | "number" => format!("the number {}", value.trim_matches('`')),
                "boolean" => value.trim_matches('`').to_owned(),
                "string" => format!("the string {}", shorten(value)),
                _ => shorten(got),
            }
        }
    }
}

/// Shortens a caller's text to [`MAX_QUOTE`] characters.
pub(super) fn shorten(text: &str) -> String {
    crate::tool::shortened(text, MAX_QUOTE).into_owned()
}

/// Returns the known name that `name` is probably a misspelling of, for a "did you mean" in an error.
///
/// Case and the separators `_`, `-`, `.` and space are ignored. Returns `None` when no known name is close enough.
///
/// ```
/// use platools::tool::nearest_name;
///
/// assert_eq!(nearest_name("lookupOrdr", ["lookup_order", "cancel_order"]), Some("lookup_order"));
/// assert_eq!(nearest_name("refund", ["lookup_order", "cancel_order"]), None);
/// ```
pub fn nearest_name<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Comparing costs the product of the lengths; no name is this long.
    if name.len() > 200 {
        return None;
    }
    let plain = |name: &str| name.to_lowercase().replace(['_', '-', '.', ' '], "");
    let wanted = plain(name);
    known
        .into_iter()
        .map(|known| (strsim::normalized_damerau_levenshtein(&wanted, &plain(known)), known))
        // A letter too many, as in `bb` for `b`, is half of a short name.
        .filter(|(likeness, known)| *likeness >= 0.6 || (*likeness >= 0.5 && known.len() + wanted.len() == 3))
        .max_by(|left, right| left.0.total_cmp(&right.0))
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use serde::Deserialize;
    use serde_json::Value;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Color {
        Red,
        Green,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read into")]
    struct Filter {
        colors: Vec<Color>,
        limit: Option<u8>,
    }

    fn rejected<T: DeserializeOwned>(text: &str) -> String {
        parse::<T>(text, "filter").err().expect("rejected").into_problem()
    }

    #[test]
    fn errors_name_path_expected_and_got() {
        let cases = [
            (rejected::<Filter>(r#""x""#), "`filter`: expected an object, got the string \"x\""),
            (
                rejected::<Filter>(r#"{"colors":["red","gren"]}"#),
                "`filter.colors[1]`: unknown value `gren`, expected `red` or `green`, did you mean `green`?",
            ),
            (
                rejected::<Filter>(r#"{"colors":[],"limit":300}"#),
                "`filter.limit`: expected an integer from 0 to 255, got the number 300",
            ),
            (
                rejected::<Filter>(r#"{"colors":[],"limit":1.5}"#),
                "`filter.limit`: expected an integer from 0 to 255, got the number 1.5",
            ),
            (rejected::<Filter>(r#"{"limit":1}"#), "`filter`: missing field `colors`"),
            (
                rejected::<Filter>(r#"{"colour":[]}"#),
                "`filter.colour`: unknown field `colour`, expected `colors` or `limit`, did you mean `colors`?",
            ),
            (rejected::<Vec<u8>>("[1,null]"), "`filter[1]`: expected an integer from 0 to 255, got null"),
            (rejected::<String>("true"), "`filter`: expected a string, got true"),
            (rejected::<String>("[]"), "`filter`: expected a string, got an array"),
            (rejected::<bool>("{}"), "`filter`: expected a boolean, got an object"),
            (rejected::<f64>(r#""1""#), "`filter`: expected a number, got the string \"1\""),
            (rejected::<(u8, u8)>("[1]"), "`filter`: expected a tuple of size 2, got 1 items"),
            (
                rejected::<HashMap<String, bool>>(r#"{"a":{"b":1}}"#),
                "`filter.a`: expected a boolean, got an object",
            ),
            (
                rejected::<String>(r#""\ud800""#),
                "`filter`: the text is not valid Unicode (a lone surrogate escape)",
            ),
            (
                rejected::<String>(r#""\udc00 x""#),
                "`filter`: the text is not valid Unicode (a lone surrogate escape)",
            ),
            (
                rejected::<Vec<String>>(r#"["\ud800\u0041"]"#),
                "`filter[0]`: the text is not valid Unicode (a lone surrogate escape)",
            ),
            (rejected::<f64>("1e999"), "`filter`: number out of range"),
        ];
        for (got, expected) in cases {
            assert_eq!(got, expected);
        }
    }

    #[test]
    fn deep_and_long_input_gets_a_short_answer() {
        let deep = format!("{}{}", "[".repeat(20_000), "]".repeat(20_000));
        let message = rejected::<Value>(&deep);
        assert!(message.contains("nested too deeply"), "{}", &message[..200.min(message.len())]);
        assert!(message.len() < 2_000, "{} bytes", message.len());
        let long = serde_json::to_string(&"x".repeat(1_000_000)).unwrap();
        assert!(rejected::<u8>(&long).len() < 300);
        assert!(rejected::<Color>(&long).len() < 300);
    }

    #[test]
    fn nearest_name_ignores_case_and_separators() {
        assert_eq!(nearest_name("orderId", ["order_id", "quantity"]), Some("order_id"));
        assert_eq!(nearest_name("quantiy", ["order_id", "quantity"]), Some("quantity"));
        assert_eq!(nearest_name("banana", ["order_id", "quantity"]), None);
        assert_eq!(nearest_name("bb", ["a", "b"]), Some("b"));
        assert_eq!(nearest_name("c", ["a", "b"]), None);
    }
}
