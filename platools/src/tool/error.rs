//! The error of a call: a kind, a message for the model, and a cause for the log.

use std::borrow::Cow;
use std::convert::Infallible;
use std::error::Error;
use std::fmt;
use std::time::Duration;

use super::format_duration;

/// A boxed error, the cause of an internal failure.
pub type BoxError = Box<dyn Error + Send + Sync + 'static>;

/// The kind of a failed call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ToolErrorKind {
    /// The arguments do not fit the tool's schema.
    InvalidArguments,
    /// The caller is not allowed to do this.
    Denied,
    /// The tool does not exist.
    NotFound,
    /// The tool's rate limit is exceeded.
    RateLimited,
    /// Too many calls are running or queued.
    Overloaded,
    /// The call exceeded its time limit.
    TimedOut,
    /// The tool is declared, and cannot run at the moment.
    Unavailable,
    /// The caller cancelled the call.
    Cancelled,
    /// The handler failed with a message for the model.
    Failed,
    /// An internal error; details go only to the log.
    Internal,
}

impl ToolErrorKind {
    /// Returns the kind in `snake_case`, as it appears in logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidArguments => "invalid_arguments",
            Self::Denied => "denied",
            Self::NotFound => "not_found",
            Self::RateLimited => "rate_limited",
            Self::Overloaded => "overloaded",
            Self::TimedOut => "timed_out",
            Self::Unavailable => "unavailable",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
            Self::Internal => "internal",
        }
    }

    /// The kind with this name.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        let all = [
            Self::InvalidArguments,
            Self::Denied,
            Self::NotFound,
            Self::RateLimited,
            Self::Overloaded,
            Self::TimedOut,
            Self::Unavailable,
            Self::Cancelled,
            Self::Failed,
            Self::Internal,
        ];
        all.into_iter().find(|kind| kind.as_str() == name)
    }

    /// Returns whether an error of this kind usually says that the handler did not run.
    pub(crate) fn is_refusal(self) -> bool {
        use ToolErrorKind::{Cancelled, Denied, NotFound, Overloaded, RateLimited, Unavailable};
        matches!(self, Denied | NotFound | RateLimited | Overloaded | Unavailable | Cancelled)
    }

    /// Returns the prefix of the answer (protocol §3).
    fn prefix(self) -> &'static str {
        match self {
            Self::InvalidArguments => "invalid arguments: ",
            Self::Denied => "denied: ",
            Self::NotFound => "unknown tool: ",
            Self::RateLimited => "rate limited: ",
            Self::Overloaded => "overloaded: ",
            Self::TimedOut => "timed out after ",
            Self::Unavailable => "unavailable: ",
            Self::Cancelled => "cancelled: ",
            Self::Failed | Self::Internal => "",
        }
    }
}

/// A failed call.
///
/// `?` converts every [`std::error::Error`] into an internal error, whose text goes only to the log. Use
/// [`ToolError::user`] for a text that the model should read. (`ToolError` itself deliberately does not implement
/// `std::error::Error`, which makes this conversion possible.)
///
/// ```
/// use platools::ToolError;
///
/// fn read(path: &str) -> Result<String, ToolError> {
///     if path.contains("..") {
///         return Err(ToolError::user("paths stay inside the folder"));
///     }
///     Ok(std::fs::read_to_string(path)?) // an I/O error is internal
/// }
///
/// assert_eq!(read("../x").unwrap_err().to_string(), "paths stay inside the folder");
/// assert_eq!(read("/no/such/file").unwrap_err().to_string(), "internal error");
/// ```
///
/// The platform takes every error that contains "timed out" for a timeout of the call, so it is sent "took too long" in
/// other errors (protocol §3).
///
/// Types that do not implement [`std::error::Error`], such as `String`, `anyhow::Error` and boxed errors, do not
/// convert with `?` alone. Choose the reader explicitly:
///
/// ```
/// use platools::tool::BoxError;
/// use platools::ToolError;
///
/// fn parse(text: &str) -> Result<u8, String> {
///     text.parse().map_err(|_| format!("`{text}` is not a number from 0 to 255"))
/// }
///
/// fn load(id: u8) -> Result<u8, BoxError> {
///     id.checked_mul(2).ok_or_else(|| "row 7 is broken".into())
/// }
///
/// fn look_up(text: &str) -> Result<u8, ToolError> {
///     let id = parse(text).map_err(ToolError::user)?; // the model reads it
///     let row = load(id).map_err(ToolError::internal)?; // only the log has it
///     Ok(row)
/// }
///
/// assert_eq!(look_up("x").unwrap_err().to_string(), "`x` is not a number from 0 to 255");
/// assert_eq!(look_up("200").unwrap_err().to_string(), "internal error");
/// ```
pub struct ToolError {
    kind: ToolErrorKind,
    message: Cow<'static, str>,
    source: Option<BoxError>,
    /// Whether the handler never ran.
    refusal: bool,
    /// Time after which a retry makes sense.
    retry_after: Option<Duration>,
}

