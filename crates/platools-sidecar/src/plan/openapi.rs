//! `[[openapi]]`: from a document to tools that ask a server.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use platools::tool::Requirement;
use platools::{Tool, ToolCall, ToolError, ToolSpec};
use platools_openapi::{Method as OperationMethod, Operation, OperationRequest};
use url::Url;

use super::backend::{PlannedBackend, is_ours};
use super::client::PlannedClient;
use super::{PlannedTool, Planner, Purpose, address};
use crate::caller::{Caller, Fact};
use crate::config::{Entry, Format, OpenApi, Path, SecretRef, Table};
use crate::disk;
use crate::document::{FETCH, MAX_DOCUMENT, Made, MadeTool, Refused, Remote, RemoteId};
use crate::fingerprint::Fingerprinter;
use crate::http::answer::Reading;
use crate::http::backend::{Backend, bearer};
use crate::http::outgoing::{Outgoing, OutgoingBody};

/// How often a server is asked for another document, unless said otherwise.
const REFRESH: Duration = Duration::from_secs(5 * 60);

/// How many remarks on one document are passed on.
const REMARKS: usize = 20;

/// Everything a call needs.
struct OperationTool {
    made: Arc<Made>,
    /// Which of its tools this is.
    index: usize,
    backend: Arc<Backend>,
    reading: Arc<Reading>,
}

/// A document that a server has, and how it is fetched.
#[derive(Debug, Clone)]
pub(crate) struct DocumentPlan {
    pub(crate) id: RemoteId,
    pub(crate) remote: Remote,
    /// The section, with what is taken from the document.
    pub(crate) file: Arc<OpenApi>,
    /// How often the server is asked whether it has another one.
    pub(crate) refresh: Duration,
    /// Whether there is one, so that its tools are among those of the plan.
    pub(crate) is_there: bool,
}

impl DocumentPlan {
    /// Whether an entity has its tools; without an entity, always.
    pub(crate) fn is_of(&self, entity: Option<&str>) -> bool {
        let entities = self.file.entities.as_ref();
        entity.is_none_or(|entity| entities.is_none_or(|all| all.iter().any(|name| name == entity)))
    }
}

