//! How strict verification is. Every way to be less strict is explicit.

use std::time::Duration;

/// Whether calls are verified at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum VerificationMode {
    /// Unsigned, stale, replayed and mis-scoped calls are refused.
    #[default]
    Strict,
    /// Nothing is checked: whoever can send frames can run every tool. For development against a
    /// platform that does not sign.
    Off,
}

/// How calls are verified; the default is strict, as in tool-sync §6.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerifierOptions {
    /// Whether calls are verified at all.
    pub mode: VerificationMode,
    /// How far a call's timestamp may be from this machine's clock, either way. Default: 300 s.
    pub max_skew: Duration,
    /// How many nonces are remembered. Default: 100 000, some 5 MB when full. When it is full, the
    /// oldest are dropped and calls as old as those are refused; see [`Verifier`](super::Verifier).
    pub replay_capacity: usize,
    /// Whether calls without a nonce, in the legacy form, are accepted. They can be replayed until
    /// their timestamp is too old. Default: no.
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
    /// The settings that weaken verification, one sentence each, for the log. Empty when strict.
    pub fn weaknesses(&self) -> Vec<String> {
        let default = Self::default();
        let mut weaknesses = Vec::new();
        if self.mode == VerificationMode::Off {
            weaknesses.push("verification is off: calls run whoever sent them".to_owned());
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
