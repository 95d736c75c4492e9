//! A program without traces.

use super::SpanLayer;

/// Where traces would go: nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TracesPlan {}

/// Nothing.
#[derive(Debug)]
pub(crate) struct Traces;

impl Traces {
    #[expect(clippy::unnecessary_wraps, reason = "as of a program with traces")]
    pub(crate) fn start(_: Option<&TracesPlan>) -> Result<Self, String> {
        Ok(Self)
    }

    #[expect(clippy::unused_self, reason = "as of a program with traces")]
    pub(crate) fn layer(&self) -> Option<SpanLayer> {
        None
    }

    #[expect(clippy::unused_async, reason = "as of a program with traces")]
    pub(crate) async fn end(self) {}
}

/// The call's own span, as a `traceparent`: there is none.
pub(crate) fn current() -> Option<String> {
    None
}
