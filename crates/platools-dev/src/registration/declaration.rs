//! A declaration of tools as the platform keeps it (protocol §3).

use std::collections::HashSet;

use platools::wire::platform::{DeclaredTool, HostDeclaration};
use serde_json::{Map, Value, json};

/// The category of a tool that has no other.
const NO_CATEGORY: &str = "entity";

/// Reads the text of a `tool_register` as the server does: whatever is not as expected counts as absent, and
/// `output_schema`, `auth`, `roles` and all annotations but the category are dropped. `None` if it is not JSON.
pub(crate) fn kept_by_server(text: &str, entity: &str) -> Option<HostDeclaration> {
    let frame: Value = serde_json::from_str(text).ok()?;
    let mut kept = HostDeclaration::default();
    // What is not a list removes all tools.
    let tools = frame["tools"].as_array().map(Vec::as_slice).unwrap_or_default();
    kept.tools = tools.iter().filter_map(|tool| tool_kept_by_server(tool, entity)).collect();
    kept.callback_url = frame["callback_url"].as_str().map(str::to_owned);
    Some(kept)
}

fn tool_kept_by_server(tool: &Value, entity: &str) -> Option<DeclaredTool> {
    let text = |value: &Value| value.as_str().map(str::trim).unwrap_or_default().to_owned();
    let name = text(&tool["name"]);
    let category = [&tool["annotations"]["category"], &tool["category"]].map(text);
    let prefix = name.split_once('.').map(|(prefix, _)| prefix.to_owned());
    let category = category.into_iter().chain(prefix).chain([entity.to_owned(), NO_CATEGORY.to_owned()]);
    let category = category.into_iter().find(|category| !category.is_empty());
    let schema = [&tool["input_schema"], &tool["paramSchema"]].into_iter().find(|schema| schema.is_object());
    let schema = schema.cloned().unwrap_or_else(|| Value::Object(Map::new()));
    let description = tool["description"].as_str().unwrap_or_default();
    let kept = json!({
        "name": name,
        "description": description,
        "input_schema": schema,
        "annotations": {"category": category},
    });
    serde_json::from_value(kept).ok()
}

/// Checks the names of a declaration.
///
/// # Errors
/// The text with which the server refuses the whole declaration.
pub(super) fn check_names(tools: &[DeclaredTool]) -> Result<(), String> {
    let mut names = HashSet::new();
    for tool in tools {
        let name = tool.name.trim();
        if name.is_empty() {
            return Err("tool_name_required".to_owned());
        }
        if !names.insert(name) {
            return Err(format!("duplicate_tool_name:{name}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(tools: &Value) -> Vec<DeclaredTool> {
        let frame = json!({"type": "tool_register", "tools": tools});
        kept_by_server(&frame.to_string(), "orders").unwrap().tools
    }

    #[test]
    fn the_server_keeps_name_description_schema_and_category_only() {
        let tool = json!({
            "name": " lookup ",
            "description": "Look up.",
            "input_schema": {"type": "object"},
            "output_schema": {"type": "string"},
            "auth": "admin",
            "roles": ["support"],
            "annotations": {"category": " shop ", "readOnlyHint": true},
        });
        let tool = &kept(&json!([tool]))[0];
        assert_eq!((tool.name.as_str(), tool.description.as_str()), ("lookup", "Look up."));
        assert_eq!(tool.input_schema, json!({"type": "object"}));
        assert_eq!((&tool.output_schema, &tool.auth, tool.roles.len()), (&None, &None, 0));
        assert_eq!(json!(tool.annotations), json!({"category": "shop"}));
    }

    #[test]
    fn what_is_not_as_expected_counts_as_absent() {
        let tools = kept(&json!([
            {"name": "billing.pay", "description": 7, "input_schema": [], "paramSchema": {"a": 1}},
            {"name": "plain", "category": "c"},
            {"name": "bare", "annotations": []},
            {"name": 7},
            "nothing",
        ]));
        let categories: Vec<_> = tools.iter().map(|tool| tool.annotations["category"].clone()).collect();
        assert_eq!(categories, ["billing", "c", "orders", "orders", "orders"]);
        assert_eq!((tools[0].description.as_str(), &tools[0].input_schema), ("", &json!({"a": 1})));
        assert_eq!(tools[1].input_schema, json!({}));
        assert_eq!(check_names(&tools), Err("tool_name_required".to_owned()));
        assert!(kept(&json!({"a": 1})).is_empty() && kept(&Value::Null).is_empty());
        let callback = r#"{"tools":[],"callback_url":"https://a.example/"}"#;
        assert_eq!(
            kept_by_server(callback, "a").unwrap().callback_url.as_deref(),
            Some("https://a.example/")
        );
        assert_eq!(kept_by_server("{", "a"), None);
    }

    #[test]
    fn two_tools_of_one_name_refuse_the_whole_declaration() {
        let tools = kept(&json!([{"name": "a"}, {"name": "b"}, {"name": "a "}]));
        assert_eq!(check_names(&tools), Err("duplicate_tool_name:a".to_owned()));
        assert_eq!(check_names(&tools[..2]), Ok(()));
    }
}
