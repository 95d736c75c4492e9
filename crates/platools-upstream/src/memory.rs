//! The tools that a server declared last, in a file, so that a restart does not withdraw the tools of a server that is
//! slow or broken.

use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use platools::ToolSpec;
use platools::host::StateDir;
use platools_net::Backoff;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use crate::config::UpstreamConfig;
use crate::pins::{ACCEPTED, WAITING};

/// The version of the format. A file of another one is ignored.
const VERSION: u32 = 1;

/// The largest file that is read or written, in bytes.
const MAX_FILE: u64 = 16 << 20;

/// The prefix of the names of files with remembered tools in the state directory.
const KIND: &str = "mcp-tools";

/// The memory of one server.
pub(crate) struct Memory {
    directory: StateDir,
    /// The name of the file.
    name: String,
    server: String,
    /// A hash of the command line or URL of the server: they may hold secrets.
    source: String,
    /// The `source` of the server that declared the tools.
    origin: String,
    /// The content of the file as a hash, as far as it is known.
    saved: Option<String>,
    backoff: Backoff,
    failed: Option<Failed>,
}

/// A write that failed.
struct Failed {
    error: String,
    /// How often in a row.
    times: u32,
    retry_at: Instant,
}

/// The file.
#[derive(Serialize, Deserialize)]
struct Remembered {
    version: u32,
    /// For those who look into the file.
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
}

impl Memory {
    /// The memory of the server, where it has one.
    pub(crate) fn of(config: &UpstreamConfig) -> Option<Self> {
        let directory = config.remember_in.clone()?;
        let source = hash_source(config);
        Some(Self {
            directory,
            name: file_name(KIND, &config.name),
            server: config.name.clone(),
            origin: source.clone(),
            source,
            saved: None,
            backoff: Backoff::new(config.first_wait, config.longest_wait).jitter(0.5..=1.0),
            failed: None,
        })
    }

    /// Has the server be another one. The tools stay those of the old one until it declares its own.
    pub(crate) fn reached_by(&mut self, config: &UpstreamConfig) {
        self.source = hash_source(config);
    }

    /// Has the server have another name, and thereby another file.
    pub(crate) fn rename(&mut self, server: &str) {
        // The old file stays: another server may have taken over the name, and with it the file.
        self.name = file_name(KIND, server);
        server.clone_into(&mut self.server);
        self.saved = None;
    }

    /// Returns the tools that are remembered, by order of preference: of this server under its name, of this server under
    /// another name, of another server under this name. A file that is of no use is ignored, and the log says why.
    pub(crate) fn load(&mut self) -> Option<Vec<ToolSpec>> {
        let own = read(&self.directory, &self.name).unwrap_or_else(|problem| {
            tracing::warn!(
                upstream = self.server,
                file = self.name,
                %problem,
                "the remembered tools of the MCP server are ignored"
            );
            None
        });
        let (file, why) = match own {
            Some((file, hash)) if file.source == self.source => {
                self.saved = Some(hash);
                (file, "of the last run")
            }
            own => match self.elsewhere() {
                Some(mut file) => {
                    // The other file is forgotten some day. What cannot be written now is with the next change. A file under
                    // this name is another server's, which may have yet another name now.
                    file.server.clone_from(&self.server);
                    if own.is_none()
                        && let Ok(bytes) = serde_json::to_vec(&file)
                        && self.directory.replace(&self.name, &bytes).is_ok()
                    {
                        self.saved = Some(hash(&bytes));
                    }
                    (file, "that it had under another name")
                }
                // A newer version of it, most likely, and its tools only have to be declared.
                None => (own?.0, "of the last run, when its command or URL was another,"),
            },
        };
        tracing::info!(
            upstream = self.server,
            tools = file.tools.len(),
            "the tools of the MCP server are those {why} until it is up"
        );
        self.origin = file.source;
        Some(file.tools.into_iter().map(RememberedTool::into_spec).collect())
    }

    /// The newest file of this server under another name.
    fn elsewhere(&self) -> Option<Remembered> {
        newest_first(&self.directory, KIND).find_map(|name| {
            let (file, _) = read(&self.directory, &name).ok()??;
            (name != self.name && file.source == self.source).then_some(file)
        })
    }

    /// Writes the tools that the server declares. What goes wrong is in the log, and tried again.
    pub(crate) async fn save(&mut self, specs: &[ToolSpec]) {
        self.origin.clone_from(&self.source);
        self.write(specs).await;
    }

