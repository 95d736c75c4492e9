//! The declaration of a tool: what the platform and the model are told about it.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::Requirement;
use super::schema::InputSchema;

/// The longest name a tool may have, in characters.
const MAX_NAME_LENGTH: usize = 64;

/// Who may call a tool (tool-sync §3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Auth {
    /// Anyone.
    #[default]
    None,
    /// A signed-in user.
    User,
    /// An administrator.
    Admin,
}

impl Auth {
    /// The word on the wire: `none`, `user` or `admin`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::User => "user",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How often a tool may be called: `count` calls in every `period`, and as many at once unless
/// [`burst`](Self::burst) says otherwise.
///
/// As text it is a count and a time, and what else applies behind commas: `5/s`, `60/min, burst 10`,
/// `100/h, per user`.
///
/// ```
/// use platools::tool::RateLimit;
/// use std::time::Duration;
///
/// let limit: RateLimit = "60/min".parse()?;
/// assert_eq!((limit.count().get(), limit.period()), (60, Duration::from_secs(60)));
/// assert!("often".parse::<RateLimit>().is_err());
/// # Ok::<(), platools::tool::InvalidRateLimit>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RateLimit {
    count: NonZeroU32,
    period: Duration,
    burst: NonZeroU32,
    per_user: bool,
}

impl RateLimit {
    /// `count` calls in every `period`.
    ///
    /// # Panics
    /// When `count` is zero or `period` is shorter than a millisecond.
    pub const fn per(count: u32, period: Duration) -> Self {
        assert!(period.as_millis() > 0, "a rate limit's period is at least a millisecond");
        match NonZeroU32::new(count) {
            Some(count) => Self { count, period, burst: count, per_user: false },
            None => panic!("a rate limit allows at least one call"),
        }
    }

    /// The same rate, with `calls` at once.
    ///
    /// # Panics
    /// When `calls` is zero.
    pub const fn burst(self, calls: u32) -> Self {
        match NonZeroU32::new(calls) {
            Some(burst) => Self { burst, ..self },
            None => panic!("a rate limit allows at least one call at once"),
        }
    }

    /// The same rate for each user apart. Calls without a user share one.
    pub const fn per_user(self) -> Self {
        Self { per_user: true, ..self }
    }

    /// How many calls may come at once.
    pub fn calls_at_once(self) -> NonZeroU32 {
        self.burst
    }

    /// Whether each user is counted apart.
    pub fn is_per_user(self) -> bool {
        self.per_user
    }

    /// How many calls fit into one period.
    pub fn count(self) -> NonZeroU32 {
        self.count
    }

    /// The period.
    pub fn period(self) -> Duration {
        self.period
    }
}

impl fmt::Display for RateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/", self.count)?;
        match self.period.as_millis() {
            1_000 => f.write_str("s"),
            60_000 => f.write_str("min"),
            3_600_000 => f.write_str("h"),
            86_400_000 => f.write_str("d"),
            _ => humantime::format_duration(self.period).fmt(f),
        }?;
        if self.burst != self.count {
            write!(f, ", burst {}", self.burst)?;
        }
        if self.per_user {
            f.write_str(", per user")?;
        }
        Ok(())
    }
}

/// A rate limit that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a rate limit: write a count and a time (s, min, h, d, or a duration), such as \"60/min\" or \"20/10s\""
)]
pub struct InvalidRateLimit(String);

impl FromStr for RateLimit {
    type Err = InvalidRateLimit;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let mut parts = text.split(',').map(str::trim);
            let (count, unit) = parts.next()?.split_once('/')?;
            let count = NonZeroU32::new(count.trim().parse().ok()?)?;
            let period = match unit.trim() {
                "s" | "sec" | "second" => Duration::from_secs(1),
                "min" | "minute" => Duration::from_secs(60),
                "h" | "hour" => Duration::from_secs(3_600),
                "d" | "day" => Duration::from_secs(86_400),
                time => humantime::parse_duration(time).ok()?,
            };
            let mut limit =
                (period.as_millis() > 0).then_some(Self { count, period, burst: count, per_user: false })?;
            for part in parts {
                limit = match part.split_once(' ')? {
                    ("per", "user") => limit.per_user(),
                    ("burst", calls) => Self { burst: NonZeroU32::new(calls.trim().parse().ok()?)?, ..limit },
                    _ => return None,
                };
            }
            Some(limit)
        };
        parse().ok_or_else(|| InvalidRateLimit(text.to_owned()))
    }
}

