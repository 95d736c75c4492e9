//! The definitions of a server's tools that were accepted. What a server declares otherwise later is withheld until it is
//! accepted, too: a server that was looked at once may tell the model something else tomorrow.
//!
//! They are kept as the server declared them, in two files of the state directory: what is accepted, and what waits. Who
//! accepts is another process, which writes the first of them.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use platools::ToolSpec;
use platools::host::StateDir;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::clean;
use crate::config::UpstreamConfig;
use crate::memory::{RememberedTool, file_name, hash_source, newest_first};

/// The version of the format.
const VERSION: u32 = 1;

/// The prefix of the names of files with accepted tools in the state directory.
pub(crate) const ACCEPTED: &str = "mcp-accepted";
pub(crate) const WAITING: &str = "mcp-waiting";

/// How often it is looked whether what waits was accepted.
const CHECK_INTERVAL: Duration = Duration::from_secs(2);

/// Definitions by the server's names for the tools.
type Definitions = BTreeMap<String, ToolSpec>;

/// The verdict on a definition.
pub(crate) enum Verdict<'a> {
    /// It is the accepted one.
    Accepted,
    /// Another one was accepted.
    Changed(&'a ToolSpec),
    /// There was no such tool.
    New,
}

/// A tool that is withheld, since its definition is not the one that was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct WithheldTool {
    /// The server's name for it.
    pub name: String,
    /// Whether no tool of this name was accepted.
    pub is_new: bool,
    /// The changes, at least one; all parts of a new tool.
    pub changes: Vec<DefinitionChange>,
}

/// One part of a definition that is not as it was accepted. Characters that are not shown are written out, such as
/// `\u{200b}`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DefinitionChange {
    /// `description`, `input schema`, `output schema`, or an annotation such as `readOnlyHint`.
    pub part: String,
    /// The accepted value; `None` if there was none.
    pub accepted: Option<String>,
    /// The declared value; `None` if there is none.
    pub declared: Option<String>,
}

impl WithheldTool {
    pub(crate) fn of(declared: &ToolSpec, accepted: Option<&ToolSpec>) -> Self {
        let changes = changes(accepted, declared);
        Self { name: clean::label(&declared.name), is_new: accepted.is_none(), changes }
    }
}

impl fmt::Display for WithheldTool {
    /// The parts that changed, such as `description, readOnlyHint`, or `new`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_new {
            return f.write_str("new");
        }
        let parts: Vec<&str> = self.changes.iter().map(|change| change.part.as_str()).collect();
        f.write_str(&parts.join(", "))
    }
}

/// Lists the differences between two definitions.
fn changes(accepted: Option<&ToolSpec>, declared: &ToolSpec) -> Vec<DefinitionChange> {
    let mut changes = Vec::new();
    let mut compare = |part: &str, accepted: Option<&Value>, declared: Option<&Value>| {
        if accepted != declared {
            let shown = |value: &Value| match value {
                Value::String(text) => clean::visible(text),
                value => clean::visible(&serde_json::to_string_pretty(value).unwrap_or_default()),
            };
            let (accepted, declared) = (accepted.map(shown), declared.map(shown));
            changes.push(DefinitionChange { part: clean::label(part), accepted, declared });
        }
    };
    let description = |spec: &ToolSpec| {
        Some(Value::from(spec.description.as_str())).filter(|_| !spec.description.is_empty())
    };
    compare("description", accepted.and_then(description).as_ref(), description(declared).as_ref());
    compare("input schema", accepted.map(|spec| &*spec.input_schema), Some(&declared.input_schema));
    let output_schema = |spec: &ToolSpec| spec.output_schema.clone();
    compare("output schema", accepted.and_then(output_schema).as_deref(), declared.output_schema.as_deref());
    let known = accepted.map(|spec| &spec.annotations);
    let annotation = |key: &str| known.and_then(|known| known.get(key));
    let more = declared.annotations.keys().filter(|key| annotation(key).is_none());
    for key in known.into_iter().flat_map(serde_json::Map::keys).chain(more) {
        compare(key, annotation(key), declared.annotations.get(key));
    }
    changes
}

