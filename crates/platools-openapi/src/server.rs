//! The server that a document names.

use serde_json::Value;

use crate::document::{Document, shown};
use crate::parameter::word;
use crate::place::Place;
use crate::report::Warnings;

/// The first server of the operation, its path or the document, in this order; variables become their defaults.
pub(crate) fn of(
    document: &Document,
    item: &Value,
    operation: &Value,
    warnings: &Warnings,
    place: &Place<'_>,
) -> Option<String> {
    let first = |value: &'_ Value| value.get("servers").and_then(|servers| servers.get(0)).cloned();
    let server = first(operation).or_else(|| first(item)).or_else(|| first(&document.root))?;
    let url = word(&server, "url")?;
    let mut filled = String::new();
    let mut rest = url;
    while let Some((fixed, after)) = rest.split_once('{') {
        let Some((name, after)) = after.split_once('}') else { break };
        filled.push_str(fixed);
        let default =
            server.get("variables").and_then(|variables| variables.get(name)?.get("default")?.as_str());
        let Some(default) = default else {
            let text =
                format!("the server's `{{{}}}` has no default: name the server's URL yourself", shown(name));
            warnings.add(place, text);
            return None;
        };
        filled.push_str(default);
        rest = after;
    }
    filled.push_str(rest);
    Some(filled)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_nearest_server_counts_and_variables_become_their_defaults() {
        let root = json!({"openapi": "3.1.0", "servers": [
            {"url": "https://{region}.example/{v}", "variables": {"region": {"default": "eu"}, "v": {"default": "v1"}}}]});
        let document = Document::parse(root.to_string().as_bytes()).unwrap();
        let warnings = Warnings::default();
        let of = |item: &Value, operation: &Value| of(&document, item, operation, &warnings, &Place::ROOT);
        assert_eq!(of(&json!({}), &json!({})).as_deref(), Some("https://eu.example/v1"));
        assert_eq!(of(&json!({"servers": [{"url": "/v2"}]}), &json!({})).as_deref(), Some("/v2"));
        assert_eq!(of(&json!({}), &json!({"servers": [{"url": "https://{x}/"}]})), None);
        assert!(warnings.into_list()[0].text.contains("`{x}` has no default"));
    }
}
