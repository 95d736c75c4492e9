//! The pure half of a call: from arguments to a request that has no server yet.

use std::fmt;

use serde_json::{Map, Value};

use crate::body::{Body, Form, Shape};
use crate::encode::{Style, check_path, joined, percent, push, text};
use crate::field::Field;
use crate::multipart::{self, decoded};
use crate::operation::Operation;
use crate::parameter::{Parameter, Where};
use crate::url_text;

/// A request without a server. Path and query are encoded, so that nothing in them means more than it should.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OperationRequest {
    /// The method, such as `GET`.
    pub method: &'static str,
    /// The path behind the server's URL; it begins with a slash.
    pub path: String,
    /// The query without its question mark; empty for none.
    pub query: String,
    /// Headers of this call alone, cookies among them; the values are printable.
    pub headers: Vec<(String, String)>,
    /// The body: its content type and its bytes.
    pub body: Option<(String, Vec<u8>)>,
}

impl fmt::Debug for OperationRequest {
    /// Without what the caller gave.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OperationRequest").field("method", &self.method).finish_non_exhaustive()
    }
}

/// Arguments that no request can be made of. The text names the argument.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ArgumentError(String);

impl Operation {
    /// The request of a call with these arguments, which the input schema is expected to have accepted. Whatever
    /// they are, a value stays in its segment of the path, its parameter, its header.
    ///
    /// # Errors
    /// When a required argument is missing, or a value cannot go where it should.
    pub fn request(&self, arguments: &Map<String, Value>) -> Result<OperationRequest, ArgumentError> {
        let mut query = String::new();
        let mut cookies = String::new();
        let mut headers = Vec::new();
        for parameter in self.parameters.iter() {
            let Parameter { name, argument, style, explode, .. } = parameter;
            let Some(value) = value(parameter, arguments)? else { continue };
            match parameter.place {
                Where::Path => {}
                Where::Query => push(&mut query, "&", name, value, *style, *explode),
                Where::Cookie => push(&mut cookies, "; ", name, value, *style, *explode),
                Where::Header => {
                    let text = joined(name, value, *style, *explode, str::to_owned);
                    if !text.chars().all(|next| (' '..='~').contains(&next)) {
                        let text = "goes into a header, which holds printable ASCII only";
                        return Err(ArgumentError(format!("`{argument}` {text}")));
                    }
                    headers.push((name.clone(), text));
                }
            }
        }
        if !cookies.is_empty() {
            headers.push(("cookie".to_owned(), cookies));
        }
        let body = self.body.as_ref().map(|body| written(body, arguments)).transpose()?.flatten();
        Ok(OperationRequest {
            method: self.method.as_str(),
            path: self.path(arguments)?,
            query,
            headers,
            body,
        })
    }

    fn path(&self, arguments: &Map<String, Value>) -> Result<String, ArgumentError> {
        let mut path = String::new();
        let mut rest = self.path.as_str();
        while let Some((fixed, name, after)) = placeholder(rest) {
            path.push_str(&fixed_text(fixed));
            let parameter = self
                .parameters
                .iter()
                .find(|parameter| parameter.place == Where::Path && parameter.name == name);
            let missing = || ArgumentError(format!("`{name}` is missing"));
            let parameter = parameter.ok_or_else(missing)?;
            let value = value(parameter, arguments)?.ok_or_else(missing)?;
            check_path(value)
                .map_err(|problem| ArgumentError(format!("`{}` {problem}", parameter.argument)))?;
            path.push_str(&joined(name, value, parameter.style, parameter.explode, percent));
            rest = after;
        }
        path.push_str(&fixed_text(rest));
        // Two values beside each other, or one beside fixed text, may make a step that neither is.
        match url_text::check_path(&path) {
            Ok(()) => Ok(path),
            Err(problem) => Err(ArgumentError(format!("the path that the arguments make {problem}"))),
        }
    }
}

/// The value of a parameter; null counts as absent.
fn value<'a>(
    parameter: &Parameter,
    arguments: &'a Map<String, Value>,
) -> Result<Option<&'a Value>, ArgumentError> {
    match arguments.get(&parameter.argument).filter(|value| !value.is_null()) {
        None if parameter.required => Err(ArgumentError(format!("`{}` is missing", parameter.argument))),
        value => Ok(value),
    }
}

fn placeholder(path: &str) -> Option<(&str, &str, &str)> {
    let (fixed, rest) = path.split_once('{')?;
    let (name, after) = rest.split_once('}')?;
    Some((fixed, name, after))
}

/// The path's own text; what a URL cannot hold is encoded, what is encoded already stays.
fn fixed_text(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for next in text.chars() {
        if next.is_ascii_alphanumeric() || "-._~!$&'()*+,;=:@%/".contains(next) {
            encoded.push(next);
        } else {
            encoded.push_str(&percent(next.encode_utf8(&mut [0; 4])));
        }
    }
    encoded
}

fn written(body: &Body, arguments: &Map<String, Value>) -> Result<Option<(String, Vec<u8>)>, ArgumentError> {
    let whole = match &body.shape {
        Shape::Whole(argument) => match arguments.get(argument) {
            None if body.required => return Err(ArgumentError(format!("`{argument}` is missing"))),
            None => return Ok(None),
            Some(value) => value.clone(),
        },
        Shape::Parts { parts, together } => {
            let given = parts.iter().filter_map(|(argument, property)| {
                arguments.get(argument).map(|value| (property.clone(), value.clone()))
            });
            let given: Map<_, _> = given.collect();
            if given.is_empty() && !body.required {
                return Ok(None);
            }
            if let Some(missing) = together.iter().find(|argument| !arguments.contains_key(*argument)) {
                let given = given.keys().next().map(String::as_str).unwrap_or_default();
                return Err(ArgumentError(format!(
                    "`{missing}` is missing: it has to be there beside `{given}`"
                )));
            }
            Value::Object(given)
        }
    };
    let content = match (body.form, &whole) {
        (Form::Json, whole) => whole.to_string().into_bytes(),
        (Form::Text, whole) => text(whole).into_owned().into_bytes(),
        (Form::File, whole) => whole
            .as_str()
            .and_then(decoded)
            .ok_or_else(|| ArgumentError("the body is a file: give it as base64".to_owned()))?,
        (Form::Urlencoded, Value::Object(members)) => urlencoded(members, &body.fields).into_bytes(),
        (Form::Multipart, Value::Object(members)) => {
            let file_name = |field: &Field| {
                let argument = field.file_name.as_ref()?;
                arguments.get(argument).and_then(Value::as_str).map(str::to_owned)
            };
            let (content_type, bytes) =
                multipart::written(members, &body.fields, file_name).map_err(ArgumentError)?;
            return Ok(Some((content_type, bytes)));
        }
        (Form::Urlencoded | Form::Multipart, _) => {
            return Err(ArgumentError("a form has to be an object".to_owned()));
        }
    };
    Ok(Some((body.content_type.clone(), content)))
}

fn urlencoded(members: &Map<String, Value>, fields: &[Field]) -> String {
    let mut form = String::new();
    for (name, value) in members.iter().filter(|(_, value)| !value.is_null()) {
        let field = fields.iter().find(|field| field.property == *name);
        let is_json = field
            .and_then(|field| field.content_types.first())
            .is_some_and(|content_type| content_type.ends_with("json"));
        let (style, explode) = match field.and_then(|field| field.style) {
            Some(stated) => stated,
            None if is_json || value.is_object() => (Style::Json, true),
            None => (Style::Form, true),
        };
        push(&mut form, "&", name, value, style, explode);
    }
    form
}
