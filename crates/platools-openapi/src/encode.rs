//! Values as OpenAPI writes them into paths, queries, headers and forms (RFC 6570, as far as OpenAPI uses it), so
//! that each stays where it was put.

use std::borrow::Cow;

use serde_json::{Map, Value};

pub(crate) use crate::url_text::has_dot_step;
use crate::url_text::{check_segment, encoded};

/// How a value with several parts is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Style {
    /// `1,2`
    Simple,
    /// `.1.2`
    Label,
    /// `;name=1,2`
    Matrix,
    /// `name=1&name=2`
    Form,
    /// `name=1%202`
    Spaces,
    /// `name=1|2`
    Pipes,
    /// `name[a]=1&name[b]=2`
    Deep,
    /// As JSON.
    Json,
}

/// A text in which nothing has a meaning any more.
pub(crate) fn percent(text: &str) -> String {
    encoded(text).to_string()
}

/// A single value as text; what has parts becomes JSON.
pub(crate) fn text(value: &Value) -> Cow<'_, str> {
    match value {
        Value::String(text) => Cow::Borrowed(text),
        other => Cow::Owned(other.to_string()),
    }
}

/// The value of a parameter in a path or a header, its parts passed through `escape`.
pub(crate) fn joined(
    name: &str,
    value: &Value,
    style: Style,
    explode: bool,
    escape: fn(&str) -> String,
) -> String {
    if style == Style::Json {
        return escape(&value.to_string());
    }
    let (first, between) = match (style, explode) {
        (Style::Label, true) => (".", "."),
        (Style::Label, false) => (".", ","),
        (Style::Matrix, true) => (";", ";"),
        (Style::Matrix, false) => (";", ","),
        _ => ("", ","),
    };
    let named = |text: String| {
        if style == Style::Matrix { format!("{}={text}", escape(name)) } else { text }
    };
    let body = match value {
        Value::Array(items) if style == Style::Matrix && explode => {
            items.iter().map(|item| named(escape(&text(item)))).collect::<Vec<_>>().join(between)
        }
        Value::Array(items) => {
            named(items.iter().map(|item| escape(&text(item))).collect::<Vec<_>>().join(between))
        }
        Value::Object(members) => {
            let sign = if explode { "=" } else { "," };
            let members: Vec<_> = members
                .iter()
                .map(|(key, value)| format!("{}{sign}{}", escape(key), escape(&text(value))))
                .collect();
            let members = members.join(between);
            if explode { members } else { named(members) }
        }
        single => named(escape(&text(single))),
    };
    format!("{first}{body}")
}

/// Adds a parameter to an encoded query, form or cookie, whose pairs stand apart by `apart`.
pub(crate) fn push(to: &mut String, apart: &str, name: &str, value: &Value, style: Style, explode: bool) {
    match (value, style) {
        (Value::Object(members), Style::Deep) => push_deep(to, apart, &percent(name), members),
        (_, Style::Json) => push_pair(to, apart, &percent(name), &percent(&value.to_string())),
        (Value::Array(items), _) if explode => {
            for item in items {
                push_pair(to, apart, &percent(name), &percent(&text(item)));
            }
        }
        (Value::Array(items), _) => {
            let between = match style {
                Style::Spaces => "%20",
                Style::Pipes => "%7C",
                _ => ",",
            };
            let items: Vec<_> = items.iter().map(|item| percent(&text(item))).collect();
            push_pair(to, apart, &percent(name), &items.join(between));
        }
        (Value::Object(members), _) if explode => {
            for (key, value) in members.iter().filter(|(_, value)| !value.is_null()) {
                push_pair(to, apart, &percent(key), &percent(&text(value)));
            }
        }
        (Value::Object(_), _) => {
            push_pair(to, apart, &percent(name), &joined(name, value, Style::Simple, false, percent));
        }
        (single, _) => push_pair(to, apart, &percent(name), &percent(&text(single))),
    }
}

fn push_deep(to: &mut String, apart: &str, name: &str, members: &Map<String, Value>) {
    for (key, value) in members.iter().filter(|(_, value)| !value.is_null()) {
        let name = format!("{name}%5B{}%5D", percent(key));
        match value {
            Value::Object(inner) => push_deep(to, apart, &name, inner),
            Value::Array(items) => {
                for item in items {
                    push_pair(to, apart, &format!("{name}%5B%5D"), &percent(&text(item)));
                }
            }
            single => push_pair(to, apart, &name, &percent(&text(single))),
        }
    }
}

