//! Why an upstream gives no answer.
//!
//! `rmcp`'s own errors quote URLs, headers and whole messages; what is said here is made of their kind and of the
//! innermost cause.

use std::error::Error;
use std::time::Duration;

use platools::ToolError;
use platools::tool::shortened;
use rmcp::service::{ClientInitializeError, ServiceError};
use rmcp::transport::DynamicTransportError;
use rmcp::transport::streamable_http_client::{
    AuthRequiredError, InsufficientScopeError, StreamableHttpError,
};

/// The most of a server's own words that is repeated, in characters.
const QUOTED: usize = 300;

/// The code with which `stdio` stands in for an answer that was too long.
pub(crate) const TOO_LARGE: i32 = -32_768;

/// Why there is no answer from an MCP server. The texts hold no secret, and of a URL no query.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UpstreamError {
    /// The text is not a URL that can be asked.
    #[error("the URL {0}")]
    Url(String),
    /// The token cannot be sent.
    #[error("the bearer token {0}")]
    Bearer(&'static str),
    /// TLS cannot be set up.
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
    /// The program cannot be started.
    #[error("`{program}` cannot be started: {problem}")]
    Start {
        /// The program.
        program: String,
        /// The message of the operating system.
        problem: String,
    },
    /// Nobody was reached: nothing of the request was sent.
    #[error("cannot be reached: {0}")]
    Unreachable(String),
    /// The server does not accept the token, or wants one.
    #[error("refuses access ({0}): check the bearer token")]
    Refused(String),
    /// The server, or a proxy before it, has no time or is broken.
    #[error("is not well at the moment (HTTP status {0}): try again later")]
    Unwell(u16),
    /// Another server than an MCP server answers, or the MCP server is at another address.
    #[error("does not answer as an MCP server does: {0}")]
    NotMcp(String),
    /// The server says no to the request.
    #[error("answers with error {code}: {message}")]
    Rejected {
        /// The code of JSON-RPC, such as -32602 for parameters that do not fit.
        code: i32,
        /// The server's words, shortened.
        message: String,
    },
    /// It took too long. The server may have done what was asked.
    #[error("gave no answer within {}", humantime::format_duration(*.0))]
    Timeout(Duration),
    /// The connection ended. The server may have done what was asked.
    #[error("went away before it answered")]
    Closed,
    /// The answer is longer than it may be.
    #[error("the answer has more than {limit} bytes")]
    TooLarge {
        /// The most that is taken, in bytes.
        limit: usize,
    },
}

impl UpstreamError {
    /// Returns whether the error is about the connection rather than about the request.
    pub(crate) fn is_of_the_connection(&self) -> bool {
        !matches!(self, Self::Rejected { .. } | Self::TooLarge { .. })
    }

    /// Converts the error into one that the model reads; `name` is the upstream's.
    pub(crate) fn into_tool_error(self, name: &str) -> ToolError {
        match self {
            Self::Rejected { code: -32602, message } => ToolError::invalid_arguments(message),
            Self::Timeout(time) => ToolError::timed_out(time),
            Self::Closed => ToolError::user(format_args!(
                "the MCP server `{name}` went away during the call, which it may have carried out: \
                 check before calling again"
            )),
            Self::TooLarge { .. } => {
                ToolError::user(format_args!("{self}, which is the limit for `{name}`: ask for less"))
            }
            other => ToolError::user(format_args!("the MCP server `{name}` {other}")),
        }
    }
}

impl From<ClientInitializeError> for UpstreamError {
    fn from(error: ClientInitializeError) -> Self {
        match error {
            ClientInitializeError::TransportError { error, .. } => of_transport(&error),
            ClientInitializeError::JsonRpcError(error) => {
                Self::Rejected { code: error.code.0, message: shorten(&error.message) }
            }
            ClientInitializeError::ConnectionClosed(_) | ClientInitializeError::Cancelled => Self::Closed,
            ClientInitializeError::NoCompatibleProtocolVersion { server_supported, .. } => {
                let versions: Vec<_> =
                    server_supported.iter().map(rmcp::model::ProtocolVersion::as_str).collect();
                Self::NotMcp(format!("it speaks only the protocol versions {}", versions.join(", ")))
            }
            _ => Self::NotMcp("its answer to `initialize` is something else".to_owned()),
        }
    }
}

impl From<ServiceError> for UpstreamError {
    fn from(error: ServiceError) -> Self {
        match error {
            ServiceError::McpError(error) if error.code.0 == TOO_LARGE => {
                let limit = error.data.as_ref().and_then(serde_json::Value::as_u64).unwrap_or_default();
                Self::TooLarge { limit: usize::try_from(limit).unwrap_or(usize::MAX) }
            }
            ServiceError::McpError(error) => {
                Self::Rejected { code: error.code.0, message: shorten(&error.message) }
            }
            ServiceError::TransportSend(error) => of_transport(&error),
            ServiceError::TransportClosed | ServiceError::Cancelled { .. } => Self::Closed,
            ServiceError::Timeout { timeout } => Self::Timeout(timeout),
            ServiceError::UnexpectedResponse => {
                Self::NotMcp("its answer is of another kind than the question".to_owned())
            }
            _ => Self::NotMcp("it asks for input that nobody can give".to_owned()),
        }
    }
}