    /// Writes the tools, if they are others than those of the file.
    pub(crate) async fn write(&mut self, specs: &[ToolSpec]) {
        let file = Remembered {
            version: VERSION,
            server: self.server.clone(),
            source: self.origin.clone(),
            tools: specs.iter().map(RememberedTool::of).collect(),
        };
        let Ok(bytes) = serde_json::to_vec(&file) else { return };
        let content = hash(&bytes);
        if self.saved.as_ref() == Some(&content) {
            self.failed = None;
            return;
        }
        let (directory, name) = (self.directory.clone(), self.name.clone());
        let written = tokio::task::spawn_blocking(move || {
            if bytes.len() as u64 <= MAX_FILE {
                return directory.replace(&name, &bytes).map(|()| true);
            }
            // Better none than those that the server had once.
            match std::fs::remove_file(directory.path().join(name)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(false),
            }
        });
        match written.await.unwrap_or_else(|error| Err(io::Error::other(error))) {
            Ok(is_whole) => {
                self.saved = Some(content);
                if !is_whole {
                    tracing::warn!(
                        upstream = self.server,
                        file = self.name,
                        "the tools of the MCP server have more than 16 MiB and are not remembered: after a restart they \
                         are unknown until it is up"
                    );
                } else if self.failed.is_some() {
                    tracing::info!(
                        upstream = self.server,
                        "the tools of the MCP server are remembered again"
                    );
                }
                self.failed = None;
            }
            Err(error) => self.note_failure(&error),
        }
    }

    fn note_failure(&mut self, error: &io::Error) {
        let error = error.to_string();
        let is_known = self.failed.as_ref().is_some_and(|failed| failed.error == error);
        let times = self.failed.as_ref().map_or(0, |failed| failed.times);
        let retry_at = Instant::now() + self.backoff.wait(times);
        if !is_known {
            let then = if self.directory.path().join(&self.name).exists() {
                "after a restart those of an older list are declared until it is up"
            } else {
                "after a restart they are unknown until it is up"
            };
            tracing::warn!(
                upstream = self.server,
                file = self.name,
                error,
                "the tools of the MCP server cannot be remembered, which is tried again: {then}"
            );
        }
        self.failed = Some(Failed { error, times: times.saturating_add(1), retry_at });
    }

    /// When a write that failed is to be tried again.
    pub(crate) fn retry_at(&self) -> Option<Instant> {
        self.failed.as_ref().map(|failed| failed.retry_at)
    }
}

/// Reads a file, with a hash of its content; `None` if there is none.
fn read(directory: &StateDir, name: &str) -> Result<Option<(Remembered, String)>, Problem> {
    let length = std::fs::metadata(directory.path().join(name)).map(|file| file.len());
    if length.is_ok_and(|length| length > MAX_FILE) {
        return Err(Problem::TooLarge);
    }
    let Some(bytes) = directory.read(name)? else { return Ok(None) };
    let file: Remembered =
        serde_json::from_slice(&bytes).map_err(|error| Problem::Corrupt(error.to_string()))?;
    if file.version != VERSION {
        return Err(Problem::Version);
    }
    Ok(Some((file, hash(&bytes))))
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

/// Returns the names of all files of a kind, the newest first.
pub(crate) fn newest_first(directory: &StateDir, kind: &str) -> impl Iterator<Item = String> {
    let entries = std::fs::read_dir(directory.path()).into_iter().flatten().flatten();
    let named = entries.filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        name.strip_suffix(".json")?.strip_prefix(kind)?.strip_prefix('-')?;
        Some((entry.metadata().ok()?.modified().ok()?, name))
    });
    let mut found: Vec<_> = named.collect();
    found.sort_unstable();
    found.into_iter().rev().map(|(_, name)| name)
}

/// Removes the files of servers that have not been used for 30 days from a state directory: their tools, and the accepted
/// definitions. The servers in `used` are used now.
///
/// To be called when the servers have changed, with those before among the used ones. A file that cannot be removed stays.
pub fn forget_unused(directory: &StateDir, used: &[impl AsRef<str>]) {
    let used: Vec<_> = used.iter().map(|server| format!("{}.json", server_part(server.as_ref()))).collect();
    let kinds = [KIND, ACCEPTED, WAITING].map(|kind| format!("{kind}-"));
    directory.forget_unused(&kinds.each_ref().map(String::as_str), &used);
}

/// The name of a file that belongs to a server.
pub(crate) fn file_name(kind: &str, server: &str) -> String {
    format!("{kind}-{}.json", server_part(server))
}

