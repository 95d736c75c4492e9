//! `multipart/form-data` (RFC 7578): fields as parts, none of which can end another.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use crate::encode::{Style, text};
use crate::field::Field;

/// The default media type of files.
const BYTES: &str = "application/octet-stream";

const JSON: &str = "application/json";

/// A field, or one of several of the same name.
#[derive(Debug, Default)]
struct Part {
    name: String,
    file_name: Option<String>,
    content_type: Option<String>,
    headers: Vec<(String, String)>,
    content: Vec<u8>,
}

/// The content type and the bytes of a form with these members. `file_name` says what the file of a property is called.
///
/// # Errors
/// Which member cannot be sent, and why.
pub(crate) fn written(
    members: &Map<String, Value>,
    fields: &[Field],
    file_name: impl Fn(&Field) -> Option<String>,
) -> Result<(String, Vec<u8>), String> {
    let nothing = Field::default();
    let mut parts = Vec::new();
    for (name, value) in members.iter().filter(|(_, value)| !value.is_null()) {
        let field = fields.iter().find(|field| field.property == *name).unwrap_or(&nothing);
        let first = parts.len();
        if field.is_file {
            let name_of_file = file_name(field);
            let items = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
            for item in items {
                parts.push(file(name, item, field, name_of_file.as_deref())?);
            }
        } else if let Some((style, explode)) = field.style {
            parts.extend(styled(name, value, style, explode));
        } else {
            parts.extend(plain(name, value, field));
        }
        for part in &mut parts[first..] {
            part.headers.clone_from(&field.headers);
        }
    }
    let boundary = boundary(&parts);
    let mut bytes = Vec::new();
    for part in &parts {
        bytes.extend_from_slice(head(part, &boundary).as_bytes());
        bytes.extend_from_slice(&part.content);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    Ok((format!("multipart/form-data; boundary={boundary}"), bytes))
}

fn file(name: &str, value: &Value, field: &Field, file_name: Option<&str>) -> Result<Part, String> {
    let Value::String(given) = value else {
        return Err(format!("`{name}` is a file: give it as base64, in a text"));
    };
    // As pages write it: `data:image/png;base64,…`.
    let (said, encoded) = match given.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,")) {
        Some((media_type, encoded)) => (Some(media_type), encoded),
        None => (None, given.as_str()),
    };
    let content =
        decoded(encoded).ok_or_else(|| format!("`{name}` is a file, and what is given is no base64"))?;
    let said = said.filter(|said| is_media_type(said));
    let content_type = pick(&field.content_types, said).or(said).unwrap_or(BYTES).to_owned();
    Ok(Part {
        name: name.to_owned(),
        // Servers take a part for a file by its having a name.
        file_name: Some(file_name.filter(|name| !name.is_empty()).unwrap_or(name).to_owned()),
        content_type: Some(content_type),
        content,
        ..Part::default()
    })
}

/// The type that is sent, of those that the document allows: what the caller says, or the first.
fn pick<'a>(allowed: &'a [String], said: Option<&'a str>) -> Option<&'a str> {
    let fits = |allowed: &str, said: &str| {
        allowed == "*/*"
            || allowed.eq_ignore_ascii_case(said)
            || allowed.strip_suffix('*').is_some_and(|kind| said.starts_with(kind))
    };
    said.filter(|said| allowed.iter().any(|allowed| fits(allowed, said)))
        .or_else(|| allowed.iter().map(String::as_str).find(|allowed| !allowed.contains('*')))
}

fn is_media_type(text: &str) -> bool {
    let allowed = |next: char| next.is_ascii_alphanumeric() || "!#$&-^_.+".contains(next);
    text.split_once('/').is_some_and(|(kind, name)| {
        !kind.is_empty() && !name.is_empty() && kind.chars().all(allowed) && name.chars().all(allowed)
    })
}

/// A value as its own type says: each item of a list is a part, what has parts is JSON.
fn plain(name: &str, value: &Value, field: &Field) -> Vec<Part> {
    let stated = pick(&field.content_types, None).map(str::to_owned);
    let is_json = stated.as_deref().is_some_and(|stated| stated.ends_with("json"));
    let part = |value: &Value| {
        let has_parts = value.is_array() || value.is_object();
        let (content, usual) = if is_json || has_parts {
            (value.to_string(), Some(JSON.to_owned()))
        } else {
            (text(value).into_owned(), None)
        };
        let content_type = stated.clone().or(usual);
        Part { name: name.to_owned(), content_type, content: content.into_bytes(), ..Part::default() }
    };
    match value {
        Value::Array(items) if !is_json => items.iter().map(part).collect(),
        value => vec![part(value)],
    }
}

