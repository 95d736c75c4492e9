//! What is stored of the memory of the replay guard: JSON, followed by a line with its SHA-256.

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::verify::replay::Nonces;
use crate::verify::timestamp::Microseconds;

/// The version of the format. A record of another version is treated as damaged.
const VERSION: u32 = 1;

/// The stored state.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Record {
    /// All nonces, if the host had stopped; `None` while it runs.
    pub(super) nonces: Option<Nonces>,
    /// The newest timestamp of an accepted call.
    pub(super) newest: Option<Microseconds>,
    /// How far the platform's clock is ahead of this machine's.
    pub(super) lead: Microseconds,
    /// Calls signed until then are refused; a time of the platform's clock.
    pub(super) signed: Option<Microseconds>,
    /// Calls signed until then are refused; a time of this machine's clock.
    pub(super) started: Option<Microseconds>,
}

impl Record {
    pub(super) fn write(&self) -> Vec<u8> {
        // Numbers and lists of numbers always serialize.
        let mut text = serde_json::to_string(&(VERSION, self)).unwrap_or_default();
        let digest = HEXLOWER.encode(&Sha256::digest(&text));
        text.push('\n');
        text.push_str(&digest);
        text.push('\n');
        text.into_bytes()
    }

    /// Reads a record.
    ///
    /// # Errors
    /// The problem, if it is damaged.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, &'static str> {
        let lines =
            std::str::from_utf8(bytes).ok().and_then(|text| text.strip_suffix('\n')?.rsplit_once('\n'));
        let (text, digest) = lines.ok_or("it is cut short, or no state at all")?;
        if HEXLOWER.encode(&Sha256::digest(text)) != digest {
            return Err("its checksum is wrong");
        }
        match serde_json::from_str(text) {
            Ok((VERSION, record)) => Ok(record),
            _ => Err("another version of platools wrote it"),
        }
    }
}
