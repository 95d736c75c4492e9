//! The verdict over a call (tool-sync §6): genuine, fresh, first, and meant for this connection.

use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use super::replay::{Admission, ReplayGuard};
use super::timestamp::{self, Microseconds};
use super::{Refusal, Secret, SigningKey, VerificationMode, VerifierOptions};
use crate::wire::{CallFrame, RawEnvelope, Scope};

/// Verifies the calls of one entity. Shared by reference; a rotated secret takes effect at once.
///
/// A verified call is remembered by its nonce until its timestamp is too old, so it cannot come again.
/// When more calls come than are remembered, the oldest are dropped and the window of accepted
/// timestamps narrows to what is still known: nothing can be replayed, and calls that are just signed
/// are never refused, at any rate. The nonces of the newest timestamp are always kept, even beyond
/// [`VerifierOptions::replay_capacity`].
///
/// ```
/// use std::time::{Duration, UNIX_EPOCH};
/// use platools::wire::{Envelope, Inbound, Scope, platform};
/// use platools::verify::{Secret, SigningKey, Verifier, VerifierOptions};
///
/// let secret = Secret::new("b7f1c2d3e4f5a6978899aabbccddeeff")?;
/// let mut envelope = Envelope::default();
/// envelope.call_id = Some("call-1".to_owned());
/// envelope.timestamp = Some("2026-11-21T12:00:00.000Z".to_owned());
/// envelope.nonce = Some("30344d9eeb4a4a6e0e5edd79911d444c".to_owned());
/// let key = SigningKey::new(&secret);
/// envelope.signature = Some(key.sign_call(
///     "2026-11-21T12:00:00.000Z",
///     envelope.nonce.as_deref(),
///     "add",
///     r#"{"a":1}"#,
/// ));
/// let text = platform::tool_call("call-1", "add", r#"{"a":1}"#, &envelope);
///
/// let Inbound::ToolCall(call) = Inbound::parse(&text)? else { unreachable!() };
/// let verifier = Verifier::new(&secret, VerifierOptions::default());
/// let noon = UNIX_EPOCH + Duration::from_secs(1_795_262_400);
/// assert!(verifier.verify(&call, &Scope::default(), noon).is_ok());
///
/// let again = verifier.verify(&call, &Scope::default(), noon).unwrap_err();
/// assert_eq!(again.reason(), "nonce_replay");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Verifier {
    key: RwLock<SigningKey>,
    seen: Mutex<ReplayGuard>,
    options: VerifierOptions,
}

impl Verifier {
    /// Verifies with this secret.
    pub fn new(secret: &Secret, options: VerifierOptions) -> Self {
        Self {
            key: RwLock::new(SigningKey::new(secret)),
            seen: Mutex::new(ReplayGuard::new(options.replay_capacity)),
            options,
        }
    }

    /// How strict this verifier is.
    pub fn options(&self) -> &VerifierOptions {
        &self.options
    }

    /// Verifies with another secret from now on. What was seen stays seen.
    pub fn replace_secret(&self, secret: &Secret) {
        *self.key.write().unwrap_or_else(PoisonError::into_inner) = SigningKey::new(secret);
    }

    /// Verifies a call that arrived on a connection of `scope` at `now`, and returns its envelope.
    ///
    /// A call that is verified counts as seen, and so does one that is refused for its call id or scope.
    ///
    /// # Errors
    /// When the call must not run.
    pub fn verify<'f, 'a>(
        &self,
        frame: &'f CallFrame<'a>,
        scope: &Scope,
        now: SystemTime,
    ) -> Result<&'f RawEnvelope<'a>, Refusal> {
        let envelope = frame.envelope();
        if self.options.mode == VerificationMode::Off {
            return Ok(envelope);
        }
        self.check_signature(envelope, timestamp::of(now), |key, signature, timestamp, nonce| {
            key.verifies_call(signature, timestamp, nonce, frame)
        })?;
        if envelope.call_id.as_deref() != Some(frame.call_id()) {
            return Err(Refusal::CallIdMismatch);
        }
        check_scope(envelope, scope)?;
        Ok(envelope)
    }

