//! The answer of a handler: JSON, text, bytes with a media type, or several parts.

use serde::Serialize;
use serde_json::Value;

use super::content::{Content, Media};
use super::{ToolError, content};
use crate::wire::json;

/// The answer of a call.
///
/// Handlers usually return a `Serialize` value instead. Return this type to choose the form at run time.
#[derive(Debug, Clone)]
pub struct ToolOutput(Repr);

#[derive(Debug, Clone)]
enum Repr {
    Json(String),
    /// No value, as of a function that returns `()`; `null` as JSON.
    Nothing,
    Media(Media),
    Parts(Vec<Content>),
}

impl ToolOutput {
    /// The placeholder that replaces an output moved out of its call. It allocates nothing, and is not valid JSON.
    pub(crate) const TAKEN: Self = Self(Repr::Json(String::new()));

    /// Creates a JSON answer.
    ///
    /// # Errors
    /// An internal error if the value cannot be serialized, for example a map whose keys are neither text nor numbers. An
    /// error for the model if it is nested more than 128 levels deep.
    pub fn json<T: Serialize + ?Sized>(value: &T) -> Result<Self, ToolError> {
        match serde_json::to_string(value) {
            // A type without size has one value, which tells nothing: `()`, or a unit struct. `None` tells something.
            Ok(text) if text == "null" && size_of_val(value) == 0 => Ok(Self::null()),
            // It may be somebody else's text, which was never read.
            Ok(text) if json::is_too_deep(&text) => Err(ToolError::user(format_args!(
                "the result is nested more than {} levels deep and was not passed on",
                json::MAX_DEPTH
            ))),
            Ok(text) => Ok(Self(Repr::Json(text))),
            Err(error) => {
                Err(ToolError::internal(format!("the result cannot be serialized as JSON: {error}")))
            }
        }
    }

    /// Creates an answer of text that is JSON already.
    pub(crate) fn from_json(json: String) -> Self {
        Self(Repr::Json(json))
    }

    /// Creates a text answer, sent as a JSON string.
    pub fn text(text: impl AsRef<str>) -> Self {
        Self(Repr::Json(Value::from(text.as_ref()).to_string()))
    }

    /// Creates an answer without a value, as of a function that returns `()`: `null` as JSON, and `{"ok":true}` to the
    /// platform, where a model reads `null` as a failure (protocol §3).
    pub fn null() -> Self {
        Self(Repr::Nothing)
    }

    /// Returns whether the answer has no value. That of `None` has one, which is `null`.
    pub(crate) fn is_nothing(&self) -> bool {
        matches!(self.0, Repr::Nothing)
    }

    /// Creates an answer of bytes with a media type.
    pub fn media(media: Media) -> Self {
        Self(Repr::Media(media))
    }

    /// Creates an answer of several parts, such as an image and a text about it.
    ///
    /// Sent as `{"content":[…]}` with the parts in order; see [`Content`]. An MCP client receives the parts as MCP
    /// content.
    ///
    /// ```
    /// use platools::tool::Content;
    /// use platools::{Media, ToolOutput};
    ///
    /// let output = ToolOutput::content([Content::text("The chart of May."), Media::png([0x89]).into()]);
    /// assert_eq!(output.to_value()["content"][0]["text"], "The chart of May.");
    /// ```
    pub fn content(parts: impl IntoIterator<Item = Content>) -> Self {
        Self(Repr::Parts(parts.into_iter().collect()))
    }

    /// Returns the media, if the answer is [`Media`].
    pub fn as_media(&self) -> Option<&Media> {
        match &self.0 {
            Repr::Media(media) => Some(media),
            Repr::Json(_) | Repr::Nothing | Repr::Parts(_) => None,
        }
    }

    /// Returns the parts, if the answer has [several](Self::content).
    pub fn as_content(&self) -> Option<&[Content]> {
        match &self.0 {
            Repr::Parts(parts) => Some(parts),
            Repr::Json(_) | Repr::Nothing | Repr::Media(_) => None,
        }
    }

    /// Converts the answer to JSON text. Media and parts become an object; see [`Media`] and [`Content`].
    pub fn into_json(self) -> String {
        match self.0 {
            Repr::Json(text) => text,
            Repr::Nothing => "null".to_owned(),
            Repr::Media(media) => media.to_json(),
            Repr::Parts(parts) => content::to_json(&parts),
        }
    }

    /// The JSON text; `None` for [`Media`] and [several parts](Self::content).
    pub fn as_json(&self) -> Option<&str> {
        match &self.0 {
            Repr::Json(text) => Some(text),
            Repr::Nothing => Some("null"),
            Repr::Media(_) | Repr::Parts(_) => None,
        }
    }

    /// Returns the answer as a JSON value, for tests.
    pub fn to_value(&self) -> Value {
        let text = self.clone().into_json();
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }
}

/// A type that a tool can return: any `Serialize` type, [`Media`], or [`ToolOutput`].
///
/// `Option<Media>` is not supported; return a [`ToolOutput`] to choose at run time:
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
    note = "to fail, return `Result<T, E>` where `T` is serializable"
)]
pub trait IntoOutput {
    /// Converts the value into an answer.
    ///
    /// # Errors
    /// An internal error if the value cannot be serialized as JSON.
    fn into_output(self) -> Result<ToolOutput, ToolError>;
}

#[diagnostic::do_not_recommend]
impl<T: Serialize> IntoOutput for T {
    fn into_output(self) -> Result<ToolOutput, ToolError> {
        ToolOutput::json(&self)
    }
}

// `Media` and `ToolOutput` do not implement `Serialize`, so these do not overlap with the blanket implementation.
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
    fn the_form_of_values_texts_and_bytes() {
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
    fn what_is_nested_too_deep_is_not_passed_on() {
        let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        let relayed = |text: &str| {
            let text: &serde_json::value::RawValue = serde_json::from_str(text).unwrap();
            ToolOutput::json(text).map(ToolOutput::into_json).map_err(|error| error.to_string())
        };
        assert_eq!(relayed(&nested(128)), Ok(nested(128)));
        let wide = format!("[{}{{}}]", r#"[{"a":"[[["}],"#.repeat(10_000));
        assert_eq!(relayed(&wide).as_ref(), Ok(&wide));
        for depth in [129, 400_000] {
            let expected = "the result is nested more than 128 levels deep and was not passed on";
            assert_eq!(relayed(&nested(depth)), Err(expected.to_owned()));
        }
    }

    #[test]
    fn only_a_type_without_values_answers_nothing() {
        #[derive(Serialize)]
        struct Done;
        #[derive(Serialize)]
        struct Empty {}

        let is_nothing = |output: Result<ToolOutput, ToolError>| {
            let output = output.unwrap();
            (output.is_nothing(), output.into_json())
        };
        assert_eq!(is_nothing(().into_output()), (true, "null".to_owned()));
        assert_eq!(is_nothing(Done.into_output()), (true, "null".to_owned()));
        assert_eq!(is_nothing(ToolOutput::null().into_output()), (true, "null".to_owned()));
        assert_eq!(is_nothing(None::<u8>.into_output()), (false, "null".to_owned()));
        assert_eq!(is_nothing(Value::Null.into_output()), (false, "null".to_owned()));
        assert_eq!(is_nothing(Empty {}.into_output()), (false, "{}".to_owned()));
    }

    #[test]
    fn a_serialization_failure_is_an_internal_error() {
        let error = HashMap::from([(vec![1], 1)]).into_output().unwrap_err();
        assert_eq!(error.to_string(), "internal error");
        assert!(error.chain().contains("key must be a string"), "{}", error.chain());
    }
}
