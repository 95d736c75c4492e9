//! From bytes to a document: JSON or YAML, of a version that is understood here.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::parameter::{Where, credentials};
use crate::place::{Place, look_up};
use crate::report::OpenApiError;
use crate::text::shortened;
use crate::yaml;

/// The largest document that is read, in bytes.
const MAX_BYTES: usize = 64 << 20;

/// How many references are followed from one to the next.
const MAX_CHAIN: usize = 32;

/// Which dialect the schemas are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// A relative of JSON Schema with `nullable`.
    V3_0,
    /// JSON Schema 2020-12.
    V3_1,
}

/// A document that was read.
#[derive(Debug, Clone)]
pub struct Document {
    pub(crate) root: Value,
    pub(crate) dialect: Dialect,
    /// Remarks on text that may be meant otherwise than it is read.
    pub(crate) remarks: Vec<String>,
    /// The parameters that are credentials.
    pub(crate) credentials: BTreeSet<(Where, String)>,
}

/// Something in the document, and where it stands when a reference led there.
pub(crate) type Found<'d> = (&'d Value, Option<String>);

impl Document {
    /// Reads a document: JSON, or YAML.
    ///
    /// # Errors
    /// When it is neither, is larger than 64 MiB, or is not OpenAPI 3.0 or 3.1.
    ///
    /// ```
    /// use platools_openapi::Document;
    ///
    /// let document = Document::parse(b"openapi: 3.1.0\npaths: {}\n")?;
    /// let error = Document::parse(b"swagger: '2.0'").unwrap_err();
    /// assert!(error.to_string().contains("convert"));
    /// # Ok::<(), platools_openapi::OpenApiError>(())
    /// ```
    pub fn parse(bytes: &[u8]) -> Result<Self, OpenApiError> {
        let problem = |text: String| OpenApiError::new(&Place::ROOT, text);
        if bytes.len() > MAX_BYTES {
            return Err(problem(format!("the document has more than {MAX_BYTES} bytes, which is the limit")));
        }
        let text = std::str::from_utf8(bytes)
            .map_err(|error| problem(format!("the document is not UTF-8 (byte {})", error.valid_up_to())))?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let (root, remarks) = read(text).map_err(problem)?;
        let dialect = dialect(&root)?;
        if !root.get("paths").is_none_or(Value::is_object) {
            return Err(OpenApiError::new(
                &Place::ROOT.at("paths"),
                "expected an object with a path in each key",
            ));
        }
        let credentials = credentials(&root);
        Ok(Self { root, dialect, remarks, credentials })
    }

    pub(crate) fn paths(&self) -> Option<&Map<String, Value>> {
        self.root.get("paths").and_then(Value::as_object)
    }

    /// Follows the references of `value`, if any.
    ///
    /// # Errors
    /// Why there is nothing.
    pub(crate) fn resolve<'d>(&'d self, mut value: &'d Value) -> Result<Found<'d>, String> {
        let mut pointer = None;
        for _ in 0..MAX_CHAIN {
            let Some(reference) = value.get("$ref").and_then(Value::as_str) else {
                return Ok((value, pointer));
            };
            let target = local(reference)?;
            value = look_up(&self.root, target)
                .ok_or_else(|| format!("`{}` leads nowhere in this document", shown(reference)))?;
            pointer = Some(target.to_owned());
        }
        Err("its references lead in a circle".to_owned())
    }
}

/// The pointer of a reference within the document.
///
/// # Errors
/// When it leads elsewhere.
pub(crate) fn local(reference: &str) -> Result<&str, String> {
    match reference.strip_prefix('#') {
        Some(pointer) if pointer.is_empty() || pointer.starts_with('/') => Ok(pointer),
        Some(_) => {
            Err(format!("`{}` is an anchor, which is not followed: write a JSON pointer", shown(reference)))
        }
        None => Err(format!(
            "`{}` leads to another document, which is not followed: bundle the documents into one",
            shown(reference)
        )),
    }
}

/// Quotes a piece of the document in a message: without control characters, at most 80 characters.
pub(crate) fn shown(text: &str) -> String {
    let printable: String = text.chars().filter(|next| !next.is_control()).collect();
    shortened(&printable, 80).into_owned()
}

fn read(text: &str) -> Result<(Value, Vec<String>), String> {
    if text.trim().is_empty() {
        return Err("the document is empty".to_owned());
    }
    if text.trim_start().starts_with('{') {
        match serde_json::from_str(text) {
            Ok(value) => return Ok((value, Vec::new())),
            // YAML may begin with a brace, too; what looks like JSON on the whole is judged as JSON.
            Err(error) if text.trim_end().ends_with('}') => {
                return Err(format!("the document is not JSON: {error}"));
            }
            Err(_) => {}
        }
    }
    yaml::read(text, MAX_BYTES)
        .map_err(|error| format!("the document is neither JSON nor YAML{}", error.text()))
}

