//! A file on its way to where the platform said that it goes.

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, Request};
use http_body::{Body, Frame, SizeHint};

use super::headers::MASKED_BYTES;
use super::send::failure;
use crate::client::PlatosClient;
use crate::error::{Error, ErrorResponse, ProtocolError, RefreshOutcome};

/// What errors call it: the URL itself lets anybody send.
const NAME: &str = crate::error::UPLOAD;

/// How much is sent between two words to the caller.
const CHUNK: usize = 64 << 10;

/// How long a file may take at least.
const TIME: Duration = Duration::from_secs(300);

/// Is told how many bytes are on their way, and of how many.
#[derive(Clone)]
pub(crate) struct Progress(Arc<dyn Fn(u64, u64) + Send + Sync>);

impl Progress {
    pub(crate) fn new(tell: impl Fn(u64, u64) + Send + Sync + 'static) -> Self {
        Self(Arc::new(tell))
    }
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Progress")
    }
}

/// A body that tells how far it is.
struct Told {
    left: Bytes,
    all: u64,
    progress: Progress,
}

impl Body for Told {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.left.is_empty() {
            return Poll::Ready(None);
        }
        let length = self.left.len().min(CHUNK);
        let chunk = self.left.split_to(length);
        (self.progress.0)(self.all - self.left.len() as u64, self.all);
        Poll::Ready(Some(Ok(Frame::data(chunk))))
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left.len() as u64)
    }
}

impl PlatosClient {
    /// Sends a file with the headers that the URL is signed for, without any credential.
    pub(crate) async fn put_file(
        &self,
        url: &str,
        headers: HeaderMap,
        bytes: Bytes,
        progress: Progress,
    ) -> Result<(), Error> {
        let config = &self.shared.config;
        let url = platools_net::policy::http_url(url, !config.base.is_encrypted()).map_err(|error| {
            ProtocolError::new(NAME, format!("the upload URL that the platform gave {error}"))
        })?;
        let all = bytes.len() as u64;
        let body = reqwest::Body::wrap(Told { left: bytes, all, progress });
        let request = Request::put(url.as_str()).header(CONTENT_LENGTH, all).body(body);
        let mut request = request.map_err(|error| ProtocolError::new(NAME, error.to_string()))?;
        request.headers_mut().extend(headers);
        let answer = self.shared.http.send(request, config.timeout.max(TIME)).await;
        let (parts, body) = answer.map_err(|error| failure(error, NAME))?.into_parts();
        if parts.status.is_success() {
            return Ok(());
        }
        // Stores repeat what a URL was signed with.
        let signed = url.query_pairs().filter(|(_, value)| value.len() >= MASKED_BYTES);
        let body = String::from_utf8_lossy(&body).into_owned();
        let body = signed.fold(body, |body, (_, value)| body.replace(&*value, "[redacted]"));
        let refused = ErrorResponse::new(NAME, Some(parts.status.as_u16()), &body, None);
        Err(match refused.status {
            // No credential was sent that could be replaced.
            Some(..500) => Error::Status(Box::new(refused)),
            _ => refused.into_error(RefreshOutcome::NotConfigured),
        })
    }
}
