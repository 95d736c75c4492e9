//! `[[openapi]]`: documents whose operations become tools.

use serde_json::json;

use crate::backend::Backend;
use crate::sidecar::{Folder, call, problems};

const DOCUMENT: &str = r"
openapi: 3.0.3
info: {title: Pets, version: '1'}
paths:
  /pets/{petId}:
    get:
      operationId: getPet
      summary: Look up a pet
      tags: [pets]
      parameters:
        - {name: petId, in: path, required: true, schema: {type: integer}}
        - {name: X-Platos-User-Id, in: header, schema: {type: string}}
        - {name: Authorization, in: header, schema: {type: string}}
    delete: {operationId: deletePet, summary: Remove a pet, tags: [admin], parameters: [{name: petId, in: path, required: true, schema: {type: integer}}], responses: {}}
  /pets:
    post:
      operationId: addPet
      summary: Add a pet
      tags: [pets]
      requestBody: {required: true, content: {application/json: {schema: {type: object, required: [name], properties: {name: {type: string}}}}}}
";

#[tokio::test]
async fn operations_are_called_with_the_backends_headers_and_not_with_the_agents() {
    let backend = Backend::echo().await;
    let folder = Folder::new();
    folder.write("pets.yaml", DOCUMENT);
    let file = folder.write(
        "platools.toml",
        format!(
            "[backend.pets]\nurl = \"{}/v1\"\nbearer = \"the-backends-token\"\nsign = \"a-key-of-the-sidecar-alone\"\n\
             [[openapi]]\nname = \"pets\"\ndocument = \"pets.yaml\"\nbackend = \"pets\"\ntags = [\"pets\"]\nprefix = \"pets_\"\n",
            backend.url
        ),
    );
    let report = platools_sidecar::check(&file).await.unwrap();
    let names: Vec<&str> = report.tools.iter().map(|tool| tool.name.as_str()).collect();
    assert_eq!(names, ["pets_addPet", "pets_getPet"]);
    let host = platools_sidecar::local(&file).await.unwrap().host().clone();
    call(&host, "pets_getPet", json!({"petId": 7})).await.unwrap();
    let evil = json!({"petId": 7, "X-Platos-User-Id": "root", "Authorization": "Bearer mine"});
    let _ = call(&host, "pets_getPet", evil).await;
    for came in backend.came() {
        assert_eq!(came.target, "/v1/pets/7");
        assert_eq!(came.headers["authorization"], "Bearer the-backends-token");
        assert!(!came.headers.contains_key("x-platos-user-id"), "{came:?}");
    }
    let added = call(&host, "pets_addPet", json!({"name": "Rex"})).await.unwrap();
    assert_eq!(added, json!({"method": "POST", "target": "/v1/pets", "body": "{\"name\":\"Rex\"}"}));
    let error = call(&host, "pets_getPet", json!({"petId": "../7"})).await.unwrap_err();
    assert!(error.contains("`petId`: expected an integer"), "{error}");
}

#[tokio::test]
async fn a_document_is_fetched_from_a_server_and_problems_with_it_have_their_line() {
    let server = Backend::start(|came| {
        let (status, body) = if came.target == "/pets.yaml" { (200, DOCUMENT) } else { (404, "") };
        let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n", body.len());
        Some([head.as_bytes(), body.as_bytes()].concat())
    })
    .await;
    let text = |document: &str| {
        format!(
            "[backend.pets]\nurl = \"http://127.0.0.1:1\"\n[[openapi]]\nname = \"pets\"\nbackend = \"pets\"\ndocument = \"{document}\""
        )
    };
    assert_eq!(problems(&text(&format!("{}/pets.yaml", server.url))).await, [""; 0]);
    for (document, part) in [
        (format!("{}/absent", server.url), "the server answered 404"),
        ("http://127.0.0.1:1/x".to_owned(), "cannot be fetched"),
        ("http://169.254.169.254/x".to_owned(), "link-local or metadata"),
        ("/no/such.yaml".to_owned(), "cannot be read"),
        ("/etc/hostname".to_owned(), "OpenAPI"),
    ] {
        let found = problems(&text(&document)).await;
        assert!(found[0].starts_with("line 6: ") && found[0].contains(part), "{part:?} in {found:?}");
    }
    let unknown = "[[openapi]]\nname = \"pets\"\ndocument = \"x\"\nbackend = \"pets\"";
    let found = problems(unknown).await;
    assert!(found.iter().any(|problem| problem.contains("there is no backend `pets`")), "{found:?}");
}
