//! The tools that the conformance suite asks for, by the names and with the contents that it expects.

use std::time::Duration;

use platools::caller::LogLevel;
use platools::prelude::*;
use platools::tool::{Content, EmbeddedResource};
use platools::{Tool, ToolSpec};
use serde_json::json;
use tokio::time::sleep;

/// How long the suite wants tools to take between two reports.
const STEP: Duration = Duration::from_millis(50);

/// One red pixel.
const PNG: [u8; 69] = [
    0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 13, b'I', b'H', b'D', b'R', 0, 0, 0, 1, 0, 0, 0,
    1, 8, 2, 0, 0, 0, 0x90, 0x77, 0x53, 0xde, 0, 0, 0, 12, b'I', b'D', b'A', b'T', 0x78, 0x9c, 0x63, 0xf8,
    0xcf, 0xc0, 0, 0, 3, 1, 1, 0, 0xc9, 0xfe, 0x92, 0xef, 0, 0, 0, 0, b'I', b'E', b'N', b'D', 0xae, 0x42,
    0x60, 0x82,
];

/// No sound: a header of 8 kHz, 8 bits, one channel, and no samples.
const WAV: [u8; 44] = [
    b'R', b'I', b'F', b'F', 36, 0, 0, 0, b'W', b'A', b'V', b'E', b'f', b'm', b't', b' ', 16, 0, 0, 0, 1, 0,
    1, 0, 0x40, 0x1f, 0, 0, 0x40, 0x1f, 0, 0, 1, 0, 8, 0, b'd', b'a', b't', b'a', 0, 0, 0, 0,
];

/// Answer with a text.
#[tool]
async fn test_simple_text() -> &'static str {
    "This is a simple text response for testing."
}

/// Answer with an image.
#[tool]
async fn test_image_content() -> Media {
    Media::png(PNG)
}

/// Answer with a sound.
#[tool]
async fn test_audio_content() -> Media {
    Media::new("audio/wav", WAV)
}

/// Answer with a document.
#[tool]
async fn test_embedded_resource() -> ToolOutput {
    let text = "This is an embedded resource content.";
    let resource = EmbeddedResource::text("test://embedded-resource", text).with_media_type("text/plain");
    ToolOutput::content([resource.into()])
}

/// Answer with a text, an image and a document.
#[tool]
async fn test_multiple_content_types() -> ToolOutput {
    let text = r#"{"test":"data","value":123}"#;
    let resource =
        EmbeddedResource::text("test://mixed-content-resource", text).with_media_type("application/json");
    ToolOutput::content([
        Content::text("Multiple content types test:"),
        Media::png(PNG).into(),
        resource.into(),
    ])
}

/// Send log messages on the way.
#[tool]
async fn test_tool_with_logging(progress: Progress) -> &'static str {
    progress.log(LogLevel::Info, "Tool execution started");
    sleep(STEP).await;
    progress.log(LogLevel::Info, "Tool processing data");
    sleep(STEP).await;
    progress.log(LogLevel::Info, "Tool execution completed");
    "done"
}

/// Say how far it is on the way.
#[tool]
async fn test_tool_with_progress(progress: Progress) -> &'static str {
    progress.report_with(0.0, 100.0, "begun");
    sleep(STEP).await;
    progress.report(50.0, 100.0);
    sleep(STEP).await;
    progress.report(100.0, 100.0);
    "done"
}

/// Fail.
#[tool]
async fn test_error_handling() -> Result<(), &'static str> {
    Err("This tool intentionally returns an error for testing")
}

/// Answer after a while. The suite would have the stream close meanwhile, which is no handler's business here: streams
/// close when clients or networks do.
#[tool]
async fn test_reconnection() -> &'static str {
    sleep(STEP).await;
    "still there"
}

/// The tool whose schema has to arrive as it is.
pub(crate) fn json_schema_2020_12() -> Tool {
    let schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "$defs": {
            "address": {
                "type": "object",
                "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
            },
        },
        "properties": {"name": {"type": "string"}, "address": {"$ref": "#/$defs/address"}},
        "additionalProperties": false,
    });
    let spec = ToolSpec::new("json_schema_2020_12_tool")
        .description("Tool with JSON Schema 2020-12 features")
        .input_schema(schema);
    Tool::new(spec, |call| async move { Ok(ToolOutput::text(call.arguments.as_json())) })
}
