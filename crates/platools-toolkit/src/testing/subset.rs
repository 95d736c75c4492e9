//! Compares a result with the expected part of it.

use serde_json::Value;

/// The longest quote of a value in a difference, in characters.
const MAX_QUOTE: usize = 200;

/// Finds where `got` lacks what `expected` has: every member of an object, every item of a list.
pub(super) fn differences(expected: &Value, got: &Value) -> Vec<String> {
    let mut found = Vec::new();
    compare(expected, got, "", &mut found);
    found
}

fn compare(expected: &Value, got: &Value, path: &str, found: &mut Vec<String>) {
    match (expected, got) {
        (Value::Object(expected), Value::Object(got)) => {
            for (name, expected) in expected {
                let path = member(path, name);
                match got.get(name) {
                    Some(got) => compare(expected, got, &path, found),
                    None => {
                        found.push(format!("{}: expected {}, got nothing", place(&path), quote(expected)));
                    }
                }
            }
        }
        (Value::Array(expected), Value::Array(got)) => {
            for (index, expected) in expected.iter().enumerate() {
                let path = format!("{path}[{index}]");
                match got.get(index) {
                    Some(got) => compare(expected, got, &path, found),
                    None => {
                        found.push(format!("{}: expected {}, got nothing", place(&path), quote(expected)));
                    }
                }
            }
            if got.len() > expected.len() {
                let (count, expected) = (got.len(), expected.len());
                found.push(format!("{}: expected {expected} items, got {count}", place(path)));
            }
        }
        (Value::Number(one), Value::Number(other))
            if one.as_f64() == other.as_f64() && is_loose(one, other) => {}
        (expected, got) if expected == got => {}
        (expected, got) => {
            found.push(format!("{}: expected {}, got {}", place(path), quote(expected), quote(got)));
        }
    }
}

/// Returns whether two numbers are not both whole, so that their value counts and not how they are written. Whole ones
/// are compared exactly.
fn is_loose(one: &serde_json::Number, other: &serde_json::Number) -> bool {
    one.is_f64() || other.is_f64()
}

fn member(path: &str, name: &str) -> String {
    let plain = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_');
    match (plain, path.is_empty()) {
        (true, true) => name.to_owned(),
        (true, false) => format!("{path}.{name}"),
        (false, _) => format!("{path}[{}]", Value::from(name)),
    }
}

fn place(path: &str) -> String {
    if path.is_empty() { "the result".to_owned() } else { format!("`{path}`") }
}

fn quote(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(MAX_QUOTE) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_part_of_the_result_is_enough_and_a_list_is_compared_whole() {
        for (expected, got) in [
            (json!({}), json!({"a": 1})),
            (json!({"a": {"b": [1, {"c": 2}]}}), json!({"a": {"b": [1, {"c": 2, "d": 3}], "e": 4}})),
            (json!(3), json!(3.0)),
            (json!(null), json!(null)),
        ] {
            assert_eq!(differences(&expected, &got), [""; 0], "{expected} {got}");
        }
    }

    #[test]
    fn a_difference_says_where_what_was_expected_and_what_came() {
        for (expected, got, difference) in [
            (json!(1), json!("1"), "the result: expected 1, got \"1\""),
            (json!({"a": 1}), json!([1]), "the result: expected {\"a\":1}, got [1]"),
            (json!({"a": {"b": 1}}), json!({"a": {}}), "`a.b`: expected 1, got nothing"),
            (json!({"a": null}), json!({}), "`a`: expected null, got nothing"),
            (json!([{"x y": 1}]), json!([{"x y": 2}]), "`[0][\"x y\"]`: expected 1, got 2"),
            (json!({"a": [1]}), json!({"a": [1, 2]}), "`a`: expected 1 items, got 2"),
            (json!([1, 2]), json!([1]), "`[1]`: expected 2, got nothing"),
            (
                json!(u64::MAX),
                json!(u64::MAX - 1),
                "the result: expected 18446744073709551615, got 18446744073709551614",
            ),
        ] {
            assert_eq!(differences(&expected, &got), [difference]);
        }
        let long = json!("x".repeat(300));
        assert!(differences(&json!(1), &long)[0].len() < 250);
    }
}
