//! `[[openapi]]`: from a document to tools that ask a server.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use platools::tool::Requirement;
use platools::{Tool, ToolCall, ToolError, ToolSpec};
use platools_net::client::connect_reason;
use platools_net::{BodyError, BodyLimits, Proxy};
use platools_openapi::{Document, Method as OperationMethod, Operation, OperationRequest, Selection, import};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use url::Url;

use super::backend::{PlannedBackend, is_ours};
use super::client::PlannedClient;
use super::fingerprint::{Fingerprint, Fingerprinter};
use super::{PlannedTool, Planner, address};
use crate::caller::{Caller, Fact};
use crate::config::{Entry, Format, OpenApi, Path};
use crate::disk;
use crate::http::answer::Reading;
use crate::http::backend::Backend;
use crate::http::outgoing::{Outgoing, OutgoingBody};
use platools_upstream::{ArgumentSchema, without_unusable_patterns};

/// How long fetching a document may take.
const FETCH: Duration = Duration::from_secs(30);

/// The most of a document that is read, in bytes.
const MAX_DOCUMENT: usize = 64 << 20;

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

/// What was made of documents, for the next plan, too: one that did not change is not parsed again.
#[derive(Debug, Clone, Default)]
pub(crate) struct Documents(Vec<Known>);

#[derive(Debug, Clone)]
struct Known {
    /// Of the document, and of what is taken from it.
    key: Fingerprint,
    made: Arc<Made>,
    /// Whether the latest plan uses it.
    is_used: bool,
}

/// What is kept of a document.
#[derive(Debug)]
struct Made {
    tools: Vec<MadeTool>,
    remarks: Vec<String>,
}

#[derive(Debug)]
struct MadeTool {
    operation: Operation,
    schema: Arc<ArgumentSchema>,
    fingerprint: Fingerprint,
}

/// Why nothing was made of a document.
enum Refused {
    /// It cannot be read.
    Document(String),
    /// Nothing, or too much, can be taken from it.
    Selection(String),
}

impl Documents {
    /// Begins another plan.
    pub(super) fn begin(&mut self) {
        self.0.iter_mut().for_each(|known| known.is_used = false);
    }

    /// Forgets those that the plan did not use, once it is whole.
    pub(super) fn end(&mut self) {
        self.0.retain(|known| known.is_used);
    }

    fn get(&mut self, bytes: &[u8], file: &OpenApi) -> Result<Arc<Made>, Refused> {
        let OpenApi {
            tags, operations, paths, read_only, unknown_fields, max_tools, max_bytes, prefix, ..
        } = file;
        let digest: [u8; 32] = Sha256::digest(bytes).into();
        let key = Fingerprinter::default()
            .add(&digest)
            .add(&(tags, operations, paths, read_only, unknown_fields, max_tools, max_bytes, prefix))
            .finish();
        if let Some(known) = self.0.iter_mut().find(|known| known.key == key) {
            known.is_used = true;
            return Ok(Arc::clone(&known.made));
        }
        let made = Arc::new(Made::of(bytes, file)?);
        self.0.push(Known { key, made: Arc::clone(&made), is_used: true });
        Ok(made)
    }
}

impl Made {
    fn of(bytes: &[u8], file: &OpenApi) -> Result<Self, Refused> {
        let document = Document::parse(bytes).map_err(|error| Refused::Document(error.to_string()))?;
        let mut selection = Selection::default();
        selection.tags.clone_from(&file.tags);
        selection.operations.clone_from(&file.operations);
        selection.paths.clone_from(&file.paths);
        selection.read_only = file.read_only;
        selection.prefix.clone_from(&file.prefix);
        selection.max_tools = file.max_tools.unwrap_or(selection.max_tools);
        selection.max_bytes = file.max_bytes.map_or(selection.max_bytes, |size| size.0);
        let imported =
            import(&document, &selection).map_err(|error| Refused::Selection(error.to_string()))?;
        drop(document);
        let mut remarks: Vec<String> = imported.warnings.iter().map(ToString::to_string).collect();
        let mut schemas = Schemas::default();
        let mut tools = Vec::new();
        for mut operation in imported.operations {
            let name = &operation.name;
            let schema = std::mem::take(&mut operation.input_schema);
            let schema = match schemas.compiled(&schema, file.unknown_fields) {
                Ok((schema, dropped)) => {
                    remarks.extend(dropped.iter().map(|pattern| {
                        format!("`{name}`: the pattern `{pattern}` cannot be compiled here, and is left to the server")
                    }));
                    schema
                }
                Err(problem) => {
                    remarks.push(format!("`{name}` is left out: {problem}"));
                    continue;
                }
            };
            let fingerprint = Fingerprinter::default()
                .add(&[operation.method.as_str(), &operation.path, &operation.description])
                .add(&**schema.value())
                .add(&operation.output_schema.as_deref())
                .add(&format!("{operation:?}"))
                .finish();
            tools.push(MadeTool { operation, schema, fingerprint });
        }
        Ok(Self { tools, remarks })
    }
}

