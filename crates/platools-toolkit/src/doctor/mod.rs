//! Finds what keeps agents from finding, understanding or calling the tools, without running any.
//!
//! ```
//! use platools_toolkit::doctor::{Options, Rule, examine};
//! use platools_toolkit::Layout;
//! use platools::tool::Registry;
//! use platools::{tool, tools};
//!
//! /// Delete an order that has not shipped.
//! #[tool(register = false)]
//! fn delete_order(
//!     /// The order to delete, such as `ord-1042`.
//!     order_id: String,
//! ) -> String {
//!     order_id
//! }
//!
//! let mut registry = Registry::new();
//! registry.extend(tools![delete_order])?;
//! let report = examine(&registry, &Options::new());
//! assert!(!report.has_errors());
//! assert_eq!(report.findings[0].rule, Rule::MissingDestructiveHint);
//! println!("{}", report.text(Layout::default()));
//! # Ok::<(), platools::tool::RegistryError>(())
//! ```
//!
//! [`Options`] hold facts about the host that the tools do not show: `Options::of_host(&local)`.
//!
//! # Rules
//!
//! Each [`Rule`] has a code. Most findings are warnings; an error means that a tool can never be called, or that
//! a model vendor refuses every request that carries it. A rule that does not fit one tool is allowed there,
//! with `#[tool(allow = ["no_return_schema"])]` or [`ToolSpec::allow`](platools::ToolSpec::allow), which is not
//! sent to the platform, or from outside with an [`Allowance`].
//!
//! The rules of the Python package keep their codes. These look closer:
//!
//! * `unreachable_param`: text, numbers and choices can be filled in by a model or a person, so only opaque ids
//!   are looked at (`order_id`, `uuid`) whose description shows no example, and a producer is also a tool that
//!   returns `id` as a part of something called like it. `"x-user-providable"` in a parameter's schema, or
//!   `#[tool(user_providable)]`, settles it: `true` is never reported, and `false` is an error unless another
//!   tool returns the value.
//! * `circular_dependency`: not reported where another tool or a person can start the circle.
//! * `ambiguous_output`: only for fields that some tool takes as a parameter.
//! * `missing_destructive_hint`: by whole words (`get_dropdown` drops nothing), and not where the tool is
//!   `read_only` or says `destructive = false`.
//!
//! In its default exposure the platform shows a model the name and the description of a tool, and of its parameters only
//! the names. `unexplained_params` finds the descriptions that leave some unexplained, with the summary that
//! `#[tool(describe_parameters)]` or `Platools::describe_parameters(true)` would append; with it,
//! [`Report::descriptions`] has the texts that are sent.
//!
//! This module looks at declarations only. It must not know how calls run, and it reads and prints nothing.

mod cycles;
mod declaration;
mod descriptions;
mod exposure;
mod options;
mod report;
mod rule;
mod sources;
mod text;
mod vendors;
mod view;

use platools::tool::Registry;

pub use self::options::{Allowance, Options};
pub use self::report::{Description, Finding, Report, Severity};
pub use self::rule::{Rule, UnknownRuleCode};
use self::view::View;

/// The number of tools that one message names at most.
const MANY_NAMES: usize = 5;

/// Examines all tools of a registry and returns the findings.
pub fn examine(registry: &Registry, options: &Options) -> Report {
    let views: Vec<_> = registry.iter().map(View::new).collect();
    let mut findings = Vec::new();
    sources::check(&views, options, &mut findings);
    descriptions::check(&views, options, &mut findings);
    declaration::check(&views, options, &mut findings);
    vendors::check(&views, options, &mut findings);
    exposure::check(&views, options, &mut findings);
    let found = findings.len();
    findings.retain(|finding| {
        let tool = finding.tool.as_deref();
        let allowed = tool.and_then(|tool| registry.get(tool)).map(|tool| &tool.spec().allowed);
        let by_tool = allowed.is_some_and(|codes| codes.iter().any(|code| code == finding.rule.code()));
        !by_tool && !options.allows(finding.rule, tool)
    });
    // By tool, and what is about several at the end; inside of a tool in the order of the rules.
    findings.sort_by_cached_key(|finding| (finding.tool.is_none(), finding.tool.clone(), finding.rule));
    let descriptions = exposure::described(&views, options);
    Report { tool_count: registry.len(), allowed: found - findings.len(), findings, descriptions }
}

#[cfg(test)]
mod tests;
