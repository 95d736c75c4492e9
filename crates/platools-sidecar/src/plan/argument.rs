//! The schema of a tool's arguments: written out, referred to, or made of the tool's placeholders.

use std::path::PathBuf;

use serde_json::{Map, Value, json};

use super::Planner;
use crate::config::{Argument, InlineSchema, Path, Table, nearest};
use crate::template::{Placeholder, Template};
use platools_upstream::ArgumentSchema;

/// Where the file says what arguments there are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Declared<'a> {
    pub(super) arguments: &'a Table<Argument>,
    pub(super) schema: Option<&'a InlineSchema>,
    pub(super) schema_file: Option<&'a PathBuf>,
}

impl Planner<'_> {
    /// The schema of the arguments. `placeholders` are all that the tool's texts hold.
    pub(super) fn argument_schema(
        &mut self,
        at: &Path,
        declared: Declared<'_>,
        placeholders: &[&Placeholder],
    ) -> Option<ArgumentSchema> {
        let Declared { arguments, schema, schema_file } = declared;
        let given = [
            (!arguments.is_empty(), "arguments"),
            (schema.is_some(), "schema"),
            (schema_file.is_some(), "schema_file"),
        ];
        let given: Vec<&str> = given.iter().filter(|(is_given, _)| *is_given).map(|(_, key)| *key).collect();
        if let [first, second, ..] = given.as_slice() {
            self.wrong(
                &at.key(second),
                format!("`{first}` says already what the arguments are: keep one of the two"),
            );
            return None;
        }
        let key = given.first().copied().unwrap_or("arguments");
        let value = if let Some(schema) = schema {
            self.inline_schema(&at.key(key), schema)?
        } else if let Some(path) = schema_file {
            let text = self.read_file(&at.key(key), path)?;
            let parsed = serde_json::from_str(&text)
                .map_err(|error| format!("the file `{}` is not JSON: {error}", path.display()));
            self.noted(&at.key(key), parsed)?
        } else if arguments.is_empty() {
            of_placeholders(placeholders)
        } else {
            of_arguments(arguments)
        };
        let schema = ArgumentSchema::new(value);
        let schema = self.noted(&at.key(key), schema)?;
        let names = schema.names();
        for placeholder in placeholders {
            let Placeholder::Argument(name) = placeholder else { continue };
            if !names.contains(&name.as_str()) {
                let message = match nearest(name, &names) {
                    Some(nearest) => format!("`{{{name}}}` is no argument, did you mean `{{{nearest}}}`?"),
                    None => format!(
                        "`{{{name}}}` is no argument: add `arguments.{name} = {{ type = \"string\" }}`"
                    ),
                };
                self.wrong(at, message);
            }
        }
        Some(schema)
    }

    /// A schema that stands in the file.
    fn inline_schema(&mut self, at: &Path, schema: &InlineSchema) -> Option<Value> {
        let value = match schema {
            InlineSchema::Table(table) => Ok(table.clone().into_iter().collect::<Map<_, _>>().into()),
            InlineSchema::Text(text) => {
                serde_json::from_str(text).map_err(|error| format!("this is not JSON: {error}"))
            }
        };
        self.noted(at, value)
    }

    /// The schema of results.
    pub(super) fn output_schema(&mut self, at: &Path, schema: Option<&InlineSchema>) -> Option<Value> {
        let at = at.key("output_schema");
        let value = self.inline_schema(&at, schema?)?;
        let valid = ArgumentSchema::as_declared(value.clone()).map(drop);
        self.noted(&at, valid)?;
        Some(value)
    }

    /// A text with placeholders.
    pub(super) fn template(&mut self, at: &Path, text: &str) -> Option<Template> {
        let template = Template::parse(text);
        self.noted(at, template)
    }
}

/// Every placeholder is a text that has to be there.
fn of_placeholders(placeholders: &[&Placeholder]) -> Value {
    let names: Vec<&String> = placeholders
        .iter()
        .filter_map(|placeholder| match placeholder {
            Placeholder::Argument(name) => Some(name),
            Placeholder::Caller(_) => None,
        })
        .collect();
    let properties: Map<String, Value> =
        names.iter().map(|name| ((*name).clone(), json!({"type": "string"}))).collect();
    let required: Vec<&String> = properties.keys().collect();
    json!({"type": "object", "properties": properties, "required": required})
}

fn of_arguments(arguments: &Table<Argument>) -> Value {
    let properties: Map<String, Value> =
        arguments.iter().map(|(name, argument)| (name.clone(), argument.schema.clone().into())).collect();
    let required: Vec<&String> = arguments
        .iter()
        .filter(|(_, argument)| !argument.optional && !argument.schema.contains_key("default"))
        .map(|(name, _)| name)
        .collect();
    json!({"type": "object", "properties": properties, "required": required})
}
