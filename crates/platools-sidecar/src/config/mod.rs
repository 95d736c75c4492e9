//! The file: its sections and keys, where they stand, and what is wrong with them.
//!
//! This room reads and says where; it must not know how a tool runs.

mod document;
mod gather;
mod model;
mod problem;
mod sections;
mod settings;
mod values;

pub(crate) use self::document::{Document, Path, listed, nearest};
pub(crate) use self::model::{
    Arg, Argument, Auth, Body, Command, Common, ErrorText, Format, Forward, Http, InlineSchema, RestBody,
    Stdin, Table, TemplateBody,
};
pub use self::problem::{ConfigError, Problem};
pub(crate) use self::sections::{Entry, Sections};
pub(crate) use self::settings::{
    Admin, Backend, Egress, Entity, Log, LogFormat, Mcp, OpenApi, Override, Pictures, Plato, Running,
    SessionTokens, Shape, Sharing, Superseded,
};
pub(crate) use self::values::{Rate, SecretRef};

/// The JSON Schema of the file, for editors.
pub fn schema() -> serde_json::Value {
    let generator = schemars::generate::SchemaSettings::draft07().into_generator();
    let mut schema = generator.into_root_schema_for::<model::File>();
    schema.insert("title".to_owned(), "platools sidecar".into());
    schema.to_value()
}
