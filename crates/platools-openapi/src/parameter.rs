//! The parameters of an operation: where they go and how they are written.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::document::{Document, shown};
use crate::encode::{Style, has_dot_step};
use crate::place::{Place, look_up};
use crate::schema::Converter;
use crate::text::cut;

/// The longest description of a parameter, in characters.
const MAX_DESCRIPTION: usize = 500;

/// Where a parameter goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Where {
    Path,
    Query,
    Header,
    Cookie,
}

impl Where {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Query => "query",
            Self::Header => "header",
            Self::Cookie => "cookie",
        }
    }
}

/// One parameter.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Parameter {
    /// Its name on the wire.
    pub(crate) name: String,
    /// Its name among the arguments.
    pub(crate) argument: String,
    pub(crate) place: Where,
    pub(crate) style: Style,
    pub(crate) explode: bool,
    pub(crate) required: bool,
}

/// A parameter with its schema, which is still in pieces.
pub(crate) type Declared = (Parameter, Value);

/// Reads the parameters of an operation, those of its path among them.
///
/// # Errors
/// Why the operation cannot be called.
pub(crate) fn read(
    converter: Converter<'_>,
    path: &str,
    lists: [(Option<&Value>, &Place<'_>); 2],
) -> Result<Vec<Declared>, String> {
    let mut declared: Vec<Declared> = Vec::new();
    for (list, place) in lists {
        let Some(list) = list else { continue };
        let Some(list) = list.as_array() else {
            converter.warnings.add(place, "`parameters` is no list; it is left out");
            continue;
        };
        for (index, value) in list.iter().enumerate() {
            let place = place.index(index);
            if let Some(new) = one(converter, value, &place)? {
                // Those of the operation come later and win over those of the path.
                let same = |(old, _): &Declared| (&old.name, old.place) == (&new.0.name, new.0.place);
                match declared.iter_mut().find(|old| same(old)) {
                    Some(old) => *old = new,
                    None => declared.push(new),
                }
            }
        }
    }
    let names = placeholders(path)?;
    let stated = lists[1].1;
    declared.retain(|(parameter, _)| {
        let stands = parameter.place != Where::Path || names.contains(&parameter.name.as_str());
        if !stands {
            let name = shown(&parameter.name);
            converter
                .warnings
                .add(stated, format!("the path has no `{{{name}}}`; the parameter is left out"));
        }
        stands
    });
    for name in names {
        if !declared.iter().any(|(parameter, _)| parameter.place == Where::Path && parameter.name == name) {
            converter
                .warnings
                .add(stated, format!("`{{{}}}` is not declared; it is taken as a text", shown(name)));
            let parameter = Parameter {
                name: name.to_owned(),
                argument: name.to_owned(),
                place: Where::Path,
                style: Style::Simple,
                explode: false,
                required: true,
            };
            declared.push((parameter, json!({"type": "string"})));
        }
    }
    // A stable order: what identifies comes first.
    declared.sort_by_key(|(parameter, _)| parameter.place);
    Ok(declared)
}

fn one(converter: Converter<'_>, value: &Value, place: &Place<'_>) -> Result<Option<Declared>, String> {
    let Converter { document, warnings, .. } = converter;
    let (value, pointer) =
        document.resolve(value).map_err(|problem| format!("a parameter is unknown: {problem}"))?;
    let target = pointer.as_deref().map(Place::start);
    let place = target.as_ref().unwrap_or(place);
    let (Some(name), Some(kind)) = (word(value, "name"), word(value, "in")) else {
        warnings.add(place, "a parameter without `name` or `in` is left out");
        return Ok(None);
    };
    let required = value.get("required") == Some(&Value::Bool(true));
    let kind = match kind {
        "path" => Where::Path,
        "query" => Where::Query,
        // Content and credentials are not arguments (OpenAPI 3.1, §4.8.12.1).
        "header" if ["accept", "content-type", "authorization"].contains(&&*name.to_ascii_lowercase()) => {
            return Ok(None);
        }
        "header" if !is_header(name) => {
            warnings.add(
                place,
                format!("the header `{}` is not one that a tool may set; it is left out", shown(name)),
            );
            return Ok(None);
        }
        "header" => Where::Header,
        "cookie" => Where::Cookie,
        "body" | "formData" => {
            return Err(format!("parameters in `{kind}` are of Swagger 2.0: convert the document"));
        }
        other if required => {
            return Err(format!("its parameter `{}` goes into `{}`", shown(name), shown(other)));
        }
        other => {
            warnings.add(place, format!("`in` cannot be `{}`; the parameter is left out", shown(other)));
            return Ok(None);
        }
    };
    if kind != Where::Path && document.credentials.contains(&credential(kind, name)) {
        warnings.add(
            place,
            format!("`{}` is a credential, which no model is asked for; it is left out", shown(name)),
        );
        return Ok(None);
    }
    let content = value.get("content").and_then(Value::as_object).and_then(|content| content.iter().next());
    let (style, explode) = match content {
        Some(_) => (Style::Json, false),
        None => style(converter, value, kind, place),
    };
    let mut schema = match content {
        Some((media_type, content)) => content
            .get("schema")
            .map(|schema| converter.convert(schema, &place.at("content").at(media_type).at("schema"))),
        None => value.get("schema").map(|schema| converter.convert(schema, &place.at("schema"))),
    }
    .unwrap_or_else(|| json!({"type": "string"}));
    if let Some(object) = schema.as_object_mut() {
        let description = word(value, "description").map(|text| cut(text, MAX_DESCRIPTION));
        if let Some(description) = description.filter(|text| !text.is_empty()) {
            object.insert("description".to_owned(), description.into());
        }
        if value.get("deprecated") == Some(&Value::Bool(true)) {
            object.insert("deprecated".to_owned(), true.into());
        }
    }
    let required = required || kind == Where::Path;
    let (name, argument) = (name.to_owned(), name.to_owned());
    Ok(Some((Parameter { name, argument, place: kind, style, explode, required }, schema)))
}

fn style(converter: Converter<'_>, value: &Value, kind: Where, place: &Place<'_>) -> (Style, bool) {
    let usual = if matches!(kind, Where::Path | Where::Header) { Style::Simple } else { Style::Form };
    let style = match (word(value, "style"), kind) {
        (None, _)
        | (Some("simple"), Where::Path | Where::Header)
        | (Some("form"), Where::Query | Where::Cookie) => usual,
        (Some("label"), Where::Path) => Style::Label,
        (Some("matrix"), Where::Path) => Style::Matrix,
        (Some("spaceDelimited"), Where::Query) => Style::Spaces,
        (Some("pipeDelimited"), Where::Query) => Style::Pipes,
        (Some("deepObject"), Where::Query) => Style::Deep,
        (Some(other), _) => {
            let text = format!(
                "the style `{}` is not for the {}; the usual one is taken",
                shown(other),
                kind.word()
            );
            converter.warnings.add(place, text);
            usual
        }
    };
    let explode = value.get("explode").and_then(Value::as_bool).unwrap_or(style == Style::Form);
    (style, explode)
}

/// Where credentials go by the document's security schemes, and their names.
pub(crate) fn credentials(root: &Value) -> BTreeSet<(Where, String)> {
    let schemes = root.pointer("/components/securitySchemes").and_then(Value::as_object);
    let found = schemes.into_iter().flat_map(Map::values).filter_map(|scheme| {
        let scheme = match word(scheme, "$ref") {
            Some(reference) => look_up(root, reference.strip_prefix('#')?)?,
            None => scheme,
        };
        let kind = match word(scheme, "in").filter(|_| word(scheme, "type") == Some("apiKey"))? {
            "header" => Where::Header,
            "query" => Where::Query,
            "cookie" => Where::Cookie,
            _ => return None,
        };
        Some(credential(kind, word(scheme, "name")?))
    });
    found.collect()
}

fn credential(kind: Where, name: &str) -> (Where, String) {
    (kind, if kind == Where::Header { name.to_ascii_lowercase() } else { name.to_owned() })
}

/// Returns whether a header is a tool's to set, rather than the connection's.
fn is_header(name: &str) -> bool {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let name = name.to_ascii_lowercase();
    !name.is_empty()
        && name.bytes().all(token)
        && ![
            "connection",
            "content-length",
            "cookie",
            "expect",
            "host",
            "keep-alive",
            "te",
            "trailer",
            "transfer-encoding",
            "upgrade",
        ]
        .contains(&name.as_str())
        && !name.starts_with("proxy-")
}

/// The names between the braces of a path.
///
/// # Errors
/// Why it is no path that can be asked.
pub(crate) fn placeholders(path: &str) -> Result<Vec<&str>, String> {
    let mut names = Vec::new();
    let mut rest = path;
    while let Some(at) = rest.find(['{', '}']) {
        let braced = rest[at..].strip_prefix('{').and_then(|inner| inner.split_once('}'));
        let Some((name, after)) = braced.filter(|(name, _)| !name.is_empty() && !name.contains('{')) else {
            return Err("the braces of its path do not match".to_owned());
        };
        if !names.contains(&name) {
            names.push(name);
        }
        rest = after;
    }
    if !path.starts_with('/') || path.contains(['?', '#', '\\']) || path.chars().any(char::is_control) {
        return Err("its path is none: it has to begin with `/` and hold neither `?` nor `#`".to_owned());
    }
    if has_dot_step(path) || has_dot_step(&percent_encoding::percent_decode_str(path).decode_utf8_lossy()) {
        return Err("its path holds `.` or `..` as a step".to_owned());
    }
    Ok(names)
}

pub(crate) fn word<'v>(value: &'v Value, key: &str) -> Option<&'v str> {
    value.get(key).and_then(Value::as_str)
}

/// Returns the list of parameters of a path or an operation, with references followed.
pub(crate) fn list<'d>(document: &'d Document, item: &'d Value) -> Option<&'d Value> {
    item.get("parameters").map(|list| document.resolve(list).map_or(list, |(list, _)| list))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_cannot_be_asked_are_refused() {
        assert_eq!(placeholders("/a/{b}/c-{d}.{e}/{b}").unwrap(), ["b", "d", "e"]);
        assert_eq!(placeholders("/").unwrap(), Vec::<&str>::new());
        for path in [
            "",
            "a",
            "/{",
            "/{}",
            "/}",
            "/{a{b}}",
            "/a?b={c}",
            "/#",
            "/a/../b",
            "/%2e%2e/b",
            "/a\n",
            "http://x/",
        ] {
            assert!(placeholders(path).is_err(), "{path}");
        }
    }

    #[test]
    fn the_connections_own_headers_are_not_arguments() {
        assert!(is_header("X-Request-Id") && is_header("If-Match"));
        for name in
            ["Host", "content-length", "Transfer-Encoding", "Proxy-Authorization", "a b", "a\r\nb", "", "né"]
        {
            assert!(!is_header(name), "{name}");
        }
    }
}
