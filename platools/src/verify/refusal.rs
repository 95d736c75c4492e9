//! Why a call is refused before anything runs (tool-sync §6).

use std::time::Duration;

use thiserror::Error;

/// Why a call was refused. The text starts with the machine-readable [`reason`](Self::reason), holds
/// nothing secret, and may go to the model and into logs.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The call is not signed.
    #[error(
        "signature_missing: the call carries no signature; only a platform that signs its calls may call"
    )]
    SignatureMissing,
    /// The timestamp is missing or unreadable.
    #[error(
        "timestamp_invalid: the call's timestamp is missing or is not an RFC 3339 date and time with offset"
    )]
    TimestampInvalid,
    /// The timestamp is too far from this machine's clock.
    #[error(
        "timestamp_skew_exceeded: the call was signed {} s {}, allowed are {} s; check the clocks of the host \
         and the platform",
        skew.as_secs(), if *ahead { "ahead of this host's clock" } else { "ago" }, allowed.as_secs()
    )]
    TimestampSkewExceeded {
        /// How far it is off.
        skew: Duration,
        /// Whether it lies in the future.
        ahead: bool,
        /// How far it may be off.
        allowed: Duration,
    },
    /// So many calls came that nonces of this age are no longer remembered.
    #[error(
        "timestamp_skew_exceeded: the call is older than the nonces this host remembers under the present load; \
         call again"
    )]
    WindowNarrowed,
    /// The call has no nonce, so it could be replayed.
    #[error(
        "nonce_missing: the call has no nonce and could be replayed; update the platform, or allow legacy signatures \
         on the host"
    )]
    NonceMissing,
    /// The signature was not made with this entity's secret over this tool and these arguments.
    #[error(
        "signature_mismatch: the signature does not match tool, arguments and secret; check that host and platform \
         have the same service secret"
    )]
    SignatureMismatch,
    /// The nonce was used before.
    #[error("nonce_replay: this call was received before; sign a new one instead of sending it again")]
    NonceReplay,
    /// The envelope belongs to another call.
    #[error("call_id_mismatch: the signed envelope belongs to another call than the frame")]
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
    /// The machine-readable reason, as on the wire.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::SignatureMissing => "signature_missing",
            Self::TimestampInvalid => "timestamp_invalid",
            Self::TimestampSkewExceeded { .. } | Self::WindowNarrowed => "timestamp_skew_exceeded",
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
