//! Schemas and names that model vendors refuse. A vendor refuses the whole request then, so that one tool
//! disables all others of its agent.
//!
//! The following holds as of 2026. A platform may rewrite schemas before it passes them on, an MCP client
//! usually does not:
//!
//! | vendor | refuses |
//! | --- | --- |
//! | OpenAI | `oneOf`, `anyOf`, `allOf`, `enum`, `not` at the root; lists without `items`; names with a `.`; with `strict` also `oneOf` and `allOf` anywhere, more than 10 levels, more than 1 000 choices |
//! | Anthropic | `oneOf`, `anyOf`, `allOf` at the root; names with a `.`; arguments that are not `[A-Za-z0-9_.-]{1,64}` |
//! | Gemini | keywords beyond its subset of OpenAPI, such as `$ref`, `const`, `oneOf`, `patternProperties`; lists of types such as `["string","null"]`; arguments without a type |

use std::collections::BTreeMap;

use serde_json::Value;

use super::options::Options;
use super::view::{Parameter, View, resolved};
use super::{Finding, MANY_NAMES, Rule, Severity};

/// The depth limit of a strict schema at OpenAI.
const MAX_LEVELS: usize = 10;
/// The limit of OpenAI on all choices of a strict schema together.
const MAX_CHOICES: usize = 1_000;
/// The longest name of an argument that Anthropic accepts, in characters.
const MAX_NAME: usize = 64;

/// Keywords that say what fields an object takes beside those that it names, or that its fields are told elsewhere.
const OPENNESS: [&str; 4] = ["additionalProperties", "unevaluatedProperties", "patternProperties", "$ref"];

/// Keywords that hold one schema.
const NESTED: [&str; 8] = [
    "items",
    "additionalProperties",
    "not",
    "contains",
    "propertyNames",
    "if",
    "then",
    "unevaluatedProperties",
];
/// Keywords that hold a list of schemas.
const LISTS: [&str; 4] = ["oneOf", "anyOf", "allOf", "prefixItems"];
/// Keywords that hold schemas by name.
const MAPS: [&str; 3] = ["properties", "patternProperties", "dependentSchemas"];
/// Keywords that types hardly ever bring along, and that both Gemini and OpenAI's `strict` refuse.
const RARE: [&str; 10] = [
    "patternProperties",
    "propertyNames",
    "dependentSchemas",
    "dependentRequired",
    "unevaluatedProperties",
    "contains",
    "if",
    "then",
    "else",
    "not",
];

