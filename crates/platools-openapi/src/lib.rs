//! `OpenAPI` documents, version 3.0 and 3.1: reads their operations and turns arguments into requests.
//!
//! [`Document::parse`] reads JSON or YAML. [`import`] selects operations; each [`Operation`] has a valid tool name, a
//! description and one self-contained JSON Schema for its arguments. [`Operation::request`] turns arguments into an
//! [`OperationRequest`], which has no server yet.
//!
//! ```
//! use platools_openapi::{Document, Selection, import};
//! use serde_json::json;
//!
//! let document = Document::parse(br#"
//! openapi: 3.1.0
//! paths:
//!   /pets/{petId}:
//!     get:
//!       operationId: getPet
//!       summary: Look up a pet
//!       parameters:
//!         - {name: petId, in: path, required: true, schema: {type: integer}}
//! "#)?;
//! let import = import(&document, &Selection::default())?;
//! let operation = &import.operations[0];
//! assert_eq!((operation.name.as_str(), operation.description.as_str()), ("getPet", "Look up a pet"));
//!
//! let arguments = json!({"petId": 7});
//! let request = operation.request(arguments.as_object().unwrap())?;
//! assert_eq!((request.method, request.path.as_str()), ("GET", "/pets/7"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | file | contents |
//! | --- | --- |
//! | `document`, `yaml`, `place`, `report` | parsing, JSON pointers, errors and warnings |
//! | `keyword`, `schema`, `assemble` | schemas of the document as self-contained JSON Schema 2020-12 |
//! | `parameter`, `body`, `field`, `input` | parameters and body of an operation as one flat object |
//! | `name`, `server`, `select`, `operation` | the operations, and which of them are selected |
//! | `encode`, `multipart`, `call`, `url_text`, `text` | from arguments to a request |
//!
//! The crate is pure: bytes in, values out. It must not know networks, files, runtimes or tool hosts.

mod assemble;
mod body;
mod call;
mod document;
mod encode;
mod field;
mod input;
mod keyword;
mod multipart;
mod name;
mod operation;
mod parameter;
mod place;
mod report;
mod schema;
mod select;
mod server;
mod text;
pub mod url_text;
mod yaml;

use std::collections::{BTreeSet, HashMap, HashSet};

pub use self::call::{ArgumentError, OperationRequest};
pub use self::document::Document;
pub use self::operation::{Method, Operation};
pub use self::report::{OpenApiError, Warning};
pub use self::select::Selection;

use crate::assemble::Schemas;
use crate::operation::Source;
use crate::place::Place;
use crate::report::Warnings;
use crate::schema::{Converter, Way};
use crate::select::{Candidate, Selector};

/// Methods that are no tools: they say something about a resource rather than doing something with it.
const OTHER_METHODS: [&str; 3] = ["head", "options", "trace"];

/// The operations of a document, and remarks on it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Import {
    /// The operations that were selected, in the order of the document.
    pub operations: Vec<Operation>,
    /// Warnings about parts that were left out or read otherwise than they are written.
    pub warnings: Vec<Warning>,
}

