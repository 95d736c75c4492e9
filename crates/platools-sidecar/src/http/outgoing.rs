//! One request, before it has a server.

use std::fmt;

use bytes::Bytes;
use http::{HeaderMap, Method};

/// A request to a backend. Path and query are encoded already, so that nothing in them means more than it should;
/// see [`encode`](super::encode).
#[derive(Clone)]
pub(crate) struct Outgoing {
    pub(crate) method: Method,
    /// From the backend's URL on; empty, or with a slash at its beginning.
    pub(crate) path: String,
    /// Without its question mark; empty for none.
    pub(crate) query: String,
    /// Headers of this request alone.
    pub(crate) headers: HeaderMap,
    pub(crate) body: Option<OutgoingBody>,
}

/// What is sent.
#[derive(Clone)]
pub(crate) struct OutgoingBody {
    pub(crate) content_type: String,
    /// Shared by all attempts.
    pub(crate) bytes: Bytes,
}

impl Outgoing {
    /// Whether sending it twice does no more than sending it once (RFC 9110 §9.2.2).
    pub(crate) fn is_repeatable(&self) -> bool {
        self.method.is_idempotent()
    }
}

impl fmt::Debug for Outgoing {
    /// Without what the caller gave.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outgoing").field("method", &self.method).finish_non_exhaustive()
    }
}
