//! From a file to what runs: every key checked against the others, secrets looked up, schemas prepared, tools made.
//!
//! Everything that can be wrong is found here, before anything of it runs, and all of it at once. This room must not
//! know the state of a running sidecar.

mod address;
mod argument;
mod backend;
mod client;
mod code;
mod command;
mod entity;
mod files;
mod fleet;
mod http;
mod listeners;
mod mcp;
#[cfg(not(feature = "otlp"))]
mod no_traces;
mod openapi;
mod permissions;
mod plato;
mod proxy;
mod session_tokens;
mod tool;
#[cfg(feature = "otlp")]
mod traces;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path as FilePath, PathBuf};

use platools::Tool;
use platools::host::StateDir;
use platools::run::Limits;
use platools_net::SecretText;

pub(crate) use self::client::Clients;
pub(crate) use self::entity::EntityPlan;
pub(crate) use self::files::Files;
pub(crate) use self::listeners::AuthenticatorPlan;
pub(crate) use self::mcp::UpstreamPlan;
pub(crate) use self::openapi::DocumentPlan;
use self::permissions::Content;
use self::proxy::ProxyPlan;
pub(crate) use self::session_tokens::SessionTokensPlan;
use crate::config::{
    Admin, ConfigError, Document, Entry, Log, Path, Problem, Running, SecretRef, Sections, listed, nearest,
};
use crate::document::Documents;
use crate::fingerprint::{Fingerprint, Fingerprinter};
use crate::traces::TracesPlan;
use crate::{disk, memory};

/// The most of a file that is read, in bytes.
const MAX_FILE: usize = 16 << 20;

/// What a plan is made for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To be run.
    #[default]
    Run,
    /// To say what is wrong with the file, before it is run.
    Check,
    /// The same where secrets, and URLs in variables, may not be there.
    CheckWithoutSecrets,
}

/// What a file asks for, complete and checked.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) entities: Vec<EntityPlan>,
    pub(crate) tools: Vec<PlannedTool>,
    pub(crate) upstreams: Vec<UpstreamPlan>,
    /// The documents that servers have.
    pub(crate) documents: Vec<DocumentPlan>,
    pub(crate) authenticator: Option<AuthenticatorPlan>,
    pub(crate) session_tokens: Option<SessionTokensPlan>,
    /// The limits of a host without a platform.
    pub(crate) limits: Limits,
    pub(crate) admin: Option<Admin>,
    pub(crate) log: Log,
    pub(crate) traces: Option<TracesPlan>,
    /// With the state directory that applies: of the file, or of the variable.
    pub(crate) running: Running,
    /// The proxies of connections to other machines, without credentials, if there are any.
    pub(crate) proxy: Option<String>,
    /// What is allowed and probably not meant.
    pub(crate) warnings: Vec<Problem>,
    /// What has to be set before this can run.
    pub(crate) missing: Vec<Problem>,
}

impl Plan {
    /// The documents of servers that are not there yet, of which a first declaration of the tools should wait; without an
    /// entity, all of them.
    pub(crate) fn awaited_documents(&self, entity: Option<&str>) -> Vec<&str> {
        let awaited = self.documents.iter().filter(|plan| !plan.is_there && plan.is_of(entity));
        awaited.map(|plan| plan.file.name.as_str()).collect()
    }

    /// Says in the log that the tools are declared although documents are missing.
    pub(crate) fn note_absent_documents(&self, entity: Option<&str>) {
        for document in self.awaited_documents(entity) {
            tracing::warn!(
                document,
                entity,
                "the document is not there yet: its tools are declared once it is"
            );
        }
    }
}

/// A tool, and who has it.
#[derive(Debug, Clone)]
pub(crate) struct PlannedTool {
    pub(crate) tool: Tool,
    /// `None` for all.
    pub(crate) entities: Option<Vec<String>>,
    /// The same for a tool that is the same.
    pub(crate) fingerprint: Fingerprint,
    /// The section it stands in, such as `tool.http`.
    pub(crate) source: &'static str,
}

impl PlannedTool {
    /// Whether an entity has it.
    pub(crate) fn belongs_to(&self, entity: &str) -> bool {
        self.entities.as_ref().is_none_or(|entities| entities.iter().any(|name| name == entity))
    }
}

