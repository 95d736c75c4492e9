//! Servers of the file: their URL, their headers and secrets, and the connections to them.

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};
use platools::verify::{Secret, SigningKey};
use platools_net::policy::may_dial;
use platools_net::ration::Ration;
use url::Url;

use super::client::PlannedClient;
use super::{Planner, address, unknown};
use crate::config::{self, Forward, Http, Path, SecretRef, Table, nearest};
use crate::fingerprint::Fingerprinter;
use crate::http::answer::Reading;
use crate::http::backend::{Backend, bearer};

/// The most of an answer that is read unless said otherwise, in bytes.
const MAX_RESPONSE: usize = 1 << 20;

/// How often a request that may be repeated is tried again unless said otherwise.
const RETRIES: u32 = 2;

/// The most attempts that may be asked for.
const MAX_RETRIES: u32 = 10;

/// Headers that are not for the file to set.
const OURS: [&str; 6] =
    ["host", "content-length", "transfer-encoding", "connection", "upgrade", "content-type"];

/// What names end with whose values are secrets, most of the time; without dashes and underscores.
const SECRET: [&str; 10] = [
    "authorization",
    "cookie",
    "secret",
    "token",
    "password",
    "apikey",
    "accesskey",
    "privatekey",
    "subscriptionkey",
    "credentials",
];

/// A header as the file gives it.
pub(super) enum HeaderText {
    /// Always the same.
    Fixed(HeaderValue),
    /// With placeholders.
    Template(crate::template::Template),
}

/// A backend, how its answers are read, and what its identity is made of.
pub(super) struct PlannedBackend {
    pub(super) backend: Backend,
    pub(super) error_text: config::ErrorText,
    pub(super) fingerprint: Fingerprinter,
}

