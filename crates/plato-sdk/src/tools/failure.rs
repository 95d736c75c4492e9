//! Errors as a model is told them.

use platools::ToolError;

use crate::error::Error;

/// The answer to a call that failed. Messages of this crate hold no secrets, and say what to do.
pub(super) fn refusal(error: Error) -> ToolError {
    match error {
        Error::InvalidInput(problem) => ToolError::invalid_arguments(problem),
        // A person has to do something about it, and a model cannot.
        Error::Config(error) => ToolError::internal(error),
        Error::Other(error) => ToolError::internal(error),
        Error::Api(error) if error.status() == 429 => {
            let wait = error.retry_after();
            let refused = ToolError::rate_limited("Plato takes no more requests for now: call again later");
            match wait {
                Some(wait) => refused.with_retry_after(wait),
                None => refused,
            }
        }
        Error::Tool { message, .. } => ToolError::user(message),
        error => ToolError::user(error),
    }
}