impl ToolError {
    fn new(kind: ToolErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, message: message.into(), source: None, refusal: false, retry_after: None }
    }

    /// Creates the error of a call that another process answered with this text.
    pub(crate) fn answered(kind: ToolErrorKind, text: String, retry_after: Option<Duration>) -> Self {
        let message = text.strip_prefix(kind.prefix()).map(str::to_owned).unwrap_or(text);
        Self { retry_after, ..Self::new(kind, message) }
    }

    /// Creates a failure whose text the model receives unchanged.
    pub fn user(message: impl fmt::Display) -> Self {
        Self::new(ToolErrorKind::Failed, message.to_string())
    }

    /// Creates an internal error whose cause goes only to the log.
    pub fn internal(source: impl Into<BoxError>) -> Self {
        Self { source: Some(source.into()), ..Self::new(ToolErrorKind::Internal, "internal error") }
    }

    /// The caller is not allowed to do this; the answer is `denied: <message>`.
    pub fn denied(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ToolErrorKind::Denied, message)
    }

    /// The arguments are invalid; the answer is `invalid arguments: <message>`.
    pub fn invalid_arguments(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ToolErrorKind::InvalidArguments, message)
    }

    /// The tool does not exist; the answer is `unknown tool: <name>`.
    pub fn unknown_tool(name: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ToolErrorKind::NotFound, name)
    }

    /// The rate limit is exceeded; the answer is `rate limited: <message>`.
    pub fn rate_limited(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ToolErrorKind::RateLimited, message)
    }

    /// The host has no capacity for the call; the answer is `overloaded: <message>`.
    pub fn overloaded(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ToolErrorKind::Overloaded, message)
    }

    /// The call exceeded `limit`; the answer is, for example, `timed out after 5 s`.
    pub fn timed_out(limit: Duration) -> Self {
        Self::new(ToolErrorKind::TimedOut, format_duration(limit))
    }

    /// The tool cannot run at the moment; the answer reads `unavailable: <message>`.
    pub fn unavailable(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ToolErrorKind::Unavailable, message)
    }

    /// The caller cancelled the call; the answer, if somebody reads it, reads `cancelled: …`.
    pub(crate) fn cancelled() -> Self {
        Self::new(ToolErrorKind::Cancelled, "the caller cancelled the call").into_refusal()
    }

    /// Marks the error as a rejection: the handler did not run.
    pub(crate) fn into_refusal(self) -> Self {
        Self { refusal: true, ..self }
    }

    /// Returns whether the handler did not run, so that the error says nothing about the tool's health.
    pub(crate) fn is_refusal(&self) -> bool {
        self.refusal
    }

    /// Sets the time after which a retry makes sense.
    pub fn with_retry_after(self, wait: Duration) -> Self {
        Self { retry_after: Some(wait), ..self }
    }

    /// Returns the time after which a retry makes sense, if known. HTTP callers receive it as `Retry-After`.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// Returns the kind.
    pub fn kind(&self) -> ToolErrorKind {
        self.kind
    }

    /// Returns the message without the prefix of the answer.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Returns the cause of an internal error, for the log.
    pub fn source(&self) -> Option<&(dyn Error + Send + Sync + 'static)> {
        self.source.as_deref()
    }

    /// Returns the cause and its sources, joined by `: `, for the log.
    pub fn chain(&self) -> String {
        self.source.as_deref().map_or_else(String::new, |source| chain(source))
    }

    /// Returns the text with which the call `call_id` is answered.
    ///
    /// An internal error reads `internal error (call …)`; its causes are added only with `show_internal`. Every other
    /// error reads as it is displayed.
    ///
    /// ```
    /// use platools::ToolError;
    ///
    /// let error = ToolError::internal("the disk is full");
    /// assert_eq!(error.answer_text("call-1", false), "internal error (call call-1)");
    /// assert_eq!(error.answer_text("call-1", true), "internal error (call call-1): the disk is full");
    /// ```
    pub fn answer_text(&self, call_id: &str, show_internal: bool) -> String {
        match self.kind {
            ToolErrorKind::Internal if show_internal => {
                format!("internal error (call {call_id}): {}", self.chain())
            }
            ToolErrorKind::Internal => format!("internal error (call {call_id})"),
            _ => self.to_string(),
        }
    }
}

