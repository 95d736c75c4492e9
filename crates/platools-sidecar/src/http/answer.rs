//! What a backend answered, as a tool's result: JSON as JSON, text as text, pictures as media, and errors in words.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use platools::{Media, ToolError, ToolOutput};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::config::{ErrorText, Format};
use crate::memory::Counted;
use platools::tool::shortened;

/// The longest text of an error that the model reads, in characters.
const MAX_ERROR: usize = 1_000;

/// The longest wait that a backend may ask for and still be told of.
const MAX_WAIT: Duration = Duration::from_secs(3_600);

/// An answer, read to its end and unpacked.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    /// The body counts until a result is made of it.
    pub(crate) _counted: Counted,
}

/// How an answer becomes a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reading {
    pub(crate) format: Format,
    /// The part of a JSON answer that is passed on.
    pub(crate) pick: Option<String>,
    pub(crate) error_text: ErrorText,
}

impl Answer {
    /// The result, in the words of `backend` where it is an error.
    ///
    /// # Errors
    /// When the status is an error, or the answer is not what it should be.
    pub(crate) fn into_result(self, reading: &Reading, backend: &str) -> Result<ToolOutput, ToolError> {
        if !self.status.is_success() {
            return Err(self.into_error(reading.error_text, backend));
        }
        if self.body.is_empty() {
            return Ok(ToolOutput::null());
        }
        let media_type = self.media_type();
        let is_json = media_type.ends_with("/json") || media_type.ends_with("+json");
        match reading.format {
            Format::Json => self.json(reading.pick.as_deref(), backend),
            Format::Auto if is_json || reading.pick.is_some() => self.json(reading.pick.as_deref(), backend),
            Format::Text => Ok(ToolOutput::text(self.decoded().0)),
            Format::Auto if media_type.starts_with("image/") || media_type.starts_with("audio/") => {
                Ok(ToolOutput::media(Media::new(media_type, self.body)))
            }
            Format::Auto => match self.text() {
                Some(text) => Ok(ToolOutput::text(text)),
                None => Err(ToolError::user(format!(
                    "{backend} answered with {} bytes of {}, which is neither JSON nor text",
                    self.body.len(),
                    named(&media_type)
                ))),
            },
        }
    }

    /// How long the backend asks to wait, an hour at most.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        platools_net::retry_after(&self.headers, SystemTime::now()).map(|wait| wait.min(MAX_WAIT))
    }

    /// The encoding that the answer says it has; UTF-8 where it says none that is known.
    fn charset(&self) -> &'static Encoding {
        let parameters = self.content_type().split(';').skip(1);
        let charset =
            parameters.filter_map(|parameter| parameter.split_once('=')).find_map(|(name, label)| {
                let label = label.trim().trim_matches('"');
                name.trim().eq_ignore_ascii_case("charset").then(|| Encoding::for_label(label.as_bytes()))?
            });
        charset.unwrap_or(UTF_8)
    }

    /// The body as text, without a byte order mark; `None` when it is none in the encoding that it has.
    fn text(&self) -> Option<Cow<'_, str>> {
        match self.decoded() {
            (text, true) => Some(text),
            (_, false) => None,
        }
    }

    /// The body in its encoding, and whether that is what it is in. A mark at its beginning is no part of it, and says
    /// only of UTF-16 which one it is: anything else that begins like one is something else.
    fn decoded(&self) -> (Cow<'_, str>, bool) {
        let charset = self.charset();
        if charset == UTF_16LE || charset == UTF_16BE {
            let (text, _, is_malformed) = charset.decode(&self.body);
            return (text, !is_malformed);
        }
        let (text, is_malformed) = charset.decode_with_bom_removal(&self.body);
        (text, !is_malformed)
    }

    fn content_type(&self) -> &str {
        self.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    fn media_type(&self) -> String {
        let value = self.content_type();
        value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
    }

    fn json(&self, pick: Option<&str>, backend: &str) -> Result<ToolOutput, ToolError> {
        let no_json = || {
            ToolError::user(format!(
                "{backend} answered with {} bytes of {} that are not JSON",
                self.body.len(),
                named(&self.media_type())
            ))
        };
        let text = self.text().ok_or_else(no_json)?;
        let Some(pick) = pick else {
            // As it stands: numbers keep their digits, and nothing is built only to be written again.
            let value: &RawValue = serde_json::from_str(&text).map_err(|_| no_json())?;
            return ToolOutput::json(value);
        };
        let value: Value = serde_json::from_str(&text).map_err(|_| no_json())?;
        match value.pointer(pick) {
            Some(part) => ToolOutput::json(part),
            None => Err(ToolError::user(format!("the answer of {backend} has nothing at `{pick}`"))),
        }
    }

    fn into_error(self, error_text: ErrorText, backend: &str) -> ToolError {
        let status = self.status;
        let mut message = format!("{backend} answered {}", status.as_u16());
        if let Some(reason) = status.canonical_reason() {
            message = format!("{message} {reason}");
        }
        let text = self.decoded().0;
        let text = text.trim();
        let is_shown = match error_text {
            ErrorText::All => true,
            ErrorText::Client => status.is_client_error(),
            ErrorText::None => false,
        };
        // A page for browsers says nothing that the status does not.
        let is_readable = !text.is_empty() && !text.starts_with('<') && !text.contains('\0');
        if is_shown && is_readable {
            message = format!("{message}: {}", shortened(text, MAX_ERROR));
        } else if is_readable {
            tracing::debug!(
                status = status.as_u16(),
                text = shortened(text, MAX_ERROR).as_ref(),
                "{message}"
            );
        }
        let error = ToolError::user(message);
        match self.retry_after() {
            Some(wait) => error.with_retry_after(wait),
            None => error,
        }
    }
}

