//! The fields of a form: which of them are files, and how each is written (`encoding`).

use serde_json::{Map, Value, json};

use crate::assemble::Schemas;
use crate::body::Form;
use crate::document::shown;
use crate::encode::Style;
use crate::parameter::word;
use crate::place::Place;

/// How deep properties are looked for.
const MAX_DEPTH: usize = 8;

/// A field of a form of which more is known than its name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Field {
    /// Its name on the wire.
    pub(crate) property: String,
    /// Whether it is raw bytes, which an argument holds as base64.
    pub(crate) is_file: bool,
    /// The argument that names the file.
    pub(crate) file_name: Option<String>,
    /// Its types, in the order of preference; none where nothing is said.
    pub(crate) content_types: Vec<String>,
    /// How what has parts is written, and whether apart; it wins over the types.
    pub(crate) style: Option<(Style, bool)>,
    /// Headers of its part.
    pub(crate) headers: Vec<(String, String)>,
}

/// The fields of a body whose schema is converted; `media` is what the document says of it.
pub(crate) fn read(
    schemas: &Schemas<'_>,
    form: Form,
    media: &Value,
    schema: &Value,
    place: &Place<'_>,
) -> Vec<Field> {
    if !matches!(form, Form::Urlencoded | Form::Multipart) {
        return Vec::new();
    }
    let mut properties = Map::new();
    gather(schemas, schema, &mut properties, 0);
    let encodings = media.get("encoding").and_then(Value::as_object);
    let encodings_place = place.at("encoding");
    for name in encodings.into_iter().flat_map(Map::keys).filter(|name| !properties.contains_key(*name)) {
        let text = format!("the body has no property `{}`; this says nothing", shown(name));
        schemas.converter.warnings.add(&encodings_place.at(name), text);
    }
    let mut fields = Vec::new();
    for (property, schema) in &properties {
        let mut field = Field { property: property.clone(), ..Field::default() };
        if form == Form::Multipart
            && let Some(file) = file(schemas, schema)
        {
            field.is_file = true;
            field.content_types.extend(file.media_type);
        }
        if let Some(encoding) = encodings.and_then(|encodings| encodings.get(property)) {
            stated(schemas, form, encoding, &mut field, &encodings_place.at(property));
        }
        if field != (Field { property: property.clone(), ..Field::default() }) {
            fields.push(field);
        }
    }
    fields
}

/// Every property that an object is said to have.
fn gather(schemas: &Schemas<'_>, schema: &Value, properties: &mut Map<String, Value>, depth: usize) {
    let behind = schemas.behind(schema);
    if let Some(found) = behind.get("properties").and_then(Value::as_object) {
        properties.extend(found.clone());
    }
    if depth < MAX_DEPTH {
        for schema in behind.get("allOf").and_then(Value::as_array).into_iter().flatten() {
            gather(schemas, schema, properties, depth + 1);
        }
    }
}

/// Applies an Encoding Object to a field.
fn stated(schemas: &Schemas<'_>, form: Form, encoding: &Value, field: &mut Field, place: &Place<'_>) {
    let warnings = schemas.converter.warnings;
    if let Some(types) = word(encoding, "contentType") {
        let is_type =
            |text: &&str| text.contains('/') && text.chars().all(|next| (' '..='~').contains(&next));
        field.content_types = types.split(',').map(str::trim).filter(is_type).map(str::to_owned).collect();
    }
    let explode = encoding.get("explode").and_then(Value::as_bool);
    let style = match word(encoding, "style") {
        Some("form") => Some(Style::Form),
        Some("spaceDelimited") => Some(Style::Spaces),
        Some("pipeDelimited") => Some(Style::Pipes),
        Some("deepObject") => Some(Style::Deep),
        Some(other) => {
            warnings.add(place, format!("`style` cannot be `{}` in a form; it is left out", shown(other)));
            None
        }
        None => explode.map(|_| Style::Form),
    };
    field.style = style.map(|style| (style, explode.unwrap_or(style == Style::Form)));
    if field.is_file {
        field.style = None;
    }
    if form != Form::Multipart {
        return;
    }
    for (name, header) in encoding.get("headers").and_then(Value::as_object).into_iter().flatten() {
        let headers = place.at("headers");
        let place = headers.at(name);
        // The type has a key of its own.
        if name.eq_ignore_ascii_case("content-type") || name.eq_ignore_ascii_case("content-disposition") {
            continue;
        }
        match fixed(schemas, header).filter(|value| is_header(name) && is_value(value)) {
            Some(value) => field.headers.push((name.clone(), value)),
            None => warnings.add(&place, "the header has no value that is always the same; it is left out"),
        }
    }
}

