//! Verifies a call (protocol §6): signature, age, nonce and scope.

use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use super::memory::ReplayMemory;
#[cfg(feature = "http")]
use super::signing::is_signature;
use super::timestamp::{self, Microseconds};
use super::{Refusal, Secret, SigningKey, VerificationMode, VerifierOptions};
use crate::wire::{CallFrame, RawEnvelope, Scope};

/// Verifies the calls of one entity. Shared by reference; a rotated secret takes effect immediately.
///
/// The nonce of a verified call is remembered until its timestamp is too old, so the call cannot be replayed. Beyond
/// [`VerifierOptions::replay_capacity`], the oldest nonces are evicted and the window of accepted timestamps narrows
/// accordingly: replays stay impossible, and newly signed calls are accepted at any call rate. The nonces of the
/// newest timestamp are always kept, even beyond the capacity.
///
/// The nonces of a `Verifier` are gone with it, so a call can be replayed to a new one until its timestamp is too old.
/// A host with a state directory keeps them over a restart; see
/// [`HostConfig::state_dir`](crate::HostConfig::state_dir).
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
    memory: Arc<ReplayMemory>,
    /// The memory of another verifier, used instead.
    shared: OnceLock<Arc<ReplayMemory>>,
    options: VerifierOptions,
}

impl Verifier {
    /// Creates a verifier with this secret.
    pub fn new(secret: &Secret, options: VerifierOptions) -> Self {
        let memory = Arc::new(ReplayMemory::new(&options));
        Self::with_memory(secret, options, memory)
    }

    /// Creates a verifier that shares this memory of nonces.
    pub(crate) fn with_memory(secret: &Secret, options: VerifierOptions, memory: Arc<ReplayMemory>) -> Self {
        Self { key: RwLock::new(SigningKey::new(secret)), memory, shared: OnceLock::new(), options }
    }

    /// Uses the memory of another verifier from now on, unless this one's is stored. For a verifier that has accepted no
    /// call yet.
    pub(crate) fn share_memory(&self, other: &Self) {
        if !self.memory.is_stored() {
            let _ = self.shared.set(Arc::clone(other.memory()));
        }
    }

    /// Returns the memory of nonces.
    pub(crate) fn memory(&self) -> &Arc<ReplayMemory> {
        self.shared.get().unwrap_or(&self.memory)
    }

    /// Returns the options.
    pub fn options(&self) -> &VerifierOptions {
        &self.options
    }

    /// Replaces the secret. Remembered nonces are kept.
    pub fn replace_secret(&self, secret: &Secret) {
        *self.key.write().unwrap_or_else(PoisonError::into_inner) = SigningKey::new(secret);
    }

    /// Verifies a call that arrived on a connection of `scope` at `now`, and returns its envelope.
    ///
    /// The nonce of a call with a valid signature is remembered, even if the call is rejected for its call id or scope.
    ///
    /// # Errors
    /// If the call must not run.
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

    /// Verifies a call that arrived as an HTTP request, with `envelope` from its headers and the signed text `body`.
    ///
    /// Shares its nonces with [`verify`](Self::verify). There is no check of the call id, which a request carries only
    /// once.
    ///
    /// # Errors
    /// If the call must not run.
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

    /// Checks what the headers of an HTTP request say, before its body is there: a request that would be refused
    /// whatever its text is costs nothing then. One that passes is **not** verified.
    ///
    /// # Errors
    /// If [`verify_request`](Self::verify_request) would refuse the call with every text.
    #[cfg(feature = "http")]
    pub(crate) fn check_headers(&self, envelope: &RawEnvelope<'_>, now: SystemTime) -> Result<(), Refusal> {
        if self.options.mode == VerificationMode::Off {
            return Ok(());
        }
        let stated = self.stated(envelope, timestamp::of(now))?;
        if is_signature(stated.signature) { Ok(()) } else { Err(Refusal::SignatureMismatch) }
    }

    /// Checks the signature of an HTTP request, for a process that passes it on to another one. That one verifies it,
    /// with its nonce.
    ///
    /// # Errors
    /// If [`verify_request`](Self::verify_request) would refuse the call whatever was received before.
    #[cfg(feature = "http")]
    pub(crate) fn check_request(
        &self,
        envelope: &RawEnvelope<'_>,
        body: &str,
        now: SystemTime,
    ) -> Result<(), Refusal> {
        if self.options.mode == VerificationMode::Off {
            return Ok(());
        }
        let stated = self.stated(envelope, timestamp::of(now))?;
        self.check_genuine(&stated, |key, signature, timestamp, nonce| {
            key.verifies_body(signature, timestamp, nonce, body)
        })
    }

    /// Checks what an envelope says of its signature, in the order of protocol §6.
    fn stated<'e>(&self, envelope: &'e RawEnvelope<'_>, now: Microseconds) -> Result<Stated<'e>, Refusal> {
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
        Ok(Stated { signature, signed_at, timestamp, nonce })
    }

    /// Checks signature, age and nonce in the order of protocol §6. `verifies` checks signature, timestamp and nonce
    /// against the signed text.
    fn check_signature(
        &self,
        envelope: &RawEnvelope<'_>,
        now: Microseconds,
        verifies: impl FnOnce(&SigningKey, &str, &str, Option<&str>) -> bool,
    ) -> Result<(), Refusal> {
        let stated = self.stated(envelope, now)?;
        self.check_genuine(&stated, verifies)?;
        let Some(nonce) = stated.nonce else { return Ok(()) };
        self.memory().remember(nonce, stated.timestamp, now, self.max_skew())
    }

    fn check_genuine(
        &self,
        stated: &Stated<'_>,
        verifies: impl FnOnce(&SigningKey, &str, &str, Option<&str>) -> bool,
    ) -> Result<(), Refusal> {
        let key = self.key.read().unwrap_or_else(PoisonError::into_inner);
        let is_genuine = verifies(&key, stated.signature, stated.signed_at, stated.nonce);
        if is_genuine { Ok(()) } else { Err(Refusal::SignatureMismatch) }
    }

    fn check_skew(&self, timestamp: Microseconds, now: Microseconds) -> Result<(), Refusal> {
        let skew = Duration::from_micros(timestamp.abs_diff(now));
        if skew > self.options.max_skew {
            let allowed = self.options.max_skew;
            return Err(Refusal::TimestampSkewExceeded { skew, ahead: timestamp > now, allowed });
        }
        // Checked again under the lock when the nonce is stored; checked here for the order of the reasons.
        self.memory().check_age(timestamp, now, self.max_skew())
    }

    fn max_skew(&self) -> Microseconds {
        timestamp::microseconds(self.options.max_skew)
    }
}

/// What an envelope says of its signature; nothing of it is verified.
struct Stated<'e> {
    signature: &'e str,
    signed_at: &'e str,
    timestamp: Microseconds,
    nonce: Option<&'e str>,
}

/// Checks the members of the scope that both the envelope and the connection have.
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