fn push_pair(to: &mut String, apart: &str, name: &str, value: &str) {
    if !to.is_empty() {
        to.push_str(apart);
    }
    to.push_str(name);
    to.push('=');
    to.push_str(value);
}

/// Why a value may not stand in a path.
///
/// # Errors
/// In words that go on after the name of the argument.
pub(crate) fn check_path(value: &Value) -> Result<(), String> {
    match value {
        Value::Null => Err("is part of the path and may not be null".to_owned()),
        Value::Array(items) if items.is_empty() => check_path_text(""),
        Value::Array(items) => items.iter().try_for_each(check_path),
        Value::Object(members) if members.is_empty() => check_path_text(""),
        Value::Object(members) => members.iter().try_for_each(|(key, value)| {
            check_path_text(key)?;
            check_path(value)
        }),
        single => check_path_text(&text(single)),
    }
}

fn check_path_text(value: &str) -> Result<(), String> {
    check_segment(value).map_err(|problem| format!("is part of the path and {problem}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_in_a_path_are_written_as_their_style_says() {
        // The examples of OpenAPI 3.1, §4.8.12.4.
        let (text, array, object) = (json!("blue"), json!(["blue", "black"]), json!({"R": 100, "G": 200}));
        for (style, explode, of_text, of_array, of_object) in [
            (Style::Simple, false, "blue", "blue,black", "R,100,G,200"),
            (Style::Simple, true, "blue", "blue,black", "R=100,G=200"),
            (Style::Label, false, ".blue", ".blue,black", ".R,100,G,200"),
            (Style::Label, true, ".blue", ".blue.black", ".R=100.G=200"),
            (Style::Matrix, false, ";color=blue", ";color=blue,black", ";color=R,100,G,200"),
            (Style::Matrix, true, ";color=blue", ";color=blue;color=black", ";R=100;G=200"),
        ] {
            for (value, expected) in [(&text, of_text), (&array, of_array), (&object, of_object)] {
                assert_eq!(
                    joined("color", value, style, explode, percent),
                    expected,
                    "{style:?} {explode} {value}"
                );
            }
        }
        assert_eq!(joined("c", &json!(["a,b", 1.5, true]), Style::Simple, false, percent), "a%2Cb,1.5,true");
        assert_eq!(joined("c", &json!({"a": [1]}), Style::Json, false, percent), "%7B%22a%22%3A%5B1%5D%7D");
    }

    #[test]
    fn values_in_a_query_are_written_as_their_style_says() {
        let (array, object) = (json!(["blue", "bl&ck"]), json!({"R": 100, "G": null, "B": {"x": [1, 2]}}));
        for (value, style, explode, expected) in [
            (&json!("a b&c=d"), Style::Form, true, "color=a%20b%26c%3Dd"),
            (&array, Style::Form, true, "color=blue&color=bl%26ck"),
            (&array, Style::Form, false, "color=blue,bl%26ck"),
            (&array, Style::Spaces, false, "color=blue%20bl%26ck"),
            (&array, Style::Pipes, false, "color=blue%7Cbl%26ck"),
            (
                &object,
                Style::Deep,
                true,
                "color%5BR%5D=100&color%5BB%5D%5Bx%5D%5B%5D=1&color%5BB%5D%5Bx%5D%5B%5D=2",
            ),
            (&json!({"R": 1, "G": 2}), Style::Form, true, "R=1&G=2"),
            (&json!({"R": 1, "G": 2}), Style::Form, false, "color=R,1,G,2"),
            (&json!([]), Style::Form, true, ""),
        ] {
            let mut query = String::new();
            push(&mut query, "&", "color", value, style, explode);
            assert_eq!(query, expected, "{value} {style:?} {explode}");
        }
    }

    #[test]
    fn what_would_leave_the_path_is_refused() {
        for value in [
            "..",
            ".",
            "../admin",
            "a/../../b",
            "..\\admin",
            "..;/admin",
            "%2e%2e%2fadmin",
            "%252e%252e/x",
            "",
            "a\r\nb",
            "a%0d%0ab",
            "a\0",
        ] {
            assert!(check_path(&json!(value)).is_err(), "{value:?}");
            assert!(check_path(&json!(["x", value])).is_err(), "{value:?}");
        }
        for value in ["ord-1042", "feature/x", "%2f", "a@b", "http://evil.example/?x#y", "né", "...", "1.2"]
        {
            check_path(&json!(value)).unwrap();
        }
        assert!(check_path(&json!(null)).is_err() && check_path(&json!([])).is_err());
        check_path(&json!(7)).unwrap();
    }
}
