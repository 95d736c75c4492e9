//! All paths that the HTTP side answers, with their access. The OpenAPI document is made from the same list.

use std::sync::Arc;

use axum::middleware::from_fn_with_state;
use axum::routing::get;
use axum::{Extension, Router};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::api::{calls, entities, events, faults, health, history, page, secrets, session_tokens, tools};
use super::app::App;
use super::openapi::{self, Access, Document};
use super::{assets, guard};

/// Builds the router of all paths.
pub(super) fn router(app: &App) -> Router<App> {
    let protected = protected().route_layer(from_fn_with_state(Arc::clone(app), guard::with_token));
    let (router, document) = all(protected).split_for_parts();
    router
        .route("/", get(assets::page))
        .route("/assets/{*path}", get(assets::asset))
        .layer(Extension(Document::new(&document)))
}

fn all(protected: OpenApiRouter<App>) -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(openapi::base()).merge(open()).merge(protected)
}

/// The paths that are open to every request that the guard lets in.
fn open() -> OpenApiRouter<App> {
    let mut router = OpenApiRouter::new()
        .routes(routes!(health::platform))
        .routes(routes!(openapi::serve))
        .routes(routes!(page::open))
        .routes(routes!(session_tokens::check));
    openapi::complete(router.get_openapi_mut(), Access::Open);
    router
}

/// The paths that need the token, or a page that was opened with a link.
fn protected() -> OpenApiRouter<App> {
    let mut router = OpenApiRouter::new()
        .routes(routes!(page::check))
        .routes(routes!(secrets::token))
        .routes(routes!(entities::list))
        .routes(routes!(secrets::show, secrets::rotate))
        .routes(routes!(session_tokens::mint))
        .routes(routes!(entities::one))
        .routes(routes!(health::host))
        .routes(routes!(tools::list))
        .routes(routes!(tools::one))
        .routes(routes!(calls::call))
        .routes(routes!(faults::inject))
        .routes(routes!(events::stream))
        .routes(routes!(history::list, history::clear))
        .routes(routes!(history::one))
        .routes(routes!(history::frame))
        .routes(routes!(history::abandon))
        .routes(routes!(history::replay));
    openapi::complete(router.get_openapi_mut(), Access::Token);
    router
}

#[cfg(all(test, feature = "session-tokens"))]
mod tests {
    use super::*;

    #[test]
    fn the_published_document_changes_on_purpose_alone_and_its_references_lead_somewhere() {
        let document = all(protected()).into_openapi().to_pretty_json().unwrap();
        let whole: serde_json::Value = serde_json::from_str(&document).unwrap();
        for line in document.lines().filter_map(|line| line.trim().strip_prefix("\"$ref\": \"#")) {
            let pointer = line.trim_end_matches([',', '"']);
            assert!(whole.pointer(pointer).is_some(), "{pointer}");
        }
        insta::assert_snapshot!("openapi", document);
    }
}
