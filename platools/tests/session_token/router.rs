//! The endpoint behind a login: who gets a token, who does not, and what the answers carry.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Request, StatusCode};
use platools::SecretSource;
use platools::session_token::{
    CheckedClaims, MintError, RouterError, SESSION_TOKEN_PATH, SessionTokenRouter, session_token_router,
};
use platools::session_token::{Mint, SessionClaims, SessionToken, SessionTokens};
use platools::tool::RateLimit;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tower::ServiceExt as _;

use crate::forged::{SECRET, scope, verifier};

const MINUTE: Duration = Duration::from_secs(60);

/// A login by a header: `nobody` is nobody, `broken` breaks.
async fn login(request: Parts) -> Result<Option<SessionClaims>, std::io::Error> {
    let user = request.headers.get("x-user").map(|user| user.to_str().unwrap().to_owned());
    match user.as_deref() {
        None | Some("nobody") => Ok(None),
        Some("panic") => panic!("password=hunter2"),
        Some("broken") => Err(std::io::Error::other("the database is away, password=hunter2")),
        Some(user) => Ok(Some(SessionClaims::for_user(user))),
    }
}

fn tokens() -> SessionTokens {
    SessionTokens::local(SecretSource::text(SECRET), scope()).unwrap()
}

fn endpoint() -> SessionTokenRouter {
    session_token_router(tokens(), login)
}

fn request(user: &str) -> axum::http::request::Builder {
    Request::post(SESSION_TOKEN_PATH).header("x-user", user)
}

/// What `router` answers, with the rule that holds for every answer.
async fn answer(router: impl Into<Router>, request: Request<Body>) -> (StatusCode, HeaderMap, Value) {
    let router: Router = router.into();
    let (parts, body) = router.oneshot(request).await.unwrap().into_parts();
    assert_eq!(parts.headers["cache-control"], "no-store");
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let body = if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).unwrap() };
    assert!(!body.to_string().contains(SECRET) && !body.to_string().contains("hunter2"), "{body}");
    (parts.status, parts.headers, body)
}

#[tokio::test]
async fn a_header_that_names_the_user_twice_is_refused_before_the_login() {
    for (name, values) in [
        ("x-platos-user-id", ["usr_7", "usr_8"]),
        ("x-platos-user-token", ["one", "one"]),
        ("authorization", ["Bearer a", "Bearer b"]),
    ] {
        let twice = request("usr_7").header(name, values[0]).header(name, values[1]);
        let (status, _, body) = answer(endpoint(), twice.body(Body::empty()).unwrap()).await;
        assert_eq!((status, &body["error"]), (StatusCode::BAD_REQUEST, &json!("ambiguous_header")), "{name}");
    }
}

#[tokio::test]
async fn who_is_logged_in_gets_a_token_for_oneself() {
    let (status, headers, body) = answer(endpoint(), request("usr_7").body(Body::empty()).unwrap()).await;
    assert_eq!((status, &headers["content-type"]), (StatusCode::OK, &"application/json".parse().unwrap()));
    let claims = verifier().scope(scope()).verify(body["token"].as_str().unwrap()).unwrap();
    assert_eq!((claims.user_id.as_str(), body["expiresAt"].as_u64()), ("usr_7", Some(claims.expires_at)));
    assert_eq!(body.as_object().unwrap().len(), 2);
    assert!(headers.get("access-control-allow-origin").is_none() && headers.get("vary").is_none());
}

#[tokio::test]
async fn the_body_the_query_and_other_headers_choose_nothing() {
    let wish = json!({"userId": "admin", "organizationId": "org_2", "projectId": "p", "environmentId": "e",
                      "entityId": "other", "ttlSeconds": 604_800, "permissions": ["all"]});
    let request = Request::post(format!("{SESSION_TOKEN_PATH}?userId=admin&entityId=other"))
        .header("x-user", "usr_7")
        .header("x-platos-entity-id", "other")
        .header("content-type", "application/json")
        .body(Body::from(wish.to_string()))
        .unwrap();
    let (status, _, body) = answer(endpoint(), request).await;
    assert_eq!(status, StatusCode::OK);
    let claims = verifier().verify(body["token"].as_str().unwrap()).unwrap();
    assert_eq!((claims.user_id.as_str(), claims.scope), ("usr_7", scope()));
    assert_eq!((claims.expires_at - claims.issued_at, claims.permissions), (3_600, None));
}

#[tokio::test]
async fn who_is_not_logged_in_gets_nothing_and_a_broken_login_is_no_login() {
    for (user, expected, error) in [
        ("nobody", StatusCode::UNAUTHORIZED, "unauthenticated"),
        ("broken", StatusCode::INTERNAL_SERVER_ERROR, "internal"),
        // A login that names a user that cannot be one is a mistake of the backend.
        (" ", StatusCode::INTERNAL_SERVER_ERROR, "internal"),
    ] {
        let (status, _, body) = answer(endpoint(), request(user).body(Body::empty()).unwrap()).await;
        assert_eq!((status, &body["error"]), (expected, &json!(error)), "{user}");
        assert!(body.get("token").is_none());
    }
}

