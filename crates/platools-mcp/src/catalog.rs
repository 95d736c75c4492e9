//! The tools in the form of MCP, built once for each change of the tools.
//!
//! Must not know sessions or calls.

use std::borrow::Cow;
use std::collections::HashMap;
use std::marker::PhantomData;
use std::ptr;
use std::sync::Arc;

use data_encoding::BASE64URL_NOPAD as BASE64;
use rmcp::model::{ErrorData, JsonObject, MetaObject, Tool as McpTool, ToolAnnotations};
use serde_json::{Map, Value, json};

use platools::tool::{Tool, ToolSpec, nearest_name};

/// Annotations with a field of their own in MCP.
const KNOWN: [&str; 5] = ["title", "readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"];

/// The keyword in an output schema that says that results are wrapped, as `FastMCP` names it.
const WRAPPED: &str = "x-fastmcp-wrap-result";

/// How `structuredContent` is made of a tool's results.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Structure {
    /// No output schema: objects are used as they are.
    Open,
    /// The output schema describes an object.
    Object,
    /// The output schema describes something else, which is wrapped as `{"result":…}`.
    Wrapped,
}

/// The tools at one moment, sorted by name.
#[derive(Debug)]
pub(crate) struct Catalog {
    tools: Vec<McpTool>,
    structures: HashMap<String, Structure>,
}

/// A cursor that this server did not issue.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct InvalidCursor;

impl Catalog {
    /// Builds the catalogue of tools that are sorted by name.
    pub(crate) fn new<'a>(tools: impl IntoIterator<Item = &'a Tool> + Clone) -> Self {
        let named = |tool: &Tool| (tool.name().to_owned(), structure(tool.spec()));
        let structures = tools.clone().into_iter().map(named).collect();
        let mut schemas = Schemas::default();
        Self {
            tools: tools.into_iter().map(|tool| declared(tool.spec(), &mut schemas)).collect(),
            structures,
        }
    }

    /// Returns how results of the tool are structured; `None` for an unknown tool.
    pub(crate) fn structure(&self, name: &str) -> Option<Structure> {
        self.structures.get(name).copied()
    }

    /// Creates the error of a call of an unknown tool, which names a similar one.
    pub(crate) fn unknown(&self, name: &str) -> ErrorData {
        let shown: String = name.chars().take(100).collect();
        let text = match nearest_name(name, self.tools.iter().map(|tool| tool.name.as_ref())) {
            Some(nearest) => format!("unknown tool: {shown} (did you mean `{nearest}`?)"),
            None => format!("unknown tool: {shown}"),
        };
        ErrorData::invalid_params(text, None)
    }

    pub(crate) fn get(&self, name: &str) -> Option<&McpTool> {
        self.tools.binary_search_by(|tool| tool.name.as_ref().cmp(name)).ok().map(|index| &self.tools[index])
    }

    /// Returns the page after `cursor` and the cursor of the next page. A cursor names the last tool of its page, so
    /// it stays valid when tools are added or removed.
    pub(crate) fn page(
        &self,
        cursor: Option<&str>,
        size: usize,
    ) -> Result<(Vec<McpTool>, Option<String>), InvalidCursor> {
        let start = match cursor {
            None => 0,
            Some(cursor) => {
                let last =
                    BASE64.decode(cursor.as_bytes()).ok().and_then(|name| String::from_utf8(name).ok());
                let last = last.ok_or(InvalidCursor)?;
                self.tools.partition_point(|tool| tool.name.as_ref() <= last.as_str())
            }
        };
        let end = start.saturating_add(size).min(self.tools.len());
        let page = self.tools[start..end].to_vec();
        let next = (end < self.tools.len()).then(|| BASE64.encode(self.tools[end - 1].name.as_bytes()));
        Ok((page, next))
    }
}

/// Schemas in the form of MCP, one for all tools that share a schema.
#[derive(Default)]
struct Schemas<'a> {
    /// By address, which is unique while the tools are borrowed.
    known: HashMap<(*const Value, Use), Arc<JsonObject>>,
    tools: PhantomData<&'a Value>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Use {
    Arguments,
    Result,
}

impl<'a> Schemas<'a> {
    fn shared(
        &mut self,
        schema: &'a Value,
        used: Use,
        make: impl FnOnce(&Value) -> JsonObject,
    ) -> Arc<JsonObject> {
        Arc::clone(self.known.entry((ptr::from_ref(schema), used)).or_insert_with(|| Arc::new(make(schema))))
    }
}

fn declared<'a>(spec: &'a ToolSpec, schemas: &mut Schemas<'a>) -> McpTool {
    let description = Some(spec.description.clone()).filter(|text| !text.is_empty()).map(Cow::Owned);
    let arguments = |schema: &Value| schema.as_object().cloned().unwrap_or_default();
    let input = schemas.shared(&spec.input_schema, Use::Arguments, arguments);
    let mut tool = McpTool::new_with_raw(spec.name.clone(), description, input);
    tool.title = spec.annotations.get("title").and_then(Value::as_str).map(str::to_owned);
    let output = spec.output_schema.as_deref();
    tool.output_schema = output.map(|schema| schemas.shared(schema, Use::Result, output_schema));
    tool.annotations = annotations(&spec.annotations);
    let more: Map<String, Value> = spec
        .annotations
        .iter()
        .filter(|(key, _)| !KNOWN.contains(&key.as_str()))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    if !more.is_empty() {
        tool.meta = serde_json::from_value::<MetaObject>(json!({"platools/annotations": more})).ok();
    }
    tool
}

