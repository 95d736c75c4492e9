//! The declaration of tools to the platform (protocol §3).

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::Value;

use super::{Tool, ToolSpec};
use crate::wire::{MAX_FRAME_BYTES, RegisterEntry, outbound};

/// What a declaration may hold besides the tools, in bytes: its frame and the callback URL.
const BESIDES: usize = 4 << 10;

/// How many of the largest tools an error names.
const NAMED: usize = 5;

/// A declaration that is larger than the platform takes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the declaration of {tools} tools is {size}, the platform takes at most {limit}; the largest are {largest}: \
     shorten their schemas and descriptions, or spread the tools over several entities"
)]
pub struct DeclarationError {
    tools: usize,
    size: String,
    limit: String,
    largest: String,
}

/// The `tool_register` frame of `tools`, in their order, whatever its size. `describe` is whether tools that do not say
/// themselves describe their parameters.
pub(crate) fn frame<'a>(
    tools: impl IntoIterator<Item = &'a Tool>,
    describe: bool,
    callback_url: Option<&str>,
) -> String {
    let specs = tools.into_iter().map(Tool::spec);
    let described: Vec<(&ToolSpec, Cow<'_, str>)> =
        specs.map(|spec| (spec, spec.declared_description(describe))).collect();
    let entries = described.iter().map(|(spec, description)| entry(spec, description));
    outbound::tool_register(entries, callback_url)
}

/// The bytes of a tool in a declaration.
pub(crate) fn size(spec: &ToolSpec, describe: bool) -> usize {
    outbound::tool_register([entry(spec, &spec.declared_description(describe))], None).len()
}

/// Checks that a declaration of tools with these names and sizes is not larger than the platform takes.
pub(crate) fn check<'a>(tools: impl IntoIterator<Item = (&'a str, usize)>) -> Result<(), DeclarationError> {
    let mut sizes: Vec<(usize, &str)> = tools.into_iter().map(|(name, size)| (size, name)).collect();
    let total = sizes.iter().map(|(size, _)| size).sum();
    if total + BESIDES <= MAX_FRAME_BYTES {
        return Ok(());
    }
    sizes.sort_unstable_by(|left, right| right.cmp(left));
    let largest: Vec<String> =
        sizes.iter().take(NAMED).map(|(size, name)| format!("`{name}` ({})", format_bytes(*size))).collect();
    Err(DeclarationError {
        tools: sizes.len(),
        size: format_bytes(total),
        limit: format_bytes(MAX_FRAME_BYTES),
        largest: largest.join(", "),
    })
}

fn entry<'a>(spec: &'a ToolSpec, description: &'a str) -> RegisterEntry<'a> {
    RegisterEntry {
        name: &spec.name,
        description,
        input_schema: &spec.input_schema,
        output_schema: spec.output_schema.as_deref(),
        auth: spec.auth.as_str(),
        roles: &spec.roles,
        annotations: &spec.annotations,
    }
}

/// The keyword by which a tool says that it is a dynamic executor (protocol §8).
const EXECUTOR: &str = "x-dynamic-executor";
/// The names by which the platform knows the parameter for the name of a tool.
const SLUGS: [&str; 4] = ["tool_slug", "slug", "tool_name", "toolName"];
/// The names by which the platform knows the parameter for the arguments of a tool.
const ARGUMENTS: [&str; 4] = ["arguments", "args", "params", "parameters"];

impl ToolSpec {
    /// Makes the tool a dynamic executor: the platform sends it the calls of tools that do not exist, with the name and
    /// the arguments in two of its parameters (protocol §8). Writes `"x-dynamic-executor": true` into the schema of the
    /// arguments, so set the schema first.
    ///
    /// ```
    /// use platools::ToolSpec;
    /// use serde_json::json;
    ///
    /// let spec = ToolSpec::new("run_action")
    ///     .input_schema(json!({"type": "object", "properties": {
    ///         "tool_slug": {"type": "string"}, "arguments": {"type": "object"},
    ///     }}))
    ///     .dynamic_executor(true);
    /// assert_eq!(spec.executor_parameters(), Some(("tool_slug", "arguments")));
    /// assert!(spec.is_dynamic_executor());
    /// ```
    pub fn dynamic_executor(mut self, is_executor: bool) -> Self {
        if let Some(schema) = Arc::make_mut(&mut self.input_schema).as_object_mut() {
            if is_executor {
                schema.insert(EXECUTOR.to_owned(), true.into());
            } else {
                schema.shift_remove(EXECUTOR);
            }
        }
        self
    }

