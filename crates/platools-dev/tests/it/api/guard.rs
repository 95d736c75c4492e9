//! Access to the API.

use axum::http::{Method, StatusCode};
use platools::verify::Secret;
use platools_dev::DevPlatform;
use serde_json::json;

use super::{Answer, Client, local};
use crate::host::RawHost;

const CALL: &str = r#"{"tool":"add"}"#;

#[tokio::test]
async fn what_a_foreign_page_can_send_is_refused_even_with_the_token() {
    let platform = DevPlatform::start().await.unwrap();
    let _host = RawHost::with_tools(&platform, &["add"]).await;
    let client = Client::new(&platform);
    let (host, token) = client.identity();
    let neighbour = format!("http://127.0.0.1:{}", platform.address().port().wrapping_add(1));
    for foreign in [
        ("origin", "http://evil.test"),
        ("origin", "null"),
        ("origin", &*neighbour),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
    ] {
        let headers =
            [("host", &*host), ("authorization", &token), ("content-type", "application/json"), foreign];
        for (method, path) in [
            (Method::POST, local("/calls")),
            (Method::GET, "/api/v1/history".to_owned()),
            (Method::GET, "/api/v1/health".to_owned()),
            (Method::GET, "/".to_owned()),
        ] {
            let answer = client.ask(method, &path, &headers, CALL).await;
            assert_eq!(answer.code(), (403, "foreign_origin".to_owned()), "{foreign:?} {path}");
            assert!(!answer.headers.contains_key("access-control-allow-origin"));
        }
    }
    assert_eq!(platform.counters().calls, 0);
}

#[tokio::test]
async fn a_name_that_was_pointed_here_is_not_ours() {
    let platform = DevPlatform::start().await.unwrap();
    let client = Client::new(&platform);
    let (host, token) = client.identity();
    let rebound = format!("evil.test:{}", platform.address().port());
    for name in [&*rebound, "127.0.0.1", "evil.test"] {
        for path in ["/", "/api/v1/entities", "/assets/style.css"] {
            let answer =
                client.ask(Method::GET, path, &[("host", name), ("authorization", &token)], "").await;
            assert_eq!(answer.code(), (403, "foreign_host".to_owned()), "{name} {path}");
            assert!(!answer.text.contains(platform.api_token().expose()));
        }
    }
    let localhost = host.replace("127.0.0.1", "localhost");
    let headers = [("host", &*localhost), ("authorization", &*token)];
    assert_eq!(client.ask(Method::GET, "/api/v1/entities", &headers, "").await.status, StatusCode::OK);

    let named = DevPlatform::options().host_name("dev.test").start().await.unwrap();
    let name = format!("dev.test:{}", named.address().port());
    let answer = Client::new(&named).ask(Method::GET, "/", &[("host", &name)], "").await;
    assert_eq!(answer.status, StatusCode::OK);
}

#[tokio::test]
async fn all_that_tells_or_changes_something_needs_the_token() {
    let platform = DevPlatform::start().await.unwrap();
    let client = Client::new(&platform);
    let (host, token) = client.identity();
    let document = client.ask(Method::GET, "/api/v1/openapi.json", &[("host", &host)], "").await.json();
    let mut checked = 0;
    for (path, operations) in document["paths"].as_object().unwrap() {
        let path = path.replace("{entity}", "local").replace("{environment}", "dev").replace("{id}", "1");
        let path = path.replace("{tool}", "add").replace("{side}", "sent");
        for (method, operation) in operations.as_object().unwrap() {
            if method == "parameters" || operation["security"] == json!([]) {
                continue;
            }
            let method = Method::from_bytes(method.to_ascii_uppercase().as_bytes()).unwrap();
            for (headers, code) in [
                (vec![], "token_missing"),
                (vec![("authorization", "Bearer 0123456789abcdef0123456789abcdef")], "token_wrong"),
                (vec![("authorization", "Bearer ")], "token_missing"),
                (vec![("authorization", &token[..token.len() - 1])], "token_wrong"),
                (vec![("authorization", token.trim_start_matches("Bearer "))], "token_missing"),
                (vec![("x-platools-token", "wrong")], "token_wrong"),
            ] {
                let headers = [&[("host", &*host)][..], &headers].concat();
                let answer = client.ask(method.clone(), &path, &headers, "{}").await;
                assert_eq!(answer.code(), (401, code.to_owned()), "{method} {path} {headers:?}");
                assert_eq!(answer.headers["www-authenticate"], "Bearer");
                assert!(!answer.text.contains("0123456789"), "a token that was tried is not repeated");
            }
            checked += 1;
        }
    }
    assert!(checked >= 14, "{checked}");
    let headers = [("host", &*host), ("x-platools-token", platform.api_token().expose())];
    assert_eq!(client.ask(Method::GET, "/api/v1/entities", &headers, "").await.status, StatusCode::OK);
}

