//! Bodies of OpenAPI operations: forms with files, and fields as their `encoding` says; read by another's parser.

use axum::extract::{DefaultBodyLimit, Multipart};
use axum::routing::post;
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use platools::LocalHost;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::backend::Backend;
use crate::sidecar::{Folder, call};

/// What a form has in it, part by part.
async fn parts(mut form: Multipart) -> Json<Value> {
    let mut parts = Vec::new();
    while let Some(field) = form.next_field().await.unwrap() {
        let headers = field.headers().clone();
        let part = json!({
            "name": field.name(),
            "file": field.file_name(),
            "type": field.content_type(),
            "tag": headers.get("x-tag").map(|tag| tag.to_str().unwrap()),
            "bytes": STANDARD.encode(field.bytes().await.unwrap()),
        });
        parts.push(part);
    }
    Json(parts.into())
}

/// A server that reads forms.
async fn server() -> String {
    let router = Router::new().route("/form", post(parts)).layer(DefaultBodyLimit::max(64 << 20));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

/// The tool `send` of a document with this request body.
async fn with(url: &str, version: &str, body: Value, more: &str) -> (LocalHost, Vec<String>) {
    let document = json!({
        "openapi": version, "info": {"title": "t", "version": "1"},
        "paths": {"/form": {"post": {"operationId": "send", "summary": "Send it", "requestBody": body}}},
        "components": {
            "schemas": {"Picture": {"type": "string", "format": "binary", "description": "A portrait."}},
            "headers": {"Tag": {"schema": {"const": "v1"}}},
        },
    });
    let folder = Folder::new();
    folder.write("document.json", document.to_string());
    let text = format!(
        "[backend.b]\nurl = \"{url}\"\n{more}[[openapi]]\nname = \"o\"\ndocument = \"document.json\"\nbackend = \"b\"\n"
    );
    let file = folder.write("platools.toml", text);
    let report = platools_sidecar::check(&file).await.unwrap();
    let warnings = report.warnings.iter().map(ToString::to_string).collect();
    (platools_sidecar::local(&file).await.unwrap().host().clone(), warnings)
}

fn schema(host: &LocalHost) -> Value {
    Value::clone(&host.tools().list()[0].spec().input_schema)
}

fn part(name: &str, file: Option<&str>, kind: Option<&str>, bytes: &[u8]) -> Value {
    json!({"name": name, "file": file, "type": kind, "tag": null, "bytes": STANDARD.encode(bytes)})
}

#[tokio::test]
async fn files_and_fields_arrive_as_they_were_given() {
    let body = json!({"required": true, "content": {"multipart/form-data": {
        "schema": {"type": "object", "required": ["picture"], "properties": {
            "title": {"type": "string"},
            "pages": {"type": "integer"},
            "labels": {"type": "array", "items": {"type": "string"}},
            "author": {"type": "object", "properties": {"name": {"type": "string"}}},
            "picture": {"$ref": "#/components/schemas/Picture"},
            "others": {"type": "array", "maxItems": 3, "items": {"type": "string", "format": "binary"}},
            "signed": {"type": "string", "contentEncoding": "base64"},
        }},
        "encoding": {
            "picture": {"contentType": "image/png, image/jpeg", "headers": {
                "X-Tag": {"$ref": "#/components/headers/Tag"}, "X-Free": {"schema": {"type": "string"}}}},
            "nothing": {"contentType": "text/plain"},
        },
    }}});
    let (host, warnings) = with(&server().await, "3.1.0", body, "max_response = \"16 MiB\"\n").await;
    let properties = schema(&host)["properties"].clone();
    let file = json!({"type": "string", "contentEncoding": "base64"});
    assert_eq!(properties["picture"]["contentEncoding"], file["contentEncoding"]);
    assert_eq!(properties["picture"]["description"], "A portrait. A file, as base64.");
    assert_eq!(
        properties["others"],
        json!({"type": "array", "items": file, "description": "Files, each as base64.", "maxItems": 3})
    );
    assert_eq!(properties["picture_filename"]["type"], "string");
    assert!(properties.get("others_filename").is_none() && schema(&host)["required"] == json!(["picture"]));
    for part in ["`nothing`", "X-Free: the header has no value that is always the same"] {
        assert!(
            warnings.iter().any(|warning| warning.replace('`', "").contains(&part.replace('`', ""))),
            "{part} in {warnings:#?}"
        );
    }

    // Every byte there is, what looks like the end of a part, and a name that tries to be more.
    let bytes: Vec<u8> = (0..=255).chain(*b"\r\n--platools-\r\n\r\n").collect();
    let name = "a\"; filename=\"b\r\nX-Evil: 1.png";
    let sent = call(
        &host,
        "send",
        json!({
            "title": "né & \"x\"\r\n--", "pages": 3, "labels": ["a", "b,c"], "author": {"name": "Ada"},
            "picture": STANDARD.encode(&bytes), "picture_filename": name,
            "others": ["data:image/webp;base64,AQI=", "AwQ"], "signed": "AQI=",
        }),
    )
    .await
    .unwrap();
    let mut picture =
        part("picture", Some("a%22; filename=%22b%0D%0AX-Evil: 1.png"), Some("image/png"), &bytes);
    picture["tag"] = "v1".into();
    assert_eq!(
        sent,
        json!([
            part("title", None, None, "né & \"x\"\r\n--".as_bytes()),
            part("pages", None, None, b"3"),
            part("labels", None, None, b"a"),
            part("labels", None, None, b"b,c"),
            part("author", None, Some("application/json"), b"{\"name\":\"Ada\"}"),
            picture,
            part("others", Some("others"), Some("image/webp"), &[1, 2]),
            part("others", Some("others"), Some("application/octet-stream"), &[3, 4]),
            part("signed", None, None, b"AQI="),
        ])
    );
    let error = call(&host, "send", json!({"picture": "not base64!"})).await.unwrap_err();
    assert_eq!(error, "invalid arguments: `picture` is a file, and what is given is no base64");
    let error = call(&host, "send", json!({"title": "x"})).await.unwrap_err();
    assert!(error.contains("`picture` is missing"), "{error}");
    let sent = call(&host, "send", json!({"picture": "", "picture_filename": ""})).await.unwrap();
    let mut empty = part("picture", Some("picture"), Some("image/png"), b"");
    empty["tag"] = "v1".into();
    assert_eq!(sent, json!([empty]));
    let large = STANDARD.encode(vec![7_u8; 5 << 20]);
    let sent = call(&host, "send", json!({"picture": large})).await.unwrap();
    assert!(sent[0]["bytes"] == large.as_str(), "five megabytes arrive");
}

#[tokio::test]
async fn styles_of_a_form_with_parts_are_followed() {
    let properties = json!({
        "joined": {"type": "array", "items": {"type": "string"}}, "piped": {"type": "array", "items": {"type": "string"}},
        "deep": {"type": "object"}, "whole": {"type": "array", "items": {"type": "integer"}}, "text": {"type": "object"},
    });
    let body = json!({"required": true, "content": {"multipart/form-data": {
        "schema": {"type": "object", "properties": properties},
        "encoding": {
            "joined": {"style": "form", "explode": false}, "piped": {"style": "pipeDelimited"},
            "deep": {"style": "deepObject"}, "whole": {"contentType": "application/json"},
            "text": {"explode": false},
        },
    }}});
    let (host, warnings) = with(&server().await, "3.1.0", body, "").await;
    assert!(!warnings.iter().any(|warning| warning.contains("document")), "{warnings:?}");
    let sent = call(
        &host,
        "send",
        json!({
            "joined": ["a", "b c"], "piped": ["a", "b"], "deep": {"x": 1, "y": null}, "whole": [1, 2], "text": {"k": "v"},
        }),
    );
    assert_eq!(
        sent.await.unwrap(),
        json!([
            part("joined", None, None, b"a,b c"),
            part("piped", None, None, b"a|b"),
            part("deep[x]", None, None, b"1"),
            part("whole", None, Some("application/json"), b"[1,2]"),
            part("text", None, None, b"k,v"),
        ])
    );
}

#[tokio::test]
async fn a_body_that_may_be_left_out_stands_flat_and_one_that_is_no_plain_object_is_one_argument() {
    let url = server().await;
    for (version, schema_of_it) in [
        (
            "3.0.3",
            json!({"type": "object", "required": ["file"], "properties": {"file": {"type": "string", "format": "binary"}}}),
        ),
        (
            "3.1.0",
            json!({"type": "object", "additionalProperties": true,
            "properties": {"file": {"anyOf": [{"type": "string", "contentMediaType": "application/pdf"}, {"type": "null"}]}}}),
        ),
    ] {
        let body = json!({"content": {"multipart/form-data": {"schema": schema_of_it}}});
        let (host, _) = with(&url, version, body, "").await;
        let is_flat = version == "3.0.3";
        let properties = &schema(&host)["properties"];
        let file = if is_flat { &properties["file"] } else { &properties["body"]["properties"]["file"] };
        assert_eq!(file["contentEncoding"], "base64", "{version}: {file}");
        let kind = if is_flat { "application/octet-stream" } else { "application/pdf" };
        let parts = json!({"file": "AQI="});
        let arguments = if is_flat { parts } else { json!({ "body": parts }) };
        let sent = call(&host, "send", arguments).await.unwrap();
        assert_eq!(sent, json!([part("file", Some("file"), Some(kind), &[1, 2])]));
    }
}

#[tokio::test]
async fn fields_of_an_urlencoded_form_are_written_as_their_encoding_says() {
    let backend = Backend::echo().await;
    let list = json!({"type": "array", "items": {"type": "string"}});
    let body = json!({"required": true, "content": {"application/x-www-form-urlencoded": {
        "schema": {"type": "object", "properties": {
            "plain": list, "spaced": list, "piped": list, "comma": list, "json": list, "deep": {"type": "object"},
            "usual": {"type": "object"}, "spread": {"type": "object"},
        }},
        "encoding": {
            "spaced": {"style": "spaceDelimited"}, "piped": {"style": "pipeDelimited", "explode": false},
            "comma": {"explode": false}, "json": {"contentType": "application/json"}, "deep": {"style": "deepObject"},
            "spread": {"style": "form"}, "usual": {"style": "matrix"},
        },
    }}});
    let (host, warnings) = with(&backend.url, "3.0.3", body, "sign = \"a-key-of-the-sidecar-alone\"\n").await;
    assert!(
        warnings.iter().any(|warning| warning.contains("`style` cannot be `matrix` in a form")),
        "{warnings:?}"
    );
    let sent = call(&host, "send", json!({
        "plain": ["a", "b&c"], "spaced": ["a", "b"], "piped": ["a", "b"], "comma": ["a", "b,c"], "json": ["a"],
        "deep": {"x": {"y": 1}}, "usual": {"k": "v"}, "spread": {"s": "t u"},
    }))
    .await
    .unwrap();
    let text = sent["body"].as_str().unwrap();
    let read: Vec<(String, String)> = url::form_urlencoded::parse(text.as_bytes()).into_owned().collect();
    let read: Vec<(&str, &str)> = read.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(
        read,
        [
            ("plain", "a"),
            ("plain", "b&c"),
            ("spaced", "a b"),
            ("piped", "a|b"),
            ("comma", "a,b,c"),
            ("json", "[\"a\"]"),
            ("deep[x][y]", "1"),
            ("usual", "{\"k\":\"v\"}"),
            ("s", "t u"),
        ]
    );
    assert!(crate::identity::verifies(&backend.came()[0], "a-key-of-the-sidecar-alone"));
}

#[tokio::test]
async fn a_body_that_is_a_file_is_sent_as_its_bytes_and_signed() {
    let backend = Backend::echo().await;
    let body = json!({"required": true, "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}});
    let (host, _) = with(&backend.url, "3.0.3", body, "sign = \"a-key-of-the-sidecar-alone\"\n").await;
    assert_eq!(schema(&host)["properties"]["body"]["contentEncoding"], "base64");
    let sent = call(&host, "send", json!({"body": STANDARD.encode("bytes, né")})).await.unwrap();
    assert_eq!(sent["body"], "bytes, né");
    assert_eq!(backend.came()[0].headers["content-type"], "application/octet-stream");
    assert!(crate::identity::verifies(&backend.came()[0], "a-key-of-the-sidecar-alone"));
    let error = call(&host, "send", json!({"body": "*"})).await.unwrap_err();
    assert_eq!(error, "invalid arguments: the body is a file: give it as base64");
}
