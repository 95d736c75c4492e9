//! Converts declarations and answers of MCP into those of `platools`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use platools::tool::{Content, EmbeddedResource};
use platools::{Media, ToolError, ToolOutput, ToolResult, ToolSpec};
use rmcp::model::{CallToolResult, ContentBlock, ResourceContents, Tool};
use serde_json::{Map, Value};

/// A declaration, under the server's own name for the tool.
pub(crate) fn spec(tool: Tool) -> ToolSpec {
    let mut spec = ToolSpec::new(tool.name.into_owned())
        .input_schema(Value::Object(tool.input_schema.as_ref().clone()))
        .output_schema(tool.output_schema.map(|schema| Value::Object(schema.as_ref().clone())));
    if let Some(description) = tool.description {
        spec = spec.description(description);
    }
    let hints = tool.annotations.and_then(|hints| serde_json::to_value(hints).ok());
    for (key, value) in hints.as_ref().and_then(Value::as_object).into_iter().flatten() {
        spec = spec.annotation(key, value.clone());
    }
    if let Some(title) = tool.title {
        spec = spec.title(title);
    }
    // What another host of ours could not say in MCP's own words.
    let more = tool.meta.and_then(|meta| serde_json::to_value(meta).ok());
    let more: Option<&Map<_, _>> =
        more.as_ref().and_then(|meta| meta.get("platools/annotations")?.as_object());
    for (key, value) in more.into_iter().flatten() {
        spec = spec.annotation(key, value.clone());
    }
    spec
}

/// A call's answer. Structured content is the answer where all else is text, which repeats it; otherwise the parts
/// are, in their order.
pub(crate) fn answer(result: CallToolResult) -> ToolResult {
    if result.is_error == Some(true) {
        return Err(ToolError::user(error_text(&result)));
    }
    let only_text = result.content.iter().all(|block| matches!(block, ContentBlock::Text(_)));
    if let Some(structured) = result.structured_content
        && only_text
    {
        return ToolOutput::json(&structured);
    }
    let mut parts = result.content.into_iter().map(part).collect::<Result<Vec<_>, _>>()?;
    Ok(match (parts.pop(), parts.is_empty()) {
        (None, _) => ToolOutput::null(),
        (Some(Content::Text(text)), true) => ToolOutput::text(text),
        (Some(Content::Media(media)), true) => ToolOutput::media(media),
        (Some(last), _) => {
            parts.push(last);
            ToolOutput::content(parts)
        }
    })
}

fn error_text(result: &CallToolResult) -> String {
    let texts: Vec<_> = result
        .content
        .iter()
        .filter_map(|block| match block {
            ContentBlock::Text(text) => Some(text.text.as_str()),
            _ => None,
        })
        .collect();
    match (&result.structured_content, texts.is_empty()) {
        (_, false) => texts.join("\n"),
        (Some(structured), true) => structured.to_string(),
        (None, true) => "the tool failed and did not say why".to_owned(),
    }
}

fn part(block: ContentBlock) -> Result<Content, ToolError> {
    Ok(match block {
        ContentBlock::Text(text) => Content::text(text.text),
        ContentBlock::Image(image) => Media::new(image.mime_type, bytes(&image.data)?).into(),
        ContentBlock::Audio(audio) => Media::new(audio.mime_type, bytes(&audio.data)?).into(),
        ContentBlock::Resource(resource) => match resource.resource {
            ResourceContents::TextResourceContents { uri, mime_type, text, .. } => {
                with_type(EmbeddedResource::text(uri, text), mime_type).into()
            }
            ResourceContents::BlobResourceContents { uri, mime_type, blob, .. } => {
                with_type(EmbeddedResource::bytes(uri, bytes(&blob)?), mime_type).into()
            }
            _ => return Err(unknown()),
        },
        // A link is only of use where the resource can be read; its words are for the model all the same.
        ContentBlock::ResourceLink(link) => {
            let link = serde_json::to_value(link).unwrap_or_default();
            let word = |key: &str| link.get(key).and_then(Value::as_str).unwrap_or_default();
            let mut text = format!("resource {} ({})", word("uri"), word("name"));
            if !word("description").is_empty() {
                text.push_str(": ");
                text.push_str(word("description"));
            }
            Content::text(text)
        }
        _ => return Err(unknown()),
    })
}