impl Planner<'_> {
    /// The backend of the file with that name; `at` is where it is named.
    pub(super) fn named_backend(&mut self, at: &Path, name: &str) -> Option<PlannedBackend> {
        let sections = self.sections;
        let Some(entry) = sections.backends.get(name) else {
            if self.document.has(&Path::default().key("backend").key(name)) {
                // What is wrong with it has been told.
                return None;
            }
            let known: Vec<&str> = sections.backends.keys().map(String::as_str).collect();
            let mut problem = unknown("backend", name, &known);
            if known.is_empty() {
                problem = format!("{problem}, as `[backend.{name}]`");
            }
            self.wrong(at, problem);
            return None;
        };
        let base = address::server(&entry.value.url, &sections.egress);
        let base = self.noted(&entry.at.key("url"), base)?;
        if base.query().is_some() {
            self.wrong(&entry.at.key("url"), "a query belongs to the tools: leave it out here");
        }
        self.backend(&format!("the backend `{name}`"), base, &entry.at, &entry.value)
    }

    /// A backend that a tool has for itself.
    pub(super) fn own_backend(&mut self, at: &Path, base: Url, tool: &Http) -> Option<PlannedBackend> {
        let file = config::Backend { ca_file: tool.ca_file.clone(), ..config::Backend::default() };
        self.backend("the backend", base, at, &file)
    }

    fn backend(
        &mut self,
        label: &str,
        base: Url,
        at: &Path,
        file: &config::Backend,
    ) -> Option<PlannedBackend> {
        let time = file.connect_timeout.map(|time| time.0);
        let PlannedClient { client, proxy, made_of } =
            self.client(at, &base, file.ca_file.as_deref(), time)?;
        let fingerprint = Fingerprinter::default().add(file).add(&base.as_str()).add(&made_of.as_bytes());
        let no_template =
            "the backend does not know arguments: placeholders belong to the tools' own `headers`";
        let (headers, fingerprint) = self.fixed_headers(at, &file.headers, no_template, fingerprint);
        let backend = Backend {
            label: label.to_owned(),
            client,
            proxy,
            base,
            headers,
            forward: Vec::new(),
            sign: None,
            max_response: file.max_response.map_or(MAX_RESPONSE, |size| size.0),
            retries: RETRIES,
            logged: Ration::default(),
        };
        let mut planned =
            PlannedBackend { backend, error_text: file.error_text.unwrap_or_default(), fingerprint };
        self.bearer(at, &mut planned, file.bearer.as_ref());
        self.retries(at, &mut planned, file.retries);
        self.identity(at, &mut planned, Some(&file.forward), file.sign.as_ref());
        Some(planned)
    }

    /// A backend with what a tool says beside it.
    pub(super) fn adjust(&mut self, at: &Path, planned: &mut PlannedBackend, tool: &Http) {
        self.bearer(at, planned, tool.bearer.as_ref());
        self.retries(at, planned, tool.retries);
        self.identity(at, planned, tool.forward.as_deref(), tool.sign.as_ref());
        if let Some(size) = tool.max_response {
            planned.backend.max_response = size.0;
        }
        if let Some(error_text) = tool.error_text {
            planned.error_text = error_text;
        }
    }

    /// Checks what a tool says of a backend that is not known.
    pub(super) fn check_adjustments(&mut self, at: &Path, tool: &Http) {
        for (key, reference) in [("bearer", &tool.bearer), ("sign", &tool.sign)] {
            if let Some(reference) = reference {
                self.secret(&at.key(key), reference);
            }
        }
        self.check_retries(at, tool.retries);
        self.reading(at, tool, config::ErrorText::default());
    }

    fn bearer(&mut self, at: &Path, planned: &mut PlannedBackend, reference: Option<&SecretRef>) {
        let Some(reference) = reference else { return };
        let at = at.key("bearer");
        self.warn_in_the_clear(&at, &planned.backend.base, "the bearer token");
        let Some(token) = self.secret(&at, reference) else { return };
        planned.fingerprint = planned.fingerprint.clone().add(&token.expose());
        if let Some(value) = self.noted(&at, bearer(&token)) {
            planned.backend.headers.insert(AUTHORIZATION, value);
        }
    }

    fn retries(&mut self, at: &Path, planned: &mut PlannedBackend, retries: Option<u32>) {
        self.check_retries(at, retries);
        planned.backend.retries = retries.unwrap_or(planned.backend.retries);
    }

    fn check_retries(&mut self, at: &Path, retries: Option<u32>) {
        if retries.is_some_and(|retries| retries > MAX_RETRIES) {
            self.wrong(
                &at.key("retries"),
                format!("write {MAX_RETRIES} at most: a call has 28s for all of them"),
            );
        }
    }

    /// What the backend is told about the caller, and the key that vouches for it.
    fn identity(
        &mut self,
        at: &Path,
        planned: &mut PlannedBackend,
        forward: Option<&[Forward]>,
        sign: Option<&SecretRef>,
    ) {
        if let Some(forward) = forward {
            planned.backend.forward = forward.to_vec();
            let carries_token = |fact: &Forward| matches!(fact, Forward::UserToken | Forward::EntityToken);
            if forward.iter().any(carries_token) {
                self.warn_in_the_clear(&at.key("forward"), &planned.backend.base, "the user's token");
            }
        }
        if planned.backend.forward.contains(&Forward::UserToken)
            && planned.backend.headers.contains_key(AUTHORIZATION)
        {
            self.wrong(
                &at.key("forward"),
                "`user_token` and a bearer token both go into `Authorization`: keep one",
            );
        }
        let Some(reference) = sign else { return };
        let at = at.key("sign");
        let Some(key) = self.secret(&at, reference) else { return };
        planned.fingerprint = planned.fingerprint.clone().add(&key.expose());
        let sections = self.sections;
        let is_service_secret = sections
            .entities
            .iter()
            .any(|entity| entity.value.secret.within(self.folder).load().is_ok_and(|secret| secret == key));
        if is_service_secret {
            self.wrong(
                &at,
                "this is the service secret: sign with a key of its own, which the backend may know",
            );
            return;
        }
        let key = Secret::new(key.expose()).map_err(|_| {
            "the key needs 16 characters of plain ASCII at least, without spaces around: make one with \
             `openssl rand -hex 32`"
                .to_owned()
        });
        if let Some(key) = self.noted(&at, key) {
            planned.backend.sign = Some(SigningKey::new(&key));
        }
    }

    /// Headers of the file, each with its name and its text.
    pub(super) fn headers(&mut self, at: &Path, table: &Table<String>) -> Vec<(HeaderName, HeaderText)> {
        let mut headers = Vec::new();
        for (key, text) in table {
            let at = at.key(key);
            let Ok(name) = HeaderName::try_from(key.as_str()) else {
                self.wrong(&at, "this is no name of a header: letters, digits and dashes are allowed");
                continue;
            };
            if is_ours(&name) {
                self.wrong(&at, "this header is set by the sidecar: leave it out");
                continue;
            }
            if let Some(text) = self.header(&at, &name, text) {
                headers.push((name, text));
            }
        }
        headers
    }

    /// The `headers` of a section that no call fills; a template among them is answered with `no_template`.
    pub(super) fn fixed_headers(
        &mut self,
        section: &Path,
        table: &Table<String>,
        no_template: &str,
        mut fingerprint: Fingerprinter,
    ) -> (HeaderMap, Fingerprinter) {
        let at = section.key("headers");
        let mut headers = HeaderMap::new();
        for (name, text) in self.headers(&at, table) {
            match text {
                HeaderText::Fixed(value) => {
                    fingerprint = fingerprint.add(&value.as_bytes());
                    headers.insert(name, value);
                }
                HeaderText::Template(_) => self.wrong(&at.key(&name), no_template),
            }
        }
        (headers, fingerprint)
    }

    fn header(&mut self, at: &Path, name: &HeaderName, text: &str) -> Option<HeaderText> {
        let invalid = |_| "this cannot stand in a header: it holds control characters".to_owned();
        if SecretRef::is_reference(text) {
            let reference = self.noted(at, text.parse::<SecretRef>())?;
            let secret = self.secret(at, &reference)?;
            let value = secret.header("").map_err(invalid);
            return Some(HeaderText::Fixed(self.noted(at, value)?));
        }
        let template = self.template(at, text)?;
        if template.placeholders().next().is_some() {
            return Some(HeaderText::Template(template));
        }
        self.warn_of_inline(at, name.as_str());
        let value = HeaderValue::try_from(template.sample("")).map_err(invalid);
        Some(HeaderText::Fixed(self.noted(at, value)?))
    }

    /// Remarks on a text that is probably a secret, by the name it has.
    pub(super) fn warn_of_inline(&mut self, at: &Path, name: &str) {
        let plain: String =
            name.chars().filter(char::is_ascii_alphanumeric).map(|next| next.to_ascii_lowercase()).collect();
        if SECRET.iter().any(|end| plain.ends_with(end)) {
            self.has_inline_secrets = true;
            self.odd(at, "the secret itself stands in the file: write \"env:NAME\" or \"file:PATH\" instead");
        }
    }

    /// Remarks on a secret that crosses a network in the clear.
    pub(super) fn warn_in_the_clear(&mut self, at: &Path, base: &Url, what: &str) {
        if !may_dial(base, false) {
            self.odd(
                at,
                format!(
                    "{what} crosses the network in the clear: use https:// unless the network is trusted"
                ),
            );
        }
    }

    /// How answers are read.
    pub(super) fn reading(&mut self, at: &Path, tool: &Http, error_text: config::ErrorText) -> Reading {
        if let Some(pick) = &tool.pick {
            if !pick.is_empty() && !pick.starts_with('/') {
                self.wrong(&at.key("pick"), "this is no JSON Pointer: write one such as \"/data/items\"");
            }
            if tool.response == config::Format::Text {
                self.wrong(
                    &at.key("pick"),
                    "nothing can be picked out of a text: leave out `response = \"text\"`",
                );
            }
        }
        Reading { format: tool.response, pick: tool.pick.clone(), error_text }
    }

    /// The method of a request.
    pub(super) fn method(&mut self, at: &Path, text: Option<&str>) -> Option<http::Method> {
        const METHODS: [&str; 7] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];
        let text = text.unwrap_or("GET");
        let upper = text.to_ascii_uppercase();
        if !METHODS.contains(&upper.as_str()) {
            let message = match nearest(&upper, &METHODS) {
                Some(nearest) => {
                    format!("`{text}` is no method that is asked with, did you mean `{nearest}`?")
                }
                None => format!(
                    "`{text}` is no method that is asked with; there are {}",
                    config::listed(&METHODS)
                ),
            };
            self.wrong(&at.key("method"), message);
            return None;
        }
        upper.parse().ok()
    }
}

/// Whether only the sidecar sets a header.
pub(super) fn is_ours(name: &HeaderName) -> bool {
    OURS.contains(&name.as_str()) || name.as_str().starts_with("x-platos-")
}
