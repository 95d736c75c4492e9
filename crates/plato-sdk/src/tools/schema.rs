//! JSON Schemas of arguments, derived from their types: draft 2020-12, inlined, without redundant keywords.

use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, Transform as _};
use schemars::{JsonSchema, Schema};
use serde_json::{Value, json};

/// Returns the schema of the arguments `T`.
pub(super) fn of<T: JsonSchema>() -> Value {
    let inlined = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    let mut schema = inlined.into_generator().subschema_for::<T>();
    RecursiveTransform(simplify as fn(&mut Schema)).transform(&mut schema);
    schema.remove("description");
    let mut schema = schema.to_value();
    if let Some(object) = schema.as_object_mut() {
        // Some model vendors want it even if there are no arguments.
        object.entry("properties").or_insert_with(|| json!({}));
    }
    schema
}

/// Sets the largest value of an argument, where it is known only at run time.
pub(super) fn with_maximum(mut schema: Value, argument: &str, maximum: impl Into<Value>) -> Value {
    schema["properties"][argument]["maximum"] = maximum.into();
    schema
}

/// Removes what a model need not read: that an argument may also be `null`, and Rust's widths of numbers, which
/// validators do not know and some model vendors reject.
fn simplify(schema: &mut Schema) {
    let Some(object) = schema.as_object_mut() else { return };
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|name| name != "null");
        if let [name] = &types[..] {
            let name = name.clone();
            object.insert("type".to_owned(), name);
        }
    }
    if let Some(Value::Array(values)) = object.get_mut("enum") {
        values.retain(|value| !value.is_null());
    }
    if let Some(Value::String(description)) = object.get_mut("description") {
        // The lines of a doc comment.
        *description = description.replace('\n', " ");
    }
    object.retain(|keyword, value| keyword != "format" && !(keyword == "default" && value.is_null()));
}