pub(super) fn check(views: &[View<'_>], options: &Options, findings: &mut Vec<Finding>) {
    let mut with_lists = Vec::new();
    for view in views {
        names(view, findings);
        root(view, findings);
        let mut choices = 0;
        for parameter in &view.parameters {
            let walked = parameter_schema(view, parameter, findings);
            choices += walked.choices;
            if walked.has_type_list && !view.allows(Rule::NullableType, options) {
                with_lists.push(format!("{}.{}", view.name(), parameter.name));
            }
        }
        if choices > MAX_CHOICES {
            let message = format!(
                "{} offers {choices} choices in its schema: OpenAI refuses more than {MAX_CHOICES} with `strict`",
                view.name()
            );
            let fix = "take a text, and refuse unknown ones with the nearest known one";
            findings
                .push(Finding::new(Rule::RejectedSchema, Severity::Warning, message, fix).about(view.name()));
        }
    }
    type_lists(&with_lists, findings);
}

/// Arguments that may be `null` by a list of types. There is one thing to know, so there is one finding.
fn type_lists(arguments: &[String], findings: &mut Vec<Finding>) {
    let [first, ..] = arguments else { return };
    let (count, listed) = match arguments.len() {
        1 => ("has".to_owned(), first.clone()),
        count => {
            let more = if count > MANY_NAMES { ", …" } else { "" };
            let listed = arguments.iter().take(MANY_NAMES).cloned().collect::<Vec<_>>().join(", ");
            (format!("({count} arguments) have"), format!("{listed}{more}"))
        }
    };
    let message = format!(
        "{listed} {count} a list of types such as `[\"string\",\"null\"]`: Gemini refuses that where nothing rewrites it"
    );
    let fix = "where agents use Gemini without a layer that rewrites schemas, take a plain type with a `default` in place \
               of an `Option`";
    findings.push(Finding::new(Rule::NullableType, Severity::Info, message, fix));
}

fn names(view: &View<'_>, findings: &mut Vec<Finding>) {
    let tool = view.name();
    if tool.contains('.') {
        let message = format!("{tool} has a `.` in its name: OpenAI and Anthropic refuse it");
        let fix = format!("call it `{}`, unless what stands between renames tools", tool.replace('.', "_"));
        findings.push(Finding::new(Rule::RejectedName, Severity::Warning, message, fix).about(tool));
    }
    for name in view.parameters.iter().map(|parameter| parameter.name) {
        let fits = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
        if name.is_empty() || name.len() > MAX_NAME || !name.chars().all(fits) {
            let message = format!(
                "{tool} has an argument `{name}`: Anthropic refuses names that are not 1 to {MAX_NAME} of A-Z a-z 0-9 _ . -"
            );
            let fix = "rename it, with `#[serde(rename = \"…\")]` where it is the field of a struct";
            let finding = Finding::new(Rule::RejectedName, Severity::Warning, message, fix);
            findings.push(finding.about(tool).parameter(name));
        }
    }
}

fn root(view: &View<'_>, findings: &mut Vec<Finding>) {
    let (tool, schema) = (view.name(), &view.spec().input_schema);
    let has = |keyword: &&&str| schema.get(**keyword).is_some();
    for (keywords, severity, who) in [
        (&["oneOf", "anyOf", "allOf"], Severity::Error, "OpenAI and Anthropic refuse"),
        (&["enum", "not", "const"], Severity::Warning, "OpenAI refuses"),
    ] {
        let found: Vec<_> = keywords.iter().filter(has).map(|keyword| format!("`{keyword}`")).collect();
        if !found.is_empty() {
            let message =
                format!("{tool} has {} at the root of its input schema: {who} that", found.join(", "));
            let fix =
                "take what is chosen as one parameter of an enum type, or make a tool of each alternative";
            findings.push(Finding::new(Rule::RejectedSchema, severity, message, fix).about(tool));
        }
    }
}

/// Examines one argument.
fn parameter_schema<'a>(view: &View<'a>, parameter: &Parameter<'a>, findings: &mut Vec<Finding>) -> Walk<'a> {
    let root = &view.spec().input_schema;
    let mut walk = Walk { root, choices: 0, has_type_list: false, found: BTreeMap::new() };
    walk.schema(parameter.schema, &mut vec![parameter.schema], 1);
    let (tool, name) = (view.name(), parameter.name);
    for (problem, keywords) in std::mem::take(&mut walk.found) {
        let (severity, message, fix) = problem.words(&keywords);
        let rule = if problem == Problem::DropsFields { Rule::DroppedFields } else { Rule::RejectedSchema };
        let finding = Finding::new(rule, severity, format!("{tool}.{name} {message}"), fix);
        findings.push(finding.about(tool).parameter(name));
    }
    walk
}

/// A problem of a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Problem {
    Untyped,
    ListWithoutItems,
    Recursive,
    TooDeep,
    Rare,
    NotOpenApi,
    DropsFields,
}

