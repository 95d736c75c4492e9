//! The body of an operation's request: which kind is sent, and of what it is made.

use serde_json::{Map, Value, json};

use crate::assemble::Schemas;
use crate::document::shown;
use crate::field::{self, Field};
use crate::keyword::is_annotation;
use crate::place::Place;

/// How a body is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Form {
    Json,
    Urlencoded,
    Multipart,
    Text,
    /// Raw bytes, which the argument holds as base64.
    File,
}

/// The body that an operation takes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Body {
    pub(crate) form: Form,
    pub(crate) content_type: String,
    pub(crate) required: bool,
    pub(crate) shape: Shape,
    /// Of a form, the fields of which more is known than their names.
    pub(crate) fields: Vec<Field>,
}

/// Where a body comes from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Shape {
    /// One argument.
    Whole(String),
    /// Arguments that become its properties.
    Parts {
        /// Their names, and those of the properties.
        parts: Vec<(String, String)>,
        /// The arguments without which there cannot be any, of a body that may be left out.
        together: Vec<String>,
    },
}

/// A body with its schema, which is still in pieces.
#[derive(Debug)]
pub(crate) struct Declared {
    pub(crate) form: Form,
    pub(crate) content_type: String,
    pub(crate) required: bool,
    pub(crate) description: String,
    pub(crate) schema: Value,
    pub(crate) fields: Vec<Field>,
}

/// Reads the body of an operation; `None` when it takes none.
///
/// # Errors
/// Why the operation cannot be called.
pub(crate) fn read(
    schemas: &Schemas<'_>,
    body: &Value,
    place: &Place<'_>,
) -> Result<Option<Declared>, String> {
    let converter = schemas.converter;
    let (body, pointer) =
        converter.document.resolve(body).map_err(|problem| format!("its body is unknown: {problem}"))?;
    let target = pointer.as_deref().map(Place::start);
    let place = target.as_ref().unwrap_or(place);
    let required = body.get("required") == Some(&Value::Bool(true));
    let Some(content) = body.get("content").and_then(Value::as_object).filter(|content| !content.is_empty())
    else {
        converter.warnings.add(place, "the body has no `content`; none is sent");
        return Ok(None);
    };
    let known = content.iter().filter_map(|(name, media)| Some((form(name)?, name, media)));
    let Some((form, name, media)) = known.min_by_key(|(form, ..)| *form) else {
        let names: Vec<_> = content.keys().map(|name| shown(name)).collect();
        let names = names.join(", ");
        if required {
            return Err(format!("its body is {names}, and only JSON, forms, texts and files are sent"));
        }
        converter
            .warnings
            .add(place, format!("a body of {names} is not sent, only JSON, forms, texts and files are"));
        return Ok(None);
    };
    let schema = match (form, media.get("schema")) {
        (Form::Text, schema) => {
            let schema =
                schema.map(|schema| converter.convert(schema, &place.at("content").at(name).at("schema")));
            schema.filter(Value::is_object).unwrap_or_else(|| json!({"type": "string"}))
        }
        (Form::File, _) => json!({
            "type": "string", "contentEncoding": "base64", "description": "A file, as base64.",
        }),
        (_, Some(schema)) => converter.convert(schema, &place.at("content").at(name).at("schema")),
        (_, None) => json!({}),
    };
    let content_type = if name.contains('*') { usual(form).to_owned() } else { name.clone() };
    let description = body.get("description").and_then(Value::as_str).unwrap_or_default().to_owned();
    let contents = place.at("content");
    let fields = field::read(schemas, form, media, &schema, &contents.at(name));
    Ok(Some(Declared { form, content_type, required, description, schema, fields }))
}

