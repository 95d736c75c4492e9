//! The identity file: the API token, and entities with their secrets, so that a platform that starts again is the same
//! one to hosts and terminals. Holds no calls.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use platools::verify::Secret;
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use crate::error::DevError;
use crate::options::DevPlatformOptions;
use crate::random;

/// The content of the file.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    api_token: Option<String>,
    /// The entities of the last start, the default one first.
    #[serde(default)]
    entities: Vec<String>,
    /// The random secrets of all entities that there ever were.
    #[serde(default)]
    secrets: BTreeMap<String, String>,
}

/// The file of a platform that runs.
pub(crate) struct IdentityFile {
    path: PathBuf,
    content: Content,
}

/// The entities of a platform.
pub(super) struct Entities {
    pub(super) secrets: BTreeMap<String, Secret>,
    pub(super) default_entity: String,
}

impl IdentityFile {
    /// Reads the file; one that is missing is empty. Blocks, for as long as a small file takes.
    pub(super) fn open(path: &Path) -> Result<Self, DevError> {
        let problem = |problem: String| DevError::Data { file: path.to_owned(), problem };
        let content = match read(path) {
            Ok(Some(text)) => serde_json::from_str(&text).map_err(|_| {
                problem("it was not written by this program; move it away to start anew".to_owned())
            })?,
            Ok(None) => Content::default(),
            Err(error) => return Err(problem(format!("{error}; look at its permissions"))),
        };
        Ok(Self { path: path.to_owned(), content })
    }

    /// The API token: the wanted one, or the one that is kept. A wanted one is not kept.
    pub(super) fn api_token(&mut self, wanted: Option<Secret>) -> Result<Secret, DevError> {
        if let Some(wanted) = wanted {
            return Ok(wanted);
        }
        if let Some(kept) = self.content.api_token.as_deref().and_then(|token| Secret::new(token).ok()) {
            return Ok(kept);
        }
        let token = random::secret()?;
        self.content.api_token = Some(token.expose().to_owned());
        Ok(token)
    }

    /// The entities that the options name, or those of the last start. Secrets that the options name are not kept.
    pub(super) fn entities(&mut self, options: &DevPlatformOptions) -> Result<Entities, DevError> {
        let mut named = options.entities.clone();
        let mut default_entity = options.default_entity.clone();
        if named.is_empty() {
            named = self.content.entities.iter().map(|slug| (slug.clone(), None)).collect();
            if let Some(first) = self.content.entities.first() {
                default_entity.clone_from(first);
            }
        }
        if named.is_empty() {
            named.insert(default_entity.clone(), None);
        }
        let mut secrets = BTreeMap::new();
        for (slug, secret) in named {
            let kept = self.content.secrets.get(&slug).and_then(|secret| Secret::new(secret.as_str()).ok());
            let secret = match (secret, kept) {
                (Some(secret), _) | (None, Some(secret)) => secret,
                (None, None) => {
                    let secret = random::secret()?;
                    self.content.secrets.insert(slug.clone(), secret.expose().to_owned());
                    secret
                }
            };
            secrets.insert(slug, secret);
        }
        let others = secrets.keys().filter(|slug| **slug != default_entity).cloned();
        self.content.entities = std::iter::once(default_entity.clone()).chain(others).collect();
        Ok(Entities { secrets, default_entity })
    }

    /// Writes the file, if it is not as it should be.
    pub(super) fn save(&self) -> Result<(), DevError> {
        write(&self.path, &self.content).map_err(|error| DevError::Data {
            file: self.path.clone(),
            problem: format!("{error}; use another folder, or keep nothing"),
        })
    }

    /// Keeps the secret of an entity.
    pub(super) fn keep_secret(&mut self, entity: &str, secret: &Secret) {
        self.content.secrets.insert(entity.to_owned(), secret.expose().to_owned());
        if let Err(error) = self.save() {
            tracing::warn!("the new secret of the entity is forgotten at the next start: {error}");
        }
    }
}

/// The text of the file, if there is one that other users can neither read nor change.
fn read(path: &Path) -> io::Result<Option<String>> {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    if !found.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        // Others may know what is in it, so it is of no more use.
        if found.permissions().mode() & 0o077 != 0 {
            tracing::warn!("`{}` was open to other users: there are new secrets", path.display());
            return Ok(None);
        }
    }
    fs::read_to_string(path).map(Some)
}

/// Replaces the file in one step, for this user alone.
fn write(path: &Path, content: &Content) -> io::Result<()> {
    let text = serde_json::to_string_pretty(content)? + "\n";
    if read(path).is_ok_and(|written| written.as_deref() == Some(&*text)) {
        return Ok(());
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut folder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut folder, 0o700);
    folder.recursive(true).create(parent)?;
    // A temporary file is open to this user alone.
    let mut next = NamedTempFile::new_in(parent)?;
    next.write_all(text.as_bytes())?;
    next.persist(path)?;
    Ok(())
}