fn annotations(all: &Map<String, Value>) -> Option<ToolAnnotations> {
    let hint = |key: &str| all.get(key).and_then(Value::as_bool);
    let mut annotations = ToolAnnotations::new();
    annotations.title = all.get("title").and_then(Value::as_str).map(str::to_owned);
    annotations.read_only_hint = hint("readOnlyHint");
    annotations.destructive_hint = hint("destructiveHint");
    annotations.idempotent_hint = hint("idempotentHint");
    annotations.open_world_hint = hint("openWorldHint");
    (annotations != ToolAnnotations::new()).then_some(annotations)
}

fn structure(spec: &ToolSpec) -> Structure {
    match &spec.output_schema {
        None => Structure::Open,
        Some(schema) if is_of_object(schema) => Structure::Object,
        Some(_) => Structure::Wrapped,
    }
}

/// Returns whether the schema describes an object, which MCP requires of an output schema.
fn is_of_object(schema: &Value) -> bool {
    schema.get("type").is_some_and(|name| name == "object")
}

fn output_schema(schema: &Value) -> JsonObject {
    if let Some(object) = schema.as_object().filter(|_| is_of_object(schema)) {
        return object.clone();
    }
    let mut inner = schema.clone();
    let mut outer = Map::new();
    outer.insert("type".to_owned(), "object".into());
    if let Some(members) = inner.as_object_mut() {
        // References are relative to the root, so definitions stay there.
        for keyword in ["$schema", "$defs"] {
            if let Some(value) = members.remove(keyword) {
                outer.insert(keyword.to_owned(), value);
            }
        }
    }
    outer.insert("properties".to_owned(), json!({"result": inner}));
    outer.insert("required".to_owned(), json!(["result"]));
    // Clients that know this keyword show what the tool returned.
    outer.insert(WRAPPED.to_owned(), true.into());
    outer
}

#[cfg(test)]
mod tests {
    use super::*;
    use platools::tool::ToolOutput;

    fn tool(spec: ToolSpec) -> Tool {
        Tool::new(spec, |_| async { Ok(ToolOutput::null()) })
    }

    fn names(page: &[McpTool]) -> Vec<&str> {
        page.iter().map(|tool| tool.name.as_ref()).collect()
    }

    #[test]
    fn pages_go_on_behind_the_last_tool_even_when_it_is_gone() {
        let all: Vec<_> = ["a", "b", "c", "d", "e"].map(|name| tool(ToolSpec::new(name))).into();
        let catalog = Catalog::new(&all);
        let (page, next) = catalog.page(None, 2).unwrap();
        assert_eq!(names(&page), ["a", "b"]);
        let without: Vec<_> = all.iter().filter(|tool| tool.name() != "b").cloned().collect();
        let (page, next) = Catalog::new(&without).page(next.as_deref(), 2).unwrap();
        assert_eq!(names(&page), ["c", "d"]);
        let (page, next) = catalog.page(next.as_deref(), 2).unwrap();
        assert_eq!((names(&page), next), (vec!["e"], None));
        assert_eq!(catalog.page(Some("no cursor!"), 2), Err(InvalidCursor));
    }

    #[test]
    fn what_is_no_object_is_declared_as_the_member_result() {
        let recursive = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "array", "items": {"$ref": "#/$defs/Node"},
            "$defs": {"Node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/Node"}}}},
        });
        assert!(!is_of_object(&recursive));
        let expected = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "properties": {"result": {"type": "array", "items": {"$ref": "#/$defs/Node"}}},
            "required": ["result"],
            "x-fastmcp-wrap-result": true,
            "$defs": {"Node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/Node"}}}},
        });
        assert_eq!(Value::Object(output_schema(&recursive)), expected);
        let object = json!({"type": "object"});
        assert!(is_of_object(&object));
        assert_eq!(Value::Object(output_schema(&object)), json!({"type": "object"}));
    }

    #[test]
    fn annotations_find_their_places() {
        let spec = ToolSpec::new("a").title("A tool").read_only(true).category("orders").description("Does.");
        let declared = serde_json::to_value(super::declared(&spec, &mut Schemas::default())).unwrap();
        assert_eq!(declared["title"], "A tool");
        assert_eq!(declared["annotations"], json!({"title": "A tool", "readOnlyHint": true}));
        assert_eq!(declared["_meta"], json!({"platools/annotations": {"category": "orders"}}));
        let spec = ToolSpec::new("a");
        let plain = serde_json::to_value(super::declared(&spec, &mut Schemas::default())).unwrap();
        assert_eq!(plain.get("annotations"), None);
        assert_eq!(plain.get("_meta"), None);
    }
}