/// Makes a plan of a text. Relative paths are taken from `folder`; the files that it names are noted in `files`, also
/// when there is no plan in the end.
///
/// # Errors
/// Everything that is wrong with it.
pub(crate) async fn plan(
    file: &str,
    text: &str,
    folder: &FilePath,
    clients: &mut Clients,
    documents: &mut Documents,
    files: &mut Files,
    purpose: Purpose,
) -> Result<Plan, ConfigError> {
    let document = Document::parse(text);
    let (sections, problems) = Sections::read(&document);
    if !document.slips.is_empty() {
        // What the sections refer to may be in the part that could not be read.
        return Err(ConfigError::new(file, problems));
    }
    clients.begin();
    documents.begin();
    let mut planner = Planner {
        document: &document,
        sections: &sections,
        folder,
        clients,
        documents,
        document_plans: Vec::new(),
        state_dir: None,
        problems,
        warnings: Vec::new(),
        missing: Vec::new(),
        purpose,
        files,
        names: BTreeMap::new(),
        proxy: ProxyPlan::of_environment(),
        limits: limits(sections.entities.len()),
        secret_variables: BTreeSet::new(),
        inherited_variables: Vec::new(),
        has_inline_secrets: false,
    };
    if let Some(proxy) = planner.file_proxy() {
        planner.proxy = proxy;
    }
    let state_dir = planner.state_dir();
    planner.state_dir.clone_from(&state_dir);
    let entities = planner.entities(state_dir.as_deref());
    let mut tools = planner.http_tools();
    tools.extend(planner.command_tools());
    tools.extend(planner.desktop_tools());
    tools.extend(planner.ping());
    // Last: names that the file gives come before those of documents.
    tools.extend(planner.openapi_tools().await);
    let upstreams = planner.upstreams();
    let authenticator = planner.authenticator();
    let session_tokens = planner.session_tokens(&entities);
    let admin = planner.admin();
    let traces = planner.traces();
    planner.log_level();
    planner.check_unused_backends();
    planner.look_for_inherited_secrets();
    let content = if planner.has_inline_secrets { Content::Secret } else { Content::Open };
    planner.look_at_own_permissions(FilePath::new(file), content);
    planner.look_for_oversights(&tools, authenticator.is_some());
    let proxies = &planner.proxy.config;
    let proxy = (!proxies.is_direct()).then(|| proxies.describe());
    let Planner { problems, mut warnings, mut missing, limits, document_plans, .. } = planner;
    if !problems.is_empty() {
        return Err(ConfigError::new(file, problems));
    }
    clients.end();
    documents.end();
    warnings.sort_by_key(|warning| warning.line);
    warnings.dedup();
    missing.sort_by_key(|missing| missing.line);
    missing.dedup();
    Ok(Plan {
        entities,
        tools,
        upstreams,
        documents: document_plans,
        authenticator,
        session_tokens,
        limits,
        admin,
        log: sections.log.clone(),
        traces,
        running: Running { state_dir, ..sections.sidecar.clone() },
        proxy,
        warnings,
        missing,
    })
}

/// What planning needs, and what it has found so far.
struct Planner<'p> {
    document: &'p Document<'p>,
    sections: &'p Sections,
    /// Where relative paths begin.
    folder: &'p FilePath,
    clients: &'p mut Clients,
    documents: &'p mut Documents,
    /// The documents that servers have.
    document_plans: Vec<DocumentPlan>,
    state_dir: Option<PathBuf>,
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
    missing: Vec<Problem>,
    purpose: Purpose,
    files: &'p mut Files,
    /// The tools' names, with the lines where they stand.
    names: BTreeMap<String, usize>,
    /// The proxies of all connections.
    proxy: ProxyPlan,
    /// The limits of an entity, where the file says nothing.
    limits: Limits,
    /// The variables that hold secrets.
    secret_variables: BTreeSet<String>,
    /// The variables that programs inherit, and where the file says so.
    inherited_variables: Vec<(Path, String)>,
    /// Whether a secret stands in the file itself.
    has_inline_secrets: bool,
}

