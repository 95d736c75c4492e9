//! From a plan to spans that leave: sampled, batched, flushed at the end.

use std::fmt;
use std::time::Duration;

use http::HeaderMap;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use tokio::runtime::Handle;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::filter_fn;
use url::Url;

use super::SpanLayer;
use super::export::{Cause, SEND, Sender, Telling};
use super::tracer::CallTracer;
use crate::fingerprint::Fingerprint;

/// How long the last spans may take to leave.
const FAREWELL: Duration = Duration::from_secs(5);

/// What is sent where.
#[derive(Clone)]
pub(crate) struct TracesPlan {
    pub(crate) endpoint: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) client: reqwest::Client,
    pub(crate) service_name: String,
    /// How many of the traces that begin here are kept, from 0 to 1.
    pub(crate) sample_ratio: f64,
    /// The same for a plan that is the same.
    pub(crate) fingerprint: Fingerprint,
}

impl PartialEq for TracesPlan {
    fn eq(&self, other: &Self) -> bool {
        self.fingerprint == other.fingerprint
    }
}

impl fmt::Debug for TracesPlan {
    /// Without headers and URL: both may hold a key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TracesPlan").field("service_name", &self.service_name).finish_non_exhaustive()
    }
}

/// Traces of this process, for as long as they are kept.
#[derive(Debug)]
pub(crate) struct Traces(Option<SdkTracerProvider>);

impl Traces {
    /// Begins, if a plan says so. Has to be called within a tokio runtime.
    ///
    /// # Errors
    /// When no exporter can be made of the plan.
    pub(crate) fn start(plan: Option<&TracesPlan>) -> Result<Self, String> {
        let Some(plan) = plan else { return Ok(Self(None)) };
        let cause = Cause::default();
        let sender = Sender {
            client: plan.client.clone(),
            runtime: Handle::current(),
            headers: plan.headers.clone(),
            cause: cause.clone(),
        };
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(sender)
            .with_endpoint(plan.endpoint.as_str())
            .with_protocol(Protocol::HttpBinary)
            .with_timeout(SEND)
            .build()
            .map_err(|error| error.to_string())?;
        let resource = Resource::builder().with_service_name(plan.service_name.clone()).build();
        let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(plan.sample_ratio)));
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(Telling::new(exporter, cause))
            .with_sampler(sampler)
            .with_resource(resource)
            .build();
        Ok(Self(Some(provider)))
    }

    /// What hands the program's spans over.
    pub(crate) fn layer(&self) -> Option<SpanLayer> {
        let tracer = CallTracer(self.0.as_ref()?.tracer(env!("CARGO_PKG_NAME")));
        let layer = tracing_opentelemetry::layer()
            .with_tracer(tracer)
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_level(false)
            .with_tracked_inactivity(false);
        // Spans of ours, and no lines.
        let ours = filter_fn(|metadata| {
            metadata.is_span() && metadata.target().split("::").next() == Some("platools")
        });
        Some(layer.with_filter(ours).boxed())
    }

    /// Sends what is left, for a few seconds at most.
    pub(crate) async fn end(self) {
        let Some(provider) = self.0 else { return };
        // It waits without yielding, for a request that this runtime sends.
        let flushed = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(FAREWELL));
        if let Ok(Ok(Err(error))) = tokio::time::timeout(FAREWELL * 2, flushed).await {
            tracing::warn!(%error, "the last spans may be lost");
        }
    }
}
