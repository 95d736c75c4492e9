//! The declaration of a tool, as sent to the platform and the model.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::Requirement;
use super::schema::InputSchema;

/// Maximum length of a tool's name, in characters.
const MAX_NAME_LENGTH: usize = 64;

/// The caller that a tool requires (protocol §3).
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
    /// Returns the value on the wire: `none`, `user` or `admin`.
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

/// A rate limit: `count` calls per `period`, in bursts of at most `count` unless [`burst`](Self::burst) sets another
/// size.
///
/// Parsed from a count, a period and options: `5/s`, `60/min, burst 10`, `100/h, per user`.
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
    /// Creates a limit of `count` calls per `period`.
    ///
    /// # Panics
    /// If `count` is zero or `period` is shorter than a millisecond.
    pub const fn per(count: u32, period: Duration) -> Self {
        assert!(period.as_millis() > 0, "a rate limit's period must be at least a millisecond");
        match NonZeroU32::new(count) {
            Some(count) => Self { count, period, burst: count, per_user: false },
            None => panic!("a rate limit must allow at least one call"),
        }
    }

    /// Sets the burst size: the number of calls allowed at once.
    ///
    /// # Panics
    /// If `calls` is zero.
    pub const fn burst(self, calls: u32) -> Self {
        match NonZeroU32::new(calls) {
            Some(burst) => Self { burst, ..self },
            None => panic!("a rate limit must allow bursts of at least one call"),
        }
    }

    /// Counts each user separately. Calls without a user share one count.
    pub const fn per_user(self) -> Self {
        Self { per_user: true, ..self }
    }

    /// Returns the burst size: the number of calls allowed at once.
    pub fn calls_at_once(self) -> NonZeroU32 {
        self.burst
    }

    /// Returns whether each user is counted separately.
    pub fn is_per_user(self) -> bool {
        self.per_user
    }

    /// Returns the number of calls per period.
    pub fn count(self) -> NonZeroU32 {
        self.count
    }

    /// Returns the period.
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

/// A text that is not a rate limit.
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

/// The source location of a tool.
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

/// An invalid tool name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{name}` is not a tool name: 1 to 64 of the characters A-Z a-z 0-9 _ . - are allowed, the first a letter or `_`"
)]
pub struct NameError {
    name: String,
}

/// Validates a tool's name: `[A-Za-z_][A-Za-z0-9_.-]*`, at most 64 characters.
///
/// # Errors
/// If the name is invalid.
pub fn check_name(name: &str) -> Result<(), NameError> {
    let first_fits = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    let rest_fits = name.chars().all(|next| next.is_ascii_alphanumeric() || matches!(next, '_' | '.' | '-'));
    if first_fits && rest_fits && name.len() <= MAX_NAME_LENGTH {
        Ok(())
    } else {
        Err(NameError { name: name.chars().take(100).collect() })
    }
}

/// The declaration of a tool for the platform and the model, and the limits that the host enforces.
///
/// Build it with the methods, read it through the fields.
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
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ToolSpec {
    /// The name that agents use.
    pub name: String,
    /// The description for the model; empty if there is none.
    pub description: String,
    /// The JSON Schema of the arguments. Tools with equal schemas may share one.
    pub input_schema: Arc<Value>,
    /// The JSON Schema of the result, if it has one.
    pub output_schema: Option<Arc<Value>>,
    /// The required caller.
    pub auth: Auth,
    /// Roles of which the caller needs at least one; empty if no role is required.
    pub roles: Vec<String>,
    /// The MCP hints, `title`, `category`, and further annotations.
    pub annotations: Map<String, Value>,
    /// The time limit of a call; the host's limit applies too.
    pub timeout: Option<Duration>,
    /// The rate limit.
    pub rate_limit: Option<RateLimit>,
    /// The maximum number of concurrent calls.
    pub concurrency: Option<usize>,
    /// Whether the platform is sent a summary of the parameters with the description; `None` leaves it to the host.
    pub describe_parameters: Option<bool>,
    /// The source location.
    pub location: Option<Location>,
    /// What the tool requires from the host.
    pub requirements: Vec<Requirement>,
    /// The codes of the rules of `platools_toolkit::doctor` that do not apply to this tool. Not sent to the platform.
    pub allowed: Vec<String>,
    /// Whether the handler is an `async fn` that never awaits and calls something that blocks, such as `std::fs`, as far as
    /// `#[tool]` sees. Not sent to the platform.
    pub blocks_in_async: bool,
    /// What is wrong with the parameters' types, found while the schema was built.
    pub(crate) problems: Vec<String>,
}