fn server_part(server: &str) -> String {
    let allowed = |next: char| if next.is_ascii_alphanumeric() || "_-".contains(next) { next } else { '_' };
    // Names that differ in what a file's name cannot have must not share a file.
    let hash = hash(server.as_bytes());
    let name: String = server.chars().map(allowed).take(64).collect();
    format!("{name}-{}", &hash[..8])
}

/// Hashes the command line or URL of a server.
pub(crate) fn hash_source(config: &UpstreamConfig) -> String {
    hash(serde_json::to_string(&config.source_parts()).unwrap_or_default().as_bytes())
}

fn hash(bytes: &[u8]) -> String {
    BASE64.encode(Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::path::{Path, PathBuf};
    use std::time::{Duration, SystemTime};

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
    async fn what_is_saved_is_loaded_and_holds_no_secret() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let mut memory = Memory::of(&config(folder, "/srv/s3cret")).unwrap();
        assert!(memory.load().is_none());
        memory.save(&specs()).await;
        let loaded = Memory::of(&config(folder, "/srv/s3cret")).unwrap().load().unwrap();
        assert_eq!(loaded, specs());
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

    fn named(name: &str, folder: &Path, argument: &str) -> Memory {
        Memory::of(&UpstreamConfig { name: name.to_owned(), ..config(folder, argument) }).unwrap()
    }

    #[tokio::test]
    async fn the_same_server_is_found_under_another_name_and_another_server_under_the_same_name() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        named("files", folder, "1.0").save(&specs()).await;
        named("files", folder, "1.0").save(&specs()[..1]).await;
        assert_eq!(named("documents", folder, "1.0").load().unwrap(), specs()[..1], "renamed");
        // It has a file of its own from then on.
        let old = folder.join(file_name(KIND, "files"));
        std::fs::rename(&old, folder.join("aside")).unwrap();
        assert_eq!(named("documents", folder, "1.0").load().unwrap(), specs()[..1]);
        std::fs::rename(folder.join("aside"), old).unwrap();
        std::fs::remove_file(folder.join(file_name(KIND, "documents"))).unwrap();
        assert_eq!(named("files", folder, "1.1").load().unwrap(), specs()[..1], "another version");
        assert!(named("documents", folder, "1.1").load().is_none(), "nothing tells that it is the same");
        // What it is reached by tells more than what it is called.
        named("documents", folder, "2.0").save(&specs()).await;
        assert_eq!(named("files", folder, "2.0").load().unwrap(), specs());
        assert_eq!(named("documents", folder, "1.0").load().unwrap(), specs()[..1]);
    }

    #[tokio::test]
    async fn tools_of_another_server_stay_those_of_the_other_one_under_a_new_name() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        named("files", folder, "1.0").save(&specs()).await;
        let mut memory = named("files", folder, "1.1");
        let remembered = memory.load().unwrap();
        memory.rename("documents");
        memory.write(&remembered).await;
        assert_eq!(named("documents", folder, "1.1").load().unwrap(), specs());
        assert_eq!(named("other", folder, "1.1").load(), None, "it never declared them");
        memory.save(&remembered).await;
        assert_eq!(named("other", folder, "1.1").load().unwrap(), specs());
    }

    #[tokio::test]
    async fn the_files_of_a_server_are_removed_when_it_was_not_used_for_a_month() {
        let folder = tempfile::tempdir().unwrap();
        let directory = StateDir::open(folder.path()).unwrap();
        let month_ago = SystemTime::now() - Duration::from_secs(31 * 24 * 3_600);
        for name in ["used", "gone"] {
            named(name, folder.path(), name).save(&specs()).await;
            for kind in [ACCEPTED, WAITING] {
                directory.replace(&file_name(kind, name), b"{}").unwrap();
            }
            for kind in [KIND, ACCEPTED, WAITING] {
                let path = folder.path().join(file_name(kind, name));
                File::options().write(true).open(path).unwrap().set_modified(month_ago).unwrap();
            }
        }
        forget_unused(&directory, &["used"]);
        let names = std::fs::read_dir(folder.path()).unwrap();
        let left: Vec<_> = names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        assert!(left.len() == 3 && left.iter().all(|name| name.contains("used")), "{left:?}");
    }

    #[tokio::test]
    async fn a_write_that_failed_is_tried_again_with_the_same_tools() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        let mut memory = named("files", &state, "1.0");
        std::fs::remove_dir_all(&state).unwrap();
        memory.save(&specs()).await;
        assert!(memory.retry_at().is_some_and(|at| at > Instant::now()));
        std::fs::create_dir(&state).unwrap();
        memory.save(&specs()).await;
        assert!(memory.retry_at().is_none());
        assert_eq!(named("files", &state, "1.0").load().unwrap(), specs());
    }
}
