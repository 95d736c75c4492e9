//! The tools of an `OpenAPI` document: the operations that a section selects, each with the compiled schema of its
//! arguments. The parsed document is dropped, since it takes far more memory.

use std::collections::HashMap;
use std::sync::Arc;

use platools_openapi::{Document, Operation, Selection, import};
use platools_upstream::{ArgumentSchema, without_unusable_patterns};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::remotes::Remotes;
use crate::config::OpenApi;
use crate::fingerprint::{Fingerprint, Fingerprinter};

/// The tools of all documents. They are kept between plans, so that a document that did not change is not parsed again.
#[derive(Debug, Clone, Default)]
pub(crate) struct Documents {
    /// The tools of documents in files.
    known: Vec<Known>,
    /// The documents that are fetched from servers, with their tools.
    pub(crate) remotes: Remotes,
}

#[derive(Debug, Clone)]
struct Known {
    /// The fingerprint of the document's bytes and of the section's selection.
    key: Fingerprint,
    made: Arc<Made>,
    /// Whether the latest plan uses it.
    is_used: bool,
}

/// The tools that a section gets from a document.
#[derive(Debug)]
pub(crate) struct Made {
    pub(crate) tools: Vec<MadeTool>,
    pub(crate) remarks: Vec<String>,
}

#[derive(Debug)]
pub(crate) struct MadeTool {
    pub(crate) operation: Operation,
    pub(crate) schema: Arc<ArgumentSchema>,
    pub(crate) fingerprint: Fingerprint,
}

/// Why nothing was made of a document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    /// It cannot be read.
    #[error("{0}")]
    Document(String),
    /// Nothing, or too much, can be taken from it.
    #[error("{0}")]
    Selection(String),
}

/// The fingerprint of the settings that decide which tools a section gets from a document.
pub(crate) fn selection_of(file: &OpenApi) -> Fingerprint {
    let OpenApi { tags, operations, paths, read_only, unknown_fields, max_tools, max_bytes, prefix, .. } =
        file;
    Fingerprinter::default()
        .add(&(tags, operations, paths, read_only, unknown_fields, max_tools, max_bytes, prefix))
        .finish()
}

impl Documents {
    /// Begins another plan.
    pub(crate) fn begin(&mut self) {
        self.known.iter_mut().for_each(|known| known.is_used = false);
        self.remotes.begin();
    }

    /// Forgets those that the plan did not use, once it is whole.
    pub(crate) fn end(&mut self) {
        self.known.retain(|known| known.is_used);
        self.remotes.end();
    }

    /// What a section takes from a document in a file.
    ///
    /// # Errors
    /// Why nothing can be made of it.
    pub(crate) fn get(&mut self, bytes: &[u8], file: &OpenApi) -> Result<Arc<Made>, Refused> {
        let digest: [u8; 32] = Sha256::digest(bytes).into();
        let key = Fingerprinter::default().add(&digest).add(selection_of(file).as_bytes()).finish();
        if let Some(known) = self.known.iter_mut().find(|known| known.key == key) {
            known.is_used = true;
            return Ok(Arc::clone(&known.made));
        }
        let made = Arc::new(Made::of(bytes, file)?);
        self.known.push(Known { key, made: Arc::clone(&made), is_used: true });
        Ok(made)
    }
}

impl Made {
    /// Makes what a section takes from a document.
    ///
    /// # Errors
    /// Why nothing can be made of it.
    pub(crate) fn of(bytes: &[u8], file: &OpenApi) -> Result<Self, Refused> {
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
        let compiled = Arc::new(compiled.without_defaults().compiled_when_used());
        self.0.insert(key, Arc::clone(&compiled));
        Ok((compiled, dropped))
    }
}
