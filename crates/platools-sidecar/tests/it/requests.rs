//! `[[tool.http]]` against servers that behave, and servers that do not.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::backend::{Backend, json_answer};
use crate::sidecar::{call, local};

fn tool(url: &str, keys: &str) -> String {
    format!("[[tool.http]]\nname = \"t\"\ndescription = \"d\"\nurl = \"{url}\"\n{keys}\n")
}

#[tokio::test]
async fn arguments_go_where_the_file_puts_them() {
    let backend = Backend::echo().await;
    let url = format!("{}/orders/{{id}}?fixed=a%20b", backend.url);
    let host = local(&tool(
        &url,
        "method = \"POST\"\nquery.limit = \"{limit}\"\nheaders.x-tag = \"t-{tag}\"\nheaders.x-key = \"k\"\n\
         arguments.id = { type = \"string\" }\narguments.limit = { type = \"integer\", default = 5 }\n\
         arguments.tag = { type = \"string\", optional = true }\narguments.sku = { type = \"string\", optional = true }",
    ))
    .await;
    let answer = call(&host, "t", json!({"id": "a/b", "tag": "x", "sku": "s"})).await.unwrap();
    assert_eq!(
        answer,
        json!({"method": "POST", "target": "/orders/a%2Fb?fixed=a%20b&limit=5", "body": "{\"sku\":\"s\"}"})
    );
    let came = &backend.came()[0];
    assert_eq!((came.headers["x-tag"].as_str(), came.headers["x-key"].as_str()), ("t-x", "k"));
    assert_eq!(came.headers["content-type"], "application/json");
    let answer = call(&host, "t", json!({"id": "1", "limit": "x", "idd": 1})).await.unwrap_err();
    assert_eq!(
        answer,
        "invalid arguments: `limit`: expected an integer, got the string \"x\"; `idd` is not an argument, did you mean \
         `id`?"
    );
    assert_eq!(backend.came().len(), 1, "what is refused is not sent");
}

#[tokio::test]
async fn no_argument_leaves_its_place_in_the_path() {
    let backend = Backend::echo().await;
    let host = local(&tool(&format!("{}/orders/{{id}}/lines", backend.url), "")).await;
    for evil in [
        "../admin",
        "..",
        ".",
        "",
        "a/../../b",
        "..\\admin",
        "%2e%2e%2fadmin",
        "..;/admin",
        "a\r\nX: y",
        "a\0b",
        "%252e%252e%252fadmin",
    ] {
        let error = call(&host, "t", json!({"id": evil})).await.unwrap_err();
        assert!(error.starts_with("invalid arguments: `id`: it is part of a path"), "{evil:?}: {error}");
    }
    assert!(backend.came().is_empty());
    for (odd, target) in [
        ("x@evil.example", "/orders/x%40evil.example/lines"),
        ("http://evil.example/", "/orders/http%3A%2F%2Fevil.example%2F/lines"),
        ("//evil.example", "/orders/%2F%2Fevil.example/lines"),
        ("%2f", "/orders/%252f/lines"),
        ("a?b#c", "/orders/a%3Fb%23c/lines"),
        ("a;b", "/orders/a%3Bb/lines"),
        ("é", "/orders/%C3%A9/lines"),
    ] {
        let answer = call(&host, "t", json!({"id": odd})).await.unwrap();
        assert_eq!(answer["target"], target);
    }
}

#[tokio::test]
async fn redirects_are_followed_on_the_same_server_and_nowhere_else() {
    let other = Backend::echo().await;
    let elsewhere = other.url.clone();
    let backend = Backend::start(move |came| {
        let to = match came.target.as_str() {
            "/same" => "/there".to_owned(),
            "/loop" => "/loop".to_owned(),
            "/elsewhere" => format!("{elsewhere}/stolen"),
            "/metadata" => "http://169.254.169.254/latest".to_owned(),
            "/scheme" => "file:///etc/passwd".to_owned(),
            _ => return Some(json_answer(200, &came.echo())),
        };
        Some(format!("HTTP/1.1 302 Found\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n").into_bytes())
    })
    .await;
    let host = local(&tool(&format!("{}/{{to}}", backend.url), "bearer = \"s3cret\"")).await;
    assert_eq!(call(&host, "t", json!({"to": "same"})).await.unwrap()["target"], "/there");
    for (to, part) in [
        ("loop", "redirected more than 5 times"),
        ("elsewhere", "redirected to another server (127.0.0.1), which is not followed"),
        ("metadata", "redirected to another server (169.254.169.254)"),
        ("scheme", "redirected to another server"),
    ] {
        let error = call(&host, "t", json!({"to": to})).await.unwrap_err();
        assert!(error.contains(part), "{to}: {error}");
    }
    assert!(other.came().is_empty(), "neither the request nor the secret got there");
    let posting = local(&tool(&format!("{}/{{to}}", backend.url), "method = \"POST\"")).await;
    let error = call(&posting, "t", json!({"to": "same"})).await.unwrap_err();
    assert!(error.contains("redirected a POST"), "{error}");
}