/// Where a tool is defined in its source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Location {
    /// The file, as `file!()` gives it.
    pub file: &'static str,
    /// The line, from 1.
    pub line: u32,
    /// The column, from 1.
    pub column: u32,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// A name that no tool may have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{name}` is not a tool name: 1 to 64 of the characters A-Z a-z 0-9 _ . - are allowed, the first a letter or `_`"
)]
pub struct NameError {
    name: String,
}

/// Checks a tool's name: `[A-Za-z_][A-Za-z0-9_.-]*`, at most 64 characters.
///
/// # Errors
/// When it is not such a name.
pub fn check_name(name: &str) -> Result<(), NameError> {
    let first_fits = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    let rest_fits = name.chars().all(|next| next.is_ascii_alphanumeric() || matches!(next, '_' | '.' | '-'));
    if first_fits && rest_fits && name.len() <= MAX_NAME_LENGTH {
        Ok(())
    } else {
        Err(NameError { name: name.chars().take(100).collect() })
    }
}

/// What the platform and the model are told about a tool, and the limits that the host keeps.
///
/// Built with the methods, read through the fields.
///
/// ```
/// use platools::tool::Auth;
/// use platools::ToolSpec;
///
/// let spec = ToolSpec::new("cancel_order")
///     .description("Cancel an order that has not shipped.")
///     .auth(Auth::User)
///     .roles(["support"])
///     .destructive(true)
///     .category("orders");
/// assert_eq!(spec.name, "cancel_order");
/// assert_eq!(spec.annotations["destructiveHint"], true);
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ToolSpec {
    /// The name that agents call.
    pub name: String,
    /// What the tool does, for the model; empty when nothing was said.
    pub description: String,
    /// The JSON Schema of the arguments.
    pub input_schema: Value,
    /// The JSON Schema of the result, when it has one.
    pub output_schema: Option<Value>,
    /// Who may call.
    pub auth: Auth,
    /// Roles of which a caller needs any one; empty means no role is needed.
    pub roles: Vec<String>,
    /// The MCP hints, `title`, `category`, and whatever else was annotated.
    pub annotations: Map<String, Value>,
    /// How long a call may run, within the host's own limit.
    pub timeout: Option<Duration>,
    /// How often the tool may be called.
    pub rate_limit: Option<RateLimit>,
    /// How many calls may run at the same time.
    pub concurrency: Option<usize>,
    /// Where the tool is defined.
    pub location: Option<Location>,
    /// What the host must hold for the tool to run.
    pub requirements: Vec<Requirement>,
    /// The codes of the rules of `platools_toolkit::doctor` that do not apply to this tool. Not sent to the platform.
    pub allowed: Vec<String>,
    /// Whether the handler is an `async fn` without an `await`, as far as `#[tool]` sees. Not sent to the platform.
    pub never_awaits: bool,
    /// What is wrong with the parameters' types, found while the schema was built.
    pub(crate) problems: Vec<String>,
}

