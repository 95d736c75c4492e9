//! Traces: the spans of calls, told to a collector over OTLP (feature `otlp`).
//!
//! | file | what it is for |
//! | --- | --- |
//! | `pipeline` | from a plan to spans that leave: sampled, batched, flushed at the end |
//! | `tracer` | which span is a call's parent, and what it is called |
//! | `export` | how batches are sent, and what is said when they cannot be |
//! | `absent` | all of it, in a program without the feature |
//!
//! Spans alone are told, and of them what the library records: no arguments, no tokens, no results. Lines of the log
//! stay in the log, since they may quote an argument. This room must not know what a tool does.

#[cfg(not(feature = "otlp"))]
mod absent;
#[cfg(feature = "otlp")]
mod export;
#[cfg(feature = "otlp")]
mod pipeline;
#[cfg(feature = "otlp")]
mod tracer;

use tracing_subscriber::{Layer, Registry};

#[cfg(not(feature = "otlp"))]
pub(crate) use self::absent::{Traces, TracesPlan, current};
#[cfg(feature = "otlp")]
pub(crate) use self::pipeline::{Traces, TracesPlan};
#[cfg(feature = "otlp")]
pub(crate) use self::tracer::current;

/// What watches the spans of a program.
pub(crate) type SpanLayer = Box<dyn Layer<Registry> + Send + Sync>;
