//! Messages that only members can read and write. NATS sees who writes to whom, and nothing else.
//!
//! The keys are derived from the service secret by HKDF-SHA256, one for each platform, entity and environment. A message
//! is sealed with XChaCha20-Poly1305; sender and recipient are bound to it. The nonce is the sender, which is random for
//! each start of a process, and a counter, so that no nonce is used twice. A recipient takes only rising counters of a
//! sender, and is another one after a restart: a message that is sent again is refused.

use std::collections::HashMap;
use std::fmt;
use std::sync::{PoisonError, RwLock};

use chacha20poly1305::aead::{Aead as _, AeadInOut as _, KeyInit as _, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use platools::verify::Secret;
use sha2::Sha256;

use crate::message::MemberId;

/// The version of the format.
const VERSION: u8 = 1;
const KEY_ID: usize = 4;
/// Version, id of the key, sender, counter.
pub(crate) const HEAD: usize = 1 + KEY_ID + 16 + 8;
const TAG: usize = 16;
/// What sealing adds, in bytes.
pub(crate) const OVERHEAD: usize = HEAD + TAG;
/// How many keys are accepted: those of the secrets before, of which a member may not know that they were rotated.
const MAX_KEYS: usize = 3;

/// Why a message cannot be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SealError {
    #[error(
        "it is sealed with another key: give all replicas the same secret, platform, entity and environment"
    )]
    UnknownKey,
    #[error("another version of platools sealed it")]
    Version,
    #[error("it is forged, or damaged")]
    Forged,
    #[error("it came before")]
    Replayed,
}

impl SealError {
    /// The reason as one word, for metrics.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::UnknownKey => "unknown_key",
            Self::Version => "version",
            Self::Forged => "forged",
            Self::Replayed => "replayed",
        }
    }
}

struct SealKey {
    id: [u8; KEY_ID],
    cipher: XChaCha20Poly1305,
}

/// The keys of a fleet, newest first.
pub(crate) struct Keys {
    namespace: String,
    keys: RwLock<Vec<SealKey>>,
}

impl Keys {
    /// The keys of the fleet with this identity.
    pub(crate) fn new(identity: &str, secret: &Secret) -> Self {
        let keys = Self { namespace: identity.to_owned(), keys: RwLock::default() };
        keys.add(secret);
        keys
    }

    /// Seals with the key of this secret from now on. Returns `false` if it was known.
    pub(crate) fn add(&self, secret: &Secret) -> bool {
        let derive = Hkdf::<Sha256>::new(Some(b"platools-fleet"), secret.expose().as_bytes());
        let mut output = [0; 32 + KEY_ID];
        // Never fails: the output is short.
        let _ = derive.expand_multi_info(&[b"members v1\n", self.namespace.as_bytes()], &mut output);
        let (key, id) = output.split_at(32);
        let id = id.try_into().unwrap_or_default();
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        if keys.iter().any(|key| key.id == id) {
            return false;
        }
        let key: &Key = key.try_into().unwrap_or_else(|_| unreachable!("the key has 32 bytes"));
        keys.insert(0, SealKey { id, cipher: XChaCha20Poly1305::new(key) });
        keys.truncate(MAX_KEYS);
        true
    }

    fn bound(&self, sender: MemberId, recipient: Option<MemberId>) -> Vec<u8> {
        let mut bound = Vec::with_capacity(self.namespace.len() + 33);
        bound.extend(self.namespace.as_bytes());
        bound.push(VERSION);
        bound.extend(sender.to_bytes());
        bound.extend(recipient.map(MemberId::to_bytes).unwrap_or_default());
        bound
    }

    /// Seals a message for one member, or for the store. It stands in `message` behind [`HEAD`] free bytes.
    pub(crate) fn seal(
        &self,
        sender: MemberId,
        counter: u64,
        recipient: Option<MemberId>,
        mut message: Vec<u8>,
    ) -> Vec<u8> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        let (Some(key), Some((head, text))) = (keys.first(), message.split_first_chunk_mut::<HEAD>()) else {
            return Vec::new();
        };
        head[0] = VERSION;
        head[1..=KEY_ID].copy_from_slice(&key.id);
        head[1 + KEY_ID..HEAD - 8].copy_from_slice(&sender.to_bytes());
        head[HEAD - 8..].copy_from_slice(&counter.to_be_bytes());
        // Never fails: the message is far shorter than 256 GiB.
        let tag =
            key.cipher.encrypt_inout_detached(&nonce(head), &self.bound(sender, recipient), text.into());
        message.extend(tag.unwrap_or_default());
        message
    }

    /// Opens a message to this member, or what is in the store.
    ///
    /// # Errors
    /// When no member has sealed it for this recipient.
    pub(crate) fn open(
        &self,
        recipient: Option<MemberId>,
        sealed: &[u8],
    ) -> Result<(MemberId, u64, Vec<u8>), SealError> {
        if sealed.first() != Some(&VERSION) {
            return Err(SealError::Version);
        }
        let (head, text) = sealed.split_at_checked(HEAD).ok_or(SealError::Forged)?;
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        let key = keys.iter().find(|key| key.id == head[1..=KEY_ID]).ok_or(SealError::UnknownKey)?;
        let sender: [u8; 16] = head[1 + KEY_ID..HEAD - 8].try_into().map_err(|_| SealError::Forged)?;
        let sender = MemberId::from_bytes(sender);
        let counter = u64::from_be_bytes(head[HEAD - 8..].try_into().map_err(|_| SealError::Forged)?);
        let aad = self.bound(sender, recipient);
        let text = key.cipher.decrypt(&nonce(head), Payload { msg: text, aad: &aad });
        Ok((sender, counter, text.map_err(|_| SealError::Forged)?))
    }
}

