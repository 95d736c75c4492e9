//! The rules by name; the checks are in the sibling modules.

use std::fmt;
use std::str::FromStr;

use platools::tool::nearest_name;
use serde::{Serialize, Serializer};

macro_rules! rules {
    ($($(#[$note:meta])* $name:ident $code:literal $summary:literal)*) => {
        /// A kind of problem that the doctor looks for.
        ///
        /// Codes are stable; a code that the Python package has too means the same there.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Rule {$(
            #[doc = concat!("`", $code, "`: ", $summary, ".")]
            $(#[$note])*
            $name,
        )*}

        impl Rule {
            /// Every rule.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// Returns the rule's code, such as `unreachable_param`.
            pub fn code(self) -> &'static str {
                match self { $(Self::$name => $code),* }
            }

            /// Returns a one-line description of the rule.
            pub fn summary(self) -> &'static str {
                match self { $(Self::$name => $summary),* }
            }
        }
    };
}

rules! {
    UnreachableParam "unreachable_param"
        "a required parameter that nobody can fill in: an error where the tool can never be called, a warning \
         for an opaque id that no other tool returns"
    TypeMismatch "type_mismatch"
        "a required parameter has another type than the field of the same name that another tool returns"
    CircularDependency "circular_dependency"
        "tools that need what only the others return: an error where the parameters are marked \
         `\"x-user-providable\": false`, else a warning"
    OrphanTool "orphan_tool"
        "a tool that no agent uses; needs the list of tools that agents use"
    ShortToolDescription "short_tool_description"
        "a tool's description has fewer than 10 characters"
    ShortParamDescription "short_param_description"
        "a parameter's description has fewer than 10 characters"
    NoReturnSchema "no_return_schema"
        "the type of a tool's result is not declared"
    AmbiguousOutput "ambiguous_output"
        "a field that some tool takes is returned by several others"
    PermissionGap "permission_gap"
        "a role that nobody has; needs the list of roles in use"
    OverlyBroadTool "overly_broad_tool"
        "a tool has more than 10 parameters"
    MissingDestructiveHint "missing_destructive_hint"
        "a name such as `delete_order` on a tool that says neither that it is destructive nor that it is not"
    RejectedSchema "rejected_schema"
        "a schema that a model vendor refuses, and with it every request that carries the tool"
    RejectedName "rejected_name"
        "a name that a model vendor refuses, and with it every request that carries the tool"
    LongToolDescription "long_tool_description"
        "a tool's description has more than the 1024 characters that some models of OpenAI take"
    TooManyTools "too_many_tools"
        "more tools than fit into one request to OpenAI"
    DuplicateDescription "duplicate_description"
        "two tools have the same description, so that nothing tells a model which to choose"
    VagueDescription "vague_description"
        "a description only repeats the name, or stands in for one that was never written"
    UnboundedResult "unbounded_result"
        "a tool returns a list and has no parameter that limits it"
    UnreachableTimeout "unreachable_timeout"
        "a timeout beyond the time that the platform, or the host, waits for any call"
    AsyncInNameOnly "async_in_name_only"
        "an `async` function that never awaits and calls something that blocks, so that it delays other calls"
    UnenforcedAccess "unenforced_access"
        "a tool says who may call it, and the host has no authenticator that would enforce it"
    UnknownRule "unknown_rule"
        "a tool allows a rule that does not exist"
    NoTools "no_tools"
        "there are no tools at all"
    DynamicExecutor "dynamic_executor"
        "a tool that the platform takes for a dynamic executor by the names of two parameters, or that says it is one and \
         lacks them"
    OversizedDescription "oversized_description"
        "a tool's description has more than the 8192 characters that the platform takes from an operator"
    UnexplainedParams "unexplained_params"
        "a tool's description does not mention parameters of which a model may see only the names"
    NullableType "nullable_type"
        "a list of types such as `[\"string\",\"null\"]`, which some vendors refuse"
    DroppedFields "dropped_fields"
        "an object inside an argument that takes unknown fields and drops them without a word"
    NullResult "null_result"
        "a result that may be `null`, which a model reads as a failure"
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl Serialize for Rule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

/// The error for a code that no rule has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", unknown(code))]
pub struct UnknownRuleCode {
    code: String,
}

fn unknown(code: &str) -> String {
    let codes = || Rule::ALL.iter().map(|rule| rule.code());
    let hint =
        nearest_name(code, codes()).map(|near| format!(", did you mean `{near}`?")).unwrap_or_default();
    let known: Vec<_> = codes().map(|code| format!("`{code}`")).collect();
    format!("there is no rule `{code}`{hint}; known: {}", known.join(", "))
}

impl FromStr for Rule {
    type Err = UnknownRuleCode;

    fn from_str(code: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.iter().find(|rule| rule.code() == code.trim());
        found.copied().ok_or_else(|| UnknownRuleCode { code: code.trim().to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_read_and_write_alike_and_are_told_apart() {
        for rule in Rule::ALL {
            assert_eq!(rule.to_string().parse(), Ok(*rule));
            assert!(!rule.summary().is_empty());
        }
        let error = "short_parameter_description".parse::<Rule>().unwrap_err().to_string();
        assert!(error.contains("did you mean `short_param_description`?"), "{error}");
        assert!("nonsense".parse::<Rule>().unwrap_err().to_string().contains("known: `unreachable_param`"));
    }
}
