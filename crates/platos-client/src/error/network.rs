//! No answer, or one that cannot be understood.

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{request}: {message}")]
#[non_exhaustive]
pub struct NetworkError {
    /// What was asked, without the query, such as `GET /api/v1/agent/agents`.
    pub request: String,
    /// What kind of failure it is.
    pub kind: NetworkErrorKind,
    /// What happened, and what to do about it.
    pub message: String,
}

/// What kind of failure a [`NetworkError`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum NetworkErrorKind {
    /// Nobody was reached: nothing of the request was sent.
    Connect,
    /// It took too long. The platform may have seen the request.
    Timeout,
    /// The connection broke. The platform may have seen the request.
    Broken,
    /// A stream was lost, and all attempts to get it back failed.
    Lost,
    /// A stream is connected, but no event of the turn came for the idle timeout.
    Idle,
}

/// What came is not what the protocol says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{request}: {problem}")]
#[non_exhaustive]
pub struct ProtocolError {
    /// What was asked, without the query.
    pub request: String,
    /// What is wrong with what came, and what to do about it.
    pub problem: String,
    /// The HTTP status, where there was one.
    pub status: Option<u16>,
    /// The body, where there was one, without credentials.
    pub body: Option<String>,
}

impl NetworkError {
    pub(crate) fn new(
        request: impl Into<String>,
        kind: NetworkErrorKind,
        message: impl Into<String>,
    ) -> Self {
        Self { request: request.into(), kind, message: message.into() }
    }
}

impl ProtocolError {
    pub(crate) fn new(request: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { request: request.into(), problem: problem.into(), status: None, body: None }
    }
}