impl Problem {
    /// Returns the severity, the problem and the fix.
    fn words(self, keywords: &[&str]) -> (Severity, String, &'static str) {
        let list = || keywords.iter().map(|keyword| format!("`{keyword}`")).collect::<Vec<_>>().join(", ");
        match self {
            Self::Untyped => (
                Severity::Warning,
                "takes any value: Gemini refuses an argument without a type, and a model can only guess".to_owned(),
                "take a type that says what is expected; for free-form data a text or a map of texts",
            ),
            Self::ListWithoutItems => (
                Severity::Warning,
                "is or has a list whose items have no schema of their own: OpenAI refuses it (`array schema missing items`)"
                    .to_owned(),
                "take a struct with named fields instead of a tuple, or a `Vec` with `length(equal = …)`",
            ),
            Self::Recursive => (
                Severity::Warning,
                "is of a type that contains itself: Gemini knows no `$ref`".to_owned(),
                "take a flat list whose items name their parents",
            ),
            Self::TooDeep => (
                Severity::Warning,
                format!("is nested more than {MAX_LEVELS} levels deep: OpenAI refuses it with `strict`, and models lose their way"),
                "flatten it, or take an id in place of what is inside",
            ),
            Self::Rare => (
                Severity::Warning,
                format!("uses {} in its schema: Gemini refuses that, and OpenAI with `strict`", list()),
                "say it in the description, and check it in the function",
            ),
            Self::NotOpenApi => (
                Severity::Info,
                format!("uses {} in its schema: Gemini refuses that where nothing rewrites it, and OpenAI refuses \
                         `oneOf` and `allOf` with `strict`", list()),
                "an enum whose variants have neither fields nor doc comments is a plain `enum`; describe the variants \
                 in the parameter's doc comment",
            ),
            Self::DropsFields => (
                Severity::Warning,
                "is or has an object that takes fields it does not know: a misspelt one is dropped without a word"
                    .to_owned(),
                "say `\"additionalProperties\": false` in the schema and refuse them by name, or `true` if they are wanted",
            ),
        }
    }
}

/// The way through the schema of one argument.
struct Walk<'a> {
    root: &'a Value,
    choices: usize,
    /// Whether any schema names several types.
    has_type_list: bool,
    found: BTreeMap<Problem, Vec<&'static str>>,
}

impl<'a> Walk<'a> {
    fn find(&mut self, problem: Problem, keyword: Option<&'static str>) {
        let keywords = self.found.entry(problem).or_default();
        if let Some(keyword) = keyword.filter(|keyword| !keywords.contains(keyword)) {
            keywords.push(keyword);
        }
    }

    /// Looks at a schema; `inside` are those that it is part of.
    fn schema(&mut self, schema: &'a Value, inside: &mut Vec<&'a Value>, level: usize) {
        if level > MAX_LEVELS {
            self.find(Problem::TooDeep, None);
            return;
        }
        let typed = ["type", "enum", "const", "$ref"].into_iter().chain(LISTS);
        if typed.clone().all(|keyword| schema.get(keyword).is_none()) && schema != &Value::Bool(false) {
            self.find(Problem::Untyped, None);
        }
        self.has_type_list |= schema.get("type").is_some_and(Value::is_array);
        let says = |keyword: &str| schema.get(keyword).is_some();
        if says("properties") && !OPENNESS.into_iter().any(says) {
            self.find(Problem::DropsFields, None);
        }
        let is_array = super::view::types(schema).contains(&"array");
        if is_array && !schema.get("items").is_some_and(Value::is_object) {
            self.find(Problem::ListWithoutItems, None);
        }
        for keyword in RARE.into_iter().filter(|keyword| schema.get(keyword).is_some()) {
            self.find(Problem::Rare, Some(keyword));
        }
        for keyword in ["const", "oneOf", "allOf"].into_iter().filter(|keyword| schema.get(keyword).is_some())
        {
            self.find(Problem::NotOpenApi, Some(keyword));
        }
        self.choices += schema.get("enum").and_then(Value::as_array).map_or(0, Vec::len);
        let lists = LISTS.iter().filter_map(|keyword| schema.get(keyword)?.as_array()).flatten();
        let maps = MAPS.iter().filter_map(|keyword| schema.get(keyword)?.as_object());
        let nested =
            NESTED.iter().filter_map(|keyword| schema.get(keyword)).filter(|nested| nested.is_object());
        // Alternatives stand in the place of the schema, not below it.
        for (part, deeper) in lists
            .map(|part| (part, 0))
            .chain(maps.flat_map(|map| map.values()).map(|part| (part, 1)))
            .chain(nested.map(|part| (part, 1)))
        {
            let target = resolved(part, self.root);
            if inside.iter().any(|outer| std::ptr::eq(*outer, target)) {
                self.find(Problem::Recursive, None);
                continue;
            }
            inside.push(target);
            self.schema(target, inside, level + deeper);
            inside.pop();
        }
    }
}
