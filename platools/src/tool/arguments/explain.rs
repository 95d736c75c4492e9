//! Serde's errors in words that a model can act on: no line and column, no Rust type names.

use serde::de::DeserializeOwned;
use serde_json::error::Category;

/// The longest piece of a caller's own text that an error repeats, in characters.
const MAX_QUOTE: usize = 80;

/// Reads a `T` from JSON text; the error begins with the path, which begins with `name`.
pub(super) fn parse<T: DeserializeOwned>(text: &str, name: &str) -> Result<T, String> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    // The text was accepted as JSON before; what is left to refuse is depth, and that stays refused.
    serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        let path = match (name, path.as_str()) {
            (name, ".") => name.to_owned(),
            ("", path) => path.to_owned(),
            (name, path) if path.starts_with('[') => format!("{name}{path}"),
            (name, path) => format!("{name}.{path}"),
        };
        let sentence = sentence(error.inner());
        if path.is_empty() { sentence } else { format!("`{path}`: {sentence}") }
    })
}

/// What is wrong, without saying where.
fn sentence(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let position = format!(" at line {} column {}", error.line(), error.column());
    let text = text.strip_suffix(&position).unwrap_or(&text);
    if error.classify() != Category::Data {
        return match text {
            text if text.contains("recursion limit") => {
                "nested too deeply, at most 127 levels are read".to_owned()
            }
            text if text.contains("surrogate") || text.contains("hex escape") || text.contains("unicode") => {
                "the text is not valid Unicode (a lone surrogate escape)".to_owned()
            }
            text => text.to_owned(),
        };
    }
    if let Some((what, expected)) = text.rsplit_once(", expected ") {
        if let Some(got) =
            what.strip_prefix("invalid type: ").or_else(|| what.strip_prefix("invalid value: "))
        {
            return format!("expected {}, got {}", in_json_words(expected), got_in_json_words(got));
        }
        if let Some(count) = what.strip_prefix("invalid length ") {
            return format!("expected {}, got {count} items", in_json_words(expected));
        }
        for kind in ["variant", "field"] {
            let name = what.strip_prefix("unknown ").and_then(|rest| rest.strip_prefix(kind));
            if let Some(name) = name.map(|name| name.trim().trim_matches('`')) {
                let known: Vec<&str> = expected.split('`').skip(1).step_by(2).collect();
                let kind = if kind == "variant" { "value" } else { kind };
                let hint = nearest(name, known.iter().copied())
                    .map_or_else(String::new, |near| format!(", did you mean `{near}`?"));
                return format!("unknown {kind} `{}`, expected {expected}{hint}", shorten(name));
            }
        }
    }
    shorten(text)
}

/// What serde expected, as JSON calls it.
fn in_json_words(expected: &str) -> String {
    let integer =
        |min: &dyn std::fmt::Display, max: &dyn std::fmt::Display| format!("an integer from {min} to {max}");
    match expected {
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
        "string or map" => "a string or an object".to_owned(),
        other if other.starts_with("struct ") && !other.contains(" with ") => "an object".to_owned(),
        other => other.to_owned(),
    }
}

/// What serde got, as JSON calls it.
fn got_in_json_words(got: &str) -> String {
    match got {
        "sequence" => "an array".to_owned(),
        "map" => "an object".to_owned(),
        "unit value" => "null".to_owned(),
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

/// At most [`MAX_QUOTE`] characters of a text that the caller wrote.
pub(super) fn shorten(text: &str) -> String {
    match text.char_indices().nth(MAX_QUOTE) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// The known name that is so close to `name` that it was probably meant.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Comparing costs the product of the lengths; no name is this long.
    if name.len() > 200 {
        return None;
    }
    let plain = |name: &str| name.to_lowercase().replace(['_', '-', '.', ' '], "");
    let wanted = plain(name);
    known
        .into_iter()
        .map(|known| (strsim::normalized_damerau_levenshtein(&wanted, &plain(known)), known))
        .filter(|(likeness, _)| *likeness >= 0.6)
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

    fn refused<T: DeserializeOwned>(text: &str) -> String {
        parse::<T>(text, "filter").err().expect("refused")
    }

    #[test]
    fn errors_name_path_expected_and_got() {
        let cases = [
            (refused::<Filter>(r#""x""#), "`filter`: expected an object, got the string \"x\""),
            (
                refused::<Filter>(r#"{"colors":["red","gren"]}"#),
                "`filter.colors[1]`: unknown value `gren`, expected `red` or `green`, did you mean `green`?",
            ),
            (
                refused::<Filter>(r#"{"colors":[],"limit":300}"#),
                "`filter.limit`: expected an integer from 0 to 255, got the number 300",
            ),
            (
                refused::<Filter>(r#"{"colors":[],"limit":1.5}"#),
                "`filter.limit`: expected an integer from 0 to 255, got the number 1.5",
            ),
            (refused::<Filter>(r#"{"limit":1}"#), "`filter`: missing field `colors`"),
            (
                refused::<Filter>(r#"{"colour":[]}"#),
                "`filter.colour`: unknown field `colour`, expected `colors` or `limit`, did you mean `colors`?",
            ),
            (refused::<Vec<u8>>("[1,null]"), "`filter[1]`: expected an integer from 0 to 255, got null"),
            (refused::<String>("true"), "`filter`: expected a string, got true"),
            (refused::<String>("[]"), "`filter`: expected a string, got an array"),
            (refused::<bool>("{}"), "`filter`: expected a boolean, got an object"),
            (refused::<f64>(r#""1""#), "`filter`: expected a number, got the string \"1\""),
            (refused::<(u8, u8)>("[1]"), "`filter`: expected a tuple of size 2, got 1 items"),
            (
                refused::<HashMap<String, bool>>(r#"{"a":{"b":1}}"#),
                "`filter.a`: expected a boolean, got an object",
            ),
            (
                refused::<String>(r#""\ud800""#),
                "`filter`: the text is not valid Unicode (a lone surrogate escape)",
            ),
            (
                refused::<String>(r#""\udc00 x""#),
                "`filter`: the text is not valid Unicode (a lone surrogate escape)",
            ),
            (
                refused::<Vec<String>>(r#"["\ud800\u0041"]"#),
                "`filter[0]`: the text is not valid Unicode (a lone surrogate escape)",
            ),
            (refused::<f64>("1e999"), "`filter`: number out of range"),
        ];
        for (got, expected) in cases {
            assert_eq!(got, expected);
        }
    }

    #[test]
    fn deep_and_long_input_is_answered_shortly() {
        let deep = format!("{}{}", "[".repeat(20_000), "]".repeat(20_000));
        let message = refused::<Value>(&deep);
        assert!(message.contains("nested too deeply"), "{}", &message[..200.min(message.len())]);
        assert!(message.len() < 2_000, "{} bytes", message.len());
        let long = serde_json::to_string(&"x".repeat(1_000_000)).unwrap();
        assert!(refused::<u8>(&long).len() < 300);
        assert!(refused::<Color>(&long).len() < 300);
    }

    #[test]
    fn nearest_ignores_case_and_separators() {
        assert_eq!(nearest("orderId", ["order_id", "quantity"]), Some("order_id"));
        assert_eq!(nearest("quantiy", ["order_id", "quantity"]), Some("quantity"));
        assert_eq!(nearest("banana", ["order_id", "quantity"]), None);
    }
}
