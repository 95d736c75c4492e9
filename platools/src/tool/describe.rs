//! Describes a tool's parameters in its description, for models that are shown no schema (protocol §8).
//!
//! The texts are frozen: the platform makes another tool of every changed description, and policies of operators hang
//! on its id.

use std::borrow::Cow;

use serde_json::Value;

use super::{ToolSpec, shortened};

/// Maximum length of a description, in characters (protocol §3).
pub(crate) const MAX_DESCRIPTION: usize = 8_192;
/// The first line of a summary.
const HEAD: &str = "Parameters:";
/// The last line of a summary that has no room for all parameters.
const REST: &str = "- …";
/// Maximum length of a parameter's first sentence, in characters.
const MAX_SENTENCE: usize = 200;
/// Maximum length of a default value, in characters.
const MAX_DEFAULT: usize = 60;
/// Maximum number of choices or members that a type lists.
const MAX_LISTED: usize = 12;
/// Maximum depth of a type: `array of object {a, b}` has two levels.
const MAX_DEPTH: usize = 3;

impl ToolSpec {
    /// Returns the description that the platform is sent: with a summary of the parameters, if
    /// [`describe_parameters`](Self::describe_parameters) is on for this tool, or `by_default` where it says nothing.
    ///
    /// The summary has a line for each parameter: its name, type, whether it is required, its default, and the first
    /// sentence of its description. Sentences, then lines are left out where the text would exceed 8 192 characters. The
    /// text of an unchanged tool stays the same.
    ///
    /// ```
    /// use platools::ToolSpec;
    /// use serde_json::json;
    ///
    /// let spec = ToolSpec::new("lookup_order").description("Look up one order.").input_schema(json!({
    ///     "type": "object",
    ///     "properties": {
    ///         "order_id": {"type": "string", "description": "The order, such as `ord-1042`. Case matters."},
    ///         "limit": {"type": "integer", "default": 10},
    ///     },
    ///     "required": ["order_id"],
    /// }));
    /// assert_eq!(
    ///     spec.declared_description(true),
    ///     "Look up one order.\n\nParameters:\n\
    ///      - order_id (string, required): The order, such as `ord-1042`.\n\
    ///      - limit (integer, default 10)"
    /// );
    /// assert_eq!(spec.declared_description(false), "Look up one order.");
    /// ```
    pub fn declared_description(&self, by_default: bool) -> Cow<'_, str> {
        let description = self.description.as_str();
        if !self.describe_parameters.unwrap_or(by_default) {
            return description.into();
        }
        let room = MAX_DESCRIPTION.saturating_sub(description.chars().count());
        let gap = if description.trim().is_empty() { "" } else { "\n\n" };
        match summary(&self.input_schema, room.saturating_sub(gap.len())) {
            Some(summary) => format!("{}{gap}{summary}", description.trim_end()).into(),
            None => description.into(),
        }
    }
}

/// Returns the summary of a schema's properties, in at most `room` characters.
fn summary(schema: &Value, room: usize) -> Option<String> {
    let properties = schema.get("properties")?.as_object().filter(|properties| !properties.is_empty())?;
    let required = schema.get("required").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let lines = |with_sentence: bool| {
        let lines = properties.iter().map(move |(name, property)| {
            let is_required = required.iter().any(|required| required == name);
            line(name, property, schema, is_required, with_sentence)
        });
        lines.collect::<Vec<_>>()
    };
    let length = |lines: &[String]| lines.iter().map(|line| line.chars().count() + 1).sum::<usize>();
    let mut all = lines(true);
    if HEAD.len() + length(&all) > room {
        all = lines(false);
    }
    if HEAD.len() + length(&all) > room {
        while HEAD.len() + length(&all) + 4 > room {
            all.pop()?;
        }
        all.push(REST.to_owned());
    }
    Some(format!("{HEAD}\n{}", all.join("\n")))
}