impl Planner<'_> {
    /// All tools of all documents.
    pub(super) async fn openapi_tools(&mut self) -> Vec<PlannedTool> {
        let sections = self.sections;
        let mut tools = Vec::new();
        for entry in &sections.openapi {
            tools.extend(self.openapi(entry).await.unwrap_or_default());
        }
        tools
    }

    async fn openapi(&mut self, Entry { at, value: file }: &Entry<OpenApi>) -> Option<Vec<PlannedTool>> {
        let backend = self.named_backend(&at.key("backend"), &file.backend);
        let document_at = at.key("document");
        self.entity_names(at, file.entities.as_deref());
        let is_remote = file.document.contains("://");
        let made = if is_remote { self.remote(at, file).await? } else { Some(self.of_file(at, file)?) };
        let Some(made) = made else { return Some(Vec::new()) };
        for remark in made.remarks.iter().take(REMARKS) {
            self.odd(&document_at, remark.as_str());
        }
        if let more @ 1.. = made.remarks.len().saturating_sub(REMARKS) {
            self.odd(&document_at, format!("and {more} more remarks"));
        }
        let PlannedBackend { backend, error_text, fingerprint } = backend?;
        let (backend, reading) =
            (Arc::new(backend), Arc::new(Reading { format: Format::Auto, pick: None, error_text }));
        let common = file.common();
        // How the document is fetched makes no other tools.
        let terms = OpenApi { refresh: None, bearer: None, headers: Table::new(), ..file.clone() };
        let fingerprint = fingerprint.add(&terms);
        let mut tools = Vec::new();
        for (index, MadeTool { operation, schema, fingerprint: own }) in made.tools.iter().enumerate() {
            if !self.imported_name(at, &operation.name, is_remote) {
                continue;
            }
            let mut spec = super::tool::apply(declaration(operation), &operation.description, &common)
                .input_schema(Arc::clone(schema.value()));
            if backend.forward.contains(&Fact::Subject) {
                spec = spec.requires([Requirement::optional_identity()]);
            }
            let fingerprint = fingerprint.clone().add(&own.as_bytes()).finish();
            let (made, backend, reading) = (Arc::clone(&made), Arc::clone(&backend), Arc::clone(&reading));
            let tool = OperationTool { made, index, backend, reading }.into_tool(spec);
            let entities = file.entities.clone();
            tools.push(PlannedTool { tool, entities, fingerprint, source: "openapi" });
        }
        Some(tools)
    }

    /// Notes the name of a tool that a document gave; returns whether the tool can have it. What a server changes in its
    /// document is no mistake of the file: such a tool is left out.
    fn imported_name(&mut self, at: &Path, name: &str, is_remote: bool) -> bool {
        let Some(first) = self.names.get(name) else {
            self.names.insert(name.to_owned(), self.document.line(at));
            return true;
        };
        let problem = format!("the tool `{name}` is there already, from line {first}");
        let at = at.key("prefix");
        if is_remote && self.purpose == Purpose::Run {
            self.odd(&at, format!("{problem}; that of the document is left out: write another `prefix`"));
        } else {
            self.wrong(&at, format!("{problem}: write another `prefix`"));
        }
        false
    }

    /// What is made of a document in a file.
    fn of_file(&mut self, at: &Path, file: &OpenApi) -> Option<Arc<Made>> {
        let fetched = [
            ("ca_file", file.ca_file.is_some()),
            ("bearer", file.bearer.is_some()),
            ("headers", !file.headers.is_empty()),
            ("refresh", file.refresh.is_some()),
        ];
        for (key, _) in fetched.into_iter().filter(|(_, is_there)| *is_there) {
            let message = "the document is a file, and this is for one that is fetched: what calls need belongs into \
                           `[backend.NAME]`";
            self.wrong(&at.key(key), message);
        }
        let document_at = at.key("document");
        let path = self.file(&document_at, &PathBuf::from(&file.document));
        let bytes = disk::read(&path, MAX_DOCUMENT)
            .map_err(|error| format!("the file `{}` cannot be read: {error}", path.display()));
        let bytes = self.noted(&document_at, bytes)?;
        let made = self.documents.get(&bytes, file);
        made.map_err(|refused| self.refused(at, &refused)).ok()
    }

    fn refused(&mut self, at: &Path, refused: &Refused) {
        match refused {
            Refused::Document(problem) => self.wrong(&at.key("document"), problem),
            Refused::Selection(problem) => self.wrong(at, problem),
        }
    }

    /// What is made of a document that a server has; `None` inside while there is none. A start does not wait for the
    /// server, and nothing that a server does is a mistake of the file; a check asks it.
    async fn remote(&mut self, at: &Path, file: &OpenApi) -> Option<Option<Arc<Made>>> {
        let document_at = at.key("document");
        let url = address::server(&file.document, &self.sections.egress);
        let url = self.noted(&document_at, url)?;
        let missing = self.missing.len();
        let remote = self.remote_of(at, file, url)?;
        let has_secrets = missing == self.missing.len();
        let id = self.remote_id(file);
        let file = Arc::new(file.clone());
        if let Some(state_dir) = &self.state_dir
            && let Err(error) = self.documents.remotes.load(&id, state_dir)
        {
            self.odd(
                &document_at,
                format!("the copy of the document in the state directory is ignored: {error}"),
            );
        }
        let mut made = match self.documents.remotes.made(&id, &file) {
            Ok(made) => made,
            Err(refused @ Refused::Selection(_)) => {
                self.refused(at, &refused);
                return None;
            }
            // Of another version of this program, most likely.
            Err(Refused::Document(_)) => {
                self.documents.remotes.discard(&id);
                None
            }
        };
        let is_check = self.purpose != Purpose::Run;
        // After the start, tools of another document would be withdrawn for a moment if nobody waited.
        if (is_check && has_secrets) || (!is_check && made.is_none() && self.documents.remotes.has_begun()) {
            let time = if is_check { FETCH } else { self.sections.sidecar.mcp_wait().min(FETCH) };
            match self.documents.remotes.update(&id, &remote, &file, time).await {
                Ok(None) => {}
                Ok(Some(_)) => made = self.documents.remotes.made(&id, &file).ok().flatten(),
                // Whoever keeps the documents tries again, and says so.
                Err(_) if !is_check => {}
                Err(problem) if made.is_some() => {
                    self.odd(&document_at, format!("{problem}; the copy of the state directory is used"));
                }
                Err(problem) => {
                    self.wrong(&document_at, problem.to_string());
                    return None;
                }
            }
        }
        let refresh = file.refresh.map_or(REFRESH, |time| time.0);
        let is_there = made.is_some();
        self.document_plans.push(DocumentPlan { id, remote, file, refresh, is_there });
        Some(made)
    }

    /// How a document is fetched.
    fn remote_of(&mut self, at: &Path, file: &OpenApi, url: Url) -> Option<Remote> {
        let PlannedClient { client, proxy, made_of } =
            self.client(at, &url, file.ca_file.as_deref(), None)?;
        let fingerprint = Fingerprinter::default().add(&url.as_str()).add(&made_of.as_bytes());
        let no_template = "no call fills these headers: leave the placeholders out";
        let (mut headers, mut fingerprint) = self.fixed_headers(at, &file.headers, no_template, fingerprint);
        if let Some(reference) = &file.bearer {
            let at = at.key("bearer");
            let token = self.secret(&at, reference)?;
            fingerprint = fingerprint.add(&token.expose());
            let value = self.noted(&at, bearer(&token))?;
            if headers.insert(AUTHORIZATION, value).is_some() {
                self.wrong(&at, "`headers` has an `Authorization`, too: keep one");
            }
        }
        if headers.values().any(HeaderValue::is_sensitive) {
            self.warn_in_the_clear(&at.key("document"), &url, "what the document is fetched with");
        }
        Some(Remote { client, proxy, url, headers, fingerprint: fingerprint.finish() })
    }

    /// What tells the document apart from the others of the file.
    fn remote_id(&self, file: &OpenApi) -> RemoteId {
        let bearer = file.bearer.as_ref().map(SecretRef::to_string);
        let headers = file.headers.iter().map(|(name, text)| {
            (name.as_str(), if SecretRef::is_reference(text) { text.as_str() } else { "" })
        });
        let headers: Vec<_> =
            headers.chain(bearer.iter().map(|bearer| ("bearer", bearer.as_str()))).collect();
        let id = |nth| RemoteId::new(&file.document, &headers, nth);
        let is_taken = |id: &RemoteId| self.document_plans.iter().any(|plan| plan.id == *id);
        // One more than there are: one of them is free.
        (0..=self.document_plans.len()).map(id).find(|id| !is_taken(id)).unwrap_or_else(|| id(0))
    }
}