#[tokio::test]
async fn what_a_form_can_send_is_no_call() {
    let platform = DevPlatform::start().await.unwrap();
    let _host = RawHost::with_tools(&platform, &["add"]).await;
    let client = Client::new(&platform);
    let (host, token) = client.identity();
    for kind in [
        Some("text/plain"),
        Some("application/x-www-form-urlencoded"),
        Some("multipart/form-data; boundary=x"),
        Some("text/plain; application/json"),
        None,
    ] {
        let mut headers = vec![("host", &*host), ("authorization", &*token)];
        headers.extend(kind.map(|kind| ("content-type", kind)));
        let answer = client.ask(Method::POST, &local("/calls"), &headers, CALL).await;
        assert_eq!(answer.code(), (415, "not_json".to_owned()), "{kind:?}");
    }
    let preflight = [("host", &*host), ("access-control-request-method", "POST")];
    let answer = client.ask(Method::OPTIONS, &local("/calls"), &preflight, "").await;
    assert_eq!(answer.code(), (405, "no_such_method".to_owned()));
    assert_eq!(platform.counters().calls, 0);
}

#[tokio::test]
async fn whoever_reaches_the_port_gets_a_page_without_a_secret() {
    let token = Secret::new("0123456789\"<&>abcdef").unwrap();
    let platform = DevPlatform::options().api_token(token.clone()).start().await.unwrap();
    assert_eq!(platform.api_token(), &token);
    let (_, link) = link(&platform);
    let client = Client::new(&platform);
    let (host, _) = client.identity();
    let page = client.ask(Method::GET, "/", &[("host", &host)], "").await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(!page.headers.contains_key("set-cookie"));
    let assets = page.text.split('"').filter(|text| text.starts_with("/assets/")).map(str::to_owned);
    for path in assets.chain(["/assets/js/api.js", "/assets/js/main.js", "/"].map(str::to_owned)) {
        let answer = client.ask(Method::GET, &path, &[("host", &host)], "").await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
        for secret in ["0123456789", &link, platform.secret().expose()] {
            assert!(!answer.text.contains(secret), "{path}");
        }
    }
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    for rule in ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "connect-src 'self'"] {
        assert!(policy.contains(rule), "{policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("cache-control", "no-store"),
    ] {
        assert_eq!(page.headers[name], value);
    }
    let refused = client.ask(Method::GET, "/api/v1/entities", &[("host", &host)], "").await;
    assert_eq!(
        (refused.status.as_u16(), &refused.headers["cache-control"]),
        (401, &"no-store".parse().unwrap())
    );
    assert!(!format!("{platform:?}{:?}", DevPlatform::options().api_token(token)).contains("0123456789"));
}

/// The URL of a new link, and its key.
fn link(platform: &DevPlatform) -> (String, String) {
    let link = platform.playground_url();
    let (url, key) = link.split_once("#key=").expect("the key is in the fragment");
    (url.to_owned(), key.to_owned())
}