impl Planner<'_> {
    /// Notes what is wrong with a value.
    fn wrong(&mut self, at: &Path, message: impl Into<String>) {
        self.problems.push(self.document.problem(at, message));
    }

    /// Notes what is probably not meant.
    fn odd(&mut self, at: &Path, message: impl Into<String>) {
        self.warnings.push(self.document.problem(at, message));
    }

    /// The value, or the problem noted.
    fn noted<T>(&mut self, at: &Path, result: Result<T, String>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(problem) => {
                self.wrong(at, problem);
                None
            }
        }
    }

    /// A path of the file, whose content the plan depends on.
    fn file(&mut self, at: &Path, path: &FilePath) -> PathBuf {
        let path = self.folder.join(path);
        self.files.note(path.clone());
        self.look_at_permissions(at, &path, Content::Open);
        path
    }

    /// Whether there is a directory of the file, or of the variable `PLATOOLS_STATE_DIR`.
    fn has_state_dir(&self) -> bool {
        state_dir(self.sections, self.folder).is_some()
    }

    /// The directory of the file, or of the variable `PLATOOLS_STATE_DIR`. Not created here: a check may run as another user.
    fn state_dir(&mut self) -> Option<PathBuf> {
        let at = Path::default().key("sidecar").key("state_dir");
        let Some(path) = &self.sections.sidecar.state_dir else {
            let path = state_dir(self.sections, self.folder)?;
            if self.purpose != Purpose::Run {
                self.problems.extend(check_state_dir(&path).err().map(Problem::of_file));
            }
            return Some(path);
        };
        if path.as_os_str().is_empty() {
            self.wrong(&at, "name a directory, or leave this key out");
            return None;
        }
        let path = self.folder.join(path);
        let checked = if self.purpose != Purpose::Run {
            check_state_dir(&path)
        } else if path.exists() && !path.is_dir() {
            Err(format!("`{}` is no directory", path.display()))
        } else {
            // Whether it can be written is found out when it is.
            Ok(())
        };
        if self.noted(&at, checked).is_some() {
            self.look_at_permissions(&at, &path, Content::Open);
        }
        Some(path)
    }

    /// The text of a file.
    fn read_file(&mut self, at: &Path, path: &FilePath) -> Option<String> {
        let path = self.file(at, path);
        let text = disk::read_text(&path, MAX_FILE);
        let text = text.map_err(|error| format!("the file `{}` cannot be read: {error}", path.display()));
        self.noted(at, text)
    }

    /// A reference with its path from the file's folder; one that is the secret itself is remarked upon.
    fn secret_ref(&mut self, at: &Path, reference: &SecretRef) -> SecretRef {
        let reference = reference.within(self.folder);
        if reference.is_inline() {
            self.has_inline_secrets = true;
            self.odd(at, "the secret itself stands in the file: write \"env:NAME\" or \"file:PATH\" instead");
        }
        match &reference {
            SecretRef::File(path) => {
                self.files.note(path.clone());
                self.look_at_permissions(at, path, Content::Secret);
            }
            SecretRef::Environment(name) => drop(self.secret_variables.insert(name.clone())),
            SecretRef::Inline(_) => {}
        }
        reference
    }

    /// A secret as it is now.
    fn secret(&mut self, at: &Path, reference: &SecretRef) -> Option<SecretText> {
        let reference = self.known_secret(at, reference);
        self.noted(at, reference.load())
    }

    /// A reference to a secret. Where secrets may be missing, one that is gets a text in its place.
    fn known_secret(&mut self, at: &Path, reference: &SecretRef) -> SecretRef {
        let reference = self.secret_ref(at, reference);
        if self.purpose != Purpose::CheckWithoutSecrets {
            return reference;
        }
        let Err(problem) = reference.load() else { return reference };
        self.misses(at, problem);
        // Fit for a header, long enough for a key, and another one for each reference.
        let name = reference.to_string();
        let name = name.chars().filter(char::is_ascii_alphanumeric);
        SecretRef::Inline(format!("not-set-not-set-{}", name.collect::<String>()).into())
    }

    /// A text that may be in a variable; `instead` of one that is not set, where those may be missing.
    fn text_or_variable(&mut self, at: &Path, text: &str, instead: &str) -> Option<String> {
        let Some(name) = text.strip_prefix("env:") else { return Some(text.to_owned()) };
        let value = std::env::var(name)
            .map_err(|_| format!("the environment variable `{name}` is not set: set it for the sidecar"));
        match value {
            Err(problem) if self.purpose == Purpose::CheckWithoutSecrets => {
                self.misses(at, problem);
                Some(instead.to_owned())
            }
            value => self.noted(at, value),
        }
    }

    /// Notes what has to be set.
    fn misses(&mut self, at: &Path, message: String) {
        self.missing.push(self.document.problem(at, message));
    }

    /// Checks the name of a tool: what it is made of, and that no other has it.
    fn tool_name(&mut self, at: &Path, name: &str) {
        let at = at.key("name");
        if let Err(error) = platools::tool::check_name(name) {
            self.wrong(&at, error.to_string());
        }
        let line = self.document.line(&at);
        if let Some(first) = self.names.insert(name.to_owned(), line) {
            self.wrong(
                &at,
                format!("the tool `{name}` stands there twice, first in line {first}: rename one of them"),
            );
        }
    }

    /// The built-in tool for the platform's wire test, where it is wanted.
    fn ping(&mut self) -> Option<PlannedTool> {
        let tool = self.sections.sidecar.ping.then(platools::tool::ping)?;
        self.tool_name(&Path::default().key("sidecar").key("ping"), tool.name());
        let fingerprint = Fingerprinter::default().add(&tool.name()).finish();
        Some(PlannedTool { tool, entities: None, fingerprint, source: "sidecar" })
    }

    /// Checks that entities exist.
    fn entity_names(&mut self, at: &Path, names: Option<&[String]>) {
        // One that cannot be read may be the one that is meant.
        if self.sections.has_unread("entity") {
            return;
        }
        // Without sections, the one entity is named by the environment.
        if self.sections.entities.is_empty() {
            if names.is_some() {
                self.wrong(
                    &at.key("entities"),
                    "the file has no `[[entity]]`: add them, or leave this key out",
                );
            }
            return;
        }
        for name in names.into_iter().flatten() {
            self.entity_name(&at.key("entities"), name);
        }
    }

    /// Checks that an entity exists.
    fn entity_name(&mut self, at: &Path, name: &str) {
        if self.sections.has_unread("entity") {
            return;
        }
        let known: Vec<&str> =
            self.sections.entities.iter().map(|entity| entity.value.name.as_str()).collect();
        if !known.contains(&name) {
            self.wrong(at, unknown("entity", name, &known));
        }
    }

    /// Checks the backends that no tool has checked, and remarks upon them.
    fn check_unused_backends(&mut self) {
        let sections = self.sections;
        let used: BTreeSet<&str> = sections
            .http
            .iter()
            .filter_map(|tool| tool.value.backend.as_deref())
            .chain(sections.openapi.iter().map(|openapi| openapi.value.backend.as_str()))
            .collect();
        for (name, Entry { at, .. }) in
            sections.backends.iter().filter(|(name, _)| !used.contains(name.as_str()))
        {
            self.odd(at, "no tool uses this backend");
            self.named_backend(at, name);
        }
    }

    /// Programs that would get a secret that the file gives to something else.
    fn look_for_inherited_secrets(&mut self) {
        for (at, name) in std::mem::take(&mut self.inherited_variables) {
            if self.secret_variables.contains(&name) {
                let message = format!(
                    "`{name}` is a secret of this file, which the program would get: leave it out, or write \
                     `env.{name} = \"env:{name}\"` if it is meant to have it"
                );
                self.odd(&at, message);
            }
        }
    }

    /// What is allowed and probably not meant, across sections.
    fn look_for_oversights(&mut self, tools: &[PlannedTool], is_authenticated: bool) {
        let awaits_tools =
            !self.sections.mcp.is_empty() || self.document_plans.iter().any(|plan| !plan.is_there);
        if tools.is_empty() && self.problems.is_empty() && !awaits_tools {
            self.warnings.push(Problem::of_file(
                "there are no tools: add a `[[tool.http]]`, a `[[tool.command]]`, an `[[openapi]]`, an `[[mcp]]` or a `[[plato]]`",
            ));
        }
        let guarded: Vec<&str> = tools
            .iter()
            .map(|planned| planned.tool.spec())
            .filter(|spec| spec.auth != platools::tool::Auth::None || !spec.roles.is_empty())
            .map(|spec| spec.name.as_str())
            .collect();
        if !is_authenticated && !guarded.is_empty() {
            self.warnings.push(Problem::of_file(format!(
                "nothing enforces `auth` and `roles` of {}: add an `[authenticator]`",
                listed(&guarded)
            )));
        }
    }
}

