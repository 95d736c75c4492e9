//! Where the values of required parameters come from: a person, the model, or another tool's result.
//!
//! The Python package takes every required parameter without a producer for an error. Here a model or a
//! person can fill in text, numbers and choices; an opaque id that nothing returns is worth a warning; and an
//! error is only what can never be called.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::view::{Parameter, View, is_id, key, types, words};
use super::{Finding, Rule, Severity};

/// What a `CallContext` knows, so that nobody needs to be asked for it.
const IN_CONTEXT: [&str; 7] = ["user", "agent", "thread", "entity", "organization", "project", "call"];

/// The tools that return something under a key.
type Producers<'a> = BTreeMap<&'a str, Vec<usize>>;

/// What one tool needs from others.
struct Need<'a> {
    parameter: Parameter<'a>,
    /// Whether only another tool can give it, and not a person who happens to know it.
    only_tools: bool,
    /// Other tools that return it.
    producers: Vec<usize>,
}

pub(super) fn check(views: &[View<'_>], findings: &mut Vec<Finding>) {
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
        for need in needs.last().into_iter().flatten().filter(|need| need.producers.is_empty()) {
            findings.push(unreachable(view, need));
        }
        types_differ(index, view, views, &producers, findings);
    }
    cycles(views, &needs, findings);
    ambiguous(views, findings);
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
        let mut found: Vec<_> =
            keys.iter().filter_map(|key| producers.get(key.as_str())).flatten().copied().collect();
        found.retain(|producer| *producer != index);
        found.sort_unstable();
        found.dedup();
        needs.push(Need { parameter: *parameter, only_tools: marked == Some(false), producers: found });
    }
    needs
}

/// Whether a value means something to programs only, and nothing shows what it looks like.
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

/// Parameters that cannot take what other tools return under their name.
fn types_differ(
    index: usize,
    view: &View<'_>,
    views: &[View<'_>],
    producers: &Producers<'_>,
    findings: &mut Vec<Finding>,
) {
    for parameter in view.parameters.iter().filter(|parameter| parameter.required) {
        let wanted = types(parameter.schema);
        let candidates = producers.get(key(parameter.name).as_str()).into_iter().flatten();
        for producer in candidates.filter(|producer| **producer != index) {
            let Some(other) = views.get(*producer) else { continue };
            let Some((_, field)) = other.outputs.iter().find(|(name, _)| *name == parameter.name) else {
                continue;
            };
            let given = types(field);
            let fits =
                |given: &&str| wanted.contains(given) || (*given == "integer" && wanted.contains(&"number"));
            if wanted.is_empty() || given.is_empty() || given.iter().any(fits) {
                continue;
            }
            let (tool, name) = (view.name(), parameter.name);
            let message = format!(
                "{tool}.{name} expects {} but {} returns {}",
                wanted.join(" or "),
                other.name(),
                given.join(" or ")
            );
            let fix = format!("give `{name}` one type in both tools, or another name in one of them");
            findings.push(
                Finding::new(Rule::TypeMismatch, Severity::Warning, message, fix).about(tool).parameter(name),
            );
        }
    }
}

/// Tools that can only be called with what the others of them return.
fn cycles(views: &[View<'_>], needs: &[Vec<Need<'_>>], findings: &mut Vec<Finding>) {
    let mut reported = BTreeSet::new();
    for only_tools in [true, false] {
        let edges = edges_of_stuck(needs, only_tools);
        for start in edges.keys().filter(|start| !reported.contains(*start)).copied().collect::<Vec<_>>() {
            let Some(path) = way_back(start, &edges) else { continue };
            reported.insert(start);
            let names: Vec<_> = path.iter().filter_map(|index| views.get(*index)).map(View::name).collect();
            let Some(tool) = names.first() else { continue };
            let severity = if only_tools { Severity::Error } else { Severity::Warning };
            let fix = if only_tools {
                "let a tool outside of the circle return one of these values, or drop the \
                 \"x-user-providable\": false of one that a person can know"
            } else {
                "add a tool that lists or finds these ids, or mark a parameter `#[tool(user_providable)]` if \
                 people know it"
            };
            let message = format!("circular dependency: {}", names.join(" → "));
            findings.push(Finding::new(Rule::CircularDependency, severity, message, fix).about(tool));
        }
    }
}

/// The tools that no order of calls reaches, and whom each waits for.
fn edges_of_stuck(needs: &[Vec<Need<'_>>], only_tools: bool) -> BTreeMap<usize, Vec<usize>> {
    // What has no producer at all is reported by itself, and nothing else should seem to depend on it.
    let counts = |need: &&Need<'_>| (need.only_tools || !only_tools) && !need.producers.is_empty();
    let mut stuck: BTreeSet<usize> = (0..needs.len()).collect();
    loop {
        let free: Vec<usize> = stuck
            .iter()
            .filter(|index| {
                let mut needs = needs.get(**index).into_iter().flatten().filter(counts);
                needs.all(|need| need.producers.iter().any(|producer| !stuck.contains(producer)))
            })
            .copied()
            .collect();
        if free.is_empty() {
            break;
        }
        for index in free {
            stuck.remove(&index);
        }
    }
    let waits_for = |index: usize| {
        let needs = needs.get(index).into_iter().flatten().filter(counts);
        let blocking = needs.filter(|need| need.producers.iter().all(|producer| stuck.contains(producer)));
        blocking.flat_map(|need| need.producers.iter().copied()).collect::<Vec<_>>()
    };
    stuck.iter().map(|index| (*index, waits_for(*index))).collect()
}

/// The shortest way from a tool back to itself, both ends included.
fn way_back(start: usize, edges: &BTreeMap<usize, Vec<usize>>) -> Option<Vec<usize>> {
    let mut came_from = BTreeMap::new();
    let mut next = std::collections::VecDeque::from([start]);
    while let Some(index) = next.pop_front() {
        for target in edges.get(&index).into_iter().flatten().copied() {
            if target == start {
                let mut path = vec![start, index];
                while let Some(before) =
                    path.last().filter(|last| **last != start).and_then(|last| came_from.get(last))
                {
                    path.push(*before);
                }
                path.reverse();
                return Some(path);
            }
            if let std::collections::btree_map::Entry::Vacant(vacant) = came_from.entry(target) {
                vacant.insert(index);
                next.push_back(target);
            }
        }
    }
    None
}

/// Fields that several tools return and another takes.
fn ambiguous(views: &[View<'_>], findings: &mut Vec<Finding>) {
    let mut returned: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for view in views
        .iter()
        .filter(|view| !view.spec().allowed.iter().any(|code| code == Rule::AmbiguousOutput.code()))
    {
        for (name, _) in &view.outputs {
            returned.entry(name).or_default().push(view.name());
        }
    }
    let taken: BTreeSet<&str> =
        views.iter().flat_map(|view| view.parameters.iter().map(|parameter| parameter.name)).collect();
    for (field, tools) in returned.iter().filter(|(field, tools)| tools.len() > 1 && taken.contains(*field)) {
        let message = format!("field `{field}` is returned by {} tools: {}", tools.len(), tools.join(", "));
        let fix =
            "say in the descriptions which of them to call for it, or name the fields by what they mean";
        findings.push(Finding::new(Rule::AmbiguousOutput, Severity::Info, message, fix));
    }
}
