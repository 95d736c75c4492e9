//! Every path that the HTTP side answers, and who may ask. The OpenAPI document has to say the same.

use axum::http::Method;
use axum::routing::{MethodRouter, delete, get, post};

use super::api::{calls, entities, events, faults, health, history, page, secrets, session_tokens, tools};
use super::{App, assets, openapi};

/// Who may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// Whoever the guard lets in.
    Open,
    /// Who has the token or a page that was opened with a link, besides.
    Token,
}

/// One path with one method.
pub(super) struct Route {
    /// Read by the test that compares this list with the document.
    #[cfg_attr(not(test), expect(dead_code, reason = "the handler knows its method"))]
    pub(super) method: Method,
    pub(super) path: &'static str,
    pub(super) access: Access,
    pub(super) handler: MethodRouter<App>,
}

/// All of them.
pub(super) fn routes() -> Vec<Route> {
    use Access::{Open, Token};
    let route = |method: Method, path, access, handler| Route { method, path, access, handler };
    vec![
        route(Method::GET, "/", Open, get(assets::page)),
        route(Method::GET, "/assets/{*path}", Open, get(assets::asset)),
        route(Method::GET, "/api/v1/health", Open, get(health::platform)),
        route(Method::GET, "/api/v1/openapi.json", Open, get(openapi::document)),
        route(Method::POST, "/api/v1/page", Open, post(page::open)),
        route(Method::GET, "/api/v1/page", Token, get(page::check)),
        route(Method::GET, "/api/v1/token", Token, get(secrets::token)),
        route(Method::GET, "/api/v1/entities", Token, get(entities::list)),
        route(Method::GET, "/api/v1/entities/{entity}/secret", Token, get(secrets::show)),
        route(Method::POST, "/api/v1/entities/{entity}/secret", Token, post(secrets::rotate)),
        route(Method::POST, "/api/v1/entities/{entity}/session-tokens", Token, post(session_tokens::mint)),
        route(Method::GET, "/api/v1/session", Open, get(session_tokens::check)),
        route(Method::GET, "/api/v1/entities/{entity}/{environment}", Token, get(entities::one)),
        route(Method::GET, "/api/v1/entities/{entity}/{environment}/health", Token, get(health::host)),
        route(Method::GET, "/api/v1/entities/{entity}/{environment}/tools", Token, get(tools::list)),
        route(Method::GET, "/api/v1/entities/{entity}/{environment}/tools/{tool}", Token, get(tools::one)),
        route(Method::POST, "/api/v1/entities/{entity}/{environment}/calls", Token, post(calls::call)),
        route(Method::POST, "/api/v1/entities/{entity}/{environment}/faults", Token, post(faults::inject)),
        route(Method::GET, "/api/v1/events", Token, get(events::stream)),
        route(Method::GET, "/api/v1/history", Token, get(history::list)),
        route(Method::DELETE, "/api/v1/history", Token, delete(history::clear)),
        route(Method::GET, "/api/v1/history/{id}", Token, get(history::one)),
        route(Method::GET, "/api/v1/history/{id}/frames/{side}", Token, get(history::frame)),
        route(Method::POST, "/api/v1/history/{id}/abandon", Token, post(history::abandon)),
        route(Method::POST, "/api/v1/history/{id}/replay", Token, post(history::replay)),
    ]
}