/// The declaration of an operation's tool: hints follow the method, the first tag is the category.
fn declaration(operation: &Operation) -> ToolSpec {
    let mut spec = ToolSpec::new(operation.name.as_str()).description(operation.description.as_str());
    spec.output_schema.clone_from(&operation.output_schema);
    if let Some(title) = &operation.title {
        spec = spec.title(title.as_str());
    }
    if let Some(tag) = operation.tags.first() {
        spec = spec.category(tag.as_str());
    }
    if operation.deprecated {
        spec = spec.annotation("deprecated", true);
    }
    match operation.method {
        OperationMethod::Get => spec.read_only(true),
        OperationMethod::Put => spec.idempotent(true),
        OperationMethod::Delete => spec.destructive(true).idempotent(true),
        _ => spec,
    }
}

/// The request of an operation, for a backend. A header that the sidecar or the file sets is not the agent's to choose,
/// even where the document calls it a parameter.
fn outgoing(request: OperationRequest, backend: &Backend) -> Result<Outgoing, ToolError> {
    let mut headers = HeaderMap::new();
    for (name, value) in request.headers {
        let name = HeaderName::try_from(name)?;
        if !is_ours(&name) && name != AUTHORIZATION && !backend.headers.contains_key(&name) {
            headers.insert(name, HeaderValue::try_from(value)?);
        }
    }
    Ok(Outgoing {
        method: Method::try_from(request.method)?,
        path: request.path,
        query: request.query,
        headers,
        body: request.body.map(|(content_type, bytes)| OutgoingBody { content_type, bytes: bytes.into() }),
    })
}