/// Whether the state directory could be used.
fn check_state_dir(path: &FilePath) -> Result<(), String> {
    let checked = disk::with(path, |path| StateDir::check(path).map_err(|error| error.to_string()));
    checked.unwrap_or_else(|error| Err(error.to_string()))
}

/// The directory of the file, or of the variable `PLATOOLS_STATE_DIR`.
pub(crate) fn state_dir(sections: &Sections, folder: &FilePath) -> Option<PathBuf> {
    let of_variable =
        || std::env::var_os("PLATOOLS_STATE_DIR").filter(|path| !path.is_empty()).map(PathBuf::from);
    sections.sidecar.state_dir.as_ref().map(|path| folder.join(path)).or_else(of_variable)
}

/// The limits of each of some entities, which share the memory that this process may have.
fn limits(entities: usize) -> Limits {
    match memory::limit() {
        Some(memory) => Limits::for_memory(memory / entities.max(1)),
        None => Limits::default(),
    }
}

/// What to say of a name that nothing has.
fn unknown(what: &str, name: &str, known: &[&str]) -> String {
    match (nearest(name, known), known) {
        (Some(nearest), _) => format!("there is no {what} `{name}`, did you mean `{nearest}`?"),
        (None, []) => format!("there is no {what} `{name}`, nor any other: add it"),
        (None, known) => format!("there is no {what} `{name}`; there are {}", listed(known)),
    }
}

/// Tries something whose remarks are of no use yet: whoever does it in earnest hears them.
pub(crate) fn quietly<T>(attempt: impl FnOnce() -> T) -> T {
    tracing::subscriber::with_default(tracing::subscriber::NoSubscriber::new(), attempt)
}