/// A value as its style says; nothing is percent-encoded here.
fn styled(name: &str, value: &Value, style: Style, explode: bool) -> Vec<Part> {
    let part =
        |name: String, content: String| Part { name, content: content.into_bytes(), ..Part::default() };
    let between = match style {
        Style::Spaces => " ",
        Style::Pipes => "|",
        _ => ",",
    };
    match value {
        Value::Array(items) if explode => {
            items.iter().map(|item| part(name.to_owned(), text(item).into_owned())).collect()
        }
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(text).collect();
            vec![part(name.to_owned(), items.join(between))]
        }
        Value::Object(members) => {
            let members = members.iter().filter(|(_, value)| !value.is_null());
            match (style, explode) {
                (Style::Deep, _) => members
                    .map(|(key, value)| part(format!("{name}[{key}]"), text(value).into_owned()))
                    .collect(),
                (_, true) => {
                    members.map(|(key, value)| part(key.clone(), text(value).into_owned())).collect()
                }
                (_, false) => {
                    let pieces: Vec<_> =
                        members.map(|(key, value)| format!("{key}{between}{}", text(value))).collect();
                    vec![part(name.to_owned(), pieces.join(between))]
                }
            }
        }
        single => vec![part(name.to_owned(), text(single).into_owned())],
    }
}

fn head(part: &Part, boundary: &str) -> String {
    let mut head = format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{}\"", quoted(&part.name));
    if let Some(file_name) = &part.file_name {
        head.push_str("; filename=\"");
        head.push_str(&quoted(file_name));
        head.push('"');
    }
    head.push_str("\r\n");
    if let Some(content_type) = &part.content_type {
        let _ = write!(head, "Content-Type: {content_type}\r\n");
    }
    for (name, value) in &part.headers {
        let _ = write!(head, "{name}: {value}\r\n");
    }
    head.push_str("\r\n");
    head
}

/// A name between quotes, as browsers write it; what would end the line or the quotes cannot.
fn quoted(name: &str) -> String {
    let mut quoted = String::with_capacity(name.len());
    for next in name.chars() {
        match next {
            '"' => quoted.push_str("%22"),
            '\r' => quoted.push_str("%0D"),
            '\n' => quoted.push_str("%0A"),
            next if next.is_control() => quoted.push('_'),
            next => quoted.push(next),
        }
    }
    quoted
}

/// A line that is in none of the parts. It follows from them, so that nobody who gives one of them can choose it.
fn boundary(parts: &[Part]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        for piece in
            [part.name.as_bytes(), part.file_name.as_deref().unwrap_or_default().as_bytes(), &part.content]
        {
            hash.update(piece.len().to_le_bytes());
            hash.update(piece);
        }
    }
    let hash = hash.finalize();
    let digits: String = hash.iter().take(16).flat_map(|byte| [byte >> 4, byte & 15]).map(digit).collect();
    format!("platools-{digits}")
}

fn digit(value: u8) -> char {
    char::from_digit(u32::from(value), 16).unwrap_or('0')
}

/// Base64 in either alphabet, with padding or without, over several lines or on one.
pub(crate) fn decoded(encoded: &str) -> Option<Vec<u8>> {
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let compact: String;
    let encoded = if encoded.contains(|next: char| next.is_ascii_whitespace()) {
        compact = encoded.chars().filter(|next| !next.is_ascii_whitespace()).collect();
        &compact
    } else {
        encoded
    };
    let alphabet = if encoded.contains(['-', '_']) { &alphabet::URL_SAFE } else { &alphabet::STANDARD };
    GeneralPurpose::new(alphabet, config).decode(encoded).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_cannot_end_their_line_and_contents_cannot_end_their_part() {
        assert_eq!(quoted("a\"; filename=\"x\r\nX: y\u{7}é"), "a%22; filename=%22x%0D%0AX: y_é");
        let members = json!({"a": "--platools-\r\n--x--\r\n", "b": "c"});
        let (content_type, bytes) = written(members.as_object().unwrap(), &[], |_| None).unwrap();
        let boundary = content_type.strip_prefix("multipart/form-data; boundary=").unwrap();
        assert_eq!(String::from_utf8(bytes).unwrap().matches(boundary).count(), 3);
    }

    #[test]
    fn base64_is_read_as_people_and_models_write_it() {
        for (encoded, expected) in [
            ("AP/+", Some(vec![0, 255, 254])),
            ("AP_-", Some(vec![0, 255, 254])),
            ("AA==", Some(vec![0])),
            ("AA", Some(vec![0])),
            ("AP\n/ +\n", Some(vec![0, 255, 254])),
            ("", Some(vec![])),
            ("hello world!", None),
            ("A", None),
        ] {
            assert_eq!(decoded(encoded), expected, "{encoded}");
        }
    }

    #[test]
    fn the_type_is_one_that_the_document_allows() {
        let allowed = |types: &[&str]| types.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>();
        for (types, said, expected) in [
            (&["image/png", "image/jpeg"][..], Some("image/jpeg"), Some("image/jpeg")),
            (&["image/png", "image/jpeg"], Some("text/html"), Some("image/png")),
            (&["image/*"], Some("image/webp"), Some("image/webp")),
            (&["image/*"], Some("text/html"), None),
            (&[], Some("image/webp"), None),
            (&["image/*"], None, None),
        ] {
            assert_eq!(pick(&allowed(types), said), expected, "{types:?} {said:?}");
        }
    }
}