impl ToolSpec {
    /// Creates a declaration without arguments, callable by anyone. The name is validated when the tool is registered.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            description: String::new(),
            input_schema: Arc::new(
                json!({"type": "object", "properties": {}, "additionalProperties": false}),
            ),
            output_schema: None,
            auth: Auth::None,
            roles: Vec::new(),
            annotations: Map::new(),
            timeout: None,
            rate_limit: None,
            concurrency: None,
            describe_parameters: None,
            location: None,
            requirements: Vec::new(),
            allowed: Vec::new(),
            blocks_in_async: false,
            problems: Vec::new(),
        }
    }

    /// Changes the name.
    pub fn rename(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Sets the description for the model. The platform searches tools by name and description.
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.description = description.into();
        self
    }

    /// Sets the required caller.
    pub fn auth(mut self, auth: Auth) -> Self {
        self.auth = auth;
        self
    }

    /// Sets the roles of which the caller needs at least one.
    pub fn roles<R: Into<String>>(mut self, roles: impl IntoIterator<Item = R>) -> Self {
        self.roles = roles.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the time limit of a call; the host's limit applies too.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Sets the rate limit.
    pub fn rate_limit(mut self, limit: RateLimit) -> Self {
        self.rate_limit = Some(limit);
        self
    }

    /// Sets the maximum number of concurrent calls; further calls are queued. Zero counts as one.
    pub fn concurrency(mut self, calls: usize) -> Self {
        self.concurrency = Some(calls.max(1));
        self
    }

    /// Sets whether the description that the platform is sent ends with a summary of the parameters: name, type, whether
    /// required, default, first sentence. It wins over [`HostConfig::describe_parameters`](crate::HostConfig).
    ///
    /// In the platform's default exposure a model sees the name and the description of a tool, and only the names of its
    /// parameters (protocol §8). The platform makes another tool of every changed description: policies of operators
    /// that name the old one do not apply to it. See [`declared_description`](Self::declared_description).
    pub fn describe_parameters(mut self, describe: bool) -> Self {
        self.describe_parameters = Some(describe);
        self
    }

    /// Sets the category under which the platform indexes the tool.
    pub fn category(self, category: impl Into<String>) -> Self {
        self.annotation("category", category.into())
    }

    /// Sets the display name.
    pub fn title(self, title: impl Into<String>) -> Self {
        self.annotation("title", title.into())
    }

    /// Hints whether the tool is read-only.
    pub fn read_only(self, hint: bool) -> Self {
        self.annotation("readOnlyHint", hint)
    }

    /// Hints whether the tool may be destructive.
    pub fn destructive(self, hint: bool) -> Self {
        self.annotation("destructiveHint", hint)
    }

    /// Hints whether repeating a call with the same arguments has no further effect.
    pub fn idempotent(self, hint: bool) -> Self {
        self.annotation("idempotentHint", hint)
    }

    /// Hints whether the tool interacts with systems outside the backend.
    pub fn open_world(self, hint: bool) -> Self {
        self.annotation("openWorldHint", hint)
    }

    /// Adds an annotation.
    pub fn annotation(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.annotations.insert(key.into(), value.into());
        self
    }

    /// Sets the JSON Schema of the arguments: draft 2020-12, with an object at its root. Takes a `Value`, or an
    /// `Arc<Value>` that tools share.
    pub fn input_schema(mut self, schema: impl Into<Arc<Value>>) -> Self {
        self.input_schema = schema.into();
        self
    }

    /// Sets the JSON Schema of the result.
    pub fn output_schema(mut self, schema: impl Into<Option<Value>>) -> Self {
        self.output_schema = schema.into().map(Arc::new);
        self
    }

    /// Sets the source location, for error texts.
    pub fn location(mut self, location: Location) -> Self {
        self.location = Some(location);
        self
    }

    /// Adds requirements on the host.
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

    /// Marks the handler as an `async fn` that never awaits and blocks its thread.
    #[doc(hidden)]
    pub fn blocks_in_async(mut self) -> Self {
        self.blocks_in_async = true;
        self
    }

    /// Sets the input schema that was built parameter by parameter.
    #[doc(hidden)]
    pub fn input(mut self, input: InputSchema) -> Self {
        let (schema, problems) = input.finish();
        self.input_schema = Arc::new(schema);
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
    fn rate_limits_round_trip() {
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
