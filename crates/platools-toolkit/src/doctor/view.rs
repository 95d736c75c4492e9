//! A tool as the rules look at it: names, parameters and results, found once.

use std::collections::BTreeSet;

use platools::tool::{Tool, ToolSpec};
use serde_json::{Map, Value};

use super::{Options, Rule};

/// The depth of the search for fields in a result.
const MAX_DEPTH: usize = 8;

/// One tool.
#[derive(Debug)]
pub(super) struct View<'a> {
    pub(super) tool: &'a Tool,
    /// The parameters, in their order.
    pub(super) parameters: Vec<Parameter<'a>>,
    /// The names in `required` that are no parameter.
    pub(super) unknown_required: Vec<&'a str>,
    /// The fields of the result, or of the items of a result that is a list.
    pub(super) outputs: Vec<(&'a str, &'a Value)>,
    /// Under which keys other tools find something in the result; see [`key`].
    pub(super) produced: BTreeSet<String>,
}

/// One parameter.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parameter<'a> {
    pub(super) name: &'a str,
    /// The schema as declared, which may be a reference with a description.
    declared: &'a Value,
    /// The schema with its reference resolved.
    pub(super) schema: &'a Value,
    pub(super) required: bool,
}

impl<'a> View<'a> {
    pub(super) fn new(tool: &'a Tool) -> Self {
        let input = &tool.spec().input_schema;
        let required: Vec<_> = input
            .get("required")
            .and_then(Value::as_array)
            .map(|names| names.iter().filter_map(Value::as_str).collect())
            .unwrap_or_default();
        let properties = properties(input);
        let parameters: Vec<_> = properties
            .into_iter()
            .flatten()
            .map(|(name, schema)| Parameter {
                name,
                declared: schema,
                schema: resolved(schema, input),
                required: required.contains(&name.as_str()),
            })
            .collect();
        let is_known = |name: &&str| properties.is_some_and(|properties| properties.contains_key(*name));
        let unknown_required = required.iter().copied().filter(|name| !is_known(name)).collect();
        let mut view =
            Self { tool, parameters, unknown_required, outputs: Vec::new(), produced: BTreeSet::new() };
        if let Some(output) = &tool.spec().output_schema {
            let whole = resolved(output, output);
            let item = whole.get("items").map(|items| resolved(items, output));
            let fields = properties_of(whole).or_else(|| item.and_then(properties_of));
            view.outputs = fields
                .into_iter()
                .flatten()
                .map(|(name, schema)| (name.as_str(), resolved(schema, output)))
                .collect();
            let mut search = Search { root: output, produced: &mut view.produced };
            search.fields(output, &words(tool.name()), 0);
        }
        view
    }

    pub(super) fn name(&self) -> &'a str {
        self.tool.name()
    }

    pub(super) fn spec(&self) -> &'a ToolSpec {
        self.tool.spec()
    }

    /// Returns whether the tool is left out of findings of `rule` about several tools.
    pub(super) fn allows(&self, rule: Rule, options: &Options) -> bool {
        self.spec().allowed.iter().any(|code| code == rule.code()) || options.allows(rule, Some(self.name()))
    }

    /// Returns the value of a boolean annotation.
    pub(super) fn hint(&self, name: &str) -> Option<bool> {
        self.spec().annotations.get(name).and_then(Value::as_bool)
    }
}

impl Parameter<'_> {
    /// Returns whether a person can fill in the parameter, if the schema says so.
    pub(super) fn user_providable(&self) -> Option<bool> {
        self.keyword("x-user-providable").and_then(Value::as_bool)
    }

    pub(super) fn description(&self) -> &str {
        self.keyword("description").and_then(Value::as_str).unwrap_or_default().trim()
    }

    /// Returns a keyword of the declared schema, else of the schema that it refers to.
    fn keyword(&self, keyword: &str) -> Option<&Value> {
        self.declared.get(keyword).or_else(|| self.schema.get(keyword))
    }
}

fn properties(schema: &Value) -> Option<&Map<String, Value>> {
    schema.get("properties").and_then(Value::as_object)
}

/// The properties of a schema that has any.
fn properties_of(schema: &Value) -> Option<&Map<String, Value>> {
    properties(schema).filter(|properties| !properties.is_empty())
}

