//! Content other than JSON: bytes with a media type, documents with a URI, and texts beside them.

use std::fmt;

use data_encoding::BASE64;
use serde_json::Value;

/// Bytes with a media type: an image, audio, or a document.
///
/// Sent as `{"type":"image","mimeType":"image/png","data":"<base64>"}`, with `audio` for audio and `blob` for
/// everything else; an MCP client receives image or audio content.
///
/// ```
/// use platools::{Media, tool};
///
/// /// Draw the chart.
/// #[tool(register = false)]
/// async fn chart() -> Media {
///     Media::png(vec![0x89, b'P', b'N', b'G'])
/// }
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Media {
    media_type: String,
    bytes: Vec<u8>,
}

impl Media {
    /// Creates media of the given type, for example `application/pdf`.
    pub fn new(media_type: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Self { media_type: media_type.into(), bytes: bytes.into() }
    }

    /// Creates a PNG image.
    pub fn png(bytes: impl Into<Vec<u8>>) -> Self {
        Self::new("image/png", bytes)
    }

    /// Creates a JPEG image.
    pub fn jpeg(bytes: impl Into<Vec<u8>>) -> Self {
        Self::new("image/jpeg", bytes)
    }

    /// Returns the media type, such as `image/png`.
    pub fn media_type(&self) -> &str {
        &self.media_type
    }

    /// Returns the bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns `image`, `audio` or `blob`.
    pub fn content_type(&self) -> &'static str {
        match self.media_type.split('/').next() {
            Some("image") => "image",
            Some("audio") => "audio",
            _ => "blob",
        }
    }

    pub(super) fn to_json(&self) -> String {
        let mut text = String::new();
        self.write_json(&mut text);
        text
    }

    fn write_json(&self, to: &mut String) {
        let media_type = Value::from(self.media_type.as_str());
        let head = format!(r#"{{"type":"{}","mimeType":{media_type},"data":""#, self.content_type());
        to.push_str(&head);
        BASE64.encode_append(&self.bytes, to);
        to.push_str("\"}");
    }
}

impl fmt::Debug for Media {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Media({}, {} bytes)", self.media_type, self.bytes.len())
    }
}

/// A document with its own URI: a file, a page, a record.
///
/// Sent as `{"type":"resource","resource":{"uri":…,"mimeType":…,"text":…}}`, with base64 in `blob` instead of
/// `text` for bytes; an MCP client receives an embedded resource.
///
/// ```
/// use platools::tool::EmbeddedResource;
/// use platools::ToolOutput;
///
/// let terms = EmbeddedResource::text("orders://terms", "Thirty days.").with_media_type("text/plain");
/// let output = ToolOutput::content([terms.into()]);
/// assert_eq!(output.to_value()["content"][0]["resource"]["uri"], "orders://terms");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct EmbeddedResource {
    uri: String,
    media_type: Option<String>,
    body: ResourceBody,
}

/// The body of an [`EmbeddedResource`].
#[derive(Clone, PartialEq, Eq)]
pub enum ResourceBody {
    /// Text.
    Text(String),
    /// Bytes, sent as base64.
    Bytes(Vec<u8>),
}

impl EmbeddedResource {
    /// Creates a text document with the given URI.
    pub fn text(uri: impl Into<String>, text: impl Into<String>) -> Self {
        Self { uri: uri.into(), media_type: None, body: ResourceBody::Text(text.into()) }
    }

    /// Creates a binary document with the given URI.
    pub fn bytes(uri: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Self { uri: uri.into(), media_type: None, body: ResourceBody::Bytes(bytes.into()) }
    }

    /// Sets the media type, such as `text/markdown`.
    pub fn with_media_type(mut self, media_type: impl Into<String>) -> Self {
        self.media_type = Some(media_type.into());
        self
    }

    /// Returns the URI.
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// Returns the media type, if it is set.
    pub fn media_type(&self) -> Option<&str> {
        self.media_type.as_deref()
    }

    /// Returns the body.
    ///
    /// ```
    /// use platools::tool::{EmbeddedResource, ResourceBody};
    ///
    /// let terms = EmbeddedResource::text("orders://terms", "Thirty days.");
    /// assert!(matches!(terms.body(), ResourceBody::Text(text) if text == "Thirty days."));
    /// ```
    pub fn body(&self) -> &ResourceBody {
        &self.body
    }
}

impl fmt::Debug for ResourceBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "{} bytes of text", text.len()),
            Self::Bytes(bytes) => write!(f, "{} bytes", bytes.len()),
        }
    }
}

impl fmt::Debug for EmbeddedResource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EmbeddedResource({}, {:?})", self.uri, self.body)
    }
}

/// One part of an answer with several parts; see [`ToolOutput::content`](crate::ToolOutput::content).
///
/// A text is sent as `{"type":"text","text":…}`; [`Media`] and [`EmbeddedResource`] document their own form.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Content {
    /// A text for the model.
    Text(String),
    /// An image, audio, or other bytes.
    Media(Media),
    /// A document with a URI.
    Resource(EmbeddedResource),
}

impl Content {
    /// Creates a text part.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    fn write_json(&self, to: &mut String) {
        match self {
            Self::Text(text) => {
                to.push_str(r#"{"type":"text","text":"#);
                to.push_str(&Value::from(text.as_str()).to_string());
                to.push('}');
            }
            Self::Media(media) => media.write_json(to),
            Self::Resource(resource) => {
                to.push_str(r#"{"type":"resource","resource":{"uri":"#);
                to.push_str(&Value::from(resource.uri.as_str()).to_string());
                if let Some(media_type) = &resource.media_type {
                    to.push_str(r#","mimeType":"#);
                    to.push_str(&Value::from(media_type.as_str()).to_string());
                }
                match &resource.body {
                    ResourceBody::Text(text) => {
                        to.push_str(r#","text":"#);
                        to.push_str(&Value::from(text.as_str()).to_string());
                    }
                    ResourceBody::Bytes(bytes) => {
                        to.push_str(r#","blob":""#);
                        BASE64.encode_append(bytes, to);
                        to.push('"');
                    }
                }
                to.push_str("}}");
            }
        }
    }
}

impl From<Media> for Content {
    fn from(media: Media) -> Self {
        Self::Media(media)
    }
}

impl From<EmbeddedResource> for Content {
    fn from(resource: EmbeddedResource) -> Self {
        Self::Resource(resource)
    }
}

/// Returns the JSON object of several parts.
pub(super) fn to_json(parts: &[Content]) -> String {
    let mut text = r#"{"content":["#.to_owned();
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        part.write_json(&mut text);
    }
    text.push_str("]}");
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn parts_keep_their_order_and_type() {
        let parts = [
            Content::text("a \"b\""),
            Media::png([1, 2, 3]).into(),
            EmbeddedResource::text("x://a", "t").with_media_type("text/plain").into(),
            EmbeddedResource::bytes("x://\"b", [1]).into(),
        ];
        let value: Value = serde_json::from_str(&to_json(&parts)).unwrap();
        let expected = json!({"content": [
            {"type": "text", "text": "a \"b\""},
            {"type": "image", "mimeType": "image/png", "data": "AQID"},
            {"type": "resource", "resource": {"uri": "x://a", "mimeType": "text/plain", "text": "t"}},
            {"type": "resource", "resource": {"uri": "x://\"b", "blob": "AQ=="}},
        ]});
        assert_eq!(value, expected);
        assert_eq!(to_json(&[]), r#"{"content":[]}"#);
    }
}
