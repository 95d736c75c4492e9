//! One flat object for the model, out of parameters and body.

use std::borrow::Cow;
use std::collections::HashSet;

use serde_json::{Map, Value, json};

use crate::assemble::Schemas;
use crate::body::{self, Body, Form, Shape, flat};
use crate::field::{Field, shown_as_file};
use crate::parameter::{self, Parameter};
use crate::text::cut;

/// The longest name of an argument that vendors of models take.
const MAX_NAME: usize = 64;

/// The parameters and the body of an operation.
pub(crate) struct Input {
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) body: Option<Body>,
    /// Still in pieces.
    pub(crate) schema: Value,
}

/// Puts parameters and body side by side. Where their names collide, the body becomes one argument.
pub(crate) fn merge(
    schemas: &Schemas<'_>,
    declared: Vec<parameter::Declared>,
    body: Option<body::Declared>,
) -> Input {
    let mut properties = Map::new();
    let mut required = Vec::new();
    let mut parameters = Vec::new();
    for (mut parameter, schema) in declared {
        let name = valid(&parameter.name);
        parameter.argument = if properties.contains_key(&name) {
            free(&format!("{name}_{}", parameter.place.word()), |name| properties.contains_key(name))
        } else {
            name
        };
        if parameter.required {
            required.push(parameter.argument.clone());
        }
        properties.insert(parameter.argument.clone(), schema);
        parameters.push(parameter);
    }
    let body = body.map(|mut body| {
        let parts = parts(schemas, &body, &properties);
        let shape = if let Some((parts, flat)) = parts {
            let mut together = Vec::new();
            for (argument, property) in &parts {
                if let Some(schema) = flat.properties.get(property) {
                    let is_file =
                        body.fields.iter().any(|field| field.is_file && field.property == *property);
                    let schema = if is_file { shown_as_file(schemas, schema) } else { schema.clone() };
                    properties.insert(argument.clone(), schema);
                }
                if flat.required.contains(property) {
                    let needed = if body.required { &mut required } else { &mut together };
                    needed.push(argument.clone());
                }
            }
            name_files(&parts, &mut body.fields, &mut properties);
            Shape::Parts { parts, together }
        } else {
            let name = free("body", |name| properties.contains_key(name));
            let mut schema = with_files(schemas, body.schema, &body.fields);
            if let Some(object) = schema.as_object_mut()
                && !object.contains_key("description")
                && !body.description.is_empty()
            {
                object.insert("description".to_owned(), cut(&body.description, 500).into());
            }
            properties.insert(name.clone(), schema);
            if body.required {
                required.push(name.clone());
            }
            Shape::Whole(name)
        };
        Body {
            form: body.form,
            content_type: body.content_type,
            required: body.required,
            shape,
            fields: body.fields,
        }
    });
    let mut schema = json!({"type": "object", "properties": properties});
    if !required.is_empty() {
        schema["required"] = required.into();
    }
    schema["additionalProperties"] = false.into();
    Input { parameters, body, schema }
}

/// The arguments that become the properties of a body; `None` where the body has to be one argument.
fn parts(
    schemas: &Schemas<'_>,
    body: &body::Declared,
    taken: &Map<String, Value>,
) -> Option<(Vec<(String, String)>, body::Flat)> {
    if matches!(body.form, Form::Text | Form::File) {
        return None;
    }
    let flat = flat(schemas, &body.schema)?;
    let mut names = HashSet::new();
    let mut parts = Vec::new();
    for property in flat.properties.keys() {
        let argument = valid(property);
        if taken.contains_key(&argument) || !names.insert(argument.clone()) {
            return None;
        }
        parts.push((argument, property.clone()));
    }
    // What is required and nowhere described would be lost.
    flat.required.iter().all(|name| flat.properties.contains_key(name)).then_some((parts, flat))
}

/// Adds an argument for the name of each file, where that name is free.
fn name_files(parts: &[(String, String)], fields: &mut [Field], properties: &mut Map<String, Value>) {
    for field in fields.iter_mut().filter(|field| field.is_file) {
        let Some((argument, _)) = parts.iter().find(|(_, property)| *property == field.property) else {
            continue;
        };
        let name = format!("{argument}_filename");
        let is_list = properties.get(argument).is_some_and(|schema| schema["type"] == "array");
        if is_list || name.len() > MAX_NAME || properties.contains_key(&name) {
            continue;
        }
        let schema =
            json!({"type": "string", "description": format!("The name of the file in `{argument}`.")});
        properties.insert(name.clone(), schema);
        field.file_name = Some(name);
    }
}

/// The schema of a body that is one argument, with its files as a model gives them.
fn with_files(schemas: &Schemas<'_>, schema: Value, fields: &[Field]) -> Value {
    if !fields.iter().any(|field| field.is_file) {
        return schema;
    }
    let mut whole = schemas.behind(&schema);
    let Some(properties) = whole.get_mut("properties").and_then(Value::as_object_mut) else { return schema };
    for field in fields.iter().filter(|field| field.is_file) {
        if let Some(property) = properties.get_mut(&field.property) {
            *property = shown_as_file(schemas, property);
        }
    }
    whole
}

/// A name with a comparison behind it, in letters: `DateCreated<` and `DateCreated>` must not become the same.
fn distinct(name: &str) -> Cow<'_, str> {
    for (sign, word) in
        [("<=", "_lte"), (">=", "_gte"), ("!=", "_ne"), ("<", "_lt"), (">", "_gt"), ("!", "_not")]
    {
        if let Some(start) = name.strip_suffix(sign) {
            return format!("{start}{word}").into();
        }
    }
    name.into()
}

/// A name as vendors of models take it: `filter[status]` becomes `filter_status`.
fn valid(name: &str) -> String {
    let mut valid = String::new();
    for next in distinct(name).chars() {
        if next.is_ascii_alphanumeric() || matches!(next, '_' | '.' | '-') {
            valid.push(next);
        } else if !valid.is_empty() && !valid.ends_with('_') {
            valid.push('_');
        }
    }
    valid.truncate(MAX_NAME);
    if !name.ends_with('_') {
        valid.truncate(valid.trim_end_matches('_').len());
    }
    if valid.is_empty() { "value".to_owned() } else { valid }
}

fn free(name: &str, taken: impl Fn(&str) -> bool) -> String {
    let name = &name[..name.len().min(MAX_NAME)];
    if !taken(name) {
        return name.to_owned();
    }
    let mut number = 2_u32;
    loop {
        let end = format!("_{number}");
        let candidate = format!("{}{end}", &name[..name.len().min(MAX_NAME - end.len())]);
        if !taken(&candidate) {
            return candidate;
        }
        number += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_arguments_are_those_that_models_take() {
        for (name, expected) in [
            ("petId", "petId"),
            ("filter[status]", "filter_status"),
            ("$top", "top"),
            ("a_", "a_"),
            ("größe", "gr_e"),
            ("DateCreated<", "DateCreated_lt"),
            ("DateCreated>", "DateCreated_gt"),
            ("DateCreated>=", "DateCreated_gte"),
            ("[]", "value"),
        ] {
            assert_eq!(valid(name), expected);
        }
        assert_eq!(valid(&"x".repeat(100)).len(), MAX_NAME);
        assert_eq!(free("body", |name| name == "body"), "body_2");
    }
}