/// The one value of a header: there is nobody who could be asked for another one.
fn fixed(schemas: &Schemas<'_>, header: &Value) -> Option<String> {
    let (header, _) = schemas.converter.document.resolve(header).ok()?;
    let schema = schemas.converter.convert(header.get("schema")?, &Place::ROOT);
    let schema = schemas.behind(&schema);
    let only = |list: &Value| list.as_array().filter(|list| list.len() == 1).map(|list| list[0].clone());
    let value = schema.get("const").cloned();
    let value =
        value.or_else(|| schema.get("enum").and_then(only)).or_else(|| schema.get("default").cloned());
    value.map(|value| super::encode::text(&value).into_owned())
}

fn is_header(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|next| next.is_ascii_alphanumeric() || "-_.".contains(next))
}

fn is_value(value: &str) -> bool {
    value.chars().all(|next| (' '..='~').contains(&next))
}

/// Raw bytes.
struct File {
    media_type: Option<String>,
}

/// Returns whether a schema is of raw bytes, or of a list of them.
fn file(schemas: &Schemas<'_>, schema: &Value) -> Option<File> {
    let behind = schemas.behind(schema);
    match behind.get("items").filter(|_| has_type(&behind, "array")) {
        Some(items) => single(schemas, items),
        None => single(schemas, &behind),
    }
}

fn single(schemas: &Schemas<'_>, schema: &Value) -> Option<File> {
    let schema = schemas.behind(schema);
    // What may also be null, as 3.1 writes it.
    for keyword in ["anyOf", "oneOf"] {
        if let Some([one, other]) = schema.get(keyword).and_then(Value::as_array).map(Vec::as_slice) {
            let is_null = |schema: &Value| schema.get("type") == Some(&json!("null"));
            if is_null(one) != is_null(other) {
                return single(schemas, if is_null(one) { other } else { one });
            }
        }
    }
    let media_type = word(&schema, "contentMediaType");
    let is_binary = word(&schema, "format") == Some("binary");
    // What is encoded already is sent as it is; what is text or JSON is no file.
    let is_raw = media_type.is_some_and(|media_type| !is_text(media_type))
        && schema.get("contentEncoding").is_none()
        && (has_type(&schema, "string") || schema.get("type").is_none());
    (is_binary || is_raw).then(|| File { media_type: media_type.map(str::to_owned) })
}

fn has_type(schema: &Value, name: &str) -> bool {
    match schema.get("type") {
        Some(Value::Array(types)) => types.iter().any(|one| one == name),
        Some(one) => one == name,
        None => false,
    }
}

fn is_text(media_type: &str) -> bool {
    media_type.starts_with("text/") || media_type.ends_with("/json") || media_type.ends_with("+json")
}

/// The schema of a file, or of a list of files, as a model is shown it.
pub(crate) fn shown_as_file(schemas: &Schemas<'_>, schema: &Value) -> Value {
    let behind = schemas.behind(schema);
    let mut file = json!({"type": "string", "contentEncoding": "base64"});
    let many = behind.get("items").filter(|_| has_type(&behind, "array"));
    let found = many.map_or_else(|| single(schemas, &behind), |items| single(schemas, items));
    if let Some(media_type) = found.and_then(|file| file.media_type) {
        file["contentMediaType"] = media_type.into();
    }
    let described = word(&behind, "description").map(str::trim).unwrap_or_default();
    let described = described.trim_end_matches('.');
    if many.is_none() {
        file["description"] = match described {
            "" => "A file, as base64.".into(),
            described => format!("{described}. A file, as base64.").into(),
        };
        return file;
    }
    let mut files = json!({"type": "array", "items": file});
    files["description"] = match described {
        "" => "Files, each as base64.".into(),
        described => format!("{described}. Files, each as base64.").into(),
    };
    for keyword in ["minItems", "maxItems"] {
        if let Some(count) = behind.get(keyword) {
            files[keyword] = count.clone();
        }
    }
    files
}
