//! `[[openapi]]`: from a document to tools that ask a server.

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
use url::Url;

use super::backend::{PlannedBackend, is_ours};
use super::client::PlannedClient;
use super::fingerprint::Fingerprinter;
use super::{PlannedTool, Planner, address};
use crate::caller::{Caller, Fact};
use crate::config::{Entry, Format, OpenApi, Path};
use crate::disk;
use crate::http::answer::Reading;
use crate::http::backend::Backend;
use crate::http::outgoing::{Outgoing, OutgoingBody};
use platools_upstream::ArgumentSchema;

/// How long fetching a document may take.
const FETCH: Duration = Duration::from_secs(30);

/// The most of a document that is read, in bytes.
const MAX_DOCUMENT: usize = 64 << 20;

/// How many remarks on one document are passed on.
const REMARKS: usize = 20;

/// Everything a call needs.
struct OperationTool {
    schema: Arc<ArgumentSchema>,
    operation: Operation,
    backend: Arc<Backend>,
    reading: Arc<Reading>,
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
        let bytes = self.document_bytes(at, file).await?;
        let document = Document::parse(&bytes).map_err(|error| error.to_string());
        let document = self.noted(&document_at, document)?;
        let mut selection = Selection::default();
        selection.tags.clone_from(&file.tags);
        selection.operations.clone_from(&file.operations);
        selection.paths.clone_from(&file.paths);
        selection.read_only = file.read_only;
        selection.prefix.clone_from(&file.prefix);
        selection.max_tools = file.max_tools.unwrap_or(selection.max_tools);
        selection.max_bytes = file.max_bytes.map_or(selection.max_bytes, |size| size.0);
        let imported = import(&document, &selection).map_err(|error| error.to_string());
        let imported = self.noted(at, imported)?;
        for warning in imported.warnings.iter().take(REMARKS) {
            self.odd(&document_at, warning.to_string());
        }
        if let more @ 1.. = imported.warnings.len().saturating_sub(REMARKS) {
            self.odd(&document_at, format!("and {more} more remarks"));
        }
        self.entity_names(at, file.entities.as_deref());
        let PlannedBackend { backend, error_text, fingerprint } = backend?;
        let (backend, reading) =
            (Arc::new(backend), Arc::new(Reading { format: Format::Auto, pick: None, error_text }));
        let common = file.common();
        let fingerprint = fingerprint.add(file);
        let mut tools = Vec::new();
        for mut operation in imported.operations {
            let name = operation.name.clone();
            self.imported_name(at, &name);
            let schema =
                match self.shared_schema(std::mem::take(&mut operation.input_schema), file.unknown_fields) {
                    Ok(schema) => schema,
                    Err(problem) => {
                        self.odd(&document_at, format!("`{name}` is left out: {problem}"));
                        continue;
                    }
                };
            let mut spec = super::tool::apply(declaration(&operation), &operation.description, &common)
                .input_schema(Arc::clone(schema.value()));
            if backend.forward.contains(&Fact::Subject) {
                spec = spec.requires([Requirement::optional_identity()]);
            }
            let fingerprint = fingerprint
                .clone()
                .add(&[operation.method.as_str(), &operation.path, &operation.description])
                .add(&**schema.value())
                .add(&operation.output_schema.as_deref())
                .add(&format!("{operation:?}"))
                .finish();
            let (backend, reading) = (Arc::clone(&backend), Arc::clone(&reading));
            let tool = OperationTool { schema, operation, backend, reading }.into_tool(spec);
            let entities = file.entities.clone();
            tools.push(PlannedTool { tool, entities, fingerprint, source: "openapi" });
        }
        Some(tools)
    }

    /// The compiled schema of arguments, shared by the operations whose schema is the same.
    fn shared_schema(
        &mut self,
        schema: Arc<Value>,
        unknown_fields: bool,
    ) -> Result<Arc<ArgumentSchema>, String> {
        let key = *Fingerprinter::default().add(&*schema).add(&unknown_fields).finish().as_bytes();
        if let Some(known) = self.schemas.get(&key) {
            return Ok(Arc::clone(known));
        }
        // What the document says that the server does by itself, the server does.
        let compiled =
            if unknown_fields { ArgumentSchema::open_inside(schema) } else { ArgumentSchema::new(schema) };
        let compiled = Arc::new(compiled?.without_defaults());
        self.schemas.insert(key, Arc::clone(&compiled));
        Ok(compiled)
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
        let arguments = self.schema.check(&call.arguments)?;
        let request = self
            .operation
            .request(&arguments)
            .map_err(|error| ToolError::invalid_arguments(error.to_string()))?;
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