fn named(media_type: &str) -> &str {
    if media_type.is_empty() { "an unnamed type" } else { media_type }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use serde_json::json;

    use super::*;

    fn read(
        status: u16,
        media_type: &'static str,
        body: &[u8],
        reading: &Reading,
    ) -> Result<ToolOutput, String> {
        let mut headers = HeaderMap::new();
        if !media_type.is_empty() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
        }
        let answer = Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers,
            body: body.to_vec(),
            _counted: Counted::default(),
        };
        answer.into_result(reading, "the backend").map_err(|error| error.to_string())
    }

    fn reading(format: Format) -> Reading {
        Reading { format, pick: None, error_text: ErrorText::Client }
    }

    #[test]
    fn answers_are_read_by_what_they_are() {
        let auto = reading(Format::Auto);
        let value =
            |media_type, body: &[u8]| read(200, media_type, body, &auto).map(|output| output.to_value());
        assert_eq!(value("application/json; charset=utf-8", b"{\"a\":1}"), Ok(json!({"a": 1})));
        assert_eq!(value("application/problem+json", b"[1]"), Ok(json!([1])));
        assert_eq!(value("text/plain", b"{\"a\":1}"), Ok(json!("{\"a\":1}")));
        assert_eq!(value("", "né".as_bytes()), Ok(json!("né")));
        assert_eq!(
            value("image/png", b"\x89").map(|value| value["mimeType"].clone()),
            Ok(json!("image/png"))
        );
        assert_eq!(value("application/json", b""), Ok(json!(null)));
        assert_eq!(
            value("application/pdf", b"\xff\xfe"),
            Err("the backend answered with 2 bytes of application/pdf, which is neither JSON nor text".into())
        );
        assert_eq!(
            value("application/json", b"<html>"),
            Err("the backend answered with 6 bytes of application/json that are not JSON".into())
        );
    }

    #[test]
    fn texts_are_read_in_the_encoding_that_they_have() {
        let auto = reading(Format::Auto);
        let value =
            |media_type, body: &[u8]| read(200, media_type, body, &auto).map(|output| output.to_value());
        assert_eq!(value("text/plain; charset=ISO-8859-1", b"Gr\xf6\xdfe"), Ok(json!("Größe")));
        assert_eq!(value("text/csv; header=x; charset=\"windows-1252\"", b"\x80 3"), Ok(json!("€ 3")));
        assert_eq!(value("application/json;charset=iso-8859-1", b"{\"a\":\"\xe9\"}"), Ok(json!({"a": "é"})));
        assert_eq!(value("application/json", b"\xef\xbb\xbf{\"a\":1}"), Ok(json!({"a": 1})));
        assert_eq!(value("text/plain; charset=utf-16le", b"h\0\xe4\0"), Ok(json!("hä")));
        assert_eq!(value("text/plain; charset=utf-16", b"\xfe\xff\0h"), Ok(json!("h")));
        assert_eq!(value("text/plain; charset=klingon", "né".as_bytes()), Ok(json!("né")));
        let error = value("text/plain; charset=utf-8", b"\xff").unwrap_err();
        assert!(error.contains("neither JSON nor text"), "{error}");
        let error = read(400, "text/plain; charset=latin1", b"\xe9", &auto).unwrap_err();
        assert!(error.ends_with(": é"), "{error}");
    }

    #[test]
    fn numbers_keep_their_digits() {
        let body = br#"{"id":12345678901234567890123,"price":1.10}"#;
        let output = read(200, "application/json", body, &reading(Format::Auto)).unwrap();
        assert_eq!(output.into_json().as_bytes(), body);
    }

    #[test]
    fn a_part_is_picked_or_missed() {
        let picking = |pick: &str| Reading { pick: Some(pick.to_owned()), ..reading(Format::Auto) };
        let body = br#"{"data":{"items":[1,2]}}"#;
        let picked = read(200, "application/json", body, &picking("/data/items")).unwrap();
        assert_eq!(picked.to_value(), json!([1, 2]));
        let missed = read(200, "application/json", body, &picking("/data/rows")).unwrap_err();
        assert!(missed.contains("nothing at `/data/rows`"), "{missed}");
    }

    #[test]
    fn errors_say_the_status_and_what_the_caller_did_wrong_but_no_stack_trace() {
        let auto = reading(Format::Auto);
        let error =
            |status, body: &[u8], reading: &Reading| read(status, "text/plain", body, reading).unwrap_err();
        assert_eq!(error(404, b"no such order", &auto), "the backend answered 404 Not Found: no such order");
        assert_eq!(error(500, b"at Foo.java:12", &auto), "the backend answered 500 Internal Server Error");
        assert_eq!(error(404, b"<html>", &auto), "the backend answered 404 Not Found");
        let all = Reading { error_text: ErrorText::All, ..auto.clone() };
        assert!(error(500, b"at Foo.java:12", &all).ends_with(": at Foo.java:12"));
        let none = Reading { error_text: ErrorText::None, ..auto.clone() };
        assert_eq!(error(404, b"no such order", &none), "the backend answered 404 Not Found");
        assert!(error(400, "é".repeat(5_000).as_bytes(), &auto).chars().count() < 1_100);
    }
}
