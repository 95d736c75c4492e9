//! The keywords of JSON Schema 2020-12, by what their values are.

use serde_json::{Map, Value};

/// The kind of a keyword's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A schema for the value itself: applied in the same place.
    InPlace,
    /// Schemas for the value itself.
    InPlaceList,
    /// A schema for something inside the value.
    Inside,
    /// Schemas for what is inside.
    InsideList,
    /// Schemas by name, for what is inside.
    InsideMap,
    /// Schemas by name, for the value itself.
    InPlaceMap,
    /// A text.
    Text,
    /// A number.
    Number,
    /// A number of things, from zero.
    Count,
    /// True or false.
    Flag,
    /// Names of properties.
    Names,
    /// Names of properties by name.
    NamesMap,
    /// Anything.
    Data,
    /// A list of anything.
    DataList,
    /// The type's name, or names.
    Type,
}

/// Returns the kind of a keyword; `None` for one that is not carried over.
pub(crate) fn kind(keyword: &str) -> Option<Kind> {
    Some(match keyword {
        "type" => Kind::Type,
        "not" | "if" | "then" | "else" => Kind::InPlace,
        "allOf" | "anyOf" | "oneOf" => Kind::InPlaceList,
        "dependentSchemas" => Kind::InPlaceMap,
        "items"
        | "contains"
        | "additionalProperties"
        | "propertyNames"
        | "unevaluatedItems"
        | "unevaluatedProperties" => Kind::Inside,
        "prefixItems" => Kind::InsideList,
        "properties" | "patternProperties" => Kind::InsideMap,
        "title" | "description" | "format" | "pattern" | "contentEncoding" | "contentMediaType" => Kind::Text,
        "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" | "multipleOf" => Kind::Number,
        "minLength" | "maxLength" | "minItems" | "maxItems" | "minProperties" | "maxProperties"
        | "minContains" | "maxContains" => Kind::Count,
        "uniqueItems" | "deprecated" | "readOnly" | "writeOnly" => Kind::Flag,
        "required" => Kind::Names,
        "dependentRequired" => Kind::NamesMap,
        "default" | "const" => Kind::Data,
        "enum" | "examples" => Kind::DataList,
        _ => return None,
    })
}

/// Returns whether a keyword says nothing about which values are valid.
pub(crate) fn is_annotation(keyword: &str) -> bool {
    matches!(
        keyword,
        "title" | "description" | "default" | "examples" | "deprecated" | "readOnly" | "writeOnly"
    )
}

/// Replaces every schema directly inside a schema; `in_place` says whether it is for the value itself.
pub(crate) fn map_schemas(schema: &mut Map<String, Value>, mut change: impl FnMut(&mut Value, bool)) {
    for (keyword, value) in schema.iter_mut() {
        let Some(kind) = kind(keyword) else { continue };
        let is_in_place = matches!(kind, Kind::InPlace | Kind::InPlaceList | Kind::InPlaceMap);
        match (kind, value) {
            (Kind::InPlace | Kind::Inside, value) => change(value, is_in_place),
            (Kind::InPlaceList | Kind::InsideList, Value::Array(list)) => {
                for value in list {
                    change(value, is_in_place);
                }
            }
            (Kind::InPlaceMap | Kind::InsideMap, Value::Object(map)) => {
                for value in map.values_mut() {
                    change(value, is_in_place);
                }
            }
            _ => {}
        }
    }
}
