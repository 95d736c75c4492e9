//! Calls as values: frames, outcomes and signatures. Knows nothing of connections and of the platform's state.

pub(crate) mod dispatch;
pub(crate) mod report;
pub(crate) mod tamper;

use self::tamper::Tamper;

/// A signed call, as it is sent.
#[derive(Clone, Default)]
pub(crate) struct SignedCall {
    pub(crate) call_id: String,
    pub(crate) tool: String,
    pub(crate) frame: String,
    /// The change that was made after signing.
    pub(crate) tamper: Option<Tamper>,
    /// Whether the same frame was sent before.
    pub(crate) repeated: bool,
}