/// Reads the selected operations of a document. One that cannot be called is left out, and a warning says why.
///
/// Operations with equal schemas share one.
///
/// # Errors
/// Returns an error when the selection cannot match anything, or when it takes more operations or bytes than
/// [`Selection::max_tools`] and [`Selection::max_bytes`] allow.
pub fn import(document: &Document, selection: &Selection) -> Result<Import, OpenApiError> {
    let warnings = Warnings::default();
    for remark in &document.remarks {
        warnings.add(&Place::ROOT, remark);
    }
    let mut selector = Selector::new(selection)?;
    let mut operations = Vec::new();
    {
        let converter = |way| Converter { document, warnings: &warnings, way };
        let schemas = (Schemas::new(converter(Way::Request)), Schemas::new(converter(Way::Response)));
        let mut names = Names::default();
        let mut taken = Taken::default();
        let (mut tags, mut ids) = (BTreeSet::new(), BTreeSet::new());
        let paths = Place::ROOT.at("paths");
        for (path, item) in document.paths().into_iter().flatten().filter(|(path, _)| !path.starts_with("x-"))
        {
            let place = paths.at(path);
            let (item, pointer) = match document.resolve(item) {
                Ok(found) => found,
                Err(problem) => {
                    warnings.add(&place, format!("{problem}; the path is left out"));
                    continue;
                }
            };
            let target = pointer.as_deref().map(Place::start);
            let place = target.as_ref().unwrap_or(&place);
            if !item.is_object() {
                warnings.add(place, "this is no object with a method in each key; the path is left out");
                continue;
            }
            for key in OTHER_METHODS {
                let Some(operation) = item.get(key) else { continue };
                let source = Source { document, method: Method::Get, path, item, operation };
                let method = key.to_uppercase();
                let tags = source.tags();
                if selector.takes(Candidate { method: &method, path, id: source.id(), tags: &tags }) {
                    warnings.add(&place.at(key), format!("{method} is no tool; it is left out"));
                }
            }
            for method in Method::ALL {
                let Some(operation) = item.get(method.key()) else { continue };
                let at = place.at(method.key());
                if !operation.is_object() {
                    warnings.add(&at, "this is no operation; it is left out");
                    continue;
                }
                let source = Source { document, method, path, item, operation };
                let own_tags = source.tags();
                let candidate = Candidate { method: method.as_str(), path, id: source.id(), tags: &own_tags };
                let is_taken = selector.takes(candidate);
                tags.extend(own_tags);
                ids.extend(source.id().map(str::to_owned));
                if !is_taken
                    || (selection.read_only && method != Method::Get)
                    || (selection.skip_deprecated && source.is_deprecated())
                {
                    continue;
                }
                if !taken.one_more(selection) {
                    continue;
                }
                match source.read(&schemas.0, &schemas.1, (place, &at)) {
                    Ok((mut operation, bytes)) => {
                        taken.bytes = taken.bytes.saturating_add(bytes);
                        operation.name = names.take(&selection.prefix, &source, &at, &warnings);
                        operations.push(operation);
                    }
                    Err(problem) => warnings.add(&at, format!("the operation is left out: {problem}")),
                }
            }
        }
        taken.check(selection)?;
        let list = |words: BTreeSet<String>| words.into_iter().collect::<Vec<_>>();
        selector.report(&list(tags), &list(ids), &warnings);
    }
    if operations.is_empty() {
        warnings.add(&Place::ROOT, "no operation becomes a tool");
    }
    Ok(Import { operations, warnings: warnings.into_list() })
}

/// The operations that were selected so far. Beyond its limits, operations are counted and no longer read.
#[derive(Default)]
struct Taken {
    operations: usize,
    bytes: usize,
    /// How many operations there were when the bytes were too many.
    too_large: Option<usize>,
}

impl Taken {
    /// Counts an operation; returns whether there is room for it.
    fn one_more(&mut self, selection: &Selection) -> bool {
        if self.bytes > selection.max_bytes {
            self.too_large.get_or_insert(self.operations);
        }
        self.operations += 1;
        self.operations <= selection.max_tools && self.too_large.is_none()
    }

    fn check(&self, selection: &Selection) -> Result<(), OpenApiError> {
        const FIX: &str = "narrow the selection with `tags`, `operations`, `paths` or `read_only`, or raise";
        let Self { operations, .. } = *self;
        let Selection { max_tools, max_bytes, .. } = *selection;
        let problem = if operations > max_tools {
            format!(
                "{operations} operations are more than `max_tools` allows ({max_tools}): {FIX} `max_tools`"
            )
        } else if self.bytes > max_bytes {
            let first = self.too_large.unwrap_or(operations);
            format!(
                "the schemas and texts of {first} of {operations} operations have {} bytes, and `max_bytes` allows \
                 {max_bytes}: {FIX} `max_bytes`",
                self.bytes
            )
        } else {
            return Ok(());
        };
        Err(OpenApiError::new(&Place::ROOT, problem))
    }
}

/// The names that were given so far, and where.
#[derive(Default)]
struct Names {
    taken: HashSet<String>,
    ids: HashMap<String, String>,
}

impl Names {
    fn take(&mut self, prefix: &str, source: &Source<'_>, place: &Place<'_>, warnings: &Warnings) -> String {
        let mut name = name::of(prefix, source.id(), source.method.as_str(), source.path);
        if let Some(id) = source.id()
            && let Some(first) = self.ids.insert(id.to_owned(), place.to_string())
        {
            warnings.add(place, format!("the id `{}` is that of `{first}`, too", document::shown(id)));
        }
        if self.taken.contains(&name) {
            let free = name::free(&name, &self.taken);
            warnings.add(place, format!("the name `{name}` is taken; the tool is called `{free}`"));
            name = free;
        }
        self.taken.insert(name.clone());
        name
    }
}