/// The compiled schemas of arguments of one document, shared by the operations whose schema is the same.
#[derive(Default)]
struct Schemas(HashMap<[u8; 32], Arc<ArgumentSchema>>);

impl Schemas {
    /// A compiled schema; and the patterns in it that cannot be compiled, the first time.
    fn compiled(
        &mut self,
        schema: &Arc<Value>,
        unknown_fields: bool,
    ) -> Result<(Arc<ArgumentSchema>, Vec<String>), String> {
        let key = *Fingerprinter::default().add(&**schema).finish().as_bytes();
        if let Some(known) = self.0.get(&key) {
            return Ok((Arc::clone(known), Vec::new()));
        }
        let compile = |schema| {
            if unknown_fields { ArgumentSchema::open_inside(schema) } else { ArgumentSchema::new(schema) }
        };
        let (compiled, dropped) = match compile(Arc::clone(schema)) {
            Ok(compiled) => (compiled, Vec::new()),
            Err(problem) => match without_unusable_patterns(schema) {
                (usable, dropped) if !dropped.is_empty() => (compile(usable)?, dropped),
                _ => return Err(problem),
            },
        };
        // What the document says that the server does by itself, the server does.
        let compiled = Arc::new(compiled.without_defaults());
        self.0.insert(key, Arc::clone(&compiled));
        Ok((compiled, dropped))
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
        let bytes = self.document_bytes(at, file).await?;
        let made = match self.documents.get(&bytes, file) {
            Ok(made) => made,
            Err(Refused::Document(problem)) => {
                self.wrong(&document_at, problem);
                return None;
            }
            Err(Refused::Selection(problem)) => {
                self.wrong(at, problem);
                return None;
            }
        };
        drop(bytes);
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
        let fingerprint = fingerprint.add(file);
        let mut tools = Vec::new();
        for (index, MadeTool { operation, schema, fingerprint: own }) in made.tools.iter().enumerate() {
            self.imported_name(at, &operation.name);
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

    /// Notes the name of a tool that a document gave.
    fn imported_name(&mut self, at: &Path, name: &str) {
        let line = self.document.line(at);
        if let Some(first) = self.names.insert(name.to_owned(), line) {
            let message =
                format!("the tool `{name}` is there already, from line {first}: write another `prefix`");
            self.wrong(&at.key("prefix"), message);
        }
    }

    /// The document, from a file or from a server.
    async fn document_bytes(&mut self, section: &Path, file: &OpenApi) -> Option<Vec<u8>> {
        let (at, document) = (&section.key("document"), &file.document);
        if !document.contains("://") {
            if file.ca_file.is_some() {
                let message = "the document is a file: certificates for the calls are the backend's, under `[backend.NAME]`";
                self.wrong(&section.key("ca_file"), message);
            }
            let path = self.file(at, &PathBuf::from(document));
            let bytes = disk::read(&path, MAX_DOCUMENT)
                .map_err(|error| format!("the file `{}` cannot be read: {error}", path.display()));
            return self.noted(at, bytes);
        }
        let url = address::server(document, &self.sections.egress);
        let url = self.noted(at, url)?;
        let PlannedClient { client, proxy, .. } =
            self.client(section, &url, file.ca_file.as_deref(), None)?;
        let fetched = tokio::time::timeout(FETCH, fetch(&client, proxy.as_ref(), url))
            .await
            .unwrap_or_else(|_| Err(format!("the document did not come within {} s", FETCH.as_secs())));
        self.noted(at, fetched)
    }
}

async fn fetch(client: &reqwest::Client, proxy: Option<&Proxy>, url: Url) -> Result<Vec<u8>, String> {
    let failed = |reason: String| format!("the document cannot be fetched: {reason}");
    let answer = client.get(url).send().await.map_err(|error| {
        let proxy = proxy.filter(|_| error.is_connect());
        failed(connect_reason(&error, proxy))
    })?;
    if answer.status().is_redirection() {
        return Err("the document is elsewhere (the server redirects): write the URL where it is".to_owned());
    }
    if !answer.status().is_success() {
        return Err(failed(format!("the server answered {}", answer.status())));
    }
    let bytes = BodyLimits::new(MAX_DOCUMENT).time(FETCH).read(reqwest::Body::from(answer)).await;
    bytes.map_err(|error| match error {
        BodyError::TooLarge { .. } => "the document has more than 64 MiB".to_owned(),
        error => failed(error.to_string()),
    })
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
    use serde_json::json;

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
            let plan = file.plan().await.unwrap();
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
