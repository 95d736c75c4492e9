//! Facts about the host that the doctor cannot see in the tools, and which findings to leave out.

use std::collections::BTreeSet;
use std::str::FromStr;
use std::time::Duration;

use platools::LocalHost;

use super::{Rule, UnknownRuleCode};

/// Facts about the host and its agents, and rules to ignore.
///
/// A rule that needs a fact that is not given finds nothing: without the roles in use there is no `permission_gap`.
///
/// ```
/// use platools_toolkit::doctor::{Options, Rule};
///
/// let options = Options::new()
///     .roles_in_use(["support", "admin"])
///     .allow(Rule::NoReturnSchema.everywhere())
///     .allow("export_orders:unbounded_result".parse()?);
/// # Ok::<(), platools_toolkit::doctor::UnknownRuleCode>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Options {
    pub(super) roles_in_use: Option<BTreeSet<String>>,
    pub(super) agent_tools: Option<BTreeSet<String>>,
    pub(super) access_enforced: Option<bool>,
    pub(super) call_timeout: Option<Duration>,
    pub(super) describe_parameters: bool,
    allowances: Vec<Allowance>,
}

impl Options {
    /// Creates options without any fact or allowance.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes from `host` whether an authenticator enforces access, how long a call may take, and whether tools describe
    /// their parameters.
    pub fn of_host(host: &LocalHost) -> Self {
        Self::new()
            .access_enforced(host.is_authenticated())
            .call_timeout(host.call_timeout())
            .describe_parameters(host.tools().describes_parameters())
    }

    /// Adds roles that people and agents have; a tool that requires another role is a `permission_gap`.
    pub fn roles_in_use<R: Into<String>>(mut self, roles: impl IntoIterator<Item = R>) -> Self {
        self.roles_in_use.get_or_insert_default().extend(roles.into_iter().map(Into::into));
        self
    }

    /// Adds tools that agents use; any other tool is an `orphan_tool`.
    pub fn agent_tools<T: Into<String>>(mut self, tools: impl IntoIterator<Item = T>) -> Self {
        self.agent_tools.get_or_insert_default().extend(tools.into_iter().map(Into::into));
        self
    }

    /// Sets whether an authenticator enforces `auth` and `roles`; if not, a tool that has them is an
    /// `unenforced_access`.
    pub fn access_enforced(mut self, enforced: bool) -> Self {
        self.access_enforced = Some(enforced);
        self
    }

    /// Sets how long the host lets any call take; a longer timeout of a tool is an `unreachable_timeout`. The
    /// default is the 30 s that the platform waits.
    pub fn call_timeout(mut self, timeout: Duration) -> Self {
        self.call_timeout = Some(timeout);
        self
    }

    /// Sets whether the host appends a summary of the parameters to the descriptions of tools that do not say themselves.
    pub fn describe_parameters(mut self, describe: bool) -> Self {
        self.describe_parameters = describe;
        self
    }

    /// Leaves out the findings of a rule, everywhere or in one tool.
    pub fn allow(mut self, allowance: Allowance) -> Self {
        self.allowances.push(allowance);
        self
    }

    /// Returns whether a finding of `rule` about `tool` is left out.
    pub(super) fn allows(&self, rule: Rule, tool: Option<&str>) -> bool {
        self.allowances.iter().any(|allowance| {
            allowance.rule == rule && allowance.tool.as_deref().is_none_or(|name| Some(name) == tool)
        })
    }
}

/// A rule to ignore: `no_return_schema` everywhere, or `export:no_return_schema` in one tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowance {
    rule: Rule,
    tool: Option<String>,
}

impl Rule {
    /// Allows this rule in all tools.
    pub fn everywhere(self) -> Allowance {
        Allowance { rule: self, tool: None }
    }

    /// Allows this rule in one tool.
    pub fn in_tool(self, tool: impl Into<String>) -> Allowance {
        Allowance { rule: self, tool: Some(tool.into()) }
    }
}

impl FromStr for Allowance {
    type Err = UnknownRuleCode;

    /// Reads `rule` or `tool:rule`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // No tool has a `:` in its name.
        match text.rsplit_once(':') {
            Some((tool, code)) => Ok(code.parse::<Rule>()?.in_tool(tool.trim())),
            None => Ok(text.parse::<Rule>()?.everywhere()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_allowance_is_for_all_tools_or_for_one() {
        let options = Options::new()
            .allow("no_return_schema".parse().unwrap())
            .allow("export:unbounded_result".parse().unwrap());
        for (rule, tool, allowed) in [
            (Rule::NoReturnSchema, Some("a"), true),
            (Rule::NoReturnSchema, None, true),
            (Rule::UnboundedResult, Some("export"), true),
            (Rule::UnboundedResult, Some("a"), false),
            (Rule::UnboundedResult, None, false),
        ] {
            assert_eq!(options.allows(rule, tool), allowed, "{rule} {tool:?}");
        }
        let error = "export:unbounded_results".parse::<Allowance>().unwrap_err().to_string();
        assert!(error.contains("did you mean `unbounded_result`?"), "{error}");
    }
}
