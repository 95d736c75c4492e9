//! The tools that a server declared last, in a file, so that a restart does not withdraw the tools of a server that is
//! slow or broken.

use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use platools::ToolSpec;
use platools::host::StateDir;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use crate::config::UpstreamConfig;

/// The version of the format. A file of another one is ignored.
const VERSION: u32 = 1;

/// The largest file that is read or written, in bytes.
const MAX_FILE: u64 = 16 << 20;

/// The memory of one server.
pub(crate) struct Memory {
    directory: StateDir,
    /// The name of the file.
    name: String,
    server: String,
    /// What the server is reached by, as a hash: command lines and URLs may hold secrets.
    source: String,
    /// The content of the file, as far as it is known.
    saved: Option<Vec<u8>>,
}

/// The file.
#[derive(Serialize, Deserialize)]
struct Remembered {
    version: u32,
    server: String,
    source: String,
    tools: Vec<RememberedTool>,
}

/// A tool as the server declared it.
#[derive(Serialize, Deserialize)]
pub(crate) struct RememberedTool {
    name: String,
    #[serde(default)]
    description: String,
    input_schema: Value,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    output_schema: Option<Value>,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    annotations: Map<String, Value>,
}

/// Why a file is of no use.
#[derive(Debug, thiserror::Error)]
enum Problem {
    #[error("it cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    #[error("it has more than 16 MiB")]
    TooLarge,
    #[error("it is not what was written: {0}")]
    Corrupt(String),
    #[error("it is of another version")]
    Version,
    #[error("it is of another server, or this one's command or URL was another")]
    OtherServer,
}

impl Memory {
    /// The memory of the server, where it has one.
    pub(crate) fn of(config: &UpstreamConfig) -> Option<Self> {
        let directory = config.remember_in.clone()?;
        Some(Self {
            directory,
            name: file_name("mcp-tools", &config.name),
            server: config.name.clone(),
            source: hash_source(config),
            saved: None,
        })
    }

    /// The tools of the file. A file that is of no use is ignored, and the log says why.
    pub(crate) fn load(&mut self) -> Option<Vec<ToolSpec>> {
        match self.read() {
            Ok(specs) => specs,
            Err(problem) => {
                tracing::warn!(
                    upstream = self.server,
                    file = self.name,
                    %problem,
                    "the remembered tools of the MCP server are ignored"
                );
                None
            }
        }
    }

    fn read(&mut self) -> Result<Option<Vec<ToolSpec>>, Problem> {
        let length = std::fs::metadata(self.directory.path().join(&self.name)).map(|file| file.len());
        if length.is_ok_and(|length| length > MAX_FILE) {
            return Err(Problem::TooLarge);
        }
        let Some(bytes) = self.directory.read(&self.name)? else { return Ok(None) };
        let corrupt = |error: serde_json::Error| Problem::Corrupt(error.to_string());
        let file: Remembered = serde_json::from_slice(&bytes).map_err(corrupt)?;
        if file.version != VERSION {
            return Err(Problem::Version);
        }
        if file.server != self.server || file.source != self.source {
            return Err(Problem::OtherServer);
        }
        self.saved = Some(bytes);
        Ok(Some(file.tools.into_iter().map(RememberedTool::into_spec).collect()))
    }

    /// Writes the tools, if they are others than those of the file. What goes wrong is in the log.
    pub(crate) async fn save(&mut self, specs: &[ToolSpec]) {
        let file = Remembered {
            version: VERSION,
            server: self.server.clone(),
            source: self.source.clone(),
            tools: specs.iter().map(RememberedTool::of).collect(),
        };
        let Ok(bytes) = serde_json::to_vec(&file) else { return };
        if self.saved.as_ref() == Some(&bytes) {
            return;
        }
        let (directory, name, kept) = (self.directory.clone(), self.name.clone(), bytes.clone());
        let written = tokio::task::spawn_blocking(move || {
            if bytes.len() as u64 > MAX_FILE {
                // Better none than those that the server had once.
                let _ = std::fs::remove_file(directory.path().join(name));
                return Err(io::Error::other("they have more than 16 MiB"));
            }
            directory.replace(&name, &bytes)
        });
        if let Err(error) = written.await.unwrap_or_else(|error| Err(io::Error::other(error))) {
            tracing::warn!(
                upstream = self.server,
                file = self.name,
                %error,
                "the tools of the MCP server cannot be remembered: after a restart they are unknown until it is up"
            );
        }
        // One that cannot be written is not tried again until the tools change.
        self.saved = Some(kept);
    }
}