    /// Verifies a call that came as an HTTP request, with `envelope` in its headers and `body` as the text
    /// that was signed.
    ///
    /// As [`verify`](Self::verify), and it remembers the same nonces; but a request has no second call id
    /// that its own could differ from.
    ///
    /// # Errors
    /// When the call must not run.
    pub fn verify_request(
        &self,
        envelope: &RawEnvelope<'_>,
        body: &str,
        scope: &Scope,
        now: SystemTime,
    ) -> Result<(), Refusal> {
        if self.options.mode == VerificationMode::Off {
            return Ok(());
        }
        self.check_signature(envelope, timestamp::of(now), |key, signature, timestamp, nonce| {
            key.verifies_body(signature, timestamp, nonce, body)
        })?;
        check_scope(envelope, scope)
    }

    /// The checks up to the nonce, in the order of tool-sync §6. `verifies` holds signature, timestamp and
    /// nonce against what was signed.
    fn check_signature(
        &self,
        envelope: &RawEnvelope<'_>,
        now: Microseconds,
        verifies: impl FnOnce(&SigningKey, &str, &str, Option<&str>) -> bool,
    ) -> Result<(), Refusal> {
        let signature = envelope
            .signature
            .as_deref()
            .filter(|signature| !signature.is_empty())
            .ok_or(Refusal::SignatureMissing)?;
        let signed_at = envelope.timestamp.as_deref().ok_or(Refusal::TimestampInvalid)?;
        let timestamp = timestamp::parse(signed_at).ok_or(Refusal::TimestampInvalid)?;
        self.check_skew(timestamp, now)?;
        let nonce = envelope.nonce.as_deref().filter(|nonce| !nonce.is_empty());
        if nonce.is_none() && !self.options.allow_legacy {
            return Err(Refusal::NonceMissing);
        }
        let genuine = {
            let key = self.key.read().unwrap_or_else(PoisonError::into_inner);
            verifies(&key, signature, signed_at, nonce)
        };
        if !genuine {
            return Err(Refusal::SignatureMismatch);
        }
        let Some(nonce) = nonce else { return Ok(()) };
        let window_start = now.saturating_sub(timestamp::microseconds(self.options.max_skew));
        match self.seen().admit(nonce, timestamp, window_start) {
            Admission::New => Ok(()),
            Admission::Replayed => Err(Refusal::NonceReplay),
            Admission::Forgotten => Err(Refusal::WindowNarrowed),
        }
    }

    fn check_skew(&self, timestamp: Microseconds, now: Microseconds) -> Result<(), Refusal> {
        let skew = Duration::from_micros(timestamp.abs_diff(now));
        if skew > self.options.max_skew {
            let allowed = self.options.max_skew;
            return Err(Refusal::TimestampSkewExceeded { skew, ahead: timestamp > now, allowed });
        }
        // Asked again, under the lock, when the nonce is remembered; here for the order of the reasons.
        if self.seen().is_forgotten(timestamp) { Err(Refusal::WindowNarrowed) } else { Ok(()) }
    }

    fn seen(&self) -> MutexGuard<'_, ReplayGuard> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the envelope is meant for this connection, in what both of them state.
fn check_scope(envelope: &RawEnvelope<'_>, scope: &Scope) -> Result<(), Refusal> {
    for (member, stated, expected) in [
        ("entityId", &envelope.entity_id, &scope.entity_id),
        ("environmentId", &envelope.environment_id, &scope.environment_id),
        ("projectId", &envelope.project_id, &scope.project_id),
        ("organizationId", &envelope.organization_id, &scope.organization_id),
    ] {
        if let (Some(stated), Some(expected)) = (stated, expected)
            && stated != expected
        {
            return Err(Refusal::ScopeMismatch { member });
        }
    }
    Ok(())
}