#[tokio::test]
async fn what_is_too_much_never_ends_or_is_no_json_is_said() {
    let backend = Backend::start(|came| {
        let ok = "HTTP/1.1 200 OK\r\n";
        let text = match came.target.as_str() {
            "/announced" => format!("{ok}content-length: 1000000000\r\n\r\n"),
            "/endless" => format!("{ok}x-test: endless\r\n\r\n"),
            "/html" => format!("{ok}content-type: text/html\r\ncontent-length: 6\r\n\r\n<html>"),
            "/cut" => format!("{ok}content-length: 10\r\n\r\nabc"),
            "/nonsense" => "SSH-2.0-OpenSSH_9.2\r\n\r\n".to_owned(),
            "/hang" => format!("{ok}x-test: hang\r\ncontent-length: 5\r\n\r\nabc"),
            _ => return None,
        };
        Some(text.into_bytes())
    })
    .await;
    let keys = "max_response = \"64 KiB\"\ntimeout = \"700ms\"\nretries = 0\nresponse = \"json\"";
    let host = local(&tool(&format!("{}/{{what}}", backend.url), keys)).await;
    for (what, part) in [
        ("announced", "the backend answered with more than 65536 bytes"),
        ("endless", "the backend answered with more than 65536 bytes"),
        ("html", "the backend answered with 6 bytes of text/html that are not JSON"),
        ("nonsense", "the backend did not answer: the connection broke"),
        ("closed", "the backend did not answer: the connection broke"),
        ("hang", "timed out after 700 ms"),
    ] {
        let error = call(&host, "t", json!({"what": what})).await.unwrap_err();
        assert!(error.contains(part), "{what}: {error}");
    }
}

#[tokio::test]
async fn errors_of_a_backend_are_told_and_its_stack_traces_are_not() {
    let backend = Backend::start(|came| {
        let status = came.target.trim_start_matches('/').parse().unwrap();
        Some(json_answer(status, &json!({"detail": "at Foo.java:12"})))
    })
    .await;
    let host = local(&tool(&format!("{}/{{status}}", backend.url), "retries = 0")).await;
    let error = call(&host, "t", json!({"status": "404"})).await.unwrap_err();
    assert_eq!(error, "the backend answered 404 Not Found: {\"detail\":\"at Foo.java:12\"}");
    let error = call(&host, "t", json!({"status": "500"})).await.unwrap_err();
    assert_eq!(error, "the backend answered 500 Internal Server Error");
}

#[tokio::test]
async fn only_what_may_be_repeated_is_tried_again() {
    let count = std::sync::Arc::new(AtomicUsize::new(0));
    let counted = std::sync::Arc::clone(&count);
    let backend = Backend::start(move |came| match counted.fetch_add(1, Ordering::SeqCst) % 3 {
        0 => Some(json_answer(503, &json!("not yet"))),
        1 => None,
        _ => Some(json_answer(200, &came.echo())),
    })
    .await;
    let get = local(&tool(&backend.url, "")).await;
    assert_eq!(call(&get, "t", json!({})).await.unwrap()["method"], "GET");
    assert_eq!(count.load(Ordering::SeqCst), 3);
    let post = local(&tool(&backend.url, "method = \"POST\"")).await;
    let error = call(&post, "t", json!({})).await.unwrap_err();
    assert!(error.contains("503") && count.load(Ordering::SeqCst) == 4, "{error}");
    let error = call(&post, "t", json!({})).await.unwrap_err();
    assert!(error.contains("the connection broke") && count.load(Ordering::SeqCst) == 5, "{error}");
    let none = local(&tool(&backend.url, "retries = 0")).await;
    count.store(0, Ordering::SeqCst);
    assert!(call(&none, "t", json!({})).await.is_err());
    assert_eq!(count.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_backend_that_is_gone_is_said_and_one_that_is_back_is_asked() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let host = local(&tool(&format!("http://{address}"), "retries = 0")).await;
    let error = call(&host, "t", json!({})).await.unwrap_err();
    assert_eq!(error, "the backend cannot be reached at the moment: try again later");
    let _backend = Backend::start_on(&address, |came| Some(json_answer(200, &came.echo()))).await;
    assert_eq!(call(&host, "t", json!({})).await.unwrap()["method"], "GET");
}

#[tokio::test]
async fn parts_are_picked_and_bodies_are_written_as_the_file_says() {
    let backend = Backend::echo().await;
    let keys = "method = \"PUT\"\npick = \"/body\"\nbody.json = { order = { id = \"{id}\", n = \"{n}\" }, fixed = [1, \"x-{id}\"] }\n\
                arguments.id = { type = \"string\" }\narguments.n = { type = \"integer\", optional = true }";
    let host = local(&tool(&backend.url, keys)).await;
    let body: Value = call(&host, "t", json!({"id": "a", "n": 3})).await.unwrap();
    let body: Value = serde_json::from_str(body.as_str().unwrap()).unwrap();
    assert_eq!(body, json!({"order": {"id": "a", "n": 3}, "fixed": [1, "x-a"]}));
}

#[tokio::test]
async fn a_secret_of_the_query_is_looked_up_and_sent() {
    let folder = crate::sidecar::Folder::new();
    let key = folder.write("key", "k&{y}\n");
    let backend = Backend::echo().await;
    let host = local(&tool(&backend.url, &format!("query.api_key = \"file:{}\"", key.display()))).await;
    assert_eq!(call(&host, "t", json!({})).await.unwrap()["target"], "/?api_key=k%26%7By%7D");
}
