//! Rules about what the platform makes of a declaration, and what a model then sees of it (protocol §3, §8).

use std::borrow::Cow;

use platools::tool::ToolSpec;
use serde_json::Value;

use super::options::Options;
use super::report::Description;
use super::view::{View, resolved, words};
use super::{Finding, MANY_NAMES, Rule, Severity};

/// The longest description that the platform's route for operators takes, in characters (protocol §3).
const LONGEST: usize = 8_192;

pub(super) fn check(views: &[View<'_>], options: &Options, findings: &mut Vec<Finding>) {
    if views.is_empty() {
        let message = "there are no tools: a crate that nothing refers to is not linked";
        let fix = "refer to the crate that defines them (`use orders as _;` is enough), or list them with `tools![…]`";
        findings.push(Finding::new(Rule::NoTools, Severity::Error, message, fix));
    }
    for view in views {
        size(view, options, findings);
        executor(view, findings);
        parameters(view, options, findings);
        result(view, findings);
    }
}

/// The descriptions that the platform is sent with a summary of the parameters.
pub(super) fn described(views: &[View<'_>], options: &Options) -> Vec<Description> {
    let summarized = |view: &&View<'_>| matches!(declared(view.spec(), options), Cow::Owned(_));
    let described = views.iter().filter(summarized).map(|view| Description {
        tool: view.name().to_owned(),
        text: declared(view.spec(), options).into_owned(),
    });
    described.collect()
}

/// The description that the platform is sent.
pub(super) fn declared<'a>(spec: &'a ToolSpec, options: &Options) -> Cow<'a, str> {
    spec.declared_description(options.describe_parameters)
}

fn size(view: &View<'_>, options: &Options, findings: &mut Vec<Finding>) {
    let length = declared(view.spec(), options).chars().count();
    if length > LONGEST {
        let message = format!(
            "{} description has {length} characters: above {LONGEST}, the platform's route for operators refuses the whole \
             declaration",
            view.name()
        );
        let fix =
            "keep what helps to choose the tool, and move the rest into a document that another tool returns";
        findings
            .push(Finding::new(Rule::OversizedDescription, Severity::Error, message, fix).about(view.name()));
    }
}

fn executor(view: &View<'_>, findings: &mut Vec<Finding>) {
    let (name, spec) = (view.name(), view.spec());
    let (message, fix) = match (spec.executor_parameters(), spec.is_dynamic_executor()) {
        (Some((slug, arguments)), false) => (
            format!(
                "{name} takes `{slug}` and `{arguments}`: the platform takes such a tool for a dynamic executor, and \
                 sends it the calls of tools that do not exist"
            ),
            "rename one of the two, or write `#[tool(dynamic_executor)]` if that is what the tool is for",
        ),
        (None, true) => (
            format!(
                "{name} says that it is a dynamic executor, but has no parameters for a tool's name and arguments"
            ),
            "take two parameters such as `tool_name: String` and `params: serde_json::Map<String, Value>`, or drop \
             `dynamic_executor`",
        ),
        _ => return,
    };
    findings.push(Finding::new(Rule::DynamicExecutor, Severity::Warning, message, fix).about(name));
}

/// Finds parameters that neither the description of the tool nor a summary explains.
fn parameters(view: &View<'_>, options: &Options, findings: &mut Vec<Finding>) {
    let (name, spec) = (view.name(), view.spec());
    if spec.describe_parameters.unwrap_or(options.describe_parameters) {
        return;
    }
    let said = spec.description.to_lowercase();
    let is_in_name = |character: char| character.is_alphanumeric() || character == '_';
    let tokens: Vec<&str> = said.split(|character| !is_in_name(character)).collect();
    let said = words(&said);
    let is_explained = |parameter: &str| {
        tokens.contains(&parameter.to_lowercase().as_str())
            || words(parameter).iter().all(|word| said.contains(word))
    };
    let names = view.parameters.iter().map(|parameter| parameter.name);
    let unexplained: Vec<String> =
        names.filter(|name| !is_explained(name)).map(|name| format!("`{name}`")).collect();
    if unexplained.is_empty() {
        return;
    }
    let more = match unexplained.len().saturating_sub(MANY_NAMES) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let listed = unexplained.iter().take(MANY_NAMES).cloned().collect::<Vec<_>>().join(", ");
    let message = format!(
        "{name} description does not mention {listed}{more}: in the platform's default exposure a model sees the \
         description and the names of the parameters, and nothing else of them"
    );
    let described = spec.clone().describe_parameters(true);
    let summary = described.declared_description(true);
    let summary = summary.strip_prefix(spec.description.trim_end()).unwrap_or_default().trim_start();
    let mut fix = "say in the description what they mean and how they are written".to_owned();
    if !summary.is_empty() {
        fix.push_str(", or write `#[tool(describe_parameters)]`, which appends:\n");
        fix.push_str(summary);
    }
    findings.push(Finding::new(Rule::UnexplainedParams, Severity::Info, message, fix).about(name));
}

/// Finds results that may be `null` and mean something by it. That of `()` becomes `{"ok":true}` by itself.
fn result(view: &View<'_>, findings: &mut Vec<Finding>) {
    let Some(output) = view.spec().output_schema.as_ref() else { return };
    if !allows_null(resolved(output, output), output) {
        return;
    }
    let name = view.name();
    let message = format!("{name} may return `null`: a model reads that as a failure, `{{\"ok\":false}}`");
    let fix = "return an object that says what there is not, such as `{\"found\": false}`, or an error with the reason";
    findings.push(Finding::new(Rule::NullResult, Severity::Warning, message, fix).about(name));
}

fn allows_null(schema: &Value, root: &Value) -> bool {
    let is_null = |name: &Value| name == "null";
    let named = match schema.get("type") {
        Some(Value::Array(names)) => names.iter().any(is_null),
        name => name.is_some_and(is_null),
    };
    let branches = ["anyOf", "oneOf"].iter().filter_map(|key| schema.get(key)?.as_array()).flatten();
    named || branches.into_iter().any(|branch| resolved(branch, root).get("type").is_some_and(is_null))
}