impl ToolSpec {
    /// A tool without arguments, open to anyone. The name is checked when the tool enters a registry.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            description: String::new(),
            input_schema: json!({"type": "object", "properties": {}, "additionalProperties": false}),
            output_schema: None,
            auth: Auth::None,
            roles: Vec::new(),
            annotations: Map::new(),
            timeout: None,
            rate_limit: None,
            concurrency: None,
            location: None,
            requirements: Vec::new(),
            allowed: Vec::new(),
            never_awaits: false,
            problems: Vec::new(),
        }
    }

    /// Another name for the same tool.
    pub fn rename(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// What the tool does, for the model. The platform searches name and description, so they matter.
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.description = description.into();
        self
    }

    /// Who may call.
    pub fn auth(mut self, auth: Auth) -> Self {
        self.auth = auth;
        self
    }

    /// Roles of which a caller needs any one.
    pub fn roles<R: Into<String>>(mut self, roles: impl IntoIterator<Item = R>) -> Self {
        self.roles = roles.into_iter().map(Into::into).collect();
        self
    }

    /// How long a call may run, within the host's own limit.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// How often the tool may be called.
    pub fn rate_limit(mut self, limit: RateLimit) -> Self {
        self.rate_limit = Some(limit);
        self
    }

    /// How many calls may run at the same time; more wait for their turn. Zero counts as one.
    pub fn concurrency(mut self, calls: usize) -> Self {
        self.concurrency = Some(calls.max(1));
        self
    }

    /// A group of tools, which the platform indexes.
    pub fn category(self, category: impl Into<String>) -> Self {
        self.annotation("category", category.into())
    }

    /// A name for people.
    pub fn title(self, title: impl Into<String>) -> Self {
        self.annotation("title", title.into())
    }

    /// Whether the tool changes nothing.
    pub fn read_only(self, hint: bool) -> Self {
        self.annotation("readOnlyHint", hint)
    }

    /// Whether the tool may destroy something.
    pub fn destructive(self, hint: bool) -> Self {
        self.annotation("destructiveHint", hint)
    }

    /// Whether calling twice with the same arguments does no more than calling once.
    pub fn idempotent(self, hint: bool) -> Self {
        self.annotation("idempotentHint", hint)
    }

    /// Whether the tool reaches things outside the backend.
    pub fn open_world(self, hint: bool) -> Self {
        self.annotation("openWorldHint", hint)
    }

    /// A free annotation.
    pub fn annotation(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.annotations.insert(key.into(), value.into());
        self
    }

    /// The JSON Schema of the arguments, draft 2020-12, an object at its root.
    pub fn input_schema(mut self, schema: Value) -> Self {
        self.input_schema = schema;
        self
    }

    /// The JSON Schema of the result.
    pub fn output_schema(mut self, schema: impl Into<Option<Value>>) -> Self {
        self.output_schema = schema.into();
        self
    }

    /// Where the tool is defined, for messages about it.
    pub fn location(mut self, location: Location) -> Self {
        self.location = Some(location);
        self
    }

    /// What the host must hold for the tool to run.
    pub fn requires(mut self, requirement: impl IntoIterator<Item = Requirement>) -> Self {
        self.requirements.extend(requirement);
        self
    }

    /// The codes of the rules of `platools_toolkit::doctor` that do not apply to this tool, beside those
    /// allowed before.
    pub fn allow<C: Into<String>>(mut self, codes: impl IntoIterator<Item = C>) -> Self {
        self.allowed.extend(codes.into_iter().map(Into::into));
        self
    }

    /// Marks a handler that is an `async fn` without an `await`.
    #[doc(hidden)]
    pub fn never_awaits(mut self) -> Self {
        self.never_awaits = true;
        self
    }

    /// The schema that was built parameter by parameter.
    #[doc(hidden)]
    pub fn input(mut self, input: InputSchema) -> Self {
        let (schema, problems) = input.finish();
        self.input_schema = schema;
        self.problems = problems;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        for name in ["a", "_", "lookup_order", "fandesk.list-bookings", "A9", &"x".repeat(64)] {
            assert_eq!(check_name(name), Ok(()), "{name}");
        }
        for name in ["", "9a", ".a", "a b", "café", "a/b", &"x".repeat(65)] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }

    #[test]
    fn rate_limits_read_and_write_alike() {
        for text in ["60/min", "5/s", "100/h", "1/d", "3/10s"] {
            assert_eq!(text.parse::<RateLimit>().unwrap().to_string(), text);
        }
        for text in ["60/min, burst 10", "5/s, per user", "5/s, burst 1, per user"] {
            assert_eq!(text.parse::<RateLimit>().unwrap().to_string(), text);
        }
        assert_eq!("2 / minute".parse::<RateLimit>().unwrap().to_string(), "2/min");
        assert_eq!(RateLimit::per(3, Duration::from_secs(10)).to_string(), "3/10s");
        for text in [
            "",
            "5",
            "5/s, burst 0",
            "5/s, per tool",
            "5/s,",
            "0/s",
            "-1/s",
            "5/fortnight",
            "5/0s",
            "/s",
            "x/s",
        ] {
            let error = text.parse::<RateLimit>().unwrap_err().to_string();
            assert!(error.contains("60/min"), "{error}");
        }
    }
}
