//! Converts answers of calls into MCP results.
//!
//! Must not know transports.

use data_encoding::BASE64;
use rmcp::model::{
    CallToolResult, ContentBlock, RequestId, ResourceContents, ServerJsonRpcMessage, ServerResult,
};
use serde_json::{Value, json};

use super::catalog::Structure;
use platools::intake::Answer;
use platools::tool::{Content, EmbeddedResource, Media, ResourceBody, ToolOutput};

/// Converts an answer into the result of `tools/call`.
pub(crate) fn of(answer: Answer, structure: Structure) -> CallToolResult {
    match answer.outcome {
        Ok(output) => finished(output, structure, &answer.call_id),
        Err(failure) => CallToolResult::error(vec![ContentBlock::text(failure.text())]),
    }
}

/// Writes the response to request `id`, followed by the line break that ends a message on streams. Only versions of the
/// protocol without a handshake have kinds of results, `is_typed`.
pub(crate) fn message(id: &RequestId, answer: Answer, structure: Structure, is_typed: bool) -> Vec<u8> {
    let text = answer.outcome.as_ref().ok().and_then(ToolOutput::as_json).filter(|_| !is_typed);
    text.and_then(|text| line(id, text, structure)).unwrap_or_else(|| {
        let mut result = of(answer, structure);
        if !is_typed {
            result.result_type = None;
        }
        let answer = ServerJsonRpcMessage::response(ServerResult::CallToolResult(result), id.clone());
        // Texts and JSON values can always be written.
        let mut line = serde_json::to_vec(&answer).unwrap_or_default();
        line.push(b'\n');
        line
    })
}

