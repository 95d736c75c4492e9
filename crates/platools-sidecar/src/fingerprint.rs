//! What tells whether a thing of the file changed, with all that it refers to.

use std::fmt;

use serde::Serialize;
use sha2::{Digest as _, Sha256};

/// The same for two things that are the same.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Fingerprint([u8; 32]);

/// Takes in what a thing is made of.
#[derive(Clone, Default)]
pub(crate) struct Fingerprinter(Sha256);

impl Fingerprinter {
    /// A part of it; parts do not run into each other.
    pub(crate) fn add(mut self, part: &impl Serialize) -> Self {
        // What cannot be written as JSON does not come out of a file.
        let text = serde_json::to_string(part).unwrap_or_default();
        self.0.update(text.len().to_le_bytes());
        self.0.update(text);
        self
    }

    pub(crate) fn finish(self) -> Fingerprint {
        Fingerprint(self.0.finalize().into())
    }
}

impl Fingerprint {
    /// For a thing that this one is part of.
    pub(crate) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fingerprint")
    }
}
