//! One operation of a document, ready to become a tool.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::assemble::{Assembled, Budget, Schemas};
use crate::body::Body;
use crate::document::Document;
use crate::input::merge;
use crate::parameter::{self, Parameter, word};
use crate::place::Place;
use crate::text::cut;
use crate::{body, server};

/// The longest description of a tool, in characters.
const MAX_DESCRIPTION: usize = 1_024;

/// How large the schema of the arguments may be.
const INPUT: Budget = Budget { inline: 24 << 10, whole: 64 << 10 };

/// How large the schema of the answer may be; beyond that there is none, for it is of less use.
const OUTPUT: Budget = Budget { inline: 8 << 10, whole: 8 << 10 };

/// An HTTP method that can be a tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Method {
    /// Reads.
    Get,
    /// Puts something in a place.
    Put,
    /// Does something.
    Post,
    /// Takes something away.
    Delete,
    /// Changes something.
    Patch,
}

impl Method {
    pub(crate) const ALL: [Self; 5] = [Self::Get, Self::Put, Self::Post, Self::Delete, Self::Patch];

    /// The word of the protocol, such as `GET`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Put => "PUT",
            Self::Post => "POST",
            Self::Delete => "DELETE",
            Self::Patch => "PATCH",
        }
    }

    /// The key in a document.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Put => "put",
            Self::Post => "post",
            Self::Delete => "delete",
            Self::Patch => "patch",
        }
    }
}

/// An operation that becomes a tool.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Operation {
    /// The tool's name: valid, and no other operation's of the document.
    pub name: String,
    /// The document's own id, if it has one.
    pub id: Option<String>,
    /// The method.
    pub method: Method,
    /// The path template, such as `/pets/{petId}`.
    pub path: String,
    /// The server that the document names, its variables replaced by their defaults; may be relative.
    pub server: Option<String>,
    /// Its groups.
    pub tags: Vec<String>,
    /// A short name for people.
    pub title: Option<String>,
    /// The summary and the description, cut at 1 024 characters.
    pub description: String,
    /// Whether it should not be used any more.
    pub deprecated: bool,
    /// The JSON Schema of the arguments, draft 2020-12, which stands by itself.
    pub input_schema: Arc<Value>,
    /// The JSON Schema of the answer, where the document has one of moderate size.
    pub output_schema: Option<Arc<Value>>,
    pub(crate) parameters: Arc<[Parameter]>,
    pub(crate) body: Option<Arc<Body>>,
}

/// The parts of a document that an operation is read from.
pub(crate) struct Source<'d> {
    pub(crate) document: &'d Document,
    pub(crate) method: Method,
    pub(crate) path: &'d str,
    pub(crate) item: &'d Value,
    pub(crate) operation: &'d Value,
}