/// Opens the page: the answer, and the headers that its browser sends from then on.
async fn open(
    client: &Client<'_>,
    opening: serde_json::Value,
) -> (Answer, Option<[(&'static str, String); 2]>) {
    let (host, _) = client.identity();
    let headers = [("host", &*host), ("content-type", "application/json"), ("sec-fetch-site", "same-origin")];
    let answer = client.ask(Method::POST, "/api/v1/page", &headers, opening.to_string()).await;
    let cookie = answer.headers.get("set-cookie").map(|cookie| cookie.to_str().unwrap().to_owned());
    let known = cookie.map(|cookie| {
        let cookie = cookie.split(';').next().unwrap().to_owned();
        [("cookie", cookie), ("x-platools-page", answer.json()["key"].as_str().unwrap().to_owned())]
    });
    (answer, known)
}

/// How a request with these headers is answered.
async fn status(platform: &DevPlatform, more: &[(&'static str, String)]) -> u16 {
    let client = Client::new(platform);
    let (host, _) = client.identity();
    let more = more.iter().map(|(name, value)| (*name, &**value));
    let headers: Vec<(&str, &str)> = [("host", &*host)].into_iter().chain(more).collect();
    client.ask(Method::GET, "/api/v1/entities", &headers, "").await.status.as_u16()
}

#[tokio::test]
async fn a_link_opens_the_page_once_and_its_cookie_keeps_it_open() {
    let platform = DevPlatform::start().await.unwrap();
    let client = Client::new(&platform);
    let (url, key) = link(&platform);
    assert_eq!(url, platform.http_url());
    let (answer, known) = open(&client, json!({"link": key})).await;
    let cookie = answer.headers["set-cookie"].to_str().unwrap();
    let port = platform.address().port();
    assert!(cookie.starts_with(&format!("platools-dev-{port}=")), "{cookie}");
    assert!(cookie.contains("; HttpOnly; SameSite=Strict") && !cookie.contains("Secure"), "{cookie}");
    let known = known.unwrap();
    // A second tab, a reload, and a platform that was away.
    assert_eq!(status(&platform, &known).await, 200);
    platform.restart().await.unwrap();
    assert_eq!(status(&platform, &known).await, 200);
    // What a page on another port would get of it, and what a script of ours alone could send.
    assert_eq!(status(&platform, &known[..1]).await, 401);
    assert_eq!(status(&platform, &known[1..]).await, 401);
    let foreign = [&known[..], &[("origin", "http://127.0.0.1:1".to_owned())]].concat();
    assert_eq!(status(&platform, &foreign).await, 403);

    let (answer, known_again) = open(&client, json!({"link": key})).await;
    assert_eq!((answer.code(), known_again.is_none()), ((401, "link_used".to_owned()), true));
    for (opening, code) in [
        (json!({"link": ""}), "link_used"),
        (json!({"link": platform.secret().expose()}), "link_used"),
        (json!({"token": link(&platform).1}), "token_wrong"),
        (json!({"token": ""}), "token_wrong"),
    ] {
        let (answer, known) = open(&client, opening).await;
        assert_eq!((answer.code(), known.is_none()), ((401, code.to_owned()), true));
    }
    let (_, by_token) = open(&client, json!({"token": platform.api_token().expose()})).await;
    assert_eq!(by_token.unwrap(), known);
    let token = client.get("/api/v1/token").await.json();
    assert_eq!(token["token"], platform.api_token().expose());

    // Another run knows neither the page nor the links.
    let next = DevPlatform::options().api_token(platform.api_token().clone()).start().await.unwrap();
    let renamed = known[0].1.replace(&port.to_string(), &next.address().port().to_string());
    assert_eq!(status(&next, &[("cookie", renamed), known[1].clone()]).await, 401);
    let (answer, _) = open(&Client::new(&next), json!({"link": link(&platform).1})).await;
    assert_eq!(answer.code(), (401, "link_used".to_owned()));
}

#[tokio::test]
async fn without_the_http_side_there_is_nothing_but_the_socket() {
    let platform = DevPlatform::options().http(false).start().await.unwrap();
    let mut host = RawHost::with_tools(&platform, &["add"]).await;
    let client = Client::new(&platform);
    let (name, token) = client.identity();
    for path in ["/", "/api/v1/health", "/assets/style.css"] {
        let headers = [("host", &*name), ("authorization", &*token)];
        let answer = client.ask(Method::GET, path, &headers, "").await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
    }
    let (report, ()) = tokio::join!(platform.call("add", json!({})), async {
        let call = host.next_call().await;
        host.answer(&call, json!(1)).await;
    });
    assert_eq!(report.unwrap().into_result().unwrap(), json!(1));
    assert!(platform.history(10).is_empty());
}

#[tokio::test]
async fn a_request_at_the_path_of_the_socket_is_told_what_is_there() {
    let platform = DevPlatform::start().await.unwrap();
    let client = Client::new(&platform);
    let answer = client.get("/tools/sync").await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert!(answer.text.contains("tool hosts connect here"), "{}", answer.text);
    assert!(RawHost::dial(&format!("ws://{}/api/v1/events", platform.address()), &[]).await.is_err());
    let answer = client.get("/api/v1/nothing").await;
    assert_eq!(answer.code(), (404, "no_such_path".to_owned()));
}
