//! Parses `#[tool(…)]` on a function.

use std::time::Duration;

use proc_macro2::TokenStream;
use syn::{Expr, LitStr, Path};

use super::json::{self, Member};
use super::values::{At, Rate};
use super::{Entry, Value, entries, hints};
use crate::error::Errors;
use crate::names::{Case, known_names, tool_name_problem};

/// The parsed attributes of a tool.
#[derive(Default)]
pub(crate) struct ToolAttributes {
    pub(crate) name: Option<LitStr>,
    pub(crate) description: Option<Expr>,
    pub(crate) title: Option<LitStr>,
    pub(crate) category: Option<LitStr>,
    pub(crate) auth: Option<Auth>,
    pub(crate) roles: Vec<LitStr>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) rate_limit: Option<Rate>,
    pub(crate) concurrency: Option<u32>,
    pub(crate) read_only: Option<At<bool>>,
    pub(crate) destructive: Option<At<bool>>,
    pub(crate) idempotent: Option<At<bool>>,
    pub(crate) open_world: Option<At<bool>>,
    pub(crate) annotations: Vec<Member>,
    pub(crate) rename_all: Option<Case>,
    pub(crate) user_errors: bool,
    pub(crate) describe_parameters: Option<At<bool>>,
    pub(crate) dynamic_executor: Option<At<bool>>,
    pub(crate) additional_properties: Option<At<bool>>,
    pub(crate) register: Option<At<bool>>,
    pub(crate) allow: Vec<LitStr>,
    pub(crate) krate: Option<Path>,
}

/// The caller that a tool requires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Auth {
    None,
    User,
    Admin,
}

pub(crate) const ATTRIBUTES: [&str; 22] = [
    "name",
    "description",
    "title",
    "category",
    "auth",
    "roles",
    "timeout",
    "rate_limit",
    "concurrency",
    "read_only",
    "destructive",
    "idempotent",
    "open_world",
    "annotations",
    "rename_all",
    "errors",
    "describe_parameters",
    "dynamic_executor",
    "additional_properties",
    "register",
    "allow",
    "crate",
];

/// Codes of the doctor's rules, a copy of those in `platools_toolkit::doctor::Rule`.
pub(crate) const RULES: [&str; 29] = [
    "unreachable_param",
    "type_mismatch",
    "circular_dependency",
    "orphan_tool",
    "short_tool_description",
    "short_param_description",
    "no_return_schema",
    "ambiguous_output",
    "permission_gap",
    "overly_broad_tool",
    "missing_destructive_hint",
    "rejected_schema",
    "rejected_name",
    "long_tool_description",
    "too_many_tools",
    "duplicate_description",
    "vague_description",
    "unbounded_result",
    "unreachable_timeout",
    "async_in_name_only",
    "unenforced_access",
    "unknown_rule",
    "no_tools",
    "dynamic_executor",
    "oversized_description",
    "unexplained_params",
    "nullable_type",
    "dropped_fields",
    "null_result",
];

/// Attributes of a parameter, which get a better error than "unknown attribute".
const PARAMETER_ATTRIBUTES: [&str; 8] =
    ["rename", "default", "range", "length", "pattern", "flatten", "inject", "user_providable"];

impl ToolAttributes {
    /// Parses the list of `#[tool(…)]`.
    pub(crate) fn read(tokens: TokenStream, errors: &mut Errors) -> Self {
        let mut tool = Self::default();
        let entries = entries(tokens, errors);
        for entry in &entries {
            tool.take(entry, errors);
        }
        tool.check_contradictions(&entries, errors);
        tool
    }