impl RememberedTool {
    pub(crate) fn of(spec: &ToolSpec) -> Self {
        Self {
            name: spec.name.clone(),
            description: spec.description.clone(),
            input_schema: (*spec.input_schema).clone(),
            output_schema: spec.output_schema.as_deref().cloned(),
            annotations: spec.annotations.clone(),
        }
    }

    pub(crate) fn into_spec(self) -> ToolSpec {
        let mut spec = ToolSpec::new(self.name)
            .description(self.description)
            .input_schema(self.input_schema)
            .output_schema(self.output_schema);
        spec.annotations = self.annotations;
        spec
    }
}

/// The name of a file that belongs to a server.
pub(crate) fn file_name(kind: &str, server: &str) -> String {
    let allowed = |next: char| if next.is_ascii_alphanumeric() || "_-".contains(next) { next } else { '_' };
    // Names that differ in what a file's name cannot have must not share a file.
    let hash = hash(server.as_bytes());
    let name: String = server.chars().map(allowed).take(64).collect();
    format!("{kind}-{name}-{}.json", &hash[..8])
}

fn hash_source(config: &UpstreamConfig) -> String {
    hash(serde_json::to_string(&config.source_parts()).unwrap_or_default().as_bytes())
}

fn hash(bytes: &[u8]) -> String {
    BASE64.encode(Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use serde_json::json;

    use super::*;
    use crate::ServerProgram;

    fn config(folder: &Path, argument: &str) -> UpstreamConfig {
        let program = ServerProgram::new("server").arg(argument).env("TOKEN", "s3cret");
        UpstreamConfig::program("my files", program).remember_in(StateDir::open(folder).unwrap())
    }

    fn specs() -> Vec<ToolSpec> {
        let read = ToolSpec::new("read").description("Read.").read_only(true);
        vec![read.output_schema(json!({"type": "string"})), ToolSpec::new("write")]
    }

    fn only_file(folder: &Path) -> PathBuf {
        let files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(files.len(), 1, "{files:?}");
        files[0].clone()
    }

    #[tokio::test]
    async fn what_is_saved_is_loaded_for_the_same_server_alone() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let mut memory = Memory::of(&config(folder, "/srv/s3cret")).unwrap();
        assert!(memory.load().is_none());
        memory.save(&specs()).await;
        let loaded = Memory::of(&config(folder, "/srv/s3cret")).unwrap().load().unwrap();
        assert_eq!(loaded, specs());
        assert!(Memory::of(&config(folder, "/srv/other")).unwrap().load().is_none(), "another command");
        let path = only_file(folder);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(!text.contains("s3cret"), "{text}");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        memory.save(&[]).await;
        assert_eq!(Memory::of(&config(folder, "/srv/s3cret")).unwrap().load().unwrap(), []);
    }

    #[tokio::test]
    async fn a_file_that_is_of_no_use_is_ignored_and_written_anew() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(folder.path(), "a");
        Memory::of(&config).unwrap().save(&specs()).await;
        let path = only_file(folder.path());
        let good = std::fs::read(&path).unwrap();
        let other_version =
            String::from_utf8(good.clone()).unwrap().replace("\"version\":1", "\"version\":2");
        for bytes in [
            b"".to_vec(),
            good[..good.len() / 2].to_vec(),
            other_version.into_bytes(),
            vec![b' '; (16 << 20) + 1],
        ] {
            std::fs::write(&path, bytes).unwrap();
            let mut memory = Memory::of(&config).unwrap();
            assert!(memory.load().is_none());
            memory.save(&specs()).await;
            assert_eq!(std::fs::read(&path).unwrap(), good);
        }
        let large = vec![ToolSpec::new("large").description("x".repeat(17 << 20))];
        Memory::of(&config).unwrap().save(&large).await;
        assert!(!path.exists(), "better none than an old one");
    }
}