fn with_type(resource: EmbeddedResource, media_type: Option<String>) -> EmbeddedResource {
    match media_type {
        Some(media_type) => resource.with_media_type(media_type),
        None => resource,
    }
}

fn bytes(text: &str) -> Result<Vec<u8>, ToolError> {
    BASE64.decode(text).map_err(|_| ToolError::user("the MCP server sent bytes that are not base64"))
}

fn unknown() -> ToolError {
    ToolError::user("the MCP server sent content of a kind that is not known here")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answered(value: Value) -> ToolResult {
        answer(serde_json::from_value(value).unwrap())
    }

    #[test]
    fn a_declaration_is_carried_over_with_its_hints() {
        let tool = serde_json::from_value(json!({
            "name": "read-file", "title": "Read a file", "description": "Reads.",
            "inputSchema": {"type": "object", "properties": {"path": {"type": "string"}}},
            "outputSchema": {"type": "object"},
            "annotations": {"readOnlyHint": true, "openWorldHint": false},
            "_meta": {"platools/annotations": {"category": "files"}, "other": 1},
        }));
        let spec = spec(tool.unwrap());
        assert_eq!((spec.name.as_str(), spec.description.as_str()), ("read-file", "Reads."));
        assert_eq!(spec.input_schema["properties"]["path"]["type"], "string");
        assert_eq!(spec.output_schema.as_deref(), Some(&json!({"type": "object"})));
        let hints = json!({"readOnlyHint": true, "openWorldHint": false, "title": "Read a file", "category": "files"});
        assert_eq!(Value::Object(spec.annotations), hints);
    }

    #[test]
    fn text_stays_text_and_structure_wins_over_the_text_that_repeats_it() {
        let text = json!([{"type": "text", "text": "{\"a\":1}"}]);
        assert_eq!(answered(json!({"content": text})).unwrap().to_value(), json!("{\"a\":1}"));
        let both = json!({"content": text, "structuredContent": {"a": 1}});
        assert_eq!(answered(both).unwrap().to_value(), json!({"a": 1}));
        assert_eq!(answered(json!({"content": []})).unwrap().to_value(), json!(null));
    }

    #[test]
    fn pictures_and_documents_keep_their_place_among_the_parts() {
        let picture = json!({"type": "image", "data": "AQ==", "mimeType": "image/png"});
        let output = answered(json!({"content": [picture], "structuredContent": {"a": 1}})).unwrap();
        assert_eq!(output.as_media().unwrap().bytes(), [1]);
        let output = answered(json!({"content": [
            {"type": "text", "text": "look"},
            picture,
            {"type": "audio", "data": "AQ==", "mimeType": "audio/wav"},
            {"type": "resource", "resource": {"uri": "x://a", "mimeType": "text/plain", "text": "t"}},
            {"type": "resource", "resource": {"uri": "x://b", "blob": "AQ=="}},
            {"type": "resource_link", "uri": "x://c", "name": "c", "description": "The third."},
        ]}));
        let expected = json!({"content": [
            {"type": "text", "text": "look"},
            {"type": "image", "mimeType": "image/png", "data": "AQ=="},
            {"type": "audio", "mimeType": "audio/wav", "data": "AQ=="},
            {"type": "resource", "resource": {"uri": "x://a", "mimeType": "text/plain", "text": "t"}},
            {"type": "resource", "resource": {"uri": "x://b", "blob": "AQ=="}},
            {"type": "text", "text": "resource x://c (c): The third."},
        ]});
        assert_eq!(output.unwrap().to_value(), expected);
    }

    #[test]
    fn what_the_server_calls_an_error_is_one_in_its_own_words() {
        let text = json!([{"type": "text", "text": "no such"}, {"type": "text", "text": "file"}]);
        let error = answered(json!({"content": text, "isError": true})).unwrap_err();
        assert_eq!(error.to_string(), "no such\nfile");
        let error =
            answered(json!({"content": [], "structuredContent": {"code": 7}, "isError": true})).unwrap_err();
        assert_eq!(error.to_string(), "{\"code\":7}");
        assert!(answered(json!({"content": [{"type": "image", "data": "%", "mimeType": "a/b"}]})).is_err());
    }
}