fn form(media_type: &str) -> Option<Form> {
    if media_type.chars().any(|next| next.is_control() || !next.is_ascii()) {
        return None;
    }
    let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match essence.as_str() {
        "application/json" | "*/*" | "application/*" | "text/json" => Some(Form::Json),
        "application/x-www-form-urlencoded" => Some(Form::Urlencoded),
        "multipart/form-data" => Some(Form::Multipart),
        "application/octet-stream" | "application/pdf" | "application/zip" | "application/gzip" => {
            Some(Form::File)
        }
        other if other.starts_with("application/") && other.ends_with("+json") => Some(Form::Json),
        other if other.starts_with("text/") => Some(Form::Text),
        other if ["image/", "audio/", "video/"].iter().any(|kind| other.starts_with(kind)) => {
            Some(Form::File)
        }
        _ => None,
    }
}

fn usual(form: Form) -> &'static str {
    match form {
        Form::Json => "application/json",
        Form::Urlencoded => "application/x-www-form-urlencoded",
        Form::Multipart => "multipart/form-data",
        Form::Text => "text/plain",
        Form::File => "application/octet-stream",
    }
}

/// The properties of a body that may stand beside the parameters.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Flat {
    pub(crate) properties: Map<String, Value>,
    pub(crate) required: Vec<String>,
    /// Returns whether it says what properties there are, even if it is none.
    is_described: bool,
}

/// The properties of an object that says nothing that would be lost without it; `None` for anything else.
pub(crate) fn flat(schemas: &Schemas<'_>, schema: &Value) -> Option<Flat> {
    let mut flat = Flat::default();
    gather(schemas, schema, &mut flat, 0)?;
    flat.is_described.then_some(flat)
}

fn gather(schemas: &Schemas<'_>, schema: &Value, flat: &mut Flat, depth: usize) -> Option<()> {
    if depth > 8 {
        return None;
    }
    let Value::Object(object) = schemas.behind(schema) else { return None };
    for (keyword, value) in &object {
        match keyword.as_str() {
            "type" => [json!("object"), json!(["object"]), json!(["object", "null"])]
                .contains(value)
                .then_some(())?,
            "properties" => {
                flat.is_described = true;
                for (name, schema) in value.as_object()? {
                    // The same name twice has to fit both.
                    if flat.properties.insert(name.clone(), schema.clone()).is_some_and(|old| old != *schema)
                    {
                        return None;
                    }
                }
            }
            "required" => {
                for name in value.as_array()?.iter().filter_map(Value::as_str) {
                    if !flat.required.iter().any(|known| known == name) {
                        flat.required.push(name.to_owned());
                    }
                }
            }
            "allOf" => {
                for schema in value.as_array()? {
                    gather(schemas, schema, flat, depth + 1)?;
                }
            }
            // How many and which of them belong together is the backend's to check.
            "minProperties" | "maxProperties" => {}
            "anyOf" | "oneOf" if value.as_array()?.iter().all(only_requires) => {}
            "additionalProperties" | "unevaluatedProperties" if *value == Value::Bool(false) => {
                flat.is_described = true;
            }
            other if is_annotation(other) => {}
            _ => return None,
        }
    }
    Some(())
}

fn only_requires(schema: &Value) -> bool {
    schema.as_object().is_some_and(|schema| schema.keys().all(|key| key == "required" || is_annotation(key)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_sent_rather_than_forms_and_those_rather_than_texts() {
        for (name, expected) in [
            ("application/json; charset=utf-8", Some(Form::Json)),
            ("application/merge-patch+json", Some(Form::Json)),
            ("*/*", Some(Form::Json)),
            ("application/x-www-form-urlencoded", Some(Form::Urlencoded)),
            ("text/markdown", Some(Form::Text)),
            ("multipart/form-data", Some(Form::Multipart)),
            ("multipart/mixed", None),
            ("application/octet-stream", Some(Form::File)),
            ("image/*", Some(Form::File)),
            ("application/xml", None),
            ("application/json\r\nx: y", None),
        ] {
            assert_eq!(form(name), expected, "{name}");
        }
        let order = [Form::Json, Form::Urlencoded, Form::Multipart, Form::Text, Form::File];
        assert!(order.is_sorted());
    }
}
