//! The reasons for which verification rejects a call (protocol §6).

use std::time::Duration;

use thiserror::Error;

/// The reason for which a call was rejected. The text starts with the machine-readable [`reason`](Self::reason),
/// contains no secrets, and may go to the model and to logs.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The call is not signed.
    #[error(
        "signature_missing: the call carries no signature; only a platform that signs its calls may call"
    )]
    SignatureMissing,
    /// The timestamp is missing or invalid.
    #[error(
        "timestamp_invalid: the call's timestamp is missing or is not an RFC 3339 date and time with offset"
    )]
    TimestampInvalid,
    /// The timestamp is too far from this machine's clock.
    #[error(
        "timestamp_skew_exceeded: the call was signed {} s {}, {} s are allowed; check the clocks of the host \
         and the platform",
        skew.as_secs(), if *ahead { "ahead of this host's clock" } else { "ago" }, allowed.as_secs()
    )]
    TimestampSkewExceeded {
        /// The difference to this machine's clock.
        skew: Duration,
        /// Whether the timestamp is in the future.
        ahead: bool,
        /// The allowed difference.
        allowed: Duration,
    },
    /// Under high load, nonces of this age were already evicted.
    #[error(
        "timestamp_skew_exceeded: the call is older than the nonces that this host still remembers under the current load; \
         call again"
    )]
    WindowNarrowed,
    /// The call was signed before this host started, and the nonces of that time are not known any more.
    #[error(
        "signed_before_restart: the call was signed before this host started, so it could be a replay of a call that \
         ran; sign a new call instead of resending it"
    )]
    SignedBeforeRestart,
    /// The call has no nonce, so it could be replayed.
    #[error(
        "nonce_missing: the call has no nonce and could be replayed; update the platform, or allow legacy signatures \
         on the host"
    )]
    NonceMissing,
    /// The signature does not match this entity's secret, the tool and the arguments.
    #[error(
        "signature_mismatch: the signature does not match tool, arguments and secret; check that host and platform \
         have the same service secret"
    )]
    SignatureMismatch,
    /// The nonce was used before.
    #[error("nonce_replay: this call was already received; sign a new call instead of resending it")]
    NonceReplay,
    /// The envelope belongs to another call.
    #[error(
        "call_id_mismatch: the signed envelope belongs to another call than the frame; send each call with its own"
    )]
    CallIdMismatch,
    /// The call is meant for another scope.
    #[error(
        "scope_mismatch: the call's {member} differs from this connection's; check which entity was called"
    )]
    ScopeMismatch {
        /// The member of the envelope that differs.
        member: &'static str,
    },
}

impl Refusal {
    /// Returns the machine-readable reason, as on the wire.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::SignatureMissing => "signature_missing",
            Self::TimestampInvalid => "timestamp_invalid",
            Self::TimestampSkewExceeded { .. } | Self::WindowNarrowed => "timestamp_skew_exceeded",
            Self::SignedBeforeRestart => "signed_before_restart",
            Self::NonceMissing => "nonce_missing",
            Self::SignatureMismatch => "signature_mismatch",
            Self::NonceReplay => "nonce_replay",
            Self::CallIdMismatch => "call_id_mismatch",
            Self::ScopeMismatch { .. } => "scope_mismatch",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_starts_with_its_reason() {
        let allowed = Duration::from_secs(300);
        for refusal in [
            Refusal::SignatureMissing,
            Refusal::TimestampInvalid,
            Refusal::TimestampSkewExceeded { skew: Duration::from_secs(301), ahead: true, allowed },
            Refusal::WindowNarrowed,
            Refusal::SignedBeforeRestart,
            Refusal::NonceMissing,
            Refusal::SignatureMismatch,
            Refusal::NonceReplay,
            Refusal::CallIdMismatch,
            Refusal::ScopeMismatch { member: "projectId" },
        ] {
            let text = refusal.to_string();
            assert!(text.starts_with(&format!("{}: ", refusal.reason())), "{text}");
        }
    }
}
