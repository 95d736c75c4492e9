//! What a handler answers: JSON, text, or bytes with a media type.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Serialize;
use serde_json::Value;

use super::ToolError;

/// A finished answer.
///
/// Handlers usually return a `Serialize` value and never see this type; return it to choose the form
/// at run time.
#[derive(Debug, Clone)]
pub struct ToolOutput(Repr);

#[derive(Debug, Clone)]
enum Repr {
    Json(String),
    Media(Media),
}

impl ToolOutput {
    /// The value as JSON.
    ///
    /// # Errors
    /// An internal error when the value cannot be written as JSON, for example a map whose keys are
    /// neither text nor numbers.
    pub fn json<T: Serialize + ?Sized>(value: &T) -> Result<Self, ToolError> {
        match serde_json::to_string(value) {
            Ok(text) => Ok(Self(Repr::Json(text))),
            Err(error) => Err(ToolError::internal(format!("the result cannot be written as JSON: {error}"))),
        }
    }

    /// A text; it arrives as a JSON string.
    pub fn text(text: impl AsRef<str>) -> Self {
        Self(Repr::Json(Value::from(text.as_ref()).to_string()))
    }

    /// No answer but success: `null`.
    pub fn null() -> Self {
        Self(Repr::Json("null".to_owned()))
    }

    /// Bytes with a media type.
    pub fn media(media: Media) -> Self {
        Self(Repr::Media(media))
    }

    /// The bytes, when the answer is [`Media`].
    pub fn as_media(&self) -> Option<&Media> {
        match &self.0 {
            Repr::Media(media) => Some(media),
            Repr::Json(_) => None,
        }
    }

    /// The answer as JSON text. Media becomes an object; see [`Media`].
    pub fn into_json(self) -> String {
        match self.0 {
            Repr::Json(text) => text,
            Repr::Media(media) => media.to_json(),
        }
    }

    /// The answer as a JSON value; handy in tests.
    pub fn to_value(&self) -> Value {
        let text = self.clone().into_json();
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }
}

/// Bytes with a media type: an image, a sound, a document.
///
/// On the wire it is `{"type":"image","mimeType":"image/png","data":"<base64>"}`, with `audio` for
/// sounds and `blob` for everything else; an MCP client gets image or audio content.
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
    /// Bytes of the given media type, for example `application/pdf`.
    pub fn new(media_type: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Self { media_type: media_type.into(), bytes: bytes.into() }
    }

    /// A PNG image.
    pub fn png(bytes: impl Into<Vec<u8>>) -> Self {
        Self::new("image/png", bytes)
    }

    /// A JPEG image.
    pub fn jpeg(bytes: impl Into<Vec<u8>>) -> Self {
        Self::new("image/jpeg", bytes)
    }

    /// The media type, such as `image/png`.
    pub fn media_type(&self) -> &str {
        &self.media_type
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// `image`, `audio` or `blob`.
    pub fn content_type(&self) -> &'static str {
        match self.media_type.split('/').next() {
            Some("image") => "image",
            Some("audio") => "audio",
            _ => "blob",
        }
    }

    fn to_json(&self) -> String {
        let media_type = Value::from(self.media_type.as_str());
        let mut text = format!(r#"{{"type":"{}","mimeType":{media_type},"data":""#, self.content_type());
        BASE64.encode_string(&self.bytes, &mut text);
        text.push_str("\"}");
        text
    }
}

impl fmt::Debug for Media {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Media({}, {} bytes)", self.media_type, self.bytes.len())
    }
}

/// A value that a tool can answer with: anything `Serialize`, [`Media`], or a [`ToolOutput`].
///
/// `Option<Media>` is none of them; a [`ToolOutput`] chooses at run time:
///
/// ```
/// use platools::{Media, ToolOutput};
///
/// fn photo(found: Option<Media>) -> ToolOutput {
///     found.map_or_else(ToolOutput::null, ToolOutput::media)
/// }
///
/// assert_eq!(photo(None).into_json(), "null");
/// assert!(photo(Some(Media::png([1]))).as_media().is_some());
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a tool's result",
    label = "not a tool result",
    note = "derive `serde::Serialize` for it, or return `Media` or `ToolOutput`",
    note = "return `ToolOutput` to choose at run time, for example between `Media` and nothing",
    note = "to fail, return `Result<T, E>` where `T` is serialisable"
)]
pub trait IntoOutput {
    /// The value as an answer.
    ///
    /// # Errors
    /// An internal error when the value cannot be written as JSON.
    fn into_output(self) -> Result<ToolOutput, ToolError>;
}

#[diagnostic::do_not_recommend]
impl<T: Serialize> IntoOutput for T {
    fn into_output(self) -> Result<ToolOutput, ToolError> {
        ToolOutput::json(&self)
    }
}

// `Media` and `ToolOutput` are not `Serialize`, so that the blanket implementation leaves them alone.
impl IntoOutput for Media {
    fn into_output(self) -> Result<ToolOutput, ToolError> {
        Ok(ToolOutput::media(self))
    }
}

impl IntoOutput for ToolOutput {
    fn into_output(self) -> Result<ToolOutput, ToolError> {
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use serde_json::json;

    use super::*;

    #[test]
    fn values_texts_and_bytes_have_one_form_each() {
        assert_eq!(().into_output().unwrap().into_json(), "null");
        assert_eq!("a \"b\"".into_output().unwrap().into_json(), r#""a \"b\"""#);
        assert_eq!(ToolOutput::text("a \"b\"").into_json(), r#""a \"b\"""#);
        assert_eq!(f64::NAN.into_output().unwrap().into_json(), "null");
        let image = Media::png([1, 2, 3]).into_output().unwrap();
        assert_eq!(image.to_value(), json!({"type": "image", "mimeType": "image/png", "data": "AQID"}));
        let document = Media::new("application/\"pdf", b"x".as_slice()).into_output().unwrap();
        assert_eq!(
            document.to_value(),
            json!({"type": "blob", "mimeType": "application/\"pdf", "data": "eA=="})
        );
    }

    #[test]
    fn what_json_cannot_hold_is_an_internal_error() {
        let error = HashMap::from([(vec![1], 1)]).into_output().unwrap_err();
        assert_eq!(error.to_string(), "internal error");
        assert!(error.chain().contains("key must be a string"), "{}", error.chain());
    }
}
