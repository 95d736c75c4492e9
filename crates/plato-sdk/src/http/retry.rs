//! Sending a request again, where that cannot do harm.

use std::future::Future;
use std::time::Duration;

use crate::config::Retries;
use crate::error::{ApiError, Error, TransportError, TransportErrorKind};

/// When a request may be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// It changes nothing, or the same thing twice: after 429, 5xx, and connections that broke.
    Safe,
    /// Only when it is certain that the server did not see it.
    IfUnsent,
}

impl Repeat {
    fn allows(self, error: &Error) -> bool {
        match error {
            Error::Transport(TransportError { kind: TransportErrorKind::Connect, .. }) => true,
            Error::Transport(TransportError { kind: TransportErrorKind::Broken, .. })
            | Error::Api(ApiError { status: 429 | 500 | 502 | 503 | 504, .. }) => self == Self::Safe,
            _ => false,
        }
    }
}

/// Does `work` until it succeeds, fails for good, or was tried often enough.
pub(crate) async fn repeatedly<T, F>(
    retries: &Retries,
    repeat: Repeat,
    mut work: impl FnMut() -> F,
) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    let mut done = 0;
    loop {
        let error = match work().await {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        done += 1;
        let pause: Option<Duration> =
            if repeat.allows(&error) { retries.pause(done, error.retry_after()) } else { None };
        let Some(pause) = pause else { return Err(error) };
        tracing::debug!(%error, attempt = done, pause_ms = pause.as_millis(), "trying again");
        tokio::time::sleep(pause).await;
    }
}
