//! `[[openapi]]`: documents whose operations become tools.

use std::path::PathBuf;

use serde_json::{Map, json};
#[cfg(target_os = "linux")]
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

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
async fn fields_that_nothing_names_are_refused_at_every_depth_unless_the_document_or_the_file_takes_them() {
    let backend = Backend::echo().await;
    let folder = Folder::new();
    let address = json!({"type": "object", "properties": {"city": {"type": "string"}}});
    let owner = json!({"allOf": [
        {"$ref": "#/components/schemas/Party"}, {"properties": {"address": address}},
    ]});
    let body = json!({"type": "object", "properties": {
        "owner": owner,
        "seller": {"$ref": "#/components/schemas/Party"},
        "vaccine": {"$ref": "#/components/schemas/Vaccine"},
        "notes": {"type": "object", "properties": {"a": {}}, "additionalProperties": {"type": "string"}},
        "free": {"type": "object"},
    }});
    let operation =
        json!({"operationId": "add", "requestBody": {"content": {"application/json": {"schema": body}}}});
    let schemas = json!({
        "Party": {"type": "object", "properties": {"name": {"type": "string"}}},
        // What is built on it has more.
        "Vaccine": {"properties": {"kind": {"type": "string"}}, "discriminator": {"propertyName": "kind"}},
    });
    let document =
        json!({"openapi": "3.1.0", "paths": {"/p": {"post": operation}}, "components": {"schemas": schemas}});
    folder.write("pets.json", document.to_string());
    let tools = async |keys: &str| {
        let text = format!(
            "[backend.pets]\nurl = \"{}\"\n[[openapi]]\nname = \"pets\"\ndocument = \"pets.json\"\nbackend = \"pets\"\n\
             {keys}[[tool.http]]\nname = \"own\"\nurl = \"{}/\"\nmethod = \"POST\"\n\
             arguments.at = {{ type = \"object\", properties.city.type = \"string\" }}\n",
            backend.url, backend.url
        );
        platools_sidecar::local(&folder.write("platools.toml", text)).await.unwrap().host().clone()
    };
    let host = tools("").await;
    let good = json!({
        "owner": {"name": "Ann", "address": {"city": "Rome"}}, "seller": {"name": "Bob"},
        "vaccine": {"kind": "x", "dose": 3}, "notes": {"b": "c"}, "free": {"b": {"c": 1}},
    });
    call(&host, "add", good.clone()).await.unwrap();
    for (place, refused) in [
        ("/owner", "`owner.nmae` is not expected there"),
        ("/owner/address", "`owner.address.nmae` is not expected there"),
        ("/seller", "`seller.nmae` is not expected there"),
    ] {
        let mut bad = good.clone();
        bad.pointer_mut(place).unwrap()["nmae"] = "x".into();
        let error = call(&host, "add", bad.clone()).await.unwrap_err();
        assert!(error.contains(refused), "{error}");
        call(&tools("unknown_fields = true\n").await, "add", bad).await.unwrap();
    }
    let error = call(&host, "own", json!({"at": {"city": "Rome", "citty": 1}})).await.unwrap_err();
    assert!(error.contains("`at.citty` is not expected there, did you mean `city`?"), "{error}");
    call(&host, "own", json!({"at": {"city": "Rome"}})).await.unwrap();
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

/// A document whose operations all have one schema of 45 KB, written to `folder`, and a file that makes tools of it.
fn amplified(folder: &Folder, operations: usize, keys: &str) -> PathBuf {
    let described = "what this is, and how it is written ".repeat(3);
    let properties = (0..300).map(|number| {
        (format!("property_{number}"), json!({"type": ["string", "null"], "description": described}))
    });
    let big = json!({"type": "object", "properties": properties.collect::<Map<_, _>>()});
    let content = json!({"content": {"application/json": {"schema": {"$ref": "#/big"}}}});
    let path = |number: usize| {
        (
            format!("/do/{number}"),
            json!({"post": {"operationId": format!("do_{number}"), "requestBody": content}}),
        )
    };
    let paths: Map<_, _> = (0..operations).map(path).collect();
    folder.write("many.json", json!({"openapi": "3.1.0", "paths": paths, "big": big}).to_string());
    let text = "[backend.b]\nurl = \"http://127.0.0.1:1\"\n[[openapi]]\nname = \"many\"\nbackend = \"b\"\n";
    folder.write("platools.toml", format!("{text}document = \"many.json\"\n{keys}"))
}

#[tokio::test]
async fn a_document_that_asks_for_more_than_its_budget_is_refused() {
    let folder = Folder::new();
    let file = amplified(&folder, 300, "max_tools = 200");
    let error = platools_sidecar::check(&file).await.unwrap_err().problems[0].to_string();
    assert!(error.contains("300 operations are more than `max_tools` allows (200)"), "{error}");
    let file = amplified(&folder, 300, "");
    let error = platools_sidecar::check(&file).await.unwrap_err().problems[0].to_string();
    assert!(error.contains("`max_bytes` allows 10485760"), "{error}");
    let file = amplified(&folder, 300, "max_bytes = \"20 MiB\"\nmax_tools = 300");
    assert_eq!(platools_sidecar::check(&file).await.unwrap().tools.len(), 300);
}

/// Without shared schemas and validators, this takes more than 1 GB.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_thousand_operations_on_one_schema_fit_into_little_memory() {
    let folder = Folder::new();
    let file = amplified(&folder, 1_000, "max_bytes = \"1024 MiB\"");
    let mut server = crate::sidecar::server(&file, &folder);
    let pid = server.id().unwrap();
    let (mut input, output) = (server.stdin.take().unwrap(), BufReader::new(server.stdout.take().unwrap()));
    let hello = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}});
    input.write_all(format!("{hello}\n").as_bytes()).await.unwrap();
    let mut lines = output.lines();
    let answered =
        async { while !lines.next_line().await.unwrap().expect("it answers").contains("serverInfo") {} };
    tokio::time::timeout(crate::sidecar::GUARD, answered).await.expect("it starts");
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"));
    let peak: u64 = peak.unwrap().trim().parse().unwrap();
    println!("peak: {} MiB", peak >> 10);
    assert!(peak < 192 << 10, "the process took {} MiB", peak >> 10);
    drop(input);
    tokio::time::timeout(crate::sidecar::GUARD, server.wait()).await.expect("it ends").unwrap();
}
