//! Messages that only members can read and write. NATS sees who writes to whom, and nothing else.
//!
//! The keys are derived from the service secret by HKDF-SHA256, one for each platform, entity and environment. A message
//! is sealed with XChaCha20-Poly1305; sender and recipient are bound to it. The nonce is the sender, which is random for
//! each start of a process, and a counter, so that no nonce is used twice. A recipient takes only rising counters of a
//! sender, and is another one after a restart: a message that is sent again is refused.
//!
//! A rotated secret reaches members at different times. Each message says which key is the sender's newest, so that both
//! sides use the newest that both have. The record of the lease is sealed once with each key of its holder.

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
/// Version, id of the key, id of the sender's newest key, sender, counter.
pub(crate) const HEAD: usize = 1 + 2 * KEY_ID + 16 + 8;
/// Where the sender begins.
const SENDER: usize = 1 + 2 * KEY_ID;
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

type KeyId = [u8; KEY_ID];

struct SealKey {
    id: KeyId,
    cipher: XChaCha20Poly1305,
}

/// The keys that another member has, as far as it has shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Known {
    /// The one that it sealed with last, which both have.
    used: KeyId,
    /// Its newest.
    newest: KeyId,
}

/// What was sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Opened {
    pub(crate) sender: MemberId,
    pub(crate) counter: u64,
    pub(crate) text: Vec<u8>,
    pub(crate) known: Known,
}

/// The keys of a fleet.
pub(crate) struct Keys {
    namespace: String,
    /// Newest first.
    own: RwLock<Vec<SealKey>>,
    /// Those of other members.
    others: RwLock<HashMap<MemberId, Known>>,
}

impl Keys {
    /// The keys of the fleet with this identity.
    pub(crate) fn new(identity: &str, secret: &Secret) -> Self {
        let keys = Self { namespace: identity.to_owned(), own: RwLock::default(), others: RwLock::default() };
        keys.add(secret);
        keys
    }

    /// Seals with the key of this secret from now on, for those who have it, too. Returns `false` if it was known.
    pub(crate) fn add(&self, secret: &Secret) -> bool {
        let derive = Hkdf::<Sha256>::new(Some(b"platools-fleet"), secret.expose().as_bytes());
        let mut output = [0; 32 + KEY_ID];
        // Never fails: the output is short.
        let _ = derive.expand_multi_info(&[b"members v1\n", self.namespace.as_bytes()], &mut output);
        let (key, id) = output.split_at(32);
        let id = id.try_into().unwrap_or_default();
        let mut keys = self.own.write().unwrap_or_else(PoisonError::into_inner);
        if keys.iter().any(|key| key.id == id) {
            return false;
        }
        let key: &Key = key.try_into().unwrap_or_else(|_| unreachable!("the key has 32 bytes"));
        keys.insert(0, SealKey { id, cipher: XChaCha20Poly1305::new(key) });
        keys.truncate(MAX_KEYS);
        true
    }

    /// Notes which keys a member has. Messages to it are sealed with one of them from now on.
    pub(crate) fn note(&self, member: MemberId, known: Known) {
        let is_new = {
            let others = self.others.read().unwrap_or_else(PoisonError::into_inner);
            others.get(&member) != Some(&known)
        };
        if is_new {
            self.others.write().unwrap_or_else(PoisonError::into_inner).insert(member, known);
        }
    }

    fn bound(&self, newest: &[u8], sender: MemberId, recipient: Option<MemberId>) -> Vec<u8> {
        let mut bound = Vec::with_capacity(self.namespace.len() + 37);
        bound.extend(self.namespace.as_bytes());
        bound.push(VERSION);
        bound.extend(newest);
        bound.extend(sender.to_bytes());
        bound.extend(recipient.map(MemberId::to_bytes).unwrap_or_default());
        bound
    }

