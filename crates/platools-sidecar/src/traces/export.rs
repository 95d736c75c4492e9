//! How spans are sent, and what is said when they cannot be.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::TryFutureExt as _;
use http::{HeaderMap, Request, Response};
use opentelemetry::trace::Status;
use opentelemetry_http::{Bytes, HttpClient, HttpError};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use platools::tool::shortened;
use platools_net::{BodyError, BodyLimits, innermost_reason};
use tokio::runtime::Handle;

/// How long a batch may take.
pub(super) const SEND: Duration = Duration::from_secs(10);

/// The most of a collector's answer that is read, in bytes.
const MAX_ANSWER: usize = 64 << 10;

/// The most of what went wrong that is logged, in characters.
const MAX_PROBLEM: usize = 300;

/// Why the last request had no answer; the exporter itself only says that there was none.
#[derive(Debug, Clone, Default)]
pub(super) struct Cause(Arc<Mutex<Option<String>>>);

impl Cause {
    fn replace(&self, cause: Option<String>) -> Option<String> {
        std::mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), cause)
    }
}

/// Sends requests with the sidecar's own client. Batches are made on a thread of their own, where there is no reactor.
#[derive(Debug)]
pub(super) struct Sender {
    pub(super) client: reqwest::Client,
    pub(super) runtime: Handle,
    /// Headers of every request, secrets among them.
    pub(super) headers: HeaderMap,
    pub(super) cause: Cause,
}

#[async_trait::async_trait]
impl HttpClient for Sender {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (mut parts, body) = request.into_parts();
        parts.headers.extend(self.headers.clone());
        let request = self.client.request(parts.method, parts.uri.to_string());
        let request = request.headers(parts.headers).timeout(SEND).body(body);
        let answer = async move {
            // The text of the error would hold the URL.
            let answer = request.send().await.map_err(|error| innermost_reason(&error))?;
            let (parts, body) = Response::<reqwest::Body>::from(answer).into_parts();
            let body = match BodyLimits::new(MAX_ANSWER).read(body).await {
                Ok(body) => body,
                // What it took is known by the status.
                Err(BodyError::TooLarge { .. }) => Vec::new(),
                Err(error) => return Err(error.to_string()),
            };
            let mut response = Response::new(Bytes::from(body));
            (*response.status_mut(), *response.headers_mut()) = (parts.status, parts.headers);
            Ok(response)
        };
        let cause = self.cause.clone();
        let answer = answer.map_err(move |reason: String| {
            cause.replace(Some(reason.clone()));
            HttpError::from(reason)
        });
        self.runtime.spawn(answer).await?
    }
}

/// Sends batches, and says once when that fails and once when it works again.
#[derive(Debug)]
pub(super) struct Telling<E> {
    exporter: E,
    cause: Cause,
    is_down: AtomicBool,
}

impl<E> Telling<E> {
    pub(super) fn new(exporter: E, cause: Cause) -> Self {
        Self { exporter, cause, is_down: AtomicBool::new(false) }
    }
}

impl<E: SpanExporter> SpanExporter for Telling<E> {
    async fn export(&self, mut batch: Vec<SpanData>) -> OTelSdkResult {
        batch.iter_mut().for_each(mark_failed);
        let spans = batch.len();
        let sent = self.exporter.export(batch).await;
        match &sent {
            Ok(()) => {
                if self.is_down.swap(false, Ordering::Relaxed) {
                    tracing::info!("the collector takes traces again");
                }
            }
            Err(error) => {
                let problem = self.cause.replace(None).unwrap_or_else(|| error.to_string());
                let problem = shortened(&problem, MAX_PROBLEM);
                if !self.is_down.swap(true, Ordering::Relaxed) {
                    let problem = problem.as_ref();
                    tracing::warn!(
                        spans,
                        problem,
                        "the collector of `[traces]` takes no spans, they are lost until it does"
                    );
                }
            }
        }
        sent
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

/// How a call went is recorded at its end; collectors look at the status.
fn mark_failed(span: &mut SpanData) {
    let outcome = span.attributes.iter().find(|attribute| attribute.key.as_str() == "outcome");
    if let Some(outcome) = outcome.map(|attribute| attribute.value.as_str().into_owned())
        && outcome != "ok"
    {
        span.status = Status::error(outcome);
    }
}
