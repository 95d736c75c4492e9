//! Validates the names of tools and arguments, and suggests the nearest name for a misspelt one.

use std::fmt::Write as _;

/// Maximum length of a tool's or an argument's name, in characters.
const MAX_LENGTH: usize = 64;

/// Describes the problem of a tool's name; `None` if it is valid.
pub(crate) fn tool_name_problem(name: &str) -> Option<String> {
    let first_is_good = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    if !name.is_empty() && !first_is_good {
        let first = name.chars().next().unwrap_or_default();
        return Some(format!("a tool's name must start with a letter or `_`, not with `{first}`"));
    }
    problem("a tool's name", name)
}

/// Describes the problem of an argument's name on the wire; `None` if it is valid.
pub(crate) fn argument_name_problem(name: &str) -> Option<String> {
    if matches!(name, "_context" | "__platos") {
        return Some(format!(
            "`{name}` is reserved by the platform inside every call's parameters: choose another name"
        ));
    }
    problem("an argument's name", name)
}

fn problem(what: &str, name: &str) -> Option<String> {
    if name.is_empty() {
        return Some(format!("{what} must not be empty"));
    }
    if let Some(wrong) = name.chars().find(|c| !c.is_ascii_alphanumeric() && !"_.-".contains(*c)) {
        return Some(format!("{what} may contain only `A-Z a-z 0-9 _ . -`, not `{wrong}`"));
    }
    let length = name.len();
    (length > MAX_LENGTH)
        .then(|| format!("{what} may have at most {MAX_LENGTH} characters, this one has {length}"))
}

/// Returns the end of an error text about an unknown name: the nearest known name, and all known names.
pub(crate) fn known_names(given: &str, known: &[&str]) -> String {
    let mut text = String::new();
    if let Some(nearest) = nearest(given, known) {
        let _ = write!(text, ", did you mean `{nearest}`?");
    }
    let list: Vec<_> = known.iter().map(|name| format!("`{name}`")).collect();
    let _ = write!(text, "; known: {}", list.join(", "));
    text
}

/// Returns the known name nearest to `given`, if one is close enough.
pub(crate) fn nearest<'a>(given: &str, known: &[&'a str]) -> Option<&'a str> {
    let lengthened = |name: &&&str| name.len() >= 3 && given.starts_with(**name);
    if let Some(name) = known.iter().find(lengthened) {
        return Some(name);
    }
    known
        .iter()
        .map(|name| (strsim::damerau_levenshtein(&given.to_lowercase(), name), *name))
        .filter(|(distance, name)| *distance <= 1.max(name.chars().count() / 3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// A case of `rename_all`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Case {
    Snake,
    Camel,
    Pascal,
    Kebab,
    ScreamingSnake,
}

impl Case {
    pub(crate) const ALL: [(&'static str, Case); 5] = [
        ("snake_case", Case::Snake),
        ("camelCase", Case::Camel),
        ("PascalCase", Case::Pascal),
        ("kebab-case", Case::Kebab),
        ("SCREAMING_SNAKE_CASE", Case::ScreamingSnake),
    ];

    /// Converts a snake-case name to this case.
    pub(crate) fn apply(self, name: &str) -> String {
        let capital = |word: &str| {
            let mut letters = word.chars();
            letters
                .next()
                .map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect::<String>())
        };
        let words = name.split('_').filter(|word| !word.is_empty());
        match self {
            Case::Snake => name.to_owned(),
            Case::Kebab => words.collect::<Vec<_>>().join("-"),
            Case::ScreamingSnake => name.to_uppercase(),
            Case::Pascal => words.map(capital).collect(),
            Case::Camel => words
                .enumerate()
                .map(|(index, word)| if index == 0 { word.to_owned() } else { capital(word) })
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tool_names_follow_the_rule() {
        for good in ["a", "_", "lookup_order", "orders.lookup-2", "A9", &"x".repeat(64)] {
            assert_eq!(tool_name_problem(good), None, "{good}");
        }
        for bad in ["", "9a", ".a", "-a", "a b", "é", "a/b", &"x".repeat(65)] {
            assert!(tool_name_problem(bad).is_some(), "{bad}");
        }
        assert!(tool_name_problem("9a").unwrap().contains("not with `9`"));
        assert!(tool_name_problem(&"x".repeat(65)).unwrap().contains("this one has 65"));
    }

    #[test]
    fn argument_names_follow_the_rule_and_leave_the_platforms_keys_alone() {
        for good in ["a", "9", "noteText", "note-text", "a.b"] {
            assert_eq!(argument_name_problem(good), None, "{good}");
        }
        for bad in ["", "$ref", "größe", "a b", "_context", "__platos"] {
            assert!(argument_name_problem(bad).is_some(), "{bad}");
        }
    }

    #[test]
    fn the_nearest_name_must_be_close() {
        let known = ["timeout", "title", "rate_limit", "name"];
        assert_eq!(nearest("timout", &known), Some("timeout"));
        assert_eq!(nearest("Timeout", &known), Some("timeout"));
        assert_eq!(nearest("ratelimit", &known), Some("rate_limit"));
        assert_eq!(nearest("nmae", &known), Some("name"));
        assert_eq!(nearest("maximum", &["min", "max"]), Some("max"));
        assert_eq!(nearest("permissions", &known), None);
    }

    #[test]
    fn cases_spell_names() {
        let spelt: Vec<_> = Case::ALL.iter().map(|(_, case)| case.apply("order_line_id")).collect();
        assert_eq!(spelt, ["order_line_id", "orderLineId", "OrderLineId", "order-line-id", "ORDER_LINE_ID"]);
        assert_eq!(Case::Camel.apply("_unused"), "unused");
    }
}
