//! What the double was asked.

use serde_json::Value;

/// A request as it came.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct RecordedRequest {
    /// The method.
    pub method: String,
    /// The path, without the query.
    pub path: String,
    /// The query as it stood there.
    pub query: Option<String>,
    /// The body, if it was JSON.
    pub body: Option<Value>,
    /// The headers, their names in lower case.
    pub headers: Vec<(String, String)>,
}

impl RecordedRequest {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// Whether the path ends in these segments, such as `/sessions/*/close`; `*` stands for any one.
    pub fn is(&self, method: &str, pattern: &str) -> bool {
        let path: Vec<_> = self.path.split('/').collect();
        self.method == method && super::Fault::on(&format!("{method} {pattern}")).matches(method, &path)
    }
}