impl OperationTool {
    fn outgoing(&self, call: &ToolCall) -> Result<Outgoing, ToolError> {
        let MadeTool { operation, schema, .. } = &self.made.tools[self.index];
        let arguments = schema.check(&call.arguments)?;
        let request =
            operation.request(&arguments).map_err(|error| ToolError::invalid_arguments(error.to_string()))?;
        outgoing(request, &self.backend)
    }

    fn into_tool(self, spec: ToolSpec) -> Tool {
        let this = Arc::new(self);
        Tool::new(spec, move |call: ToolCall| {
            let this = Arc::clone(&this);
            async move {
                let caller = Caller::of(&call)?;
                let outgoing = this.outgoing(&call)?;
                // While a slow backend is waited for, the request is the one copy of the arguments.
                drop(call);
                let answer = this.backend.send(&outgoing, &caller).await?;
                answer.into_result(&this.reading, &this.backend.label)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use platools_openapi::{Document, Selection, import};
    use serde_json::{Value, json};

    use super::*;

    #[tokio::test]
    async fn a_document_that_did_not_change_is_not_parsed_again() {
        let folder = std::env::temp_dir().join(format!("platools-sidecar-documents-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
        let document = |summary: &str| {
            json!({"openapi": "3.1.0", "paths": {"/a": {"get": {"operationId": "a", "summary": summary}}}})
                .to_string()
        };
        let section = "[backend.b]\nurl = \"http://127.0.0.1:1\"\n\
                       [[openapi]]\nname = \"o\"\nbackend = \"b\"\ndocument = \"o.json\"\n";
        write("platools.toml", section);
        write("o.json", &document("one"));
        let mut file = crate::run::ConfigFile::new(&folder.join("platools.toml"));
        let mut schema = async || {
            let plan = file.plan(crate::run::Anew::File).await.unwrap();
            (Arc::clone(&plan.tools[0].tool.spec().input_schema), plan.tools[0].fingerprint.clone())
        };
        let (first, fingerprint) = schema().await;
        let (again, same) = schema().await;
        assert!(Arc::ptr_eq(&first, &again) && fingerprint == same);
        write("platools.toml", &format!("{section}timeout = \"3s\"\n"));
        let (other_terms, other) = schema().await;
        assert!(Arc::ptr_eq(&first, &other_terms) && fingerprint != other);
        write("o.json", &document("two"));
        assert!(!Arc::ptr_eq(&first, &schema().await.0));
        write("platools.toml", &format!("{section}prefix = \"p_\"\n"));
        assert!(!Arc::ptr_eq(&first, &schema().await.0));
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn declarations_say_what_the_method_means() {
        let document = json!({"openapi": "3.1.0", "paths": {"/pets": {
            "get": {"operationId": "list", "summary": "List pets", "tags": ["pets", "shop"]},
            "put": {"operationId": "replace", "tags": ["pets"]},
            "post": {"operationId": "add"},
            "delete": {"operationId": "delete", "deprecated": true},
        }}});
        let document = Document::parse(document.to_string().as_bytes()).unwrap();
        let operations = import(&document, &Selection::default()).unwrap().operations;
        for (name, hints) in [
            ("list", json!({"title": "List pets", "category": "pets", "readOnlyHint": true})),
            ("replace", json!({"category": "pets", "idempotentHint": true})),
            ("add", json!({})),
            ("delete", json!({"deprecated": true, "destructiveHint": true, "idempotentHint": true})),
        ] {
            let operation = operations.iter().find(|operation| operation.name == name).unwrap();
            assert_eq!(Value::Object(declaration(operation).annotations), hints, "{name}");
        }
    }
}