/// The files of one server.
#[derive(Debug, Clone)]
struct Store {
    directory: StateDir,
    server: String,
    /// A hash of the command line or URL of the server, where it is known.
    source: Option<String>,
}

/// A file.
#[derive(Serialize, Deserialize)]
struct Kept {
    version: u32,
    server: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    source: Option<String>,
    tools: Vec<RememberedTool>,
}

/// The metadata of a file, by which a change of it is noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileStamp(Option<(SystemTime, u64, u64, i64)>);

impl Store {
    fn accepted(&self) -> String {
        file_name(ACCEPTED, &self.server)
    }

    fn waiting(&self) -> String {
        file_name(WAITING, &self.server)
    }

    fn read_kept(&self, name: &str) -> io::Result<Option<Kept>> {
        let Some(bytes) = self.directory.read(name)? else { return Ok(None) };
        let kept: Kept = serde_json::from_slice(&bytes)?;
        if kept.version == VERSION {
            Ok(Some(kept))
        } else {
            Err(io::Error::other("it is of another version"))
        }
    }

    fn read(&self, name: &str) -> io::Result<Option<Kept>> {
        let kept = self.read_kept(name)?;
        if kept.as_ref().is_some_and(|kept| kept.server != self.server) {
            return Err(io::Error::other("it is of another server"));
        }
        Ok(kept)
    }

    /// Returns the definitions of this server that were accepted under another name.
    fn accepted_elsewhere(&self) -> Option<Kept> {
        let source = self.source.as_ref()?;
        let mut others =
            newest_first(&self.directory, ACCEPTED).filter_map(|name| self.read_kept(&name).ok()?);
        others.find(|kept| kept.source.as_ref() == Some(source))
    }

    fn write<'a>(&self, name: &str, tools: impl Iterator<Item = &'a ToolSpec>) -> io::Result<()> {
        let tools = tools.map(RememberedTool::of).collect();
        let kept = Kept { version: VERSION, server: self.server.clone(), source: self.source.clone(), tools };
        self.directory.replace(name, &serde_json::to_vec(&kept)?)?;
        // One who accepts as root must not take the file away from the sidecar's user.
        #[cfg(unix)]
        {
            use std::os::unix::fs::{MetadataExt as _, chown};

            let (path, folder) = (self.directory.path().join(name), self.directory.path().metadata()?);
            if path.metadata()?.uid() != folder.uid() {
                chown(path, Some(folder.uid()), Some(folder.gid()))?;
            }
        }
        Ok(())
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join(self.accepted())
    }
}

impl Kept {
    fn into_definitions(self) -> Definitions {
        let specs = self.tools.into_iter().map(RememberedTool::into_spec);
        specs.map(|spec| (spec.name.clone(), spec)).collect()
    }
}

fn trace(path: &std::path::Path) -> FileStamp {
    let found = path.metadata().ok().and_then(|metadata| {
        #[cfg(unix)]
        let (inode, changed) = {
            use std::os::unix::fs::MetadataExt as _;
            (metadata.ino(), metadata.ctime_nsec())
        };
        #[cfg(not(unix))]
        let (inode, changed) = (0, 0);
        Some((metadata.modified().ok()?, metadata.len(), inode, changed))
    });
    FileStamp(found)
}

/// The accepted definitions of a server that is kept here.
#[derive(Debug)]
pub(crate) struct Pins {
    /// `None` where they last as long as this process.
    store: Option<Store>,
    server: String,
    /// `None` before the server has declared anything.
    accepted: Option<Definitions>,
    waiting: Definitions,
    /// Set while the file lists what waits for a review.
    is_written: bool,
    trace: FileStamp,
}

