//! Where the values of required parameters come from: a person, the model, or another tool's result.
//!
//! The Python package takes every required parameter without a producer for an error. Here a model or a
//! person can fill in text, numbers and choices; an opaque id that nothing returns is worth a warning; and an
//! error is only what can never be called.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::cycles;
use super::view::{Parameter, View, is_id, key, types, words};
use super::{Finding, MANY_NAMES, Options, Rule, Severity};

/// Parameters whose value a `CallContext` has, so that no caller needs to give it.
const IN_CONTEXT: [&str; 7] = ["user", "agent", "thread", "entity", "organization", "project", "call"];

/// The tools that return something under a key.
pub(super) type Producers<'a> = BTreeMap<&'a str, Vec<usize>>;

/// A parameter that one tool needs from others.
#[derive(Debug)]
pub(super) struct Need<'a> {
    parameter: Parameter<'a>,
    /// Whether only another tool can give it, and no person.
    pub(super) only_tools: bool,
    /// Under which keys other tools return it; none when none does.
    pub(super) keys: Vec<String>,
}

pub(super) fn check(views: &[View<'_>], options: &Options, findings: &mut Vec<Finding>) {
    let mut producers = Producers::new();
    for (index, view) in views.iter().enumerate() {
        for key in &view.produced {
            producers.entry(key).or_default().push(index);
        }
    }
    let mut needs = Vec::new();
    for (index, view) in views.iter().enumerate() {
        impossible(view, findings);
        needs.push(needs_of(index, view, &producers));
        for need in needs.last().into_iter().flatten().filter(|need| need.keys.is_empty()) {
            findings.push(unreachable(view, need));
        }
    }
    types_differ(views, findings);
    cycles::check(views, &needs, &producers, findings);
    ambiguous(views, options, findings);
}

/// Required parameters that no value fits.
fn impossible(view: &View<'_>, findings: &mut Vec<Finding>) {
    let closed = view.spec().input_schema.get("additionalProperties") == Some(&Value::Bool(false));
    for name in view.unknown_required.iter().filter(|_| closed) {
        let message = format!("{}.{name} is required, and no argument of that name is taken", view.name());
        let fix = "add it to `properties` of the input schema, or take it out of `required`";
        findings.push(
            Finding::new(Rule::UnreachableParam, Severity::Error, message, fix)
                .about(view.name())
                .parameter(name),
        );
    }
    for parameter in view.parameters.iter().filter(|parameter| parameter.required) {
        let no_choice = parameter.schema.get("enum").and_then(Value::as_array).is_some_and(Vec::is_empty);
        if no_choice || parameter.schema == &Value::Bool(false) {
            let name = parameter.name;
            let message = format!("{}.{name} is required, and its schema takes no value at all", view.name());
            let fix = "give the schema a type or some choices, or make the parameter optional";
            findings.push(
                Finding::new(Rule::UnreachableParam, Severity::Error, message, fix)
                    .about(view.name())
                    .parameter(name),
            );
        }
    }
}

/// The required parameters that cannot just be filled in.
fn needs_of<'a>(index: usize, view: &View<'a>, producers: &Producers<'_>) -> Vec<Need<'a>> {
    let mut needs = Vec::new();
    for parameter in view.parameters.iter().filter(|parameter| parameter.required) {
        let marked = parameter.user_providable();
        if marked == Some(true) || (marked.is_none() && !is_opaque(parameter)) {
            continue;
        }
        let mut keys = vec![key(parameter.name)];
        if words(parameter.name).len() == 1 && is_id(parameter.name) {
            // A bare `id` of `cancel_order` is the order's.
            keys.extend(words(view.name()).iter().map(|owner| format!("{owner}id")));
        }
        let by_others = |tools: &Vec<usize>| tools.iter().any(|tool| *tool != index);
        keys.retain(|key| producers.get(key.as_str()).is_some_and(by_others));
        needs.push(Need { parameter: *parameter, only_tools: marked == Some(false), keys });
    }
    needs
}

/// Returns whether a value is an opaque id without an example.
fn is_opaque(parameter: &Parameter<'_>) -> bool {
    let schema = parameter.schema;
    let is_uuid = schema.get("format").is_some_and(|format| format == "uuid");
    if !is_uuid && !is_id(parameter.name) {
        return false;
    }
    let shown = ["enum", "const", "pattern", "examples", "default"];
    if shown.iter().any(|keyword| schema.get(keyword).is_some()) {
        return false;
    }
    let description = parameter.description().to_lowercase();
    let examples = ["such as", "e.g.", "for example", "example:", "looks like", "look like", "for instance"];
    !examples.iter().any(|example| description.contains(example))
}

fn unreachable(view: &View<'_>, need: &Need<'_>) -> Finding {
    let (tool, name) = (view.name(), need.parameter.name);
    let finding = if need.only_tools {
        Finding::new(
            Rule::UnreachableParam,
            Severity::Error,
            format!(
                "{tool}.{name} has no source: no other tool returns it, and it is marked \"x-user-providable\": false"
            ),
            format!(
                "let another tool return `{name}`, make it optional, or drop the mark if a person can know it"
            ),
        )
    } else {
        let name_words = words(name);
        let context = name_words.first().filter(|_| name_words.len() == 2);
        let from_call = context.filter(|owner| IN_CONTEXT.contains(&owner.as_str()));
        let fix = match from_call {
            Some(owner) => {
                format!("if it is the caller's own, take a `CallContext` and use `{owner}_id()`; else ")
            }
            None => format!("let another tool return `{name}`, "),
        };
        Finding::new(
            Rule::UnreachableParam,
            Severity::Warning,
            format!("{tool}.{name} is an opaque id that no other tool returns: a model can only guess it"),
            format!(
                "{fix}show what it looks like in its description (such as `ord-1042`), or mark it \
                 `#[tool(user_providable)]` if people know it"
            ),
        )
    };
    finding.about(tool).parameter(name)
}

/// Parameters that cannot take what other tools return under their name. Of many producers that return one
/// type, one is named.
fn types_differ(views: &[View<'_>], findings: &mut Vec<Finding>) {
    let mut returned: BTreeMap<&str, BTreeMap<Vec<&str>, Vec<&str>>> = BTreeMap::new();
    for view in views {
        for (name, field) in &view.outputs {
            let producers = returned.entry(name).or_default().entry(types(field)).or_default();
            // Two, so that one of them is not the tool that takes it.
            if producers.len() < 2 {
                producers.push(view.name());
            }
        }
    }
    for view in views {
        for parameter in view.parameters.iter().filter(|parameter| parameter.required) {
            let (tool, name, wanted) = (view.name(), parameter.name, types(parameter.schema));
            let fits =
                |given: &&str| wanted.contains(given) || (*given == "integer" && wanted.contains(&"number"));
            for (given, producers) in returned.get(name).into_iter().flatten() {
                let Some(producer) = producers.iter().find(|producer| **producer != tool) else { continue };
                if wanted.is_empty() || given.is_empty() || given.iter().any(fits) {
                    continue;
                }
                let (wanted, given) = (wanted.join(" or "), given.join(" or "));
                let message = format!("{tool}.{name} expects {wanted} but {producer} returns {given}");
                let fix = format!("give `{name}` one type in both tools, or another name in one of them");
                let finding = Finding::new(Rule::TypeMismatch, Severity::Warning, message, fix);
                findings.push(finding.about(tool).parameter(name));
            }
        }
    }
}

/// Fields that several tools return and another takes.
fn ambiguous(views: &[View<'_>], options: &Options, findings: &mut Vec<Finding>) {
    let mut returned: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for view in views.iter().filter(|view| !view.allows(Rule::AmbiguousOutput, options)) {
        for (name, _) in &view.outputs {
            returned.entry(name).or_default().push(view.name());
        }
    }
    let taken: BTreeSet<&str> =
        views.iter().flat_map(|view| view.parameters.iter().map(|parameter| parameter.name)).collect();
    for (field, tools) in returned.iter().filter(|(field, tools)| tools.len() > 1 && taken.contains(*field)) {
        let listed = tools.iter().take(MANY_NAMES).copied().collect::<Vec<_>>().join(", ");
        let more = if tools.len() > MANY_NAMES { ", …" } else { "" };
        let message = format!("field `{field}` is returned by {} tools: {listed}{more}", tools.len());
        let fix =
            "say in the descriptions which of them to call for it, or name the fields by what they mean";
        findings.push(Finding::new(Rule::AmbiguousOutput, Severity::Info, message, fix));
    }
}