/// The nonce: sender and counter.
fn nonce(head: &[u8]) -> XNonce {
    let mut nonce = [0; 24];
    nonce.copy_from_slice(&head[1 + KEY_ID..HEAD]);
    nonce.into()
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys([redacted])")
    }
}

/// The highest counter of each sender. A sender is one start of a process, so that this stays small.
#[derive(Debug, Default)]
pub(crate) struct Counters(HashMap<MemberId, u64>);

impl Counters {
    /// # Errors
    /// When a message with this counter, or a later one, came before.
    pub(crate) fn take(&mut self, sender: MemberId, counter: u64) -> Result<(), SealError> {
        let highest = self.0.entry(sender).or_default();
        if counter <= *highest {
            return Err(SealError::Replayed);
        }
        *highest = counter;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret {
        Secret::new(text).unwrap()
    }

    fn keys(identity: &str) -> Keys {
        Keys::new(identity, &secret("0123456789abcdef0123456789abcdef"))
    }

    fn seal(keys: &Keys, counter: u64, message: &[u8]) -> Vec<u8> {
        keys.seal(A, counter, Some(B), [&[0; HEAD], message].concat())
    }

    const A: MemberId = MemberId::of(1);
    const B: MemberId = MemberId::of(2);
    const C: MemberId = MemberId::of(3);

    #[test]
    fn only_the_recipient_opens_a_message_and_nothing_of_it_shows() {
        let keys = keys("platform\nentity\ndev");
        let sealed = seal(&keys, 7, b"user-token");
        assert!(!sealed.windows(10).any(|window| window == b"user-token"));
        assert_eq!(keys.open(Some(B), &sealed), Ok((A, 7, b"user-token".to_vec())));
        assert_eq!(keys.open(Some(C), &sealed), Err(SealError::Forged));
        assert_eq!(keys.open(None, &sealed), Err(SealError::Forged));
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(keys.open(Some(B), &changed).is_err(), "byte {at} is not protected");
            assert!(keys.open(Some(B), &sealed[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn another_secret_entity_or_environment_has_other_keys() {
        let sealed = seal(&keys("platform\nentity\ndev"), 1, b"x");
        for identity in ["platform\nentity\nprod", "platform\nother\ndev", "other\nentity\ndev"] {
            assert_eq!(keys(identity).open(Some(B), &sealed), Err(SealError::UnknownKey), "{identity}");
        }
        let other = Keys::new("platform\nentity\ndev", &secret("another secret of the entity"));
        assert_eq!(other.open(Some(B), &sealed), Err(SealError::UnknownKey));
    }

    #[test]
    fn a_rotated_secret_is_used_at_once_and_the_one_before_is_accepted() {
        let (old, new) = (keys("x"), keys("x"));
        let next = secret("fedcba9876543210fedcba9876543210");
        assert!(new.add(&next) && !new.add(&next));
        assert_eq!(new.open(Some(B), &seal(&old, 1, b"x")).unwrap().2, b"x");
        let sealed = seal(&new, 2, b"y");
        assert_eq!(old.open(Some(B), &sealed), Err(SealError::UnknownKey));
        old.add(&next);
        assert_eq!(old.open(Some(B), &sealed).unwrap().2, b"y");
        for number in 0..5 {
            new.add(&secret(&format!("a later secret, number {number}")));
        }
        assert_eq!(new.open(Some(B), &sealed), Err(SealError::UnknownKey), "old ones are forgotten");
    }

    #[test]
    fn a_message_that_comes_again_is_refused() {
        let mut counters = Counters::default();
        assert_eq!(counters.take(A, 1), Ok(()));
        assert_eq!(counters.take(A, 1), Err(SealError::Replayed));
        assert_eq!(counters.take(A, 3), Ok(()));
        assert_eq!(counters.take(A, 2), Err(SealError::Replayed));
        assert_eq!(counters.take(B, 1), Ok(()));
    }
}