    fn take(&mut self, entry: &Entry, errors: &mut Errors) {
        match entry.name().as_str() {
            "name" => self.name = entry.string("name = \"lookup_order\"", errors),
            "description" => {
                self.description = entry.text_expression("description = \"Look up one order.\"", errors);
            }
            "title" => self.title = entry.text("title = \"Order lookup\"", errors),
            "category" => self.category = entry.text("category = \"orders\"", errors),
            "auth" => {
                let choices = [("user", Auth::User), ("admin", Auth::Admin), ("none", Auth::None)];
                self.auth = entry.choice(&choices, errors);
            }
            "roles" => self.roles = entry.texts("roles = [\"support\", \"admin\"]", errors),
            "timeout" => self.timeout = entry.duration(errors),
            "rate_limit" => self.rate_limit = entry.rate(errors),
            "concurrency" => self.concurrency = entry.count(errors),
            "read_only" => self.read_only = entry.switch(errors),
            "destructive" => self.destructive = entry.switch(errors),
            "idempotent" => self.idempotent = entry.switch(errors),
            "open_world" => self.open_world = entry.switch(errors),
            "annotations" => match &entry.value {
                Value::List(span, tokens) => {
                    self.annotations = json::annotations(*span, tokens.clone(), errors);
                }
                _ => entry.value_error(errors, "write `annotations(team = \"orders\")`, with parentheses"),
            },
            "rename_all" => self.rename_all = entry.choice(&Case::ALL, errors),
            "errors" => {
                let choices = [("user", true), ("internal", false)];
                self.user_errors = entry.choice(&choices, errors).unwrap_or_default();
            }
            "describe_parameters" => self.describe_parameters = entry.switch(errors),
            "dynamic_executor" => self.dynamic_executor = entry.switch(errors),
            "additional_properties" => self.additional_properties = entry.switch(errors),
            "register" => self.register = entry.switch(errors),
            "allow" => {
                self.allow = entry.texts("allow = [\"no_return_schema\"]", errors);
                for code in self.allow.iter().filter(|code| !RULES.contains(&code.value().as_str())) {
                    let known = known_names(&code.value(), &RULES);
                    errors.on(code, format!("the doctor has no rule `{}`{known}", code.value()));
                }
            }
            "crate" => self.krate = entry.path(errors),
            name if PARAMETER_ATTRIBUTES.contains(&name) => errors.on(
                &entry.key,
                format!("`{name}` belongs to a parameter: write `#[tool({name}…)]` before the parameter"),
            ),
            _ if hints::on_tool(entry, errors) => {}
            _ => entry.unknown(errors, &ATTRIBUTES),
        }
    }