    fn seal_with(
        &self,
        key: &SealKey,
        newest: KeyId,
        sender: MemberId,
        counter: u64,
        recipient: Option<MemberId>,
        message: &mut Vec<u8>,
    ) {
        let Some((head, text)) = message.split_first_chunk_mut::<HEAD>() else { return };
        head[0] = VERSION;
        head[1..=KEY_ID].copy_from_slice(&key.id);
        head[1 + KEY_ID..SENDER].copy_from_slice(&newest);
        head[SENDER..HEAD - 8].copy_from_slice(&sender.to_bytes());
        head[HEAD - 8..].copy_from_slice(&counter.to_be_bytes());
        let bound = self.bound(&newest, sender, recipient);
        // Never fails: the message is far shorter than 256 GiB.
        let tag = key.cipher.encrypt_inout_detached(&nonce(head), &bound, text.into());
        message.extend(tag.unwrap_or_default());
    }

    /// Seals a message for one member. It stands in `message` behind [`HEAD`] free bytes.
    pub(crate) fn seal(
        &self,
        sender: MemberId,
        counter: u64,
        recipient: MemberId,
        mut message: Vec<u8>,
    ) -> Vec<u8> {
        let known = self.others.read().unwrap_or_else(PoisonError::into_inner).get(&recipient).copied();
        let keys = self.own.read().unwrap_or_else(PoisonError::into_inner);
        let find = |id| keys.iter().find(|key| key.id == id);
        let key = known.and_then(|known| find(known.newest).or_else(|| find(known.used)));
        if let Some(newest) = keys.first() {
            let key = key.unwrap_or(newest);
            self.seal_with(key, newest.id, sender, counter, Some(recipient), &mut message);
        }
        message
    }

    /// Seals what is for the store, once with each key: a member that has one of them can read it.
    pub(crate) fn seal_record(&self, sender: MemberId, counter: u64, text: &[u8]) -> Vec<u8> {
        let keys = self.own.read().unwrap_or_else(PoisonError::into_inner);
        let mut record = Vec::new();
        for key in &*keys {
            let mut copy = [&[0; HEAD], text].concat();
            self.seal_with(key, keys[0].id, sender, counter, None, &mut copy);
            record.extend((copy.len() as u32).to_be_bytes());
            record.extend(copy);
        }
        record
    }

    /// Opens what is in the store.
    ///
    /// # Errors
    /// When no member has sealed it with a key that is known here.
    pub(crate) fn open_record(&self, mut record: &[u8]) -> Result<Opened, SealError> {
        let mut problem = SealError::Forged;
        while let Some((length, rest)) = record.split_first_chunk::<4>() {
            let Some((copy, rest)) = rest.split_at_checked(u32::from_be_bytes(*length) as usize) else {
                break;
            };
            match self.open(None, copy) {
                Ok(opened) => return Ok(opened),
                Err(error) => problem = error,
            }
            record = rest;
        }
        Err(problem)
    }

    /// Opens a message to this member.
    ///
    /// # Errors
    /// When no member has sealed it for this recipient.
    pub(crate) fn open(&self, recipient: Option<MemberId>, sealed: &[u8]) -> Result<Opened, SealError> {
        if sealed.first() != Some(&VERSION) {
            return Err(SealError::Version);
        }
        let (head, text) = sealed.split_first_chunk::<HEAD>().ok_or(SealError::Forged)?;
        let part = |from: usize| head[from..].first_chunk::<KEY_ID>().copied().unwrap_or_default();
        let known = Known { used: part(1), newest: part(1 + KEY_ID) };
        let keys = self.own.read().unwrap_or_else(PoisonError::into_inner);
        let key = keys.iter().find(|key| key.id == known.used).ok_or(SealError::UnknownKey)?;
        let sender: [u8; 16] = head[SENDER..HEAD - 8].try_into().map_err(|_| SealError::Forged)?;
        let sender = MemberId::from_bytes(sender);
        let counter = u64::from_be_bytes(head[HEAD - 8..].try_into().map_err(|_| SealError::Forged)?);
        let aad = self.bound(&known.newest, sender, recipient);
        let text = key.cipher.decrypt(&nonce(head), Payload { msg: text, aad: &aad });
        Ok(Opened { sender, counter, text: text.map_err(|_| SealError::Forged)?, known })
    }
}