/// The schema, or what it refers to in the `$defs` of `root`.
pub(super) fn resolved<'a>(schema: &'a Value, root: &'a Value) -> &'a Value {
    let mut schema = schema;
    for _ in 0..MAX_DEPTH {
        let reference = schema.get("$ref").and_then(Value::as_str);
        match reference.and_then(|to| to.strip_prefix('#')).and_then(|pointer| root.pointer(pointer)) {
            Some(target) => schema = target,
            None => break,
        }
    }
    schema
}

/// The types that a schema names, without `null`.
pub(super) fn types(schema: &Value) -> Vec<&str> {
    let names = match schema.get("type") {
        Some(Value::String(name)) => vec![name.as_str()],
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    names.into_iter().filter(|name| *name != "null").collect()
}

/// The words of a name, in lower case and without the `s` of a plural: `listOrders` is `list`, `order`.
pub(super) fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_lower = false;
    for c in name.chars() {
        if !c.is_alphanumeric() || (c.is_uppercase() && was_lower) {
            words.push(String::new());
        }
        was_lower = c.is_lowercase() || c.is_numeric();
        if c.is_alphanumeric()
            && let Some(word) = words.last_mut()
        {
            word.extend(c.to_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words.into_iter().map(|word| singular(&word)).collect()
}

fn singular(word: &str) -> String {
    match word.strip_suffix("ies") {
        Some(stem) if stem.len() > 1 => format!("{stem}y"),
        _ => match word.strip_suffix('s') {
            Some(stem) if stem.len() > 2 && !stem.ends_with('s') || word == "ids" => stem.to_owned(),
            _ => word.to_owned(),
        },
    }
}

/// A name however it is spelt: `order_id`, `orderId` and `order_ids` are one.
pub(super) fn key(name: &str) -> String {
    words(name).concat()
}

/// Returns whether the last word of a name marks an opaque id.
pub(super) fn is_id(name: &str) -> bool {
    words(name).last().is_some_and(|last| matches!(last.as_str(), "id" | "uuid" | "guid"))
}

/// The search for what a result has in it.
struct Search<'a, 's> {
    root: &'a Value,
    produced: &'s mut BTreeSet<String>,
}

impl<'a> Search<'a, '_> {
    /// Finds the fields in a part of the result. What `of` names (the tool, or the field that the part is in)
    /// tells whose id a bare `id` is.
    fn fields(&mut self, schema: &'a Value, of: &[String], depth: usize) {
        if depth > MAX_DEPTH {
            return;
        }
        let schema = resolved(schema, self.root);
        for (name, field) in properties(schema).into_iter().flatten() {
            let parts = words(name);
            self.produced.insert(parts.concat());
            if parts.len() == 1 && is_id(name) {
                self.produced.extend(of.iter().map(|owner| format!("{owner}id")));
            }
            self.fields(field, &parts, depth + 1);
        }
        for nested in ["items", "additionalProperties"].iter().filter_map(|key| schema.get(key)) {
            self.fields(nested, of, depth + 1);
        }
        for several in ["anyOf", "oneOf", "allOf", "prefixItems"].iter().filter_map(|key| schema.get(key)) {
            for alternative in several.as_array().into_iter().flatten() {
                self.fields(alternative, of, depth + 1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use platools::tool::ToolOutput;

    #[test]
    fn names_fall_into_words() {
        for (name, expected) in [
            ("listOrders", "list order"),
            ("lookup_order", "lookup order"),
            ("order_ids", "order id"),
            ("HTTPStatus2", "httpstatus2"),
            ("fandesk.list-categories", "fandesk list category"),
            ("address", "address"),
            ("__", ""),
        ] {
            assert_eq!(words(name).join(" "), expected);
        }
        assert_eq!(key("orderId"), key("order_ids"));
    }

    #[test]
    fn an_id_inside_of_a_list_belongs_to_what_is_listed() {
        let spec = ToolSpec::new("my_orders").output_schema(json!({
            "type": "array",
            "items": {"$ref": "#/$defs/Order"},
            "$defs": {"Order": {"type": "object", "properties": {
                "id": {"type": "string"},
                "customer": {"anyOf": [{"type": "object", "properties": {"id": {"type": "string"}}}, {"type": "null"}]},
                "parent": {"$ref": "#/$defs/Order"},
            }}},
        }));
        let tool = Tool::new(spec, |_| async { Ok(ToolOutput::null()) });
        let view = View::new(&tool);
        for key in ["id", "orderid", "customerid", "parentid"] {
            assert!(view.produced.contains(key), "{key}: {:?}", view.produced);
        }
        assert!(!view.produced.contains("lineid"));
        assert_eq!(view.outputs.len(), 3);
    }
}