    fn check_contradictions(&self, entries: &[Entry], errors: &mut Errors) {
        let key = |name: &str| entries.iter().find(|entry| entry.name() == name).map(|entry| &entry.key);
        let on = |switch: &Option<At<bool>>| switch.as_ref().is_some_and(|switch| switch.value);
        if on(&self.read_only) && on(&self.destructive) {
            errors.on(key("destructive"), "a tool cannot be both `read_only` and `destructive`: remove one");
        }
        if self.auth == Some(Auth::None) && !self.roles.is_empty() {
            errors.on(key("roles"), "`roles` need a caller, but `auth = \"none\"` requires none: remove one");
        }
        if let Some(name) = &self.name
            && let Some(problem) = tool_name_problem(&name.value())
        {
            errors.on(name, problem);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quote::quote;

    fn errors_of(tokens: TokenStream) -> Vec<String> {
        let mut errors = Errors::default();
        ToolAttributes::read(tokens, &mut errors);
        errors.messages()
    }

    #[test]
    fn every_attribute_is_read() {
        let mut errors = Errors::default();
        let tool = ToolAttributes::read(
            quote!(
                name = "orders.lookup",
                description = include_str!("lookup.md"),
                title = "Lookup",
                category = "orders",
                auth = "admin",
                roles = ["a", "b"],
                timeout = "1m 30s",
                rate_limit = "60/min",
                concurrency = 4,
                read_only,
                destructive = false,
                idempotent = true,
                open_world,
                annotations(team = "orders"),
                rename_all = "camelCase",
                errors = "user",
                describe_parameters,
                dynamic_executor = false,
                additional_properties,
                register = false,
                allow = ["no_return_schema", "rejected_name"],
                crate = my::platools
            ),
            &mut errors,
        );
        assert_eq!(errors.messages(), [""; 0]);
        assert_eq!(tool.name.unwrap().value(), "orders.lookup");
        assert!(tool.description.is_some());
        assert_eq!(tool.auth, Some(Auth::Admin));
        assert_eq!(tool.roles.len(), 2);
        assert_eq!(tool.timeout, Some(Duration::from_secs(90)));
        assert_eq!(tool.rate_limit.map(|rate| (rate.calls, rate.time)), Some((60, Duration::from_secs(60))));
        assert_eq!(tool.concurrency, Some(4));
        let switches = [tool.read_only, tool.destructive, tool.idempotent, tool.open_world];
        assert_eq!(switches.map(|switch| switch.unwrap().value), [true, false, true, true]);
        assert_eq!(tool.annotations.len(), 1);
        assert_eq!(tool.rename_all, Some(Case::Camel));
        assert!(tool.user_errors && tool.additional_properties.unwrap().value);
        assert!(tool.describe_parameters.unwrap().value && !tool.dynamic_executor.unwrap().value);
        assert!(!tool.register.unwrap().value);
        assert_eq!(tool.allow.len(), 2);
        assert_eq!(tool.krate.unwrap().segments.len(), 2);
    }

    #[test]
    fn every_rule_of_the_doctor_can_be_allowed() {
        let known: Vec<_> = platools_toolkit::doctor::Rule::ALL.iter().map(|rule| rule.code()).collect();
        assert_eq!(known, RULES);
    }

    #[test]
    fn wrong_values_say_what_is_right() {
        for (tokens, expected) in [
            (quote!(timeout = 10), "`timeout` takes text in quotes: `timeout = \"10s\"`"),
            (quote!(timeout = "soon"), "\"soon\" is not a duration"),
            (quote!(timeout = "0s"), "`timeout` is too short"),
            (quote!(timeout), "`timeout` takes text in quotes"),
            (quote!(rate_limit = 60 / min), "`rate_limit` takes text in quotes: `rate_limit = \"60/min\"`"),
            (quote!(rate_limit = "60"), "\"60\" is not a rate"),
            (quote!(concurrency = 0), "`concurrency` takes a whole number from 1"),
            (quote!(concurrency = "4"), "`concurrency` takes a whole number from 1"),
            (
                quote!(auth = "usr"),
                "`auth` cannot be \"usr\", did you mean `user`?; known: `user`, `admin`, `none`",
            ),
            (quote!(auth = User), "`auth` takes text in quotes: `auth = \"user\"`"),
            (quote!(roles = []), "`roles` is empty"),
            (quote!(roles = "admin"), "`roles` takes a list of texts"),
            (quote!(roles = ["a", "a"]), "\"a\" is given twice in `roles`"),
            (quote!(roles = ["a", 1]), "`roles` takes texts in quotes"),
            (quote!(describe_parameters = 1), "`describe_parameters` is a switch: `describe_parameters` or"),
            (
                quote!(describe_params),
                "unknown attribute `describe_params`, did you mean `describe_parameters`?",
            ),
            (quote!(executor), "unknown attribute `executor`: write `dynamic_executor`"),
            (quote!(read_only = "yes"), "`read_only` is a switch: `read_only` or `read_only = false`"),
            (quote!(description = ""), "`description` is empty"),
            (quote!(name = "9lives"), "must start with a letter or `_`, not with `9`"),
            (quote!(timout = "10s"), "unknown attribute `timout`, did you mean `timeout`?; known: `name`"),
            (quote!(default = 3), "`default` belongs to a parameter"),
            (quote!(desc = "x"), "unknown attribute `desc`: write a doc comment, or `description = \"…\"`"),
            (quote!(readOnly), "unknown attribute `readOnly`: write `read_only`"),
            (quote!(readonly = false), "write `read_only = false`"),
            (quote!(read_only_hint = true), "write `read_only = true`"),
            (quote!(scopes = ["orders:read"]), "use `auth"),
            (quote!(role = "admin"), "`roles = [\"support\"]`"),
            (quote!(limit = 3), "write `rate_limit = \"60/min\"` for calls per time, or `concurrency = 4`"),
            (quote!(rate = "5/s"), "write `rate_limit = \"5/s\"`"),
            (quote!(max_concurrency = 8), "write `concurrency = 8`"),
            (quote!(retries = 3), "write `idempotent` if"),
            (quote!(async), "unknown attribute `async`: write `async fn`"),
            (quote!(tags = ["a"]), "write `category"),
            (quote!(group = "orders"), "write `category"),
            (quote!(annotations = 3), "write `annotations(team = \"orders\")`, with parentheses"),
            (quote!(read_only, destructive), "a tool cannot be both `read_only` and `destructive`"),
            (quote!(auth = "none", roles = ["a"]), "`auth = \"none\"` requires none"),
            (quote!(errors = "users"), "`errors` cannot be \"users\", did you mean `user`?"),
            (
                quote!(allow = "no_return_schema"),
                "`allow` takes a list of texts: `allow = [\"no_return_schema\"]`",
            ),
            (
                quote!(allow = ["no_return_shema"]),
                "the doctor has no rule `no_return_shema`, did you mean `no_return_schema`?; known: `unreachable_param`",
            ),
            (
                quote!(allow = ["type_mismatch", "type_mismatch"]),
                "\"type_mismatch\" is given twice in `allow`",
            ),
            (quote!(user_providable), "`user_providable` belongs to a parameter"),
            (quote!(crate = 3), "`crate` takes the path to platools"),
        ] {
            let errors = errors_of(tokens.clone());
            assert_eq!(errors.len(), 1, "{tokens}: {errors:?}");
            assert!(errors[0].contains(expected), "{tokens}: {errors:?}");
        }
    }
}
