//! The last good copy of a document that a server has: compressed in memory, where another selection is taken from it,
//! and in the state directory, where a restart finds it.

use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::time::{Duration, SystemTime};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use platools::host::StateDir;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::MAX_DOCUMENT;
use super::remote::Validators;
use super::remotes::RemoteId;
use crate::disk;

/// The version of the format. A file of another one is ignored.
const VERSION: u32 = 1;

/// The prefix of the names of copies in the state directory.
const KIND: &str = "openapi-copy-";

/// A document, and what its server said of it.
#[derive(Debug, Clone)]
pub(crate) struct Copy {
    digest: [u8; 32],
    pub(super) validators: Validators,
    pub(super) fetched: SystemTime,
    packed: Vec<u8>,
}

/// The first line of the file; the compressed document follows.
#[derive(Serialize, Deserialize)]
struct Head {
    version: u32,
    #[serde(flatten)]
    validators: Validators,
    /// In seconds since 1970.
    fetched: u64,
    digest: [u8; 32],
}

impl Copy {
    /// Copies a document that was fetched just now.
    pub(crate) fn of(bytes: &[u8], validators: Validators) -> Self {
        Self {
            digest: Sha256::digest(bytes).into(),
            validators,
            fetched: SystemTime::now(),
            packed: pack(bytes),
        }
    }

    /// Whether these bytes are the document.
    pub(super) fn is_of(&self, bytes: &[u8]) -> bool {
        let digest: [u8; 32] = Sha256::digest(bytes).into();
        digest == self.digest
    }

    /// A copy of the same document with other validators, such as a new `ETag`.
    pub(super) fn with(&self, validators: Validators) -> Self {
        Self { validators, ..self.clone() }
    }

    /// The document.
    ///
    /// # Errors
    /// When the copy is not what was written.
    pub(crate) fn unpack(&self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        GzDecoder::new(self.packed.as_slice()).take(MAX_DOCUMENT as u64 + 1).read_to_end(&mut bytes)?;
        if self.is_of(&bytes) { Ok(bytes) } else { Err(not_written()) }
    }

    /// The copy in a state directory; `None` if there is none.
    ///
    /// # Errors
    /// Why it is of no use.
    pub(crate) fn load(state_dir: &Path, id: &RemoteId) -> io::Result<Option<Self>> {
        let file = match disk::read(&state_dir.join(file_name(id)), MAX_DOCUMENT) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        let end = file.iter().position(|byte| *byte == b'\n').ok_or_else(not_written)?;
        let head: Head = serde_json::from_slice(&file[..end]).map_err(|_| not_written())?;
        let fetched = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(head.fetched));
        if head.version != VERSION {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it is of another version"));
        }
        Ok(Some(Self {
            digest: head.digest,
            validators: head.validators,
            fetched: fetched.ok_or_else(not_written)?,
            packed: file[end + 1..].to_vec(),
        }))
    }

    /// Writes the copy into a state directory.
    ///
    /// # Errors
    /// When it cannot be written; an older one stays.
    pub(crate) fn store(&self, directory: &StateDir, id: &RemoteId) -> io::Result<()> {
        let fetched = self.fetched.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let head =
            Head { version: VERSION, validators: self.validators.clone(), fetched, digest: self.digest };
        let mut file = serde_json::to_vec(&head)?;
        file.push(b'\n');
        file.extend_from_slice(&self.packed);
        directory.replace(&file_name(id), &file)
    }
}

/// Removes copies that no section has named for 30 days: a section may come back.
pub(crate) fn forget_unused<'i>(directory: &StateDir, used: impl Iterator<Item = &'i RemoteId>) {
    let used: Vec<String> = used.map(ToString::to_string).collect();
    directory.forget_unused(&[KIND], &used);
}

fn file_name(id: &RemoteId) -> String {
    format!("{KIND}{id}")
}

fn not_written() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "it is not what was written")
}

fn pack(bytes: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    // Memory takes everything.
    let _ = packed.write_all(bytes);
    packed.finish().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    #[test]
    fn a_copy_is_found_again_and_one_that_is_not_what_was_written_is_no_use() {
        let folder = std::env::temp_dir().join(format!("platools-copies-{:016x}", fastrand::u64(..)));
        let directory = StateDir::open(&folder).unwrap();
        let (id, other) =
            (RemoteId::new("http://h/?token=s3cret", &[], 0), RemoteId::new("http://h/", &[], 0));
        assert!(Copy::load(&folder, &id).unwrap().is_none());
        let validators = Validators { etag: Some("\"v1\"".to_owned()), last_modified: None };
        let copy = Copy::of(b"openapi: 3.1.0", validators.clone());
        copy.store(&directory, &id).unwrap();
        let found = Copy::load(&folder, &id).unwrap().unwrap();
        assert_eq!(
            (found.unpack().unwrap().as_slice(), found.validators),
            (&b"openapi: 3.1.0"[..], validators)
        );
        assert!(Copy::load(&folder, &other).unwrap().is_none());
        let path = folder.join(file_name(&id));
        assert!(!path.display().to_string().contains("s3cret"));
        let good = std::fs::read(&path).unwrap();
        let mut spoiled = good.clone();
        *spoiled.last_mut().unwrap() ^= 1;
        for (bytes, is_loaded) in [(&b""[..], false), (&b"{}\n"[..], false), (&spoiled, true)] {
            std::fs::write(&path, bytes).unwrap();
            let useless = Copy::load(&folder, &id).and_then(|copy| copy.unwrap().unpack());
            assert!(useless.is_err(), "{}", String::from_utf8_lossy(bytes));
            assert_eq!(Copy::load(&folder, &id).is_ok(), is_loaded);
        }

        std::fs::write(&path, good).unwrap();
        copy.store(&directory, &other).unwrap();
        let old = SystemTime::now() - Duration::from_secs(31 * 24 * 3_600);
        for id in [&id, &other] {
            let file = File::options().write(true).open(folder.join(file_name(id))).unwrap();
            file.set_modified(old).unwrap();
        }
        forget_unused(&directory, [&other].into_iter());
        assert!(!path.exists() && folder.join(file_name(&other)).exists());
        std::fs::remove_dir_all(folder).unwrap();
    }
}
