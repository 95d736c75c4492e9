//! Closes the objects of an argument's schema: they have no members but those that the schema names, at every depth.
//!
//! A type that takes further members says so: a map flattened into it, or `additionalProperties` in its schema.

use serde_json::{Map, Value};

/// Maximum number of alternatives that the flattened enums of one struct become.
const MAX_VARIANTS: usize = 64;
/// Keywords that already say what further members an object may have.
const OPENNESS: [&str; 3] = ["additionalProperties", "unevaluatedProperties", "patternProperties"];
/// Keywords whose schemas describe the same object again.
const IN_PLACE: [&str; 3] = ["oneOf", "anyOf", "allOf"];

type Object = Map<String, Value>;

/// Adds `"additionalProperties": false` to every object with named members that says nothing about further ones.
///
/// The alternatives of a flattened enum stand beside the members of its struct. Each becomes a complete object, since
/// neither part alone names all members.
pub(super) fn close(schema: &mut Value) {
    let Some(object) = schema.as_object_mut() else { return };
    let has_any = |keys: &[&str]| keys.iter().any(|key| object.contains_key(*key));
    let is_composed = has_any(&["allOf"]) || (has_any(&["properties"]) && has_any(&IN_PLACE));
    if is_composed {
        let Some(spread) = spread(object) else {
            // Closing the parts would refuse each other's members.
            object.get_mut("properties").and_then(Value::as_object_mut).into_iter().for_each(close_all);
            return;
        };
        *object = spread;
    } else if has_any(&["properties"]) && !has_any(&OPENNESS) && !has_any(&["$ref"]) {
        object.insert("additionalProperties".to_owned(), false.into());
    }
    for (key, value) in object {
        match (key.as_str(), value) {
            ("properties" | "patternProperties", Value::Object(schemas)) => close_all(schemas),
            ("oneOf" | "anyOf" | "prefixItems", Value::Array(schemas)) => schemas.iter_mut().for_each(close),
            ("items" | "additionalProperties", schema) => close(schema),
            _ => {}
        }
    }
}

fn close_all(schemas: &mut Object) {
    schemas.values_mut().for_each(close);
}

/// Returns the object with each of its alternatives complete and closed; `None` if it is open or too large.
fn spread(object: &Object) -> Option<Object> {
    let is_part = |key: &str| IN_PLACE.contains(&key) || ["properties", "required"].contains(&key);
    let (parts, mut whole): (Object, Object) =
        object.clone().into_iter().partition(|(key, _)| is_part(key) || OPENNESS.contains(&key.as_str()));
    let mut variants = variants(&parts)?;
    for variant in &mut variants {
        let parts = std::mem::take(variant);
        variant.insert("type".to_owned(), "object".into());
        variant.extend(parts);
        variant.insert("additionalProperties".to_owned(), false.into());
    }
    let nested = object.get("oneOf").and_then(Value::as_array).into_iter().flatten();
    let is_exclusive = !object.contains_key("anyOf")
        && !object.contains_key("allOf")
        && nested.into_iter().all(|branch| IN_PLACE.iter().all(|key| branch.get(key).is_none()));
    let keyword = if is_exclusive { "oneOf" } else { "anyOf" };
    whole.insert(keyword.to_owned(), variants.into_iter().map(Value::Object).collect());
    Some(whole)
}

/// Returns the plain objects that an object with alternatives stands for.
fn variants(object: &Object) -> Option<Vec<Object>> {
    let is_other_type = object.get("type").is_some_and(|name| name != "object");
    if is_other_type || object.contains_key("$ref") || OPENNESS.iter().any(|key| object.contains_key(*key)) {
        return None;
    }
    let of = |schema: &Value| schema.as_object().and_then(variants);
    let mut choices: Vec<Vec<Object>> = Vec::new();
    for key in IN_PLACE {
        let schemas = object.get(key).and_then(Value::as_array);
        let schemas = schemas.map(|schemas| schemas.iter().map(of).collect::<Option<Vec<_>>>());
        match (key, schemas) {
            (_, None) => {}
            (_, Some(None)) => return None,
            ("allOf", Some(Some(parts))) => choices.extend(parts),
            (_, Some(Some(branches))) => choices.push(branches.into_iter().flatten().collect()),
        }
    }
    let mut plain = object.clone();
    plain.retain(|key, _| !IN_PLACE.contains(&key.as_str()));
    let mut all = vec![plain];
    for choice in choices {
        if all.len() * choice.len() > MAX_VARIANTS {
            return None;
        }
        all = all.iter().flat_map(|one| choice.iter().map(|other| merged(one, other))).collect();
    }
    Some(all)
}

/// Returns an object that has the members of both.
fn merged(one: &Object, other: &Object) -> Object {
    let mut both = one.clone();
    for (key, value) in other {
        match (both.get_mut(key), value) {
            (Some(Value::Object(known)), Value::Object(more)) if key == "properties" => {
                known.extend(more.clone());
            }
            (Some(Value::Array(known)), Value::Array(more)) if key == "required" => {
                known.extend(more.iter().cloned());
            }
            _ => {
                both.insert(key.clone(), value.clone());
            }
        }
    }
    both
}