/// The nonce: sender and counter.
fn nonce(head: &[u8]) -> XNonce {
    let mut nonce = [0; 24];
    nonce.copy_from_slice(&head[SENDER..HEAD]);
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
        keys.seal(A, counter, B, [&[0; HEAD], message].concat())
    }

    fn text(keys: &Keys, sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        keys.open(Some(B), sealed).map(|opened| opened.text)
    }

    const A: MemberId = MemberId::of(1);
    const B: MemberId = MemberId::of(2);
    const C: MemberId = MemberId::of(3);

    #[test]
    fn only_the_recipient_opens_a_message_and_nothing_of_it_shows() {
        let keys = keys("platform\nentity\ndev");
        let sealed = seal(&keys, 7, b"user-token");
        assert!(!sealed.windows(10).any(|window| window == b"user-token"));
        let opened = keys.open(Some(B), &sealed).unwrap();
        assert_eq!((opened.sender, opened.counter, &*opened.text), (A, 7, &b"user-token"[..]));
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
        assert_eq!(text(&new, &seal(&old, 1, b"x")).unwrap(), b"x");
        let sealed = seal(&new, 2, b"y");
        assert_eq!(old.open(Some(B), &sealed), Err(SealError::UnknownKey));
        old.add(&next);
        assert_eq!(text(&old, &sealed).unwrap(), b"y");
        for number in 0..5 {
            new.add(&secret(&format!("a later secret, number {number}")));
        }
        assert_eq!(new.open(Some(B), &sealed), Err(SealError::UnknownKey), "old ones are forgotten");
    }

    /// Sends a message, as members do; returns whether it was understood, and which key it was sealed with.
    fn says(from: (&Keys, MemberId), to: (&Keys, MemberId)) -> (bool, KeyId) {
        let sealed = from.0.seal(from.1, 1, to.1, vec![0; HEAD]);
        let opened = to.0.open(Some(to.1), &sealed);
        if let Ok(opened) = &opened {
            to.0.note(opened.sender, opened.known);
        }
        (opened.is_ok(), *sealed[1..].first_chunk().unwrap())
    }

    #[test]
    fn members_that_hear_of_a_rotation_at_different_times_understand_each_other() {
        let (first, second) = (keys("x"), keys("x"));
        let (a, b) = ((&first, A), (&second, B));
        let old = says(b, a).1;
        let next = secret("fedcba9876543210fedcba9876543210");
        first.add(&next);
        assert_eq!(says(a, b), (true, old), "it has no other one");
        assert_eq!(says(b, a), (true, old));
        second.add(&next);
        // The one that heard last says that it did, and from then on both use the new key.
        assert_eq!(says(b, a), (true, first.own.read().unwrap()[0].id));
        let (is_understood, new) = says(a, b);
        assert!(is_understood && new != old);
        // The other way around: the one that hears first is the one that writes first.
        second.add(&secret("a third secret, 0123456789abcdef"));
        assert_eq!(says(b, a), (true, new));
        assert_eq!(says(a, b), (true, new));
    }

    #[test]
    fn the_record_of_a_holder_that_knows_both_secrets_is_read_with_either() {
        let (old, both) = (keys("x"), keys("x"));
        let next = secret("fedcba9876543210fedcba9876543210");
        both.add(&next);
        let new = Keys::new("x", &next);
        let record = both.seal_record(A, 1, b"lease");
        for reader in [&old, &new, &both] {
            let opened = reader.open_record(&record).unwrap();
            assert_eq!((opened.sender, &*opened.text), (A, &b"lease"[..]));
            // Whoever has read it can write to its holder.
            reader.note(A, opened.known);
            assert!(both.open(Some(A), &reader.seal(B, 1, A, vec![0; HEAD])).is_ok());
        }
        assert_eq!(new.open_record(&old.seal_record(A, 1, b"lease")), Err(SealError::UnknownKey));
        let other = Keys::new("x", &secret("a secret that nobody else has, 01"));
        assert_eq!(other.open_record(&record), Err(SealError::UnknownKey));
        for cut in 0..record.len() / 2 {
            assert!(both.open_record(&record[..cut]).is_err());
        }
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
