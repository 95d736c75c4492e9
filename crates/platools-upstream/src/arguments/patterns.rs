//! Patterns that the engine cannot compile: other languages have other regular expressions.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::close::each_schema_mut;

/// Returns a schema without the patterns that cannot be compiled here, and those patterns. Without them, it takes what they
/// would refuse, and whoever gets the values refuses it.
///
/// ```
/// use std::sync::Arc;
/// use platools_upstream::without_unusable_patterns;
/// use serde_json::json;
///
/// let schema = Arc::new(json!({"properties": {"a": {"type": "string", "pattern": "[a-"}}}));
/// let (usable, dropped) = without_unusable_patterns(&schema);
/// assert_eq!((*usable).clone(), json!({"properties": {"a": {"type": "string"}}}));
/// assert_eq!(dropped, ["[a-"]);
/// ```
pub fn without_unusable_patterns(schema: &Arc<Value>) -> (Arc<Value>, Vec<String>) {
    let (mut usable, mut dropped) = (Value::clone(schema), Vec::new());
    drop_from(&mut usable, &mut dropped);
    if dropped.is_empty() { (Arc::clone(schema), dropped) } else { (Arc::new(usable), dropped) }
}

fn drop_from(schema: &mut Value, dropped: &mut Vec<String>) {
    let Value::Object(object) = schema else { return };
    if let Some(pattern) = object.get("pattern").and_then(Value::as_str).filter(|pattern| !is_usable(pattern))
    {
        dropped.push(pattern.to_owned());
        object.remove("pattern");
    }
    let names = object.get("patternProperties").and_then(Value::as_object).into_iter().flat_map(Map::keys);
    let unusable: Vec<String> = names.filter(|pattern| !is_usable(pattern)).cloned().collect();
    if !unusable.is_empty() {
        if let Some(Value::Object(named)) = object.get_mut("patternProperties") {
            named.retain(|name, _| !unusable.contains(name));
        }
        // What they would have named must not be refused.
        object.remove("unevaluatedProperties");
        object.insert("additionalProperties".to_owned(), true.into());
        dropped.extend(unusable);
    }
    for (keyword, value) in object {
        each_schema_mut(keyword, value, |_, schema| drop_from(schema, dropped));
    }
}

fn is_usable(pattern: &str) -> bool {
    jsonschema::options().offline().build(&json!({"pattern": pattern})).is_ok()
}

#[cfg(test)]
mod tests {
    use super::super::ArgumentSchema;
    use super::*;

    #[test]
    fn patterns_that_no_engine_here_compiles_go_and_everything_else_stays() {
        let schema = Arc::new(json!({
            "type": "object",
            "properties": {
                "a": {"type": "string", "pattern": "[a-", "maxLength": 3},
                "pattern": {"type": "string", "pattern": "^x"},
                "list": {"items": {"anyOf": [{"pattern": "(?<=a+)b"}, {"pattern": "(?P<n"}]}},
                "map": {"patternProperties": {"(": {"type": "integer"}, "^b": {}}, "additionalProperties": false},
            },
            "$defs": {"d": {"pattern": "\\\\"}},
        }));
        assert!(ArgumentSchema::new(Arc::clone(&schema)).is_err());
        let (usable, dropped) = without_unusable_patterns(&schema);
        ArgumentSchema::new(Arc::clone(&usable)).unwrap();
        assert!(dropped.contains(&"[a-".to_owned()) && dropped.contains(&"(".to_owned()), "{dropped:?}");
        assert_eq!(usable["properties"]["a"], json!({"type": "string", "maxLength": 3}));
        assert_eq!(usable["properties"]["pattern"]["pattern"], "^x");
        assert_eq!(
            usable["properties"]["map"],
            json!({"patternProperties": {"^b": {}}, "additionalProperties": true})
        );
        let (same, dropped) = without_unusable_patterns(&usable);
        assert!(Arc::ptr_eq(&same, &usable) && dropped.is_empty());
    }
}
