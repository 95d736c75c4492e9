//! Which span is a call's parent, and what it is called.
//!
//! The library's span of a call has the caller's `traceparent` as a field. Here it becomes the parent, before the span
//! begins, wherever that is.

use std::collections::HashMap;

use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry::trace::{SpanBuilder, SpanKind, TraceContextExt as _, Tracer};
use opentelemetry::{Context, Value};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{SdkTracer, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// The name of the library's spans of calls.
const CALL: &str = "call";

const TRACEPARENT: &str = "traceparent";

/// Begins spans; those of calls below the caller's own.
#[derive(Debug, Clone)]
pub(super) struct CallTracer(pub(super) SdkTracer);

impl Tracer for CallTracer {
    type Span = Span;

    fn build_with_context(&self, mut builder: SpanBuilder, parent: &Context) -> Self::Span {
        if builder.name != CALL {
            return self.0.build_with_context(builder, parent);
        }
        builder.span_kind = Some(SpanKind::Server);
        let attributes = builder.attributes.get_or_insert_default();
        let text = |name: &str| {
            let found = attributes.iter().find(|attribute| attribute.key.as_str() == name)?;
            match &found.value {
                Value::String(text) => Some(text.as_str().to_owned()),
                _ => None,
            }
        };
        if let Some(tool) = text("tool") {
            builder.name = format!("{CALL} {tool}").into();
        }
        let remote = text(TRACEPARENT);
        // It is the parent now, and nothing that has to be told twice.
        attributes.retain(|attribute| attribute.key.as_str() != TRACEPARENT);
        match remote {
            Some(remote) if !parent.has_active_span() => {
                let carrier = HashMap::from([(TRACEPARENT.to_owned(), remote)]);
                let parent = TraceContextPropagator::new().extract_with_context(parent, &carrier);
                self.0.build_with_context(builder, &parent)
            }
            _ => self.0.build_with_context(builder, parent),
        }
    }
}

/// The span that runs here, as a `traceparent`; `None` where nobody traces.
pub(crate) fn current() -> Option<String> {
    let context = tracing::Span::current().context();
    if !context.span().span_context().is_valid() {
        return None;
    }
    let mut carrier = HashMap::new();
    TraceContextPropagator::new().inject_context(&context, &mut carrier);
    carrier.remove(TRACEPARENT)
}
