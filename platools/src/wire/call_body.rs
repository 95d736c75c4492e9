//! The body of an HTTP call (protocol §6), borrowed from its text.

use thiserror::Error;

use super::{Params, ToolName};
use crate::wire::json::{self, Scan, Value};

/// The expected body, for error texts.
const FORM: &str = r#"{"method":"tools/call","params":{"name":"…","arguments":{…}}}"#;

/// An invalid body. The error text never contains content of the body.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CallBodyError {
    /// The body is not a JSON object.
    #[error("the body is not a JSON object: {problem}; expected {FORM}")]
    NotAnObject {
        /// The parser's error, with its position.
        problem: String,
    },
    /// A value is nested too deep.
    #[error("a value of the body is nested more than {} levels deep, send a flatter one", json::MAX_DEPTH)]
    TooDeep,
    /// A member is missing or has the wrong type.
    #[error("`{member}` is missing or is not {expected}; expected {FORM}")]
    Member {
        /// The member.
        member: &'static str,
        /// The expected type.
        expected: &'static str,
    },
}

/// A call in the body of an HTTP request. The body is the signed text.
#[derive(Debug, Clone)]
pub struct CallBody<'a> {
    tool_name: ToolName<'a>,
    params: Params<'a>,
}

impl<'a> CallBody<'a> {
    /// Reads a body. Unknown members are ignored; of duplicate ones, the last counts.
    ///
    /// # Errors
    /// When the body is not a call.
    pub fn parse(body: &'a str) -> Result<Self, CallBodyError> {
        let (mut method, mut params) = (None, None);
        let scan = Scan::new(body);
        let end = scan.object(0, |name, at| {
            if scan.is_text(name, "params") {
                params = None;
                if scan.byte(at)? == b'{' {
                    return params.insert(Called::default()).read(scan, at);
                }
            }
            let value = scan.value(at)?;
            if scan.is_text(name, "method") {
                method = Some(scan.get(value));
            }
            Some(value.end())
        });
        if !end.is_some_and(|end| scan.is_end(end)) {
            let problem = match json::problem(body) {
                json::Problem::TooDeep => return Err(CallBodyError::TooDeep),
                // A value of another type: the parser's message would quote it.
                json::Problem::Syntax(problem) if problem.is_data() => format!("it is {}", json::kind(body)),
                json::Problem::Syntax(problem) => problem.to_string(),
            };
            return Err(CallBodyError::NotAnObject { problem });
        }
        let missing = |member, expected| CallBodyError::Member { member, expected };
        if !method.is_some_and(|method| method.is("tools/call")) {
            return Err(missing("method", "`tools/call`"));
        }
        let Called { tool_name, arguments } = params.ok_or_else(|| missing("params", "an object"))?;
        let tool_name = tool_name.and_then(|name| ToolName::new(name).ok());
        Ok(Self {
            tool_name: tool_name.ok_or_else(|| missing("params.name", "a string"))?,
            params: arguments.ok_or_else(|| missing("params.arguments", "an object"))?,
        })
    }

    /// Returns the name of the tool.
    pub fn tool_name(&self) -> &ToolName<'a> {
        &self.tool_name
    }

    /// Returns the arguments, with `_context`.
    pub fn params(&self) -> &Params<'a> {
        &self.params
    }
}

/// The members of `params`.
#[derive(Default)]
struct Called<'a> {
    tool_name: Option<Value<'a>>,
    arguments: Option<Params<'a>>,
}

impl<'a> Called<'a> {
    /// Reads the object at `at` into this value and returns its end.
    fn read(&mut self, scan: Scan<'a>, at: usize) -> Option<usize> {
        scan.object(at, |name, at| {
            if scan.is_text(name, "arguments") {
                self.arguments = None;
                if scan.byte(at)? == b'{' {
                    return self.arguments.insert(Params::default()).read(scan, at);
                }
            }
            let value = scan.value(at)?;
            if scan.is_text(name, "name") {
                self.tool_name = Some(scan.get(value));
            }
            Some(value.end())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_read_and_its_context_cut() {
        let body = r#"{"method":"tools/call","params":{"name":"add","arguments":{"a":1,"_context":{"source":"replay"}}},"id":7}"#;
        let request = CallBody::parse(body).unwrap();
        assert_eq!(request.tool_name().exact().as_deref(), Some("add"));
        assert_eq!(request.params().arguments_text(), r#"{"a":1}"#);
        assert_eq!(request.params().context_text(), Some(r#"{"source":"replay"}"#));
    }

    #[test]
    fn an_invalid_body_is_reported_without_its_content() {
        for (body, part) in [
            ("", "not a JSON object"),
            ("[]", "not a JSON object"),
            ("\"s3cret\"", "not a JSON object"),
            (r#"{"method":"s3cret"}"#, "`method`"),
            (r#"{"method":"tools/call"}"#, "`params`"),
            (r#"{"method":"tools/call","params":[]}"#, "`params`"),
            (r#"{"method":"tools/call","params":{"arguments":{"s3cret":1}}}"#, "`params.name`"),
            (r#"{"method":"tools/call","params":{"name":1,"arguments":{}}}"#, "`params.name`"),
            (r#"{"method":"tools/call","params":{"name":"a"}}"#, "`params.arguments`"),
            (r#"{"method":"tools/call","params":{"name":"a","arguments":"s3cret"}}"#, "`params.arguments`"),
            (r#"{"method":"tools/call","params":{"name":"a","arguments":{"s3cret":1}"#, "not a JSON object"),
        ] {
            let error = CallBody::parse(body).unwrap_err().to_string();
            assert!(error.contains(part) && !error.contains("s3cret"), "{body}: {error}");
        }
    }
}
