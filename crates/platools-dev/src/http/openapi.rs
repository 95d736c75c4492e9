//! The document that describes the API: the parts that all paths share, and the completion of those that the handlers
//! describe.

use axum::Extension;
use axum::body::Bytes;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use utoipa::OpenApi;
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn, PathItem};
use utoipa::openapi::schema::{Object, ObjectBuilder, Schema, SchemaType, Type};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Required, Response};

use super::error::ErrorBody;
use crate::key::ENVIRONMENTS;

/// The access that a path needs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// None.
    Open,
    /// The token, or a page that was opened with a link.
    Token,
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "platools development platform",
        version = "1",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
        description = "The API behind the playground. Requests must name this platform in `Host` and come from its own \
            page or from no page at all. Where no other security is stated, a request needs the API token, which is new \
            with each start, or comes from a page that was opened with a link."
    ),
    security(("bearer" = []), ("header" = []), ("cookie" = [], "page" = [])),
    components(schemas(ErrorBody))
)]
struct Base;

/// Errors by status, name and description.
const ERRORS: [(&str, &str, &str); 8] = [
    ("400", "BadRequest", "The request is not what is expected here"),
    ("401", "Unauthorized", "The token is missing or wrong, or the page is not known"),
    ("403", "Foreign", "Another host, or a page of another origin"),
    ("404", "NotFound", "There is no such thing"),
    ("408", "TooSlow", "The body did not come to its end in time"),
    ("409", "Conflict", "No host is connected, or there is nothing to replay"),
    ("413", "TooLarge", "The body is too large"),
    ("415", "NotJson", "The body is not JSON"),
];

/// The document without paths.
pub(super) fn base() -> utoipa::openapi::OpenApi {
    let mut document = Base::openapi();
    let components = document.components.get_or_insert_default();
    for (_, name, description) in ERRORS {
        let error = ContentBuilder::new().schema(Some(Ref::from_schema_name("Error"))).build();
        let mut response = Response::new(description);
        response.content.insert("application/json".to_owned(), error.into());
        components.responses.insert(name.to_owned(), response.into());
    }
    let cookie = "`PORT` is the port of the platform. The cookie counts together with the key of the page.";
    let schemes = [
        ("bearer", SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build())),
        ("header", SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new("X-Platools-Token")))),
        (
            "cookie",
            SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::with_description(
                "platools-dev-PORT",
                cookie,
            ))),
        ),
        ("page", SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new("X-Platools-Page")))),
    ];
    for (name, scheme) in schemes {
        components.add_security_scheme(name, scheme);
    }
    for name in ["entity", "environment", "tool", "id", "side"] {
        components.parameters.insert(name.to_owned(), path_parameter(name).into());
    }
    document
}

fn path_parameter(name: &str) -> Parameter {
    let string: Schema = Object::with_type(Type::String).into();
    let (schema, description) = match name {
        "entity" => (string, Some("The slug.")),
        "environment" => (one_of(&ENVIRONMENTS).into(), None),
        "id" => (ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0)).into(), None),
        "side" => (one_of(&["sent", "reply"]).into(), None),
        _ => (string, None),
    };
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .description(description)
        .schema(Some(schema))
        .build()
}

/// Adds what follows from a path, its access and its body: path parameters, security and errors.
pub(super) fn complete(document: &mut utoipa::openapi::OpenApi, access: Access) {
    for (path, item) in &mut document.paths.paths {
        let names: Vec<_> =
            path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).collect();
        let parameters =
            names.iter().map(|name| RefOr::Ref(Ref::new(format!("#/components/parameters/{name}"))));
        item.parameters = (!names.is_empty()).then(|| parameters.collect());
        let PathItem { get, post, delete, .. } = item;
        for operation in [get, post, delete].into_iter().flatten() {
            let has_body = operation.request_body.is_some();
            let has_query = operation.parameters.iter().flatten().any(is_query);
            let errors = [
                ("400", has_body || has_query || names.contains(&"id")),
                ("401", access == Access::Token),
                ("403", true),
                ("404", !names.is_empty()),
                ("408", has_body),
                ("413", has_body),
                ("415", has_body),
            ];
            for (status, _) in errors.into_iter().filter(|(_, applies)| *applies) {
                add_error(operation, status);
            }
            for status in ["401", "409"] {
                if operation.responses.responses.contains_key(status) {
                    add_error(operation, status);
                }
            }
            operation.tags = None;
            operation.security = (access == Access::Open).then(Vec::new);
        }
    }
}

fn is_query(parameter: &RefOr<Parameter>) -> bool {
    matches!(parameter, RefOr::T(parameter) if parameter.parameter_in == ParameterIn::Query)
}

fn add_error(operation: &mut Operation, status: &str) {
    let name = ERRORS.iter().find(|(known, ..)| *known == status).map_or("", |(_, name, _)| *name);
    let response = RefOr::Ref(Ref::new(format!("#/components/responses/{name}")));
    operation.responses.responses.insert(status.to_owned(), response);
}

/// The schema of a text that is one of some.
pub(super) fn one_of(names: &[&str]) -> Object {
    ObjectBuilder::new()
        .schema_type(SchemaType::new(Type::String))
        .enum_values(Some(names.iter().copied()))
        .build()
}

/// The schema of an environment.
pub(super) fn environment() -> Object {
    one_of(&ENVIRONMENTS)
}

/// The text of the document.
#[derive(Clone)]
pub(super) struct Document(Bytes);

impl Document {
    pub(super) fn new(document: &utoipa::openapi::OpenApi) -> Self {
        Self(document.to_json().unwrap_or_default().into())
    }
}

/// This document
#[utoipa::path(
    get,
    path = "/api/v1/openapi.json",
    operation_id = "openapi",
    responses((status = 200, description = "The document", body = Object))
)]
pub(super) async fn serve(Extension(Document(text)): Extension<Document>) -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], text)
}
