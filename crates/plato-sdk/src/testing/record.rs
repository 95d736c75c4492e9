//! Requests to the double: as a test sees them, and as the double's handlers do.

use std::time::Duration;

use serde_json::Value;

use super::fault::Fault;

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
        self.method == method && Fault::on(&format!("{method} {pattern}")).matches(method, &path)
    }
}

/// A request as the double's handlers see it.
pub(super) struct Asked {
    pub(super) method: String,
    /// The segments of the path, not decoded.
    pub(super) path: Vec<String>,
    pub(super) query: Vec<(String, String)>,
    pub(super) body: Value,
    pub(super) text: String,
    pub(super) key: Option<String>,
}

impl Asked {
    pub(super) fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }
}

/// A duration in whole seconds from a body, or its default.
pub(super) fn seconds(body: &Value, name: &str, default: Duration) -> Duration {
    body[name].as_u64().map_or(default, Duration::from_secs)
}
