//! Where something stands in a document: a JSON pointer (RFC 6901) that costs nothing until it is printed.

use std::borrow::Cow;
use std::fmt;

use serde_json::Value;

/// A place in the document.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    parent: Option<&'a Place<'a>>,
    key: Key<'a>,
}

#[derive(Debug, Clone, Copy)]
enum Key<'a> {
    /// A pointer by itself.
    Start(&'a str),
    Name(&'a str),
    Index(usize),
}

impl<'a> Place<'a> {
    /// The whole document.
    pub(crate) const ROOT: Place<'static> = Place::start("");

    /// The place that `pointer` names.
    pub(crate) const fn start(pointer: &'a str) -> Self {
        Self { parent: None, key: Key::Start(pointer) }
    }

    pub(crate) fn at(&'a self, name: &'a str) -> Self {
        Self { parent: Some(self), key: Key::Name(name) }
    }

    pub(crate) fn index(&'a self, index: usize) -> Self {
        Self { parent: Some(self), key: Key::Index(index) }
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            parent.fmt(f)?;
        }
        match self.key {
            Key::Start(pointer) => f.write_str(pointer),
            Key::Name(name) => write!(f, "/{}", name.replace('~', "~0").replace('/', "~1")),
            Key::Index(index) => write!(f, "/{index}"),
        }
    }
}

/// Looks up the fragment of a reference: `#/components/schemas/Pet`, with its percent-encoding.
pub(crate) fn look_up<'d>(document: &'d Value, pointer: &str) -> Option<&'d Value> {
    if let Some(found) = document.pointer(pointer) {
        return Some(found);
    }
    let decoded: Cow<'_, str> = percent_encoding::percent_decode_str(pointer).decode_utf8().ok()?;
    document.pointer(&decoded)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn places_are_pointers_that_find_what_stands_there() {
        let document = json!({"paths": {"/a~b/{c}": {"parameters": [{"name": "c"}]}}});
        let paths = Place::ROOT.at("paths");
        let path = paths.at("/a~b/{c}");
        let parameters = path.at("parameters");
        let place = parameters.index(0).to_string();
        assert_eq!(place, "/paths/~1a~0b~1{c}/parameters/0");
        assert_eq!(look_up(&document, &place), Some(&json!({"name": "c"})));
        assert_eq!(look_up(&document, "/paths/~1a~0b~1%7Bc%7D/parameters/0"), Some(&json!({"name": "c"})));
        assert_eq!(look_up(&document, "/paths/nothing"), None);
    }
}