/// Returns the line of one parameter.
fn line(name: &str, property: &Value, root: &Value, is_required: bool, with_sentence: bool) -> String {
    let mut facts = type_of(property, root, 0);
    if is_required {
        facts.push_str(", required");
    }
    if let Some(default) = property.get("default").filter(|default| !default.is_null()) {
        facts.push_str(", default ");
        facts.push_str(&shortened(&default.to_string(), MAX_DEFAULT));
    }
    let description = property.get("description").or_else(|| resolved(property, root).get("description"));
    let sentence = description.and_then(Value::as_str).filter(|_| with_sentence).map(first_sentence);
    match sentence.filter(|sentence| !sentence.is_empty()) {
        Some(sentence) => format!("- {name} ({facts}): {sentence}"),
        None => format!("- {name} ({facts})"),
    }
}

/// Returns the first sentence of a text, on one line.
fn first_sentence(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let end = text.char_indices().find_map(|(index, character)| {
        let rest = &text[index + character.len_utf8()..];
        // What goes on in lower case, or with an example, follows an abbreviation.
        let begins_anew = rest.strip_prefix(' ').is_some_and(|rest| rest.starts_with(char::is_uppercase));
        (matches!(character, '.' | '!' | '?') && begins_anew).then_some(index + character.len_utf8())
    });
    shortened(&text[..end.unwrap_or(text.len())], MAX_SENTENCE).into_owned()
}