fn of_transport(error: &DynamicTransportError) -> UpstreamError {
    let mut next: Option<&(dyn Error + 'static)> = Some(error.error.as_ref());
    while let Some(error) = next {
        if error.is::<AuthRequiredError>() {
            return UpstreamError::Refused("401".to_owned());
        }
        if error.is::<InsufficientScopeError>() {
            return UpstreamError::Refused("403".to_owned());
        }
        if let Some(error) = error.downcast_ref::<StreamableHttpError<reqwest::Error>>() {
            match error {
                StreamableHttpError::HttpStatus(error) => return of_status(error.status),
                StreamableHttpError::UnexpectedServerResponse(text) => return of_answer(text),
                StreamableHttpError::UnexpectedContentType(kind) => {
                    let kind = kind.as_deref().map_or("none".to_owned(), shorten);
                    return UpstreamError::NotMcp(format!("the content type is {kind}"));
                }
                StreamableHttpError::ResponseBodyTooLarge { max_size } => {
                    return UpstreamError::TooLarge { limit: *max_size };
                }
                StreamableHttpError::TransportChannelClosed
                | StreamableHttpError::UnexpectedEndOfStream
                | StreamableHttpError::SessionExpired
                | StreamableHttpError::SessionRecoveryTimeout => return UpstreamError::Closed,
                StreamableHttpError::Client(error) => return of_request(error),
                _ => {}
            }
        }
        if let Some(error) = error.downcast_ref::<reqwest::Error>() {
            return of_request(error);
        }
        next = error.source();
    }
    UpstreamError::Closed
}

/// An answer with a status that is none of those that MCP knows: `HTTP 404 Not Found: …`.
fn of_answer(text: &str) -> UpstreamError {
    match text.strip_prefix("HTTP ") {
        Some(rest) if rest.starts_with("401") || rest.starts_with("403") => {
            UpstreamError::Refused(rest[..3].to_owned())
        }
        Some(rest) if rest.starts_with('3') => redirected(&rest[..3]),
        // Behind the status is the body, which may be a page.
        Some(rest) => UpstreamError::NotMcp(format!(
            "HTTP status {}; is the path of the URL right?",
            rest.split(':').next().unwrap_or_default()
        )),
        None => UpstreamError::NotMcp(shorten(text)),
    }
}

fn redirected(status: &str) -> UpstreamError {
    UpstreamError::NotMcp(format!(
        "HTTP status {status}, a redirect, which is not followed; write the URL where the server is"
    ))
}

fn of_status(status: u16) -> UpstreamError {
    match status {
        401 | 403 => UpstreamError::Refused(status.to_string()),
        429 | 500.. => UpstreamError::Unwell(status),
        300..=399 => redirected(&status.to_string()),
        _ => UpstreamError::NotMcp(format!("HTTP status {status}; is the path of the URL right?")),
    }
}

fn of_request(error: &reqwest::Error) -> UpstreamError {
    let reason = shorten(&platools_net::innermost_reason(error));
    if let Some(status) = error.status() {
        of_status(status.as_u16())
    } else if error.is_connect() || error.is_timeout() {
        UpstreamError::Unreachable(reason)
    } else {
        UpstreamError::Closed
    }
}

/// Puts a server's words on one line and cuts them to [`QUOTED`] characters.
pub(crate) fn shorten(text: &str) -> String {
    let line = text.replace(char::is_control, " ");
    shortened(&line, QUOTED).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_servers_words_stay_short_and_on_one_line() {
        assert_eq!(shorten("a\nb\u{1b}[31m"), "a b [31m");
        assert_eq!(shorten(&"é".repeat(400)).chars().count(), QUOTED + 1);
        // A control character of two bytes becomes a space of one, which cuts nothing off.
        assert_eq!(shorten("a\u{85}b"), "a b");
    }

    #[test]
    fn statuses_say_what_to_look_at() {
        assert_eq!(of_answer("HTTP 401 Unauthorized: "), UpstreamError::Refused("401".to_owned()));
        let text = of_answer("HTTP 404 Not Found: <html>s3cret</html>").to_string();
        assert!(text.contains("404 Not Found; is the path") && !text.contains("html"), "{text}");
    }

    #[test]
    fn the_model_reads_whether_the_call_may_have_been_carried_out() {
        let closed = UpstreamError::Closed.into_tool_error("files").to_string();
        assert!(closed.contains("`files`") && closed.contains("may have carried out"), "{closed}");
        let wrong = UpstreamError::Rejected { code: -32602, message: "path is missing".to_owned() };
        assert_eq!(wrong.into_tool_error("files").to_string(), "invalid arguments: path is missing");
    }
}
