//! From what a call ended with to what an MCP client gets.

use data_encoding::BASE64;
use rmcp::model::{
    CallToolResult, ContentBlock, RequestId, ResourceContents, ServerJsonRpcMessage, ServerResult,
};
use serde_json::{Value, json};

use super::catalog::Structure;
use crate::intake::Answer;
use crate::tool::{Content, EmbeddedResource, Media, Repr, ResourceBody, ToolOutput};
use crate::wire::json::push_string;

/// The result of a call.
pub(super) fn of(answer: Answer, structure: Structure) -> CallToolResult {
    match answer.outcome {
        Ok(output) => finished(output, structure, &answer.call_id),
        Err(failure) => CallToolResult::error(vec![ContentBlock::text(failure.text())]),
    }
}

/// The whole answer to request `id` of a session, with the line break that ends it on streams.
pub(super) fn message(id: &RequestId, answer: Answer, structure: Structure) -> Vec<u8> {
    let text = answer.outcome.as_ref().ok().and_then(ToolOutput::as_json);
    text.and_then(|text| line(id, text, structure)).unwrap_or_else(|| {
        let mut result = of(answer, structure);
        // Versions with sessions know no other results than complete ones.
        result.result_type = None;
        let answer = ServerJsonRpcMessage::response(ServerResult::CallToolResult(result), id.clone());
        // Made of texts and JSON values alone, it can be written.
        let mut line = serde_json::to_vec(&answer).unwrap_or_default();
        line.push(b'\n');
        line
    })
}

/// The same for a result that is JSON text; others are left to [`of`].
fn line(id: &RequestId, text: &str, structure: Structure) -> Option<Vec<u8>> {
    let first = text.bytes().find(|byte| !byte.is_ascii_whitespace())?;
    // A line break would end the message.
    if memchr::memchr2(b'\n', b'\r', text.as_bytes()).is_some() {
        return None;
    }
    let mut line = String::with_capacity(2 * text.len() + 160);
    line.push_str(r#"{"jsonrpc":"2.0","id":"#);
    match id {
        RequestId::Number(number) => line.push_str(&number.to_string()),
        RequestId::String(text) => push_string(&mut line, text),
    }
    line.push_str(r#","result":{"content":[{"type":"text","text":"#);
    match first {
        b'"' => line.push_str(text),
        _ => push_string(&mut line, text),
    }
    line.push_str("}]");
    match (structure, first) {
        (Structure::Wrapped, _) => {
            for part in [r#","structuredContent":{"result":"#, text, "}"] {
                line.push_str(part);
            }
        }
        (_, b'{') => {
            for part in [r#","structuredContent":"#, text] {
                line.push_str(part);
            }
        }
        _ => {}
    }
    line.push_str(",\"isError\":false}}\n");
    Some(line.into_bytes())
}

fn finished(output: ToolOutput, structure: Structure, call_id: &str) -> CallToolResult {
    match output.into_repr() {
        Repr::Json(text) => json_result(text, structure),
        Repr::Media(media) => CallToolResult::success(vec![media_block(&media, call_id, 0)]),
        Repr::Parts(parts) => {
            let blocks = parts.into_iter().enumerate();
            CallToolResult::success(blocks.map(|(index, part)| block(part, call_id, index)).collect())
        }
    }
}

fn json_result(text: String, structure: Structure) -> CallToolResult {
    let first = text.bytes().find(|byte| !byte.is_ascii_whitespace());
    let structured = match (structure, first) {
        (Structure::Wrapped, _) => Some(json!({"result": value(&text)})),
        (_, Some(b'{')) => Some(value(&text)),
        _ => None,
    };
    // A text is shown as it is, not in quotes.
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

fn block(part: Content, call_id: &str, index: usize) -> ContentBlock {
    match part {
        Content::Text(text) => ContentBlock::text(text),
        Content::Media(media) => media_block(&media, call_id, index),
        Content::Resource(resource) => resource_block(resource),
    }
}

/// Images and sounds have content of their own. Everything else has to have an address, and gets one that says
/// which call it came from.
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

fn resource_block(resource: EmbeddedResource) -> ContentBlock {
    let (uri, media_type, body) = resource.into_parts();
    let contents = match body {
        ResourceBody::Text(text) => ResourceContents::text(text, uri),
        ResourceBody::Bytes(bytes) => ResourceContents::blob(BASE64.encode(&bytes), uri),
    };
    // Without one, `text` assumes plain text and `blob` nothing.
    ContentBlock::resource(match media_type {
        Some(media_type) => contents.with_mime_type(media_type),
        None => contents,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;
    use crate::tool::{ToolError, ToolResult};

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
            let message = message(&id, Answer::new("call-1", result, false), Structure::Open);
            assert_eq!(message.iter().filter(|byte| **byte == b'\n').count(), 1);
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
            EmbeddedResource::text("x://a", "t").media_type("text/markdown").into(),
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