impl Source<'_> {
    pub(crate) fn id(&self) -> Option<&str> {
        word(self.operation, "operationId")
    }

    pub(crate) fn tags(&self) -> Vec<String> {
        let tags = self.operation.get("tags").and_then(Value::as_array);
        tags.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    }

    pub(crate) fn is_deprecated(&self) -> bool {
        self.operation.get("deprecated") == Some(&Value::Bool(true))
    }

    /// The operation, which has no name yet, and its bytes.
    ///
    /// # Errors
    /// Why it cannot be called.
    pub(crate) fn read(
        &self,
        request: &Schemas<'_>,
        response: &Schemas<'_>,
        places: (&Place<'_>, &Place<'_>),
    ) -> Result<(Operation, usize), String> {
        let (item_place, place) = places;
        let Self { document, operation, .. } = self;
        let warnings = request.converter.warnings;
        let lists = [
            (parameter::list(document, self.item), &item_place.at("parameters")),
            (parameter::list(document, operation), &place.at("parameters")),
        ];
        let parameters = parameter::read(request.converter, self.path, lists)?;
        let declared = match operation.get("requestBody") {
            Some(_) if self.method == Method::Get => {
                warnings.add(&place.at("requestBody"), "a GET sends no body; it is left out");
                None
            }
            Some(declared) => body::read(request, declared, &place.at("requestBody"))?,
            None => None,
        };
        let input = merge(request, parameters, declared);
        let assembled = request.assemble(&input.schema, INPUT);
        if assembled.is_cut {
            let text = format!(
                "the arguments' schema has more than {} bytes; its depths are left open",
                INPUT.whole
            );
            warnings.add(place, text);
        }
        let summary = word(operation, "summary").map(str::trim).filter(|text| !text.is_empty());
        let output = output(response, operation, place);
        let operation = Operation {
            name: String::new(),
            id: self.id().map(str::to_owned),
            method: self.method,
            path: self.path.to_owned(),
            server: server::of(document, self.item, operation, warnings, place),
            tags: self.tags(),
            title: summary.filter(|text| text.chars().count() <= 80).map(str::to_owned),
            description: self.description(summary),
            deprecated: self.is_deprecated(),
            input_schema: assembled.schema,
            output_schema: output.as_ref().map(|output| Arc::clone(&output.schema)),
            parameters: request.shared_parameters(input.parameters),
            body: input.body.map(|body| request.shared_body(body)),
        };
        let bytes = operation.text_bytes() + assembled.bytes + output.map_or(0, |output| output.bytes);
        Ok((operation, bytes))
    }

    fn description(&self, summary: Option<&str>) -> String {
        let own = word(self.operation, "description").map(str::trim).filter(|text| !text.is_empty());
        let text = match (summary, own) {
            (Some(summary), Some(own)) if !own.starts_with(summary) => {
                let stop = if summary.ends_with(['.', '!', '?']) { "" } else { "." };
                format!("{summary}{stop}\n\n{own}")
            }
            (_, Some(own)) => own.to_owned(),
            (Some(summary), None) => summary.to_owned(),
            (None, None) => format!("{} {}", self.method.as_str(), self.path),
        };
        cut(&text, MAX_DESCRIPTION)
    }
}

impl Operation {
    /// The bytes of its own texts.
    fn text_bytes(&self) -> usize {
        let Self { id, path, server, tags, title, description, .. } = self;
        let optional = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        let tags = tags.iter().map(|tag| tag.len() + size_of::<String>());
        optional(id)
            + optional(server)
            + optional(title)
            + path.len()
            + description.len()
            + tags.sum::<usize>()
    }
}

/// The schema of what a successful call answers, when that is JSON.
fn output(schemas: &Schemas<'_>, operation: &Value, place: &Place<'_>) -> Option<Assembled> {
    let responses = operation.get("responses")?.as_object()?;
    let (status, response) = successful(responses)?;
    let responses_place = place.at("responses");
    let place = responses_place.at(status);
    let (response, pointer) = match schemas.converter.document.resolve(response) {
        Ok(found) => found,
        Err(problem) => {
            schemas.converter.warnings.add(&place, format!("{problem}; the answer has no schema"));
            return None;
        }
    };
    let target = pointer.as_deref().map(Place::start);
    let place = target.as_ref().unwrap_or(&place);
    let content = response.get("content")?.as_object()?;
    let (name, media) = content.iter().find(|(name, _)| {
        let essence = name.split(';').next().unwrap_or_default().trim();
        essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
    })?;
    let schema = schemas.converter.convert(media.get("schema")?, &place.at("content").at(name).at("schema"));
    let assembled = schemas.assemble(&schema, OUTPUT);
    let is_said = assembled.schema.as_object().is_some_and(|schema| !schema.is_empty());
    (is_said && !assembled.is_cut && assembled.bytes <= OUTPUT.whole).then_some(assembled)
}

fn successful(responses: &Map<String, Value>) -> Option<(&str, &Value)> {
    let usual = ["200", "201", "202"].iter().find_map(|status| responses.get_key_value(*status));
    let other = || responses.iter().find(|(status, _)| status.starts_with('2') && status.len() == 3);
    usual.or_else(other).map(|(status, response)| (status.as_str(), response))
}