impl Pins {
    /// Those of a server, if its definitions are pinned. Reads a file.
    pub(crate) fn of(config: &UpstreamConfig) -> Option<Self> {
        if !config.pin {
            return None;
        }
        let server = config.name.clone();
        let source = Some(hash_source(config));
        let store =
            config.remember_in.clone().map(|directory| Store { directory, server: server.clone(), source });
        let mut pins = Self {
            store,
            server,
            accepted: None,
            waiting: Definitions::new(),
            is_written: false,
            trace: FileStamp(None),
        };
        pins.read();
        pins.keep_origin();
        Some(pins)
    }

    /// Takes over what was accepted of this server under another name, where nothing was under this one; and writes down
    /// what it is reached by, so that it is found under the next name. Writes a file.
    fn keep_origin(&mut self) {
        let Some(store) = &self.store else { return };
        let known = store.read(&store.accepted()).ok().flatten();
        let (kept, is_of_another) = match known {
            Some(kept) if kept.source == store.source => return,
            Some(kept) => (kept, false),
            None if self.accepted.is_some() => return,
            None => match store.accepted_elsewhere() {
                Some(kept) => (kept, true),
                None => return,
            },
        };
        if is_of_another {
            tracing::info!(
                upstream = self.server,
                before = kept.server,
                "the MCP server has another name: what was accepted of it stays accepted"
            );
        }
        let accepted = kept.into_definitions();
        if let Err(error) = store.write(&store.accepted(), accepted.values()) {
            note_unwritten(&self.server, &error);
        }
        self.trace = trace(&store.path());
        self.accepted = Some(accepted);
    }

    /// Has the server have another name. What is accepted of it stays accepted.
    pub(crate) async fn rename(&mut self, server: &str) {
        server.clone_into(&mut self.server);
        let Some(store) = &mut self.store else { return };
        server.clone_into(&mut store.server);
        self.is_written = false;
        if let Some(accepted) = self.accepted.clone() {
            self.write(accepted, Store::accepted).await;
        }
        if let Some(store) = &self.store {
            self.trace = trace(&store.path());
        }
    }

    /// Reads what is accepted. Of a file that cannot be read, nothing is.
    fn read(&mut self) {
        let Some(store) = &self.store else { return };
        self.trace = trace(&store.path());
        match store.read(&store.accepted()) {
            Ok(kept) => self.accepted = kept.map(Kept::into_definitions),
            Err(error) => {
                tracing::error!(
                    upstream = self.server,
                    file = store.accepted(),
                    %error,
                    "the accepted tools of the MCP server cannot be read, and no others are accepted: mend the file, or \
                     remove it to accept what the server declares at the next start"
                );
                self.accepted.get_or_insert_default();
            }
        }
    }

