//! `OpenAPI` documents, version 3.0 and 3.1: their operations, as tools are declared, and the requests that calls of
//! them become.
//!
//! ```
//! use platools_sidecar::openapi::{Document, Selection, import};
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
//! assert_eq!(operation.spec().description, "Look up a pet");
//!
//! let arguments = json!({"petId": 7});
//! let request = operation.request(arguments.as_object().unwrap())?;
//! assert_eq!((request.method, request.path.as_str()), ("GET", "/pets/7"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | file | what it is for |
//! | --- | --- |
//! | `document`, `place`, `report` | from bytes to a document, places in it, what is wrong with it |
//! | `keyword`, `schema`, `assemble` | its schemas as JSON Schema 2020-12, each standing by itself |
//! | `parameter`, `body`, `field`, `input` | what an operation takes, as one flat object |
//! | `name`, `server`, `select`, `operation` | the operations, and which of them are taken |
//! | `encode`, `multipart`, `call` | from arguments to a request |
//!
//! Pure: bytes in, values out. This room must not know networks, files or runtimes.

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

use std::collections::{BTreeSet, HashMap, HashSet};

pub use self::call::{ArgumentError, CallRequest};
pub use self::document::Document;
pub use self::operation::{Method, Operation};
pub use self::report::{OpenApiError, Warning};
pub use self::select::Selection;

use self::assemble::Schemas;
use self::operation::Source;
use self::place::Place;
use self::report::Warnings;
use self::schema::{Converter, Way};
use self::select::{Candidate, Selector};

/// Methods that are no tools: they say something about a resource rather than doing something with it.
const OTHER_METHODS: [&str; 3] = ["head", "options", "trace"];

/// What came out of a document.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Import {
    /// The operations that were selected, in the order of the document.
    pub operations: Vec<Operation>,
    /// What was left out or understood differently than it is written.
    pub warnings: Vec<Warning>,
}

/// Reads the selected operations of a document. One that cannot be called is left out, and a warning says why.
///
/// # Errors
/// When the selection cannot fit anything.
pub fn import(document: &Document, selection: &Selection) -> Result<Import, OpenApiError> {
    let warnings = Warnings::default();
    let mut selector = Selector::new(selection)?;
    let mut operations = Vec::new();
    {
        let converter = |way| Converter { document, warnings: &warnings, way };
        let schemas = (Schemas::new(converter(Way::Request)), Schemas::new(converter(Way::Response)));
        let mut names = Names::default();
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
                match source.read(&schemas.0, &schemas.1, (place, &at)) {
                    Ok(mut operation) => {
                        operation.name = names.take(&selection.prefix, &source, &at, &warnings);
                        operations.push(operation);
                    }
                    Err(problem) => warnings.add(&at, format!("the operation is left out: {problem}")),
                }
            }
        }
        let list = |words: BTreeSet<String>| words.into_iter().collect::<Vec<_>>();
        selector.report(&list(tags), &list(ids), &warnings);
    }
    if operations.is_empty() {
        warnings.add(&Place::ROOT, "no operation becomes a tool");
    }
    Ok(Import { operations, warnings: warnings.into_list() })
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
