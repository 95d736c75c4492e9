//! Options of verification. Every weaker setting is explicit.

use std::time::Duration;

/// Turns verification on or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum VerificationMode {
    /// Rejects unsigned, stale, replayed and mis-scoped calls.
    #[default]
    Strict,
    /// Checks nothing: anyone who can send frames can run every tool. For development against a platform that does not
    /// sign.
    Off,
}

/// Options of verification; the default is strict, as in protocol §6.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerifierOptions {
    /// Turns verification on or off.
    pub mode: VerificationMode,
    /// Maximum difference between a call's timestamp and this machine's clock, in either direction. Default: 300 s.
    pub max_skew: Duration,
    /// Maximum number of remembered nonces. Default: 100 000, about 5 MB when full. When full, the oldest are evicted
    /// and calls of that age are rejected; see [`Verifier`](super::Verifier).
    pub replay_capacity: usize,
    /// Whether to accept legacy calls without a nonce. They can be replayed until their timestamp is too old.
    /// Default: `false`.
    pub allow_legacy: bool,
}

impl Default for VerifierOptions {
    fn default() -> Self {
        Self {
            mode: VerificationMode::Strict,
            max_skew: Duration::from_secs(300),
            replay_capacity: 100_000,
            allow_legacy: false,
        }
    }
}

impl VerifierOptions {
    /// Describes the settings that weaken verification, for the log. Empty if strict.
    pub fn weaknesses(&self) -> Vec<String> {
        let default = Self::default();
        let mut weaknesses = Vec::new();
        if self.mode == VerificationMode::Off {
            weaknesses.push("verification is off: anyone who can send frames can run every tool".to_owned());
        }
        if self.allow_legacy {
            weaknesses.push("calls without a nonce are accepted and can be replayed".to_owned());
        }
        if self.max_skew > default.max_skew {
            let seconds = self.max_skew.as_secs();
            weaknesses.push(format!("calls are accepted up to {seconds} s after they were signed"));
        }
        weaknesses
    }
}