    /// Judges a definition. All are accepted before [`begin`](Self::begin).
    pub(crate) fn verdict(&self, declared: &ToolSpec) -> Verdict<'_> {
        let Some(accepted) = &self.accepted else { return Verdict::Accepted };
        match accepted.get(&declared.name) {
            None => Verdict::New,
            Some(accepted) if changes(Some(accepted), declared).is_empty() => Verdict::Accepted,
            Some(accepted) => Verdict::Changed(accepted),
        }
    }

    /// Accepts what the server declares, if it is the first that is seen of it. Some servers declare nothing at first.
    pub(crate) async fn begin(&mut self, declared: &[ToolSpec]) {
        if self.accepted.is_some() || declared.is_empty() {
            return;
        }
        let mut accepted = Definitions::new();
        for spec in declared {
            accepted.entry(spec.name.clone()).or_insert_with(|| spec.clone());
        }
        tracing::info!(
            upstream = self.server,
            tools = accepted.len(),
            "the tools of the MCP server are pinned as they are"
        );
        self.accepted = Some(accepted.clone());
        self.write(accepted, Store::accepted).await;
        if let Some(store) = &self.store {
            self.trace = trace(&store.path());
        }
    }

    /// Notes what waits, for whoever looks at it.
    pub(crate) async fn wait(&mut self, waiting: impl Iterator<Item = &ToolSpec>) {
        let waiting: Definitions = waiting.map(|spec| (spec.name.clone(), spec.clone())).collect();
        if self.is_written && waiting == self.waiting || self.accepted.is_none() {
            return;
        }
        self.is_written = true;
        self.waiting.clone_from(&waiting);
        self.write(waiting, Store::waiting).await;
    }

    async fn write(&self, tools: Definitions, name: fn(&Store) -> String) {
        let Some(store) = self.store.clone() else { return };
        let written = tokio::task::spawn_blocking(move || store.write(&name(&store), tools.values()));
        if let Err(error) = written.await.unwrap_or_else(|error| Err(io::Error::other(error))) {
            note_unwritten(&self.server, &error);
        }
    }

    /// Resolves when something of what waits may have been accepted; never if nothing waits. Borrows nothing.
    pub(crate) fn accepted_elsewhere(&self) -> impl Future<Output = ()> + use<> {
        let watched = self.store.as_ref().filter(|_| !self.waiting.is_empty()).map(Store::path);
        let known = self.trace;
        async move {
            let Some(path) = watched else { return std::future::pending().await };
            loop {
                tokio::time::sleep(CHECK_INTERVAL).await;
                let path = path.clone();
                if tokio::task::spawn_blocking(move || trace(&path)).await.is_ok_and(|now| now != known) {
                    return;
                }
            }
        }
    }

    /// Reads what is accepted again.
    pub(crate) fn read_again(&mut self) {
        tracing::info!(upstream = self.server, "the accepted tools of the MCP server are read again");
        self.read();
    }
}

fn note_unwritten(server: &str, error: &io::Error) {
    tracing::error!(
        upstream = server,
        %error,
        "the pins of the MCP server cannot be written: they last until this process ends"
    );
}

/// The tools of a server that are withheld, for a process other than the one that keeps the server: to look at them and to
/// accept them.
///
/// ```no_run
/// use platools::host::StateDir;
/// use platools_upstream::PinReview;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut review = PinReview::open(StateDir::open("/var/lib/platools")?, "files")?;
/// for tool in review.withheld() {
///     println!("{}: {tool}", tool.name);
/// }
/// review.accept(&["read_text_file"])?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct PinReview {
    store: Store,
    accepted: Definitions,
    waiting: Definitions,
}

impl PinReview {
    /// Reads what the process that keeps `server` has written into its state directory.
    ///
    /// # Errors
    /// When a file cannot be read, or is not what was written.
    pub fn open(directory: StateDir, server: &str) -> io::Result<Self> {
        let mut store = Store { directory, server: server.to_owned(), source: None };
        let [accepted, waiting] = [store.accepted(), store.waiting()].map(|name| store.read(&name));
        let (accepted, waiting) = (accepted?, waiting?);
        store.source = accepted.as_ref().and_then(|kept| kept.source.clone());
        let definitions = |kept: Option<Kept>| kept.map(Kept::into_definitions).unwrap_or_default();
        Ok(Self { store, accepted: definitions(accepted), waiting: definitions(waiting) })
    }

    /// The tools that wait to be accepted.
    pub fn withheld(&self) -> Vec<WithheldTool> {
        let waiting = self.waiting.values().map(|spec| (spec, self.accepted.get(&spec.name)));
        let waiting = waiting.map(|(spec, accepted)| WithheldTool::of(spec, accepted));
        waiting.filter(|tool| !tool.changes.is_empty()).collect()
    }

