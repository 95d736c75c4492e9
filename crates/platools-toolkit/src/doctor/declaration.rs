//! Rules about the declared result, timeout, access and size of a tool.

use std::time::Duration;

use platools::tool::{Auth, format_duration};
use serde_json::Value;

use super::options::Options;
use super::view::{View, types, words};
use super::{Finding, MANY_NAMES, Rule, Severity};

/// More parameters than this confuse a model.
const MANY_PARAMETERS: usize = 10;
/// The most tools that one request to OpenAI may carry.
const MANY_TOOLS: usize = 128;
/// How long the platform waits for any call (protocol §3).
const PLATFORM_WAITS: Duration = Duration::from_secs(30);

/// Words in the name of a parameter that limits a result.
const LIMITS: [&str; 14] = [
    "limit", "max", "maximum", "count", "top", "first", "last", "take", "page", "size", "cursor", "offset",
    "number", "until",
];
/// The fields that a page of results is called by.
const PAGES: [&str; 9] = ["item", "result", "data", "row", "entry", "record", "list", "match", "hit"];

pub(super) fn check(views: &[View<'_>], options: &Options, findings: &mut Vec<Finding>) {
    for view in views {
        result(view, findings);
        time(view, options, findings);
        access(view, options, findings);
        shape(view, findings);
        allowances(view, findings);
        if options.agent_tools.as_ref().is_some_and(|used| !used.contains(view.name())) {
            let message = format!("{} is not assigned to any agent", view.name());
            let fix = "assign it to an agent on the platform, or remove it: each tool costs attention";
            findings.push(Finding::new(Rule::OrphanTool, Severity::Info, message, fix).about(view.name()));
        }
    }
    unenforced(views, options, findings);
    if views.len() > MANY_TOOLS {
        let message = format!(
            "{} tools: one request to OpenAI carries at most {MANY_TOOLS}, so no agent can have them all",
            views.len()
        );
        let fix = "give each agent the tools that it needs, or split the backend into several entities";
        findings.push(Finding::new(Rule::TooManyTools, Severity::Info, message, fix));
    }
}

fn result(view: &View<'_>, findings: &mut Vec<Finding>) {
    let name = view.name();
    let Some(output) = view.spec().output_schema.as_ref() else {
        let message = format!("{name} has no typed return value — downstream tools can't depend on it");
        let fix =
            "return a type that derives `Serialize` and `JsonSchema`: what was done, or at least its id";
        findings.push(Finding::new(Rule::NoReturnSchema, Severity::Warning, message, fix).about(name));
        return;
    };
    let is_open_list = |schema: &Value| {
        types(schema).contains(&"array")
            && schema.get("maxItems").is_none()
            && schema.get("prefixItems").is_none()
    };
    let page = || {
        let pages = view
            .outputs
            .iter()
            .filter(|(field, _)| words(field).iter().any(|word| PAGES.contains(&word.as_str())));
        pages.into_iter().any(|(_, schema)| is_open_list(schema))
    };
    let limits = |name: &str| words(name).iter().any(|word| LIMITS.contains(&word.as_str()));
    if (is_open_list(output) || page()) && !view.parameters.iter().any(|parameter| limits(parameter.name)) {
        let message = format!(
            "{name} returns a list and takes nothing that limits it: the platform cuts a result over 256 KiB \
             down to a preview"
        );
        let fix = "take a `limit` with a default, as in `#[tool(range(min = 1, max = 100), default = 20)] limit: u32`";
        findings.push(Finding::new(Rule::UnboundedResult, Severity::Warning, message, fix).about(name));
    }
}

fn time(view: &View<'_>, options: &Options, findings: &mut Vec<Finding>) {
    let name = view.name();
    let limit = options.call_timeout.unwrap_or(PLATFORM_WAITS).min(PLATFORM_WAITS);
    if let Some(own) = view.spec().timeout.filter(|own| *own > limit) {
        let who = if limit < PLATFORM_WAITS { "the host ends every call" } else { "the platform gives up" };
        let message = format!(
            "{name} has a timeout of {}, and {who} after {}",
            format_duration(own),
            format_duration(limit)
        );
        let fix = format!(
            "write a timeout of at most {}; for longer work return an id at once, and add a tool that asks how far it is",
            format_duration(limit)
        );
        findings.push(Finding::new(Rule::UnreachableTimeout, Severity::Warning, message, fix).about(name));
    }
    if view.spec().blocks_in_async {
        let message = format!(
            "{name} is an `async fn` that never awaits and calls something that blocks: meanwhile, it delays other calls"
        );
        let fix = "drop `async`, and it runs on a thread of its own; or await something that does not block, such as \
                   `tokio::fs`";
        findings.push(Finding::new(Rule::AsyncInNameOnly, Severity::Info, message, fix).about(name));
    }
}

fn access(view: &View<'_>, options: &Options, findings: &mut Vec<Finding>) {
    let (name, spec) = (view.name(), view.spec());
    if let Some(in_use) = &options.roles_in_use {
        for role in spec.roles.iter().filter(|role| !in_use.contains(*role)) {
            let message = format!("{name} requires role `{role}`, no agent has this role");
            let fix = format!("give `{role}` to somebody, or correct the name in `roles`");
            findings.push(Finding::new(Rule::PermissionGap, Severity::Warning, message, fix).about(name));
        }
    }
}

/// Finds tools with access rules on a host without an authenticator. There is one thing to fix, so there is one
/// finding.
fn unenforced(views: &[View<'_>], options: &Options, findings: &mut Vec<Finding>) {
    let rule = Rule::UnenforcedAccess;
    let has_rules = |view: &&View<'_>| view.spec().auth != Auth::None || !view.spec().roles.is_empty();
    let guarded = views.iter().filter(has_rules).filter(|view| !view.allows(rule, options));
    let names: Vec<_> = guarded.map(View::name).collect();
    if options.access_enforced != Some(false) || names.is_empty() {
        return;
    }
    let more = match names.len().saturating_sub(MANY_NAMES) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let listed = names.iter().take(MANY_NAMES).copied().collect::<Vec<_>>().join(", ");
    let message = format!(
        "nothing enforces the `auth` and `roles` of {listed}{more}: whoever the platform lets in can call them"
    );
    let fix = "give the host an authenticator, `Platools::authenticator(…)`, and `strict_access(true)`, so that it \
               does not start without one";
    findings.push(Finding::new(rule, Severity::Warning, message, fix));
}

fn shape(view: &View<'_>, findings: &mut Vec<Finding>) {
    let (name, count) = (view.name(), view.parameters.len());
    if count > MANY_PARAMETERS {
        let message = format!(
            "{name} has {count} parameters (consider splitting — > {MANY_PARAMETERS} may confuse the LLM)"
        );
        let fix =
            "make several tools of it, one for each thing that it does, or group parameters into a struct";
        findings.push(Finding::new(Rule::OverlyBroadTool, Severity::Info, message, fix).about(name));
    }
}

/// Finds allowed codes that no rule has; only a tool made by hand can have them.
fn allowances(view: &View<'_>, findings: &mut Vec<Finding>) {
    for error in view.spec().allowed.iter().filter_map(|code| code.parse::<Rule>().err()) {
        let message = format!("{} allows a rule that does not exist: {error}", view.name());
        let fix = "correct the code, or take it out of `allow`";
        findings.push(Finding::new(Rule::UnknownRule, Severity::Warning, message, fix).about(view.name()));
    }
}