/// Writes the response without parsing the result; returns `None` for a result that needs [`of`].
fn line(id: &RequestId, text: &str, structure: Structure) -> Option<Vec<u8>> {
    let first = text.bytes().find(|byte| !byte.is_ascii_whitespace())?;
    // A line break would end the message.
    if memchr::memchr2(b'\n', b'\r', text.as_bytes()).is_some() {
        return None;
    }
    let mut line = Vec::with_capacity(2 * text.len() + 160);
    line.extend_from_slice(br#"{"jsonrpc":"2.0","id":"#);
    serde_json::to_writer(&mut line, id).ok()?;
    line.extend_from_slice(br#","result":{"content":[{"type":"text","text":"#);
    match first {
        b'"' => line.extend_from_slice(text.as_bytes()),
        _ => serde_json::to_writer(&mut line, text).ok()?,
    }
    line.extend_from_slice(b"}]");
    match (structure, first) {
        (Structure::Wrapped, _) => {
            for part in [r#","structuredContent":{"result":"#, text, "}"] {
                line.extend_from_slice(part.as_bytes());
            }
        }
        (_, b'{') => {
            for part in [r#","structuredContent":"#, text] {
                line.extend_from_slice(part.as_bytes());
            }
        }
        _ => {}
    }
    line.extend_from_slice(b",\"isError\":false}}\n");
    Some(line)
}

fn finished(output: ToolOutput, structure: Structure, call_id: &str) -> CallToolResult {
    if let Some(media) = output.as_media() {
        return CallToolResult::success(vec![media_block(media, call_id, 0)]);
    }
    if let Some(parts) = output.as_content() {
        let blocks = parts.iter().enumerate();
        return CallToolResult::success(blocks.map(|(index, part)| block(part, call_id, index)).collect());
    }
    json_result(output.into_json(), structure)
}

fn json_result(text: String, structure: Structure) -> CallToolResult {
    let first = text.bytes().find(|byte| !byte.is_ascii_whitespace());
    let structured = match (structure, first) {
        (Structure::Wrapped, _) => Some(json!({"result": value(&text)})),
        (_, Some(b'{')) => Some(value(&text)),
        _ => None,
    };
    // A string is shown without its quotes.
    let shown = match first {
        Some(b'"') => serde_json::from_str(&text).unwrap_or(text),
        _ => text,
    };
    let mut result = CallToolResult::success(vec![ContentBlock::text(shown)]);
    result.structured_content = structured;
    result
}

fn value(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or(Value::Null)
}

fn block(part: &Content, call_id: &str, index: usize) -> ContentBlock {
    match part {
        Content::Text(text) => ContentBlock::text(text),
        Content::Media(media) => media_block(media, call_id, index),
        Content::Resource(resource) => resource_block(resource),
        // A kind of part that a later `platools` adds is shown as the JSON that the platform receives.
        other => ContentBlock::text(ToolOutput::content([other.clone()]).into_json()),
    }
}

/// Images and audio have content types of their own. Anything else becomes a resource, whose URI names the call.
fn media_block(media: &Media, call_id: &str, index: usize) -> ContentBlock {
    let (data, media_type) = (BASE64.encode(media.bytes()), media.media_type());
    match media.content_type() {
        "image" => ContentBlock::image(data, media_type),
        "audio" => ContentBlock::audio(data, media_type),
        _ => {
            let uri = format!("platools://calls/{call_id}/{index}");
            ContentBlock::resource(ResourceContents::blob(data, uri).with_mime_type(media_type))
        }
    }
}

fn resource_block(resource: &EmbeddedResource) -> ContentBlock {
    let contents = match resource.body() {
        ResourceBody::Text(text) => ResourceContents::text(text, resource.uri()),
        ResourceBody::Bytes(bytes) => ResourceContents::blob(BASE64.encode(bytes), resource.uri()),
    };
    // Without a media type, `text` assumes plain text and `blob` nothing.
    ContentBlock::resource(match resource.media_type() {
        Some(media_type) => contents.with_mime_type(media_type),
        None => contents,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;
    use platools::tool::{ToolError, ToolResult};

    fn shown(result: ToolResult, structure: Structure) -> Value {
        let mut value = serde_json::to_value(of(Answer::new("call-1", result, false), structure)).unwrap();
        value.as_object_mut().unwrap().remove("resultType");
        value
    }

    #[test]
    fn objects_are_structured_and_others_stand_in_result_where_that_is_declared() {
        let object = ToolOutput::json(&json!({"a": 1}));
        let text = json!([{"type": "text", "text": "{\"a\":1}"}]);
        for structure in [Structure::Open, Structure::Object] {
            let expected = json!({"content": text, "structuredContent": {"a": 1}, "isError": false});
            assert_eq!(shown(ToolOutput::json(&json!({"a": 1})), structure), expected);
        }
        let wrapped = shown(object, Structure::Wrapped);
        assert_eq!(wrapped["structuredContent"], json!({"result": {"a": 1}}));
        let number = shown(ToolOutput::json(&3), Structure::Wrapped);
        assert_eq!(number["structuredContent"], json!({"result": 3}));
        assert_eq!(number["content"][0]["text"], "3");
        assert_eq!(shown(ToolOutput::json(&[1]), Structure::Open).get("structuredContent"), None);
    }

    #[test]
    fn a_text_is_shown_without_quotes() {
        let expected = json!({"content": [{"type": "text", "text": "a \"b\"\n"}], "isError": false});
        assert_eq!(shown(Ok(ToolOutput::text("a \"b\"\n")), Structure::Open), expected);
    }

    fn raw(text: &str) -> ToolResult {
        ToolOutput::json(serde_json::from_str::<&RawValue>(text).unwrap())
    }

    #[test]
    fn a_line_says_the_same_as_a_result() {
        let texts = [r#"{"a":1,"b":"\u00e4\n\""}"#, r#""a \"b\" \u00fc""#, "3", "[1,2]", "null"];
        for structure in [Structure::Open, Structure::Object, Structure::Wrapped] {
            for text in texts {
                for id in [RequestId::Number(-7), RequestId::String("a\"b".into())] {
                    let line = line(&id, text, structure).unwrap();
                    let (end, line) = line.split_last().unwrap();
                    let expected = json!({
                        "jsonrpc": "2.0", "id": id.clone().into_json_value(),
                        "result": shown(raw(text), structure),
                    });
                    let actual: Value = serde_json::from_slice(line).unwrap();
                    assert_eq!((*end, actual), (b'\n', expected), "{text}");
                }
            }
        }
    }

    #[test]
    fn a_line_has_no_line_break_in_it_and_holds_nothing_but_json() {
        let id = RequestId::Number(1);
        assert!(line(&id, "{\n}", Structure::Open).is_none());
        for result in [raw("{\n}"), Ok(ToolOutput::media(Media::png([1]))), Err(ToolError::user("no"))] {
            let message = message(&id, Answer::new("call-1", result, false), Structure::Open, false);
            assert_eq!(memchr::memchr_iter(b'\n', &message).count(), 1);
            assert!(serde_json::from_slice::<Value>(&message).is_ok());
        }
    }

    #[test]
    fn media_and_parts_have_content_of_their_own() {
        let parts = [
            Content::text("look"),
            Media::png([1]).into(),
            Media::new("audio/wav", [1]).into(),
            Media::new("application/pdf", [1]).into(),
            EmbeddedResource::text("x://a", "t").with_media_type("text/markdown").into(),
        ];
        let content = &shown(Ok(ToolOutput::content(parts)), Structure::Open)["content"];
        let expected = json!([
            {"type": "text", "text": "look"},
            {"type": "image", "data": "AQ==", "mimeType": "image/png"},
            {"type": "audio", "data": "AQ==", "mimeType": "audio/wav"},
            {"type": "resource", "resource": {"uri": "platools://calls/call-1/3", "mimeType": "application/pdf", "blob": "AQ=="}},
            {"type": "resource", "resource": {"uri": "x://a", "mimeType": "text/markdown", "text": "t"}},
        ]);
        assert_eq!(*content, expected);
    }

    #[test]
    fn errors_are_results_that_the_model_reads_without_what_broke_inside() {
        let error = shown(Err(ToolError::invalid_arguments("`a` is missing")), Structure::Object);
        let text = json!([{"type": "text", "text": "invalid arguments: `a` is missing"}]);
        assert_eq!(error, json!({"content": text, "isError": true}));
        let internal = shown(Err(ToolError::internal("the password is x")), Structure::Open);
        assert_eq!(internal["content"][0]["text"], "internal error (call call-1)");
    }
}