    /// Accepts the definitions of these tools as they wait. The process that keeps the server takes them over within
    /// seconds, as long as the server still declares the same.
    ///
    /// # Errors
    /// When one of them does not wait, or the file cannot be written; nothing is accepted then.
    pub fn accept(&mut self, names: &[&str]) -> io::Result<()> {
        let mut accepted = self.accepted.clone();
        for name in names {
            let spec =
                self.waiting.values().find(|spec| clean::label(&spec.name) == *name).ok_or_else(|| {
                    io::Error::new(
                        io::ErrorKind::NotFound,
                        format!("the tool `{name}` does not wait to be accepted"),
                    )
                })?;
            accepted.insert(spec.name.clone(), spec.clone());
        }
        self.store.write(&self.store.accepted(), accepted.values())?;
        self.accepted = accepted;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::ServerProgram;

    fn config(folder: &std::path::Path) -> UpstreamConfig {
        let config = UpstreamConfig::program("m", ServerProgram::new("true"));
        config.remember_in(StateDir::open(folder).unwrap()).pin(true)
    }

    #[tokio::test]
    async fn an_operator_sees_what_changed_also_far_behind_and_where_nothing_is_shown() {
        let folder = tempfile::tempdir().unwrap();
        let mut pins = Pins::of(&config(folder.path())).unwrap();
        pins.begin(&[]).await;
        let long = |last: &str| json!({"enum": ["x".repeat(20_000), last]});
        let spec = |description: &str, last: &str| {
            ToolSpec::new("t").description(description).input_schema(long(last))
        };
        pins.begin(&[spec("Reads.", "a")]).await;
        let changed = spec("Reads.\u{200b}\u{1b}", "b").annotation("fake\nline", 1);
        assert!(matches!(pins.verdict(&spec("Reads.", "a")), Verdict::Accepted));
        assert!(matches!(pins.verdict(&changed), Verdict::Changed(_)));
        assert!(matches!(pins.verdict(&ToolSpec::new("u")), Verdict::New));
        pins.wait([&changed, &ToolSpec::new("u")].into_iter()).await;

        let mut review = PinReview::open(StateDir::open(folder.path()).unwrap(), "m").unwrap();
        let withheld = review.withheld();
        assert_eq!(withheld[0].to_string(), "description, input schema, fake\\nline");
        assert_eq!(withheld[0].changes[0].declared.as_deref(), Some("Reads.\\u{200b}\\u{1b}"));
        let schema = &withheld[0].changes[1];
        assert!(
            schema.accepted.as_ref().unwrap().contains("\"a\"")
                && schema.declared.as_ref().unwrap().contains("\"b\"")
        );
        assert_eq!((withheld[1].name.as_str(), withheld[1].is_new), ("u", true));
        assert!(review.accept(&["t", "no-such"]).is_err());
        assert!(matches!(Pins::of(&config(folder.path())).unwrap().verdict(&changed), Verdict::Changed(_)));
        review.accept(&["t"]).unwrap();
        tokio::time::timeout(Duration::from_secs(60), pins.accepted_elsewhere())
            .await
            .expect("it is noticed");
        pins.read_again();
        assert!(matches!(pins.verdict(&changed), Verdict::Accepted));
        assert_eq!(review.withheld().len(), 1);

        // Under another name it is the same server, also when it starts anew; with another command it is not.
        let named = |name: &str, program: &str| {
            let config = UpstreamConfig::program(name, ServerProgram::new(program));
            Pins::of(&config.remember_in(StateDir::open(folder.path()).unwrap()).pin(true)).unwrap()
        };
        assert!(matches!(named("n", "true").verdict(&spec("Reads.", "a")), Verdict::Changed(_)));
        std::fs::remove_file(folder.path().join(file_name(ACCEPTED, "m"))).unwrap();
        assert!(matches!(named("n", "true").verdict(&changed), Verdict::Accepted));
        assert!(named("other", "false").accepted.is_none());
        // Under its name it stays the same with another command, and is found under the next name by that.
        assert!(matches!(named("n", "false").verdict(&spec("Reads.", "a")), Verdict::Changed(_)));
        assert!(matches!(named("last", "false").verdict(&spec("Reads.", "a")), Verdict::Changed(_)));
    }
}