fn dialect(root: &Value) -> Result<Dialect, OpenApiError> {
    let place = Place::ROOT;
    if !root.is_object() {
        return Err(OpenApiError::new(&place, "the document is no object: is it an OpenAPI document?"));
    }
    if root.get("swagger").is_some() {
        return Err(OpenApiError::new(
            &place.at("swagger"),
            "the document is Swagger 2.0, which is not read: convert it to OpenAPI 3, for example with swagger2openapi",
        ));
    }
    let version = match root.get("openapi") {
        None => {
            return Err(OpenApiError::new(
                &place,
                "there is no `openapi` with the version, such as \"3.1.0\": is it an OpenAPI document?",
            ));
        }
        Some(Value::String(version)) => version.clone(),
        // YAML without quotes.
        Some(Value::Number(version)) => version.to_string(),
        Some(_) => String::new(),
    };
    match version.split('.').take(2).collect::<Vec<_>>()[..] {
        ["3", "0"] => Ok(Dialect::V3_0),
        ["3", "1" | "2"] => Ok(Dialect::V3_1),
        _ => Err(OpenApiError::new(
            &place.at("openapi"),
            format!("version \"{}\" is not read: write the document in OpenAPI 3.0 or 3.1", shown(&version)),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(text: &str) -> String {
        Document::parse(text.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn json_and_yaml_are_read_and_the_version_is_known() {
        for (text, dialect) in [
            ("{\"openapi\": \"3.0.3\"}", Dialect::V3_0),
            ("\u{feff}openapi: 3.0.0\npaths: {}", Dialect::V3_0),
            ("openapi: 3.1\n", Dialect::V3_1),
            ("{openapi: 3.1.1, paths: {}} # in YAML", Dialect::V3_1),
            (
                "openapi: \"3.1.0\"\npaths:\n  /a:\n    get:\n      responses:\n        200: {description: ok}\n",
                Dialect::V3_1,
            ),
        ] {
            assert_eq!(Document::parse(text.as_bytes()).unwrap().dialect, dialect, "{text}");
        }
        let document = Document::parse(
            b"openapi: 3.1.0\npaths:\n  /a:\n    get:\n      responses:\n        200: {description: ok}\n",
        );
        assert!(document.unwrap().root.pointer("/paths/~1a/get/responses/200").is_some());
    }

    #[test]
    fn what_is_no_document_is_said_with_its_place() {
        for (text, part) in [
            ("", "is empty"),
            ("# nothing\n", "no object"),
            ("<html></html>", "no object"),
            ("{\"openapi\": \"3.0.0\",}", "not JSON: trailing comma at line 1 column 21"),
            ("openapi: [", "neither JSON nor YAML"),
            ("{}", "there is no `openapi`"),
            ("swagger: '2.0'", "at `/swagger`: the document is Swagger 2.0"),
            ("openapi: 4.0.0", "at `/openapi`: version \"4.0.0\""),
            ("openapi: {}", "version \"\""),
            ("openapi: 3.1.0\npaths: []", "at `/paths`: expected an object"),
        ] {
            assert!(problem(text).contains(part), "{text}: {}", problem(text));
        }
        assert!(Document::parse(b"\xff").unwrap_err().to_string().contains("not UTF-8"));
    }

    #[test]
    fn only_a_quote_that_was_cut_ends_in_an_ellipsis() {
        assert_eq!(shown("a\nb\u{1b}[31m"), "ab[31m");
        assert_eq!(shown(&"é".repeat(80)), "é".repeat(80));
        assert_eq!(shown(&"é".repeat(81)), format!("{}…", "é".repeat(80)));
    }

    #[test]
    fn yaml_that_multiplies_itself_is_refused() {
        let mut text = "openapi: 3.1.0\na0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..12 {
            let last = format!("*a{}, ", level - 1).repeat(10);
            text = format!("{text}a{level}: &a{level} [{last}]\n");
        }
        assert!(problem(&text).contains("neither JSON nor YAML"), "{}", problem(&text));
        assert!(problem(&"[".repeat(100_000)).contains("neither JSON nor YAML"));
        assert!(problem(&"{\"a\":".repeat(100_000)).contains("neither JSON nor YAML"));
    }

    #[test]
    fn references_are_followed_within_the_document_and_not_in_circles() {
        let document = Document::parse(
            br##"{"openapi": "3.0.0", "a": {"$ref": "#/b"}, "b": {"x": 1}, "c": {"$ref": "#/c"}, "d": {"$ref": "#/e"},
                "f": {"$ref": "other.yaml#/x"}}"##,
        )
        .unwrap();
        let resolve = |key: &str| document.resolve(&document.root[key]);
        assert_eq!(resolve("a").unwrap(), (&document.root["b"], Some("/b".to_owned())));
        assert!(resolve("c").unwrap_err().contains("circle"));
        assert!(resolve("d").unwrap_err().contains("nowhere"));
        assert!(resolve("f").unwrap_err().contains("bundle"));
    }
}
