//! The sections of a file, each entry read by itself, so that a mistake in one hides none in another.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::DeValue;

use super::document::{Document, Path};
use super::model::{Command, Http};
use super::problem::Problem;
use super::settings::{
    Admin, Authenticator, Backend, Egress, Entity, Fleet, Log, Mcp, OpenApi, Plato, Proxy, Running,
    SessionTokens, Traces,
};

/// What stands at a place in the file.
#[derive(Debug)]
pub(crate) struct Entry<T> {
    pub(crate) at: Path,
    pub(crate) value: T,
}

/// All sections that could be read.
#[derive(Debug, Default)]
pub(crate) struct Sections {
    pub(crate) entities: Vec<Entry<Entity>>,
    pub(crate) http: Vec<Entry<Http>>,
    pub(crate) commands: Vec<Entry<Command>>,
    pub(crate) openapi: Vec<Entry<OpenApi>>,
    pub(crate) mcp: Vec<Entry<Mcp>>,
    pub(crate) plato: Vec<Entry<Plato>>,
    pub(crate) backends: BTreeMap<String, Entry<Backend>>,
    pub(crate) egress: Egress,
    pub(crate) proxy: Option<Entry<Proxy>>,
    pub(crate) authenticator: Option<Entry<Authenticator>>,
    pub(crate) session_tokens: Option<Entry<SessionTokens>>,
    pub(crate) admin: Option<Entry<Admin>>,
    pub(crate) log: Log,
    pub(crate) fleet: Option<Entry<Fleet>>,
    pub(crate) traces: Option<Entry<Traces>>,
    pub(crate) sidecar: Running,
    /// The entries that could not be read, which somebody may refer to.
    unread: Vec<Path>,
}

const SECTIONS: [&str; 15] = [
    "entity",
    "tool",
    "openapi",
    "mcp",
    "plato",
    "backend",
    "egress",
    "proxy",
    "authenticator",
    "session_tokens",
    "admin",
    "log",
    "fleet",
    "traces",
    "sidecar",
];

const KINDS: [&str; 2] = ["http", "command"];

/// Reads values and keeps what is wrong.
struct Reader<'d, 'a> {
    document: &'d Document<'a>,
    problems: Vec<Problem>,
    unread: Vec<Path>,
}

impl Sections {
    /// Reads what can be read, and says what cannot.
    pub(crate) fn read(document: &Document<'_>) -> (Self, Vec<Problem>) {
        let mut reader = Reader { document, problems: Vec::new(), unread: Vec::new() };
        let mut sections = Self::default();
        for (key, value) in document.root() {
            let at = Path::default().key(key.get_ref());
            match key.get_ref().as_ref() {
                "entity" => sections.entities = reader.list(&at, value),
                "tool" => reader.tools(&at, value, &mut sections),
                "openapi" => sections.openapi = reader.list(&at, value),
                "mcp" => sections.mcp = reader.list(&at, value),
                "plato" => sections.plato = reader.list(&at, value),
                "backend" => sections.backends = reader.named(&at, value),
                "egress" => sections.egress = reader.settings(&at, value),
                "proxy" => sections.proxy = reader.one(&at, value),
                "authenticator" => sections.authenticator = reader.one(&at, value),
                "session_tokens" => sections.session_tokens = reader.one(&at, value),
                "admin" => sections.admin = reader.one(&at, value),
                "log" => sections.log = reader.settings(&at, value),
                "fleet" => sections.fleet = reader.one(&at, value),
                "traces" => sections.traces = reader.one(&at, value),
                "sidecar" => sections.sidecar = reader.settings(&at, value),
                unknown => {
                    let problem = document.unknown(&Path::default(), unknown, &SECTIONS);
                    reader.problems.push(problem);
                }
            }
        }
        let Reader { problems: mut found, unread, .. } = reader;
        sections.unread = unread;
        // Where the text itself has a slip, what else stands in that line, or seems to be missing, may be its consequence.
        let slips = &document.slips;
        let is_consequence = |problem: &Problem| {
            problem.message.ends_with("is missing: add it")
                || slips.iter().any(|slip| slip.line == problem.line)
        };
        found.retain(|problem| slips.is_empty() || !is_consequence(problem));
        found.extend(slips.iter().cloned());
        (sections, found)
    }

    /// Whether there is an entry of this section, such as `entity`, that could not be read.
    pub(crate) fn has_unread(&self, section: &str) -> bool {
        self.unread.iter().any(|at| at.is_below(section))
    }
}

impl<'a> Reader<'_, 'a> {
    fn tools(&mut self, at: &Path, value: &Spanned<DeValue<'a>>, sections: &mut Sections) {
        let DeValue::Table(kinds) = value.get_ref() else {
            let message = "tools are `[[tool.http]]` or `[[tool.command]]`";
            self.problems.push(self.document.problem(at, message));
            return;
        };
        for (kind, tools) in kinds {
            let at = at.key(kind.get_ref());
            match kind.get_ref().as_ref() {
                "http" => sections.http = self.list(&at, tools),
                "command" => sections.commands = self.list(&at, tools),
                unknown => {
                    let problem = self.document.unknown(&Path::default().key("tool"), unknown, &KINDS);
                    self.problems.push(problem);
                }
            }
        }
    }

    fn one<T: DeserializeOwned>(&mut self, at: &Path, value: &Spanned<DeValue<'a>>) -> Option<Entry<T>> {
        let (read, problems) = self.document.read(at, value);
        self.problems.extend(problems);
        let value = read.and_then(|(value, is_whole)| is_whole.then_some(value));
        if value.is_none() {
            self.unread.push(at.clone());
        }
        Some(Entry { at: at.clone(), value: value? })
    }

    /// Settings that do not depend on each other: those that can be read are used.
    fn settings<T: DeserializeOwned + Default>(&mut self, at: &Path, value: &Spanned<DeValue<'a>>) -> T {
        let (read, problems) = self.document.read(at, value);
        self.problems.extend(problems);
        read.map(|(value, _)| value).unwrap_or_default()
    }

    fn list<T: DeserializeOwned>(&mut self, at: &Path, value: &Spanned<DeValue<'a>>) -> Vec<Entry<T>> {
        let DeValue::Array(items) = value.get_ref() else {
            let name = self.document.name_of(at);
            let message = format!("there may be several of these: write `[[{name}]]`, with two brackets");
            self.problems.push(self.document.problem(at, message));
            return Vec::new();
        };
        items.iter().enumerate().filter_map(|(index, item)| self.one(&at.key(index), item)).collect()
    }

    fn named<T: DeserializeOwned>(
        &mut self,
        at: &Path,
        value: &Spanned<DeValue<'a>>,
    ) -> BTreeMap<String, Entry<T>> {
        let DeValue::Table(items) = value.get_ref() else {
            let name = self.document.name_of(at);
            let message = format!("each of these has a name: write `[{name}.NAME]`, with one bracket");
            self.problems.push(self.document.problem(at, message));
            return BTreeMap::new();
        };
        items
            .iter()
            .filter_map(|(name, item)| {
                Some((name.get_ref().to_string(), self.one(&at.key(name.get_ref()), item)?))
            })
            .collect()
    }
}