/// Joins an error and its sources by `: `.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

impl fmt::Display for ToolError {
    /// Writes the text that the model receives.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.prefix())?;
        f.write_str(&self.message)
    }
}

impl fmt::Debug for ToolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("ToolError");
        debug.field("kind", &self.kind).field("message", &self.message);
        if let Some(source) = &self.source {
            debug.field("source", source);
        }
        debug.finish_non_exhaustive()
    }
}

impl<E: Error + Send + Sync + 'static> From<E> for ToolError {
    fn from(error: E) -> Self {
        Self::internal(error)
    }
}

/// Marks an error whose text is sent to the model.
///
/// ```
/// use platools::UserFacingError;
///
/// #[derive(Debug, thiserror::Error)]
/// enum OrderError {
///     #[error("order {0} does not exist")]
///     NotFound(String),
/// }
/// impl UserFacingError for OrderError {}
/// ```
pub trait UserFacingError: fmt::Display {}

impl UserFacingError for String {}
impl UserFacingError for &str {}
impl UserFacingError for Box<str> {}
impl UserFacingError for Cow<'_, str> {}
impl UserFacingError for Infallible {}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn texts_start_with_their_prefix() {
        let texts = [
            (ToolError::denied("no"), "denied: no"),
            (ToolError::unknown_tool("x"), "unknown tool: x"),
            (ToolError::invalid_arguments("`a` is missing"), "invalid arguments: `a` is missing"),
            (ToolError::rate_limited("5/s"), "rate limited: 5/s"),
            (ToolError::overloaded("full"), "overloaded: full"),
            (ToolError::timed_out(Duration::from_secs(5)), "timed out after 5 s"),
            (ToolError::timed_out(Duration::from_millis(1_250)), "timed out after 1.25 s"),
            (ToolError::timed_out(Duration::from_millis(40)), "timed out after 40 ms"),
            (ToolError::user("nothing left"), "nothing left"),
        ];
        for (error, text) in texts {
            assert_eq!(error.to_string(), text);
        }
    }

    #[test]
    fn internal_details_are_in_the_chain_only() {
        #[derive(Debug, thiserror::Error)]
        #[error("query failed")]
        struct Query(#[source] std::io::Error);

        let error = ToolError::from(Query(std::io::Error::other("password=hunter2")));
        assert_eq!(error.to_string(), "internal error");
        assert_eq!(error.chain(), "query failed: password=hunter2");
        assert_eq!(error.kind(), ToolErrorKind::Internal);
    }
}
