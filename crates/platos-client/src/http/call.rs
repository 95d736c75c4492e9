//! What is asked, as data.

use std::time::Duration;

use http::Method;
use serde_json::Value;

use crate::config::check_header;
use crate::error::ConfigError;

/// What sending a request twice would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Effect {
    /// The same as sending it once.
    Repeatable,
    /// The same too, but that the second one finds nothing any more.
    Removal,
    /// Nothing more, since the platform knows it again by this key.
    Keyed(String),
    /// Something twice: it is repeated only when nothing of it was done.
    Once,
}

impl Effect {
    pub(crate) fn keyed(key: String) -> Result<Self, ConfigError> {
        check_header("the idempotency key", &key)?;
        Ok(Self::Keyed(key))
    }
}

/// A request, before it has a URL and credentials.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) segments: Vec<String>,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) body: Option<Value>,
    pub(crate) effect: Effect,
    /// How long one attempt may take, where that is longer than usual.
    pub(crate) time: Option<Duration>,
}

/// What comes before the path of every call.
const PREFIX: [&str; 3] = ["api", "v1", "agent"];

impl Call {
    fn new(method: Method, path: &[&str]) -> Self {
        let segments = PREFIX.iter().chain(path).map(|segment| (*segment).to_owned()).collect();
        Self { method, segments, query: Vec::new(), body: None, effect: Effect::Repeatable, time: None }
    }

    pub(crate) fn get(path: &[&str]) -> Self {
        Self::new(Method::GET, path)
    }

    pub(crate) fn delete(path: &[&str]) -> Self {
        Self { effect: Effect::Removal, ..Self::new(Method::DELETE, path) }
    }

    /// A change that may be made twice, such as archiving.
    pub(crate) fn change(path: &[&str]) -> Self {
        Self::new(Method::POST, path)
    }

    /// Fields that are set, which may be done twice.
    pub(crate) fn patch(path: &[&str]) -> Self {
        Self::new(Method::PATCH, path)
    }

    /// Something that happens each time that it is asked for.
    pub(crate) fn once(path: &[&str]) -> Self {
        Self { effect: Effect::Once, ..Self::new(Method::POST, path) }
    }

    /// The same call under another prefix than the agent API's.
    pub(crate) fn under(mut self, prefix: &[&str]) -> Self {
        let path = self.segments.split_off(PREFIX.len());
        self.segments = prefix.iter().map(|segment| (*segment).to_owned()).chain(path).collect();
        self
    }

    /// Something that happens once under its key.
    pub(crate) fn keyed(path: &[&str], key: String) -> Result<Self, ConfigError> {
        Ok(Self { effect: Effect::keyed(key)?, ..Self::new(Method::POST, path) })
    }

    pub(crate) fn body(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }

    pub(crate) fn query(mut self, name: &str, value: Option<impl ToString>) -> Self {
        self.query.extend(value.map(|value| (name.to_owned(), value.to_string())));
        self
    }

    /// What errors call it: method and path, without the query.
    pub(crate) fn name(&self) -> String {
        format!("{} /{}", self.method, self.segments.join("/"))
    }
}

/// An id that is to stand in a path. `.` and `..` would silently become another path.
pub(crate) fn id<'a>(what: &'static str, id: &'a str) -> Result<&'a str, ConfigError> {
    let problem = match id.trim() {
        "" => "empty",
        "." | ".." => "a dot or two, which is no id",
        _ => return Ok(id),
    };
    Err(ConfigError::Id { what, problem })
}