/// Returns the type that a schema allows: `integer`, `array of string`, `"red" | "green"`.
fn type_of(schema: &Value, root: &Value, depth: usize) -> String {
    let schema = resolved(schema, root);
    if depth > MAX_DEPTH {
        return "any value".to_owned();
    }
    if let Some(choices) = schema.get("enum").and_then(Value::as_array) {
        let choices = choices.iter().filter(|choice| !choice.is_null()).map(Value::to_string);
        return listed(choices, " | ");
    }
    if let Some(choice) = schema.get("const") {
        return choice.to_string();
    }
    let types: Vec<&str> = match schema.get("type") {
        Some(Value::String(name)) => vec![name],
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let branches = ["oneOf", "anyOf"].iter().find_map(|key| schema.get(key)?.as_array());
    let mut words: Vec<String> = match branches {
        Some(branches) if types.is_empty() => {
            let is_null = |branch: &&Value| branch.get("type").is_some_and(|name| name == "null");
            let branches = branches.iter().filter(|branch| !is_null(branch));
            branches.map(|branch| type_of(branch, root, depth + 1)).collect()
        }
        _ => types.into_iter().map(|name| type_named(name, schema, root, depth)).collect(),
    };
    words.retain(|word| word != "null");
    let mut once: Vec<String> = Vec::new();
    for word in words {
        if !once.contains(&word) {
            once.push(word);
        }
    }
    if once.is_empty() { "any value".to_owned() } else { listed(once.into_iter(), " or ") }
}

fn type_named(name: &str, schema: &Value, root: &Value, depth: usize) -> String {
    match name {
        "string" => match schema.get("format").and_then(Value::as_str) {
            Some(format) => format!("{format} string"),
            None => name.to_owned(),
        },
        "array" => match schema.get("items").filter(|items| items.is_object()) {
            Some(items) => format!("array of {}", type_of(items, root, depth + 1)),
            None => name.to_owned(),
        },
        "object" => match schema.get("properties").and_then(Value::as_object) {
            Some(members) if !members.is_empty() => {
                format!("object {{{}}}", listed(members.keys().cloned(), ", "))
            }
            _ => name.to_owned(),
        },
        name => name.to_owned(),
    }
}

/// Joins the first items of a list, with `…` for the others.
fn listed(items: impl Iterator<Item = String>, between: &str) -> String {
    let mut items: Vec<String> = items.take(MAX_LISTED + 1).collect();
    if items.len() > MAX_LISTED {
        items.truncate(MAX_LISTED);
        items.push("…".to_owned());
    }
    items.join(between)
}

/// Resolves a reference to a definition of the schema.
fn resolved<'a>(schema: &'a Value, root: &'a Value) -> &'a Value {
    let target = schema.get("$ref").and_then(Value::as_str).and_then(|to| to.strip_prefix('#'));
    target.and_then(|pointer| root.pointer(pointer)).unwrap_or(schema)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn spec(properties: &Value) -> ToolSpec {
        let schema = json!({
            "type": "object",
            "properties": properties,
            "required": ["order_id", "lines"],
            "$defs": {"Line": {"type": "object", "description": "One line.", "properties": {"sku": {}, "pieces": {}}}},
        });
        ToolSpec::new("place_order").description("Place an order.\n").input_schema(schema)
    }

    fn everything() -> ToolSpec {
        spec(&json!({
            "order_id": {"type": "string", "description": "The order, e.g. `ord-1042`.\nCase matters."},
            "lines": {"type": "array", "items": {"$ref": "#/$defs/Line"}},
            "first": {"$ref": "#/$defs/Line"},
            "color": {"type": ["string", "null"], "enum": ["red", "dark_green", null], "default": "red"},
            "limit": {"type": "integer", "minimum": 1, "default": 10, "description": "How many! At most 3.5 times."},
            "ratio": {"type": ["number", "null"], "default": null},
            "due": {"type": "string", "format": "date-time", "description": ""},
            "either": {"anyOf": [{"type": "integer"}, {"type": "string"}, {"type": "null"}]},
            "shape": {"oneOf": [
                {"type": "object", "properties": {"kind": {"const": "circle"}, "radius": {"type": "number"}}},
                {"type": "object", "properties": {"kind": {"const": "square"}, "side": {"type": "number"}}},
            ]},
            "anything": true,
            "country": {"enum": (0..300).map(|number| format!("c{number}")).collect::<Vec<_>>()},
        }))
    }

    /// Whoever changes this snapshot changes the ids of all tools that describe their parameters.
    #[test]
    fn the_text_of_an_unchanged_tool_stays_the_same() {
        insta::assert_snapshot!("described", everything().declared_description(true));
    }

    #[test]
    fn a_tool_decides_before_its_host() {
        let plain = everything();
        assert_eq!(plain.declared_description(false), "Place an order.\n");
        let on = plain.clone().describe_parameters(true);
        assert_eq!(on.declared_description(false), plain.declared_description(true));
        let off = plain.describe_parameters(false);
        assert_eq!(off.declared_description(true), "Place an order.\n");
        let without = ToolSpec::new("ping").description("Answers.");
        assert_eq!(without.declared_description(true), "Answers.");
        let undescribed = spec(&json!({"a": {"type": "string"}})).description("");
        assert_eq!(undescribed.declared_description(true), "Parameters:\n- a (string)");
    }

    #[test]
    fn a_description_stays_within_the_platform_s_limit() {
        let many = |count: usize, sentence: usize| {
            let property = json!({"type": "string", "description": "x".repeat(sentence)});
            let all = (0..count).map(|index| (format!("p{index}"), property.clone()));
            spec(&Value::Object(all.collect()))
        };
        let lengths = [(30, 100), (60, 190), (2_000, 10)].map(|(count, sentence)| {
            let text = many(count, sentence).declared_description(true).into_owned();
            assert!(
                text.chars().count() <= MAX_DESCRIPTION && text.starts_with("Place an order.\n\nParameters:"),
                "{text}"
            );
            (text.lines().count(), text.contains('x'), text.ends_with("\n- …"))
        });
        assert_eq!(lengths[..2], [(33, true, false), (63, false, false)]);
        assert!(lengths[2].0 > 400 && lengths[2].2, "{lengths:?}");
        let long = many(3, 10).description("é".repeat(MAX_DESCRIPTION - 5));
        assert_eq!(long.declared_description(true), long.description, "no line fits");
    }
}