#[tokio::test]
async fn other_methods_are_told_which_one_it_is() {
    for (router, allowed) in
        [(endpoint(), "POST"), (endpoint().allow_origin("https://a.example").unwrap(), "POST, OPTIONS")]
    {
        for method in ["GET", "HEAD", "PUT", "DELETE", "PATCH"] {
            let request = request("usr_7").method(method).body(Body::empty()).unwrap();
            let (status, headers, _) = answer(router.clone(), request).await;
            assert_eq!(
                (status, &headers["allow"]),
                (StatusCode::METHOD_NOT_ALLOWED, &allowed.parse().unwrap())
            );
        }
    }
    let (status, ..) =
        answer(endpoint(), request("usr_7").method("OPTIONS").body(Body::empty()).unwrap()).await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED, "nobody may ask across origins");
}

#[tokio::test]
async fn a_user_is_limited_and_no_other_user_with_it() {
    let router = Router::<()>::from(endpoint().per_user(RateLimit::per(2, MINUTE)));
    for user in ["a", "b"] {
        for expected in [200, 200, 429] {
            let (status, headers, body) =
                answer(router.clone(), request(user).body(Body::empty()).unwrap()).await;
            assert_eq!(status.as_u16(), expected);
            if expected == 429 {
                let wait: u64 = headers["retry-after"].to_str().unwrap().parse().unwrap();
                assert!((1..=30).contains(&wait), "{wait}");
                assert_eq!(body["error"], "rate_limited");
            }
        }
    }
}

#[tokio::test]
async fn an_address_is_limited_before_anybody_asks_who_it_is() {
    let asked = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&asked);
    let login = move |_: Parts| {
        counted.fetch_add(1, Ordering::Relaxed);
        std::future::ready(Ok::<_, std::io::Error>(None))
    };
    let address = |parts: &Parts| parts.headers.get("x-real-ip")?.to_str().ok()?.parse::<IpAddr>().ok();
    let router = session_token_router(tokens(), login).per_address(RateLimit::per(1, MINUTE));
    let router = Router::<()>::from(router.client_address(address));
    let ask = |address: &str| {
        let request = request("x").header("x-real-ip", address).body(Body::empty()).unwrap();
        let router = router.clone();
        async move { answer(router, request).await.0.as_u16() }
    };
    assert_eq!((ask("192.0.2.1").await, ask("192.0.2.1").await), (401, 429));
    assert_eq!((ask("2001:db8::1").await, ask("2001:db8::2").await), (401, 429));
    assert_eq!(ask("2001:db8:0:1::1").await, 401);
    assert_eq!(asked.load(Ordering::Relaxed), 3);
    // Without an address there is no such limit.
    assert_eq!((ask("?").await, ask("?").await), (401, 401));
}

#[tokio::test]
async fn a_trusted_caller_is_limited_by_its_users_alone_and_guesses_use_up_nothing_of_it() {
    let is_trusted = |parts: &Parts| parts.headers.get("authorization").is_some_and(|value| value == "right");
    let router = endpoint().per_address(RateLimit::per(3, MINUTE)).per_user(RateLimit::per(1, MINUTE));
    let router = router.client_address(|_| Some(IpAddr::from([192, 0, 2, 1]))).trust_caller(is_trusted);
    let router = Router::<()>::from(router);
    let ask = async |user: &str, secret: &str| {
        let request = request(user).header("authorization", secret).body(Body::empty()).unwrap();
        answer(router.clone(), request).await.0.as_u16()
    };
    for user in 0..300 {
        assert_eq!(ask(&format!("usr_{user}"), "right").await, 200, "{user}");
    }
    assert_eq!(ask("usr_7", "right").await, 429, "a user is still limited");
    let guesses = [ask("nobody", "a").await, ask("nobody", "b").await, ask("nobody", "c").await];
    assert_eq!((guesses, ask("nobody", "d").await), ([401; 3], 429));
    assert_eq!(ask("usr_300", "right").await, 200);
}

#[tokio::test]
async fn a_path_that_would_be_a_pattern_is_refused_before_the_router_is_made() {
    for path in
        ["", "token", "/{a", "/{a}", "/:a", "/a/:b", "/*", "/a/*b", "/a b", "/a?b", "/ä", "/a\n", "/a#b"]
    {
        let error = endpoint().path(path).unwrap_err();
        assert!(matches!(&error, RouterError::Path { path: quoted } if quoted == path), "{error}");
    }
    for path in ["/", "//", "/a", "/a/", "/api/v1.0/token", "/a:b", "/%7Ba%7D", "/a,b;c=d"] {
        let router = Router::<()>::from(endpoint().path(path).unwrap());
        let request = request("usr_7").uri(path).body(Body::empty()).unwrap();
        assert_eq!(answer(router, request).await.0, StatusCode::OK, "{path}");
    }
}

