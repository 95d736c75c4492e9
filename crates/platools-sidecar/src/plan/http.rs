//! `[[tool.http]]`: from the file to tools that ask a server.

use std::sync::Arc;

use http::Method;
use http::header::AUTHORIZATION;
use platools::tool::Requirement;
use platools::{Tool, ToolCall, ToolError};

use super::address::{self, UrlTemplate};
use super::argument::Declared;
use super::backend::{HeaderText, PlannedBackend};
use super::{PlannedTool, Planner};
use crate::caller::{Caller, Fact};
use crate::config::{Body, Entry, Http, Path, RestBody, SecretRef, TemplateBody};
use crate::http::answer::Reading;
use crate::http::backend::Backend;
use crate::http::outgoing::Outgoing;
use crate::http::template::{BodyTemplate, JsonTemplate, RequestTemplate};
use crate::template::{Placeholder, Template, Values};
use platools_upstream::ArgumentSchema;

/// Everything a call needs.
struct HttpTool {
    schema: ArgumentSchema,
    request: RequestTemplate,
    backend: Backend,
    reading: Reading,
}

impl Planner<'_> {
    /// All of them that are right.
    pub(super) fn http_tools(&mut self) -> Vec<PlannedTool> {
        let sections = self.sections;
        sections.http.iter().filter_map(|entry| self.http_tool(entry)).collect()
    }

    fn http_tool(&mut self, Entry { at, value: file }: &Entry<Http>) -> Option<PlannedTool> {
        self.tool_name(at, &file.name);
        let method = self.method(at, file.method.as_deref());
        let target = self.target(at, file);
        let body = self.body(at, file, method.as_ref());
        let mut headers = Vec::new();
        let mut fixed = http::HeaderMap::new();
        for (name, text) in self.headers(&at.key("headers"), &file.headers) {
            match text {
                HeaderText::Fixed(value) => drop(fixed.insert(name, value)),
                HeaderText::Template(template) => headers.push((name, template)),
            }
        }
        let query = self.query(&at.key("query"), file);
        let spec = self.spec(at, &file.name, &file.description, &file.common());
        let output_schema = self.output_schema(at, file.output_schema.as_ref());
        let declared = Declared {
            arguments: &file.arguments,
            schema: file.schema.as_ref(),
            schema_file: file.schema_file.as_ref(),
        };
        let (
            Some((mut planned, UrlTemplate { path, query: mut all })),
            Some(method),
            Some(body),
            Some(query),
        ) = (target, method, body, query)
        else {
            // What else is wrong is of interest, too.
            self.check_adjustments(at, file);
            self.argument_schema(at, declared, &[]);
            return None;
        };
        all.extend(query);
        self.adjust(at, &mut planned, file);
        let PlannedBackend { mut backend, error_text, mut fingerprint } = planned;
        for (name, value) in &fixed {
            fingerprint = fingerprint.add(&value.as_bytes());
            backend.headers.insert(name, value.clone());
        }
        for secret in all.iter().flat_map(|(_, template)| template.secrets()) {
            fingerprint = fingerprint.add(&secret);
        }
        let sets_authorization = backend.headers.contains_key(AUTHORIZATION)
            || headers.iter().any(|(name, _)| *name == AUTHORIZATION);
        if backend.forward.contains(&Fact::UserToken) && sets_authorization {
            // Whoever calls without a token of their own would call with that one.
            self.wrong(
                &at.key("headers").key("Authorization"),
                "`user_token` of `forward` goes into `Authorization`, too: keep one",
            );
        }
        let request = RequestTemplate { method, path, query: all, headers, body };

        let templates = request.templates();
        let placeholders: Vec<&Placeholder> =
            templates.iter().flat_map(|template| template.placeholders()).collect();
        let reading = self.reading(at, file, error_text);
        let schema = self.argument_schema(at, declared, &placeholders)?;
        for placeholder in request.path.placeholders() {
            if let Placeholder::Argument(name) = placeholder
                && schema.names().contains(&name.as_str())
                && !schema.is_required(name)
            {
                let message = format!(
                    "`{{{name}}}` is part of the path, so the argument has to be there: do not leave it optional"
                );
                self.wrong(&at.key("url"), message);
            }
        }
        let mut spec = spec;
        if file.read_only.is_none() && request.method.is_safe() {
            spec = spec.read_only(true);
        }
        let spec = spec.input_schema(schema.value().clone()).output_schema(output_schema);
        let wants_identity = backend.forward.contains(&Fact::Subject)
            || placeholders.contains(&&Placeholder::Caller(Fact::Subject));
        let spec = spec.requires(wants_identity.then(Requirement::optional_identity));
        let fingerprint = fingerprint.add(file).add(&**schema.value()).finish();
        let tool = HttpTool { schema, request, backend, reading };
        Some(PlannedTool {
            tool: tool.into_tool(spec),
            entities: file.entities.clone(),
            fingerprint,
            source: "tool.http",
        })
    }

    /// The server, and the path and the query behind it.
    fn target(&mut self, at: &Path, file: &Http) -> Option<(PlannedBackend, UrlTemplate)> {
        let url_at = at.key("url");
        let Some(name) = &file.backend else {
            let split = address::split(&file.url, &self.sections.egress);
            let (base, rest) = self.noted(&url_at, split)?;
            return Some((self.own_backend(at, base, file)?, rest));
        };
        let backend = self.named_backend(&at.key("backend"), name);
        if file.ca_file.is_some() {
            self.wrong(
                &at.key("ca_file"),
                format!("with a `backend`, this is its own: write it under `[backend.{name}]`"),
            );
        }
        if !file.url.is_empty() && !file.url.starts_with(['/', '?']) {
            self.wrong(&url_at, "with a `backend`, this is what comes after its URL: begin it with a slash");
            return None;
        }
        let rest = self.noted(&url_at, address::rest(&file.url));
        Some((backend?, rest?))
    }

    fn query(&mut self, at: &Path, file: &Http) -> Option<Vec<(String, Template)>> {
        let parsed: Vec<_> = file
            .query
            .iter()
            .map(|(name, text)| Some((name.clone(), self.query_value(&at.key(name), name, text)?)))
            .collect();
        parsed.into_iter().collect()
    }

    fn query_value(&mut self, at: &Path, name: &str, text: &str) -> Option<Template> {
        if SecretRef::is_reference(text) {
            let reference = self.noted(at, text.parse::<SecretRef>())?;
            return Some(Template::secret(self.secret(at, &reference)?));
        }
        let template = self.template(at, text)?;
        if template.placeholders().next().is_none() {
            self.warn_of_inline(at, name);
        }
        Some(template)
    }

    fn body(&mut self, at: &Path, file: &Http, method: Option<&Method>) -> Option<BodyTemplate> {
        let at = at.key("body");
        let takes_body = method.is_none_or(|method| {
            matches!(*method, Method::POST | Method::PUT | Method::PATCH | Method::DELETE)
        });
        let body = match &file.body {
            None if method.is_some_and(|method| *method == Method::DELETE) => BodyTemplate::None,
            None if takes_body => BodyTemplate::RestAsJson,
            None | Some(Body::Rest(RestBody::None)) => BodyTemplate::None,
            Some(_) if !takes_body => {
                self.wrong(
                    &at,
                    "requests with this method have no body: leave it out, or write another `method`",
                );
                return None;
            }
            Some(Body::Rest(RestBody::Json)) => BodyTemplate::RestAsJson,
            Some(Body::Rest(RestBody::Form)) => BodyTemplate::RestAsForm,
            Some(Body::Template(TemplateBody::Json(value))) => {
                let json = JsonTemplate::parse(value);
                BodyTemplate::Json(self.noted(&at.key("json"), json)?)
            }
            Some(Body::Template(TemplateBody::Text(text))) => {
                BodyTemplate::Text(self.template(&at.key("text"), text)?)
            }
            Some(Body::Template(TemplateBody::Form(fields))) => {
                let at = at.key("form");
                let fields: Vec<_> = fields
                    .iter()
                    .map(|(name, text)| Some((name.clone(), self.template(&at.key(name), text)?)))
                    .collect();
                BodyTemplate::Form(fields.into_iter().collect::<Option<_>>()?)
            }
        };
        Some(body)
    }
}

impl HttpTool {
    fn outgoing(&self, call: &ToolCall, caller: &Caller) -> Result<Outgoing, ToolError> {
        let arguments = self.schema.check(&call.arguments)?;
        self.request.fill(Values { arguments: &arguments, caller })
    }

    fn into_tool(self, spec: platools::ToolSpec) -> Tool {
        let this = Arc::new(self);
        Tool::new(spec, move |call: ToolCall| {
            let this = Arc::clone(&this);
            async move {
                let caller = Caller::of(&call)?;
                let outgoing = this.outgoing(&call, &caller)?;
                // While a slow backend is waited for, the request is the one copy of the arguments.
                drop(call);
                let answer = this.backend.send(&outgoing, &caller).await?;
                answer.into_result(&this.reading, &this.backend.label)
            }
        })
    }
}