    /// Returns whether the tool says that it is a dynamic executor.
    pub fn is_dynamic_executor(&self) -> bool {
        self.input_schema.get(EXECUTOR) == Some(&Value::Bool(true))
    }

    /// Returns the two parameters by which the platform takes the tool for a dynamic executor, whether it says that it is
    /// one or not: a text such as `tool_name`, and an object such as `params` (protocol §8).
    pub fn executor_parameters(&self) -> Option<(&str, &str)> {
        let properties = self.input_schema.get("properties")?.as_object()?;
        let find = |names: [&str; 4], wanted: &str| {
            let takes = |schema: &Value| match schema.get("type") {
                None => true,
                Some(Value::Array(types)) => types.iter().any(|name| name == wanted),
                Some(name) => name == wanted,
            };
            names.iter().find_map(|name| {
                properties
                    .get_key_value(*name)
                    .filter(|(_, schema)| takes(schema))
                    .map(|(name, _)| name.as_str())
            })
        };
        Some((find(SLUGS, "string")?, find(ARGUMENTS, "object")?))
    }
}

/// A number of bytes for people: `12.0 MiB`, `300 bytes`.
pub(crate) fn format_bytes(bytes: usize) -> String {
    const KIB: usize = 1024;
    const MIB: usize = 1024 * KIB;
    let (unit, name) = match bytes {
        bytes if bytes >= MIB => (MIB, "MiB"),
        bytes if bytes >= KIB => (KIB, "KiB"),
        bytes => return format!("{bytes} bytes"),
    };
    format!("{:.1} {name}", bytes as f64 / unit as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_all(specs: impl IntoIterator<Item = ToolSpec>) -> Result<(), DeclarationError> {
        let specs: Vec<ToolSpec> = specs.into_iter().collect();
        check(specs.iter().map(|spec| (spec.name.as_str(), size(spec, false))))
    }

    #[test]
    fn an_error_names_the_size_and_the_largest_tools() {
        let big = |name: &str, mib: usize| ToolSpec::new(name).description("x".repeat(mib << 20));
        let error = check_all([ToolSpec::new("small"), big("big", 4), big("bigger", 7)]);
        let error = error.unwrap_err().to_string();
        assert!(error.contains("3 tools is 11.0 MiB") && error.contains("at most 10.0 MiB"), "{error}");
        assert!(error.contains("`bigger` (7.0 MiB), `big` (4.0 MiB), `small`"), "{error}");
    }

    #[test]
    fn an_executor_is_known_by_two_parameters() {
        let pair = |slug: (&str, Value), arguments: (&str, Value)| {
            let properties =
                serde_json::Map::from_iter([slug, arguments].map(|(name, schema)| (name.to_owned(), schema)));
            let schema = serde_json::json!({"type": "object", "properties": properties});
            let spec = ToolSpec::new("a").input_schema(schema);
            spec.executor_parameters().map(|(slug, arguments)| format!("{slug} {arguments}"))
        };
        let kind = |name: &str| serde_json::json!({"type": name});
        let untyped = || serde_json::json!({});
        assert_eq!(pair(("slug", kind("string")), ("args", kind("object"))).as_deref(), Some("slug args"));
        assert_eq!(pair(("toolName", untyped()), ("params", untyped())).as_deref(), Some("toolName params"));
        assert_eq!(pair(("slug", kind("integer")), ("args", kind("object"))), None);
        assert_eq!(pair(("slug", kind("string")), ("args", kind("array"))), None);
        assert_eq!(pair(("name", kind("string")), ("params", kind("object"))), None);
    }

    #[test]
    fn ten_thousand_small_tools_fit() {
        let specs =
            (0..10_000).map(|index| ToolSpec::new(format!("tool_{index}")).description("Does one thing."));
        check_all(specs).unwrap();
    }
}