#[tokio::test]
async fn pages_of_a_named_origin_may_ask_and_no_others() {
    let router = endpoint().allow_origin("https://app.example").unwrap();
    let router = router.allow_header("X-CSRF-Token").unwrap();
    for (method, good) in [("OPTIONS", 204), ("POST", 200)] {
        for (origin, allowed) in
            [("https://app.example", true), ("https://evil.example", false), ("null", false)]
        {
            let request = request("usr_7")
                .method(method)
                .header("origin", origin)
                .header("access-control-request-method", "POST")
                .body(Body::empty())
                .unwrap();
            let (status, headers, _) = answer(router.clone(), request).await;
            assert_eq!((status.as_u16(), &headers["vary"]), (good, &"origin".parse().unwrap()));
            let shown = headers.get("access-control-allow-origin");
            assert_eq!(shown.map(|origin| origin.to_str().unwrap()), allowed.then_some(origin));
            assert_eq!(headers.contains_key("access-control-allow-credentials"), allowed);
            if allowed {
                assert_eq!(headers["access-control-allow-methods"], "POST");
                let headers = headers["access-control-allow-headers"].to_str().unwrap();
                assert!(headers.contains("x-csrf-token") && !headers.contains('*'), "{headers}");
            }
        }
    }
    // What a browser says about the page is believed, and no token is minted for others.
    for (site, origin, status) in [
        ("cross-site", "https://evil.example", 403),
        ("same-site", "https://evil.app.example", 403),
        ("cross-site", "https://app.example", 200),
        ("same-origin", "https://backend.example", 200),
        ("none", "null", 200),
    ] {
        let request = request("usr_8").header("origin", origin).header("sec-fetch-site", site);
        let (got, _, _) = answer(router.clone(), request.body(Body::empty()).unwrap()).await;
        assert_eq!(got.as_u16(), status, "{site} {origin}");
    }
    let panicked = request("panic").body(Body::empty()).unwrap();
    assert_eq!(answer(router.clone(), panicked).await.0, StatusCode::INTERNAL_SERVER_ERROR);
    // Errors are readable there too.
    let request = request("nobody").header("origin", "https://app.example").body(Body::empty()).unwrap();
    let (status, headers, _) = answer(router, request).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert_eq!(headers["access-control-allow-origin"], "https://app.example");
}

/// A mint that always fails in one way.
struct Failing(fn() -> MintError);

#[async_trait::async_trait]
impl Mint for Failing {
    async fn mint(&self, _: &CheckedClaims) -> Result<SessionToken, MintError> {
        Err((self.0)())
    }
}

#[tokio::test]
async fn a_mint_that_fails_is_not_described_to_the_frontend() {
    let mint = SessionTokens::new(Failing(|| MintError::other("vault: password=hunter2")));
    let request_of = || request("usr_7").body(Body::empty()).unwrap();
    let (status, _, body) = answer(session_token_router(mint, login), request_of()).await;
    assert_eq!((status, &body["error"]), (StatusCode::INTERNAL_SERVER_ERROR, &json!("internal")));

    let mint = SessionTokens::new(Failing(|| MintError::unavailable("vault: password=hunter2")));
    let (status, _, body) = answer(session_token_router(mint, login), request_of()).await;
    assert_eq!((status, &body["error"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("unavailable")));

    #[cfg(feature = "remote-mint")]
    for (error, expected) in [
        (Failing(|| platools::session_token::RemoteMintError::CannotSign { retry_after: None }.into()), 503),
        (Failing(|| platools::session_token::RemoteMintError::Unauthorized.into()), 500),
    ] {
        let router = session_token_router(SessionTokens::new(error), login);
        let (status, _, body) = answer(router, request_of()).await;
        assert_eq!(status.as_u16(), expected);
        assert!(!body.to_string().contains("bearer"), "{body}");
    }
}

#[tokio::test]
async fn a_large_body_is_refused_by_its_announcement_and_an_endless_one_is_not_read() {
    let large = request("usr_7").header("content-length", "4097").body(Body::empty()).unwrap();
    let (status, ..) = answer(endpoint(), large).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);

    let polled =
        futures_util::stream::poll_fn(|_| -> std::task::Poll<Option<Result<Vec<u8>, std::io::Error>>> {
            panic!("the body is read")
        });
    let (status, ..) = answer(endpoint(), request("usr_7").body(Body::from_stream(polled)).unwrap()).await;
    assert_eq!(status, StatusCode::OK);
}

#[tokio::test]
async fn it_is_one_route_of_a_server_and_knows_the_peer() {
    let app: Router = Router::new()
        .route("/", axum::routing::get(|| async { "home" }))
        .merge(endpoint().path("/token").unwrap().per_address(RateLimit::per(2, MINUTE)));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, app).await });

    for expected in ["200", "200", "429"] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let head = "POST /token HTTP/1.1\r\nhost: h\r\nx-user: usr_7\r\nconnection: close\r\n";
        stream.write_all(format!("{head}content-length: 2\r\n\r\n{{}}").as_bytes()).await.unwrap();
        let mut answer = String::new();
        tokio::time::timeout(MINUTE, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {expected} ")), "{answer}");
    }
}
