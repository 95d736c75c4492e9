//! `[[openapi]]`: documents whose operations become tools.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use platools_dev::DevPlatform;
use rustix::process::Signal;
use serde_json::{Map, Value, json};
#[cfg(target_os = "linux")]
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

use crate::backend::{Backend, client};
use crate::mcp::has;
use crate::sidecar::{Folder, Running, call, entity, problems};

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

/// What a server of documents has at the moment: an entity tag, and the ids of the operations; `None` while it fails.
type Served = Arc<Mutex<Option<(&'static str, Vec<&'static str>)>>>;

/// A server with a document, for those who have the token. It tells documents apart by their tag.
async fn documents() -> (Backend, Served) {
    let content = Served::default();
    let now = Arc::clone(&content);
    let server = Backend::start(move |came| {
        let answer = |status: u16, head: String, body: String| {
            let length = body.len();
            Some(format!("HTTP/1.1 {status} X\r\n{head}content-length: {length}\r\n\r\n{body}").into_bytes())
        };
        let content = now.lock().unwrap().clone();
        let Some((tag, ids)) = content else { return answer(503, String::new(), String::new()) };
        if came.headers.get("authorization").is_none_or(|given| given != "Bearer for-the-document") {
            return answer(401, String::new(), String::new());
        }
        let head = format!("etag: \"{tag}\"\r\n");
        if came.headers.get("if-none-match").is_some_and(|known| *known == format!("\"{tag}\"")) {
            return answer(304, head, String::new());
        }
        if ids.is_empty() {
            return answer(200, head, "<html>under maintenance</html>".to_owned());
        }
        let paths =
            ids.iter().map(|id| (format!("/{id}"), json!({"get": {"operationId": id, "tags": [id]}})));
        let paths: Map<_, _> = paths.collect();
        answer(200, head, json!({"openapi": "3.1.0", "paths": paths}).to_string())
    });
    (server.await, content)
}

/// How often it was asked, and how often it said that the document is the one that is known.
fn asked(server: &Backend, tag: &str) -> (usize, usize) {
    let came = server.came();
    let known = format!("\"{tag}\"");
    (came.len(), came.iter().filter(|came| came.headers.get("if-none-match") == Some(&known)).count())
}

/// Waits until the sidecar has exactly these tools. The platform hears of them some seconds later.
async fn tools_are(admin: &str, names: &[&str]) {
    let are = async {
        loop {
            let answer = client().get(format!("http://{admin}/tools")).send().await.unwrap();
            let shown: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
            let mut found: Vec<_> = shown.as_array().unwrap().iter().map(|tool| &tool["name"]).collect();
            found.sort_by_key(ToString::to_string);
            if found == names {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    let are = tokio::time::timeout(crate::sidecar::GUARD, are).await;
    assert!(are.is_ok(), "the tools are never {names:?}");
}

/// What the admin listener says of the document, once it is in a state.
async fn document_that_is(admin: &str, state: &str) -> Value {
    let shown = async {
        loop {
            let answer = client().get(format!("http://{admin}/state")).send().await.unwrap();
            let shown: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
            if shown["documents"][0]["state"] == state {
                return shown["documents"][0].clone();
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(crate::sidecar::GUARD, shown).await.expect("it gets there")
}

fn of_server(server: &Backend, admin: &str, more: &str) -> String {
    format!(
        "[backend.b]\nurl = \"http://127.0.0.1:1\"\n[[openapi]]\nname = \"remote\"\nbackend = \"b\"\n\
         document = \"{}/openapi.json\"\nbearer = \"file:token\"\nrefresh = \"300ms\"\n{more}\
         [[tool.command]]\nname = \"own\"\ndescription = \"d\"\nprogram = \"true\"\n\
         [admin]\nlisten = \"{admin}\"\n",
        server.url
    )
}

/// An address where nothing listens.
fn free() -> String {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

#[tokio::test]
async fn a_start_does_not_depend_on_the_server_of_a_document_and_its_last_good_copy_is_used() {
    let options = DevPlatform::options().entity_with_random_secret("orders").registrations_per_minute(1_000);
    let platform = options.start().await.unwrap();
    let orders = platform.entity_in("orders", "dev").unwrap();
    let (server, content) = documents().await;
    let serve = |tag, ids: &[&'static str]| *content.lock().unwrap() = Some((tag, ids.to_vec()));
    let folder = Folder::new();
    folder.write("token", "for-the-document");
    let (head, admin) = (entity(&platform, "orders"), free());
    let write = |more: &str, sidecar: &str| {
        let text =
            format!("{head}{}[sidecar]\nstate_dir = \"state\"\n{sidecar}", of_server(&server, &admin, more));
        folder.write("platools.toml", text)
    };

    // A server that is not up is waited for by the first declaration, and by nothing else.
    let sidecar = Running::start(&write("", "mcp_wait = \"55s\"\n"), &folder, &[]);
    sidecar.says("it has no tools until it comes").await;
    sidecar.says("the server answered 503").await;
    let down = document_that_is(&admin, "down").await;
    assert_eq!((&down["name"], &down["tools"]), (&json!("remote"), &json!(0)));
    assert!(down["problem"].as_str().unwrap().contains("503"), "{down}");
    let shown = client().get(format!("http://{admin}/state")).send().await.unwrap().text().await.unwrap();
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["entities"][0]["waits_for"], json!(["remote"]));
    assert!(shown["settings"]["state_dir"].as_str().unwrap().ends_with("/state"), "{shown}");
    assert!(!orders.is_connected());
    serve("1", &["a", "b"]);
    has(&orders, &["a", "b", "own"]).await;
    assert_eq!(platform.counters().registrations, 1, "{}", sidecar.log());
    // It is asked again with the tag, and what did not change is not sent again.
    while asked(&server, "1").1 < 2 {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let up = document_that_is(&admin, "up").await;
    assert_eq!((&up["tools"], up["fetched"].is_string()), (&json!(2), true));
    // Another document is in use without anybody asking for it.
    serve("2", &["a", "c", "own"]);
    tools_are(&admin, &["a", "c", "own"]).await;
    sidecar.says("the tool `own` is there already").await;
    // One of which nothing can be made is not, nor is what a broken file says.
    serve("3", &[]);
    sidecar.says("what the server sent cannot be used").await;
    serve("4", &["a"]);
    folder.write("platools.toml", "[colour]\n");
    sidecar.says("the file is not used, everything stays as it was").await;
    tools_are(&admin, &["a", "own"]).await;
    // Another selection is taken from the copy.
    *content.lock().unwrap() = None;
    write("tags = [\"nothing\"]\n", "");
    tools_are(&admin, &["own"]).await;
    write("", "");
    tools_are(&admin, &["a", "own"]).await;
    assert!(!sidecar.log().contains("for-the-document"), "{}", sidecar.log());
    assert_eq!(sidecar.stop().await, Some(0));

    // After a restart, and with a server that is down, its tools are those of the copy.
    let file = write("", "mcp_wait = \"55s\"\n");
    let sidecar = Running::start(&file, &folder, &[]);
    sidecar.says("the tools are those of its last copy until it comes").await;
    has(&orders, &["a", "own"]).await;
    let report = platools_sidecar::check(&file).await.unwrap();
    assert_eq!(report.tools.len(), 2);
    let warnings: Vec<_> = report.warnings.iter().map(ToString::to_string).collect();
    assert!(warnings.iter().any(|text| text.contains("503") && text.contains("the copy")), "{warnings:?}");
    serve("4", &["a"]);
    let before = asked(&server, "4").1;
    while asked(&server, "4").1 == before {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    // SIGHUP asks at once, whatever the interval; a copy that was spoiled is no copy.
    folder.write("platools.toml", std::fs::read_to_string(&file).unwrap().replace("300ms", "24h"));
    sidecar.says("the file is in use as it is now").await;
    serve("5", &["a", "e"]);
    sidecar.signal(Signal::HUP);
    tools_are(&admin, &["a", "e", "own"]).await;
    assert_eq!(sidecar.stop().await, Some(0));
    for entry in std::fs::read_dir(folder.path("state")).unwrap() {
        let path = entry.unwrap().path();
        if path.display().to_string().contains("openapi-copy-") {
            std::fs::write(path, "nothing").unwrap();
        }
    }
    let sidecar = Running::start(&file, &folder, &[]);
    sidecar.says("the copy of the document in the state directory is ignored").await;
    tools_are(&admin, &["a", "e", "own"]).await;
    assert_eq!(sidecar.stop().await, Some(0));
}

#[tokio::test]
async fn a_new_section_waits_for_its_document_and_what_needs_none_is_refused() {
    let options = DevPlatform::options().entity_with_random_secret("orders").registrations_per_minute(1_000);
    let platform = options.start().await.unwrap();
    let orders = platform.entity_in("orders", "dev").unwrap();
    let (server, content) = documents().await;
    *content.lock().unwrap() = Some(("1", vec!["a", "b"]));
    let folder = Folder::new();
    folder.write("token", "wrong");
    let head = entity(&platform, "orders");
    let file = folder.write("platools.toml", format!("{head}{}", of_server(&server, &free(), "")));
    // Refused at first, and right once the secret is. Nothing is withdrawn when the URL is another one.
    let found = platools_sidecar::check(&file).await.unwrap_err().to_string();
    assert!(found.contains("401") && found.contains("`bearer` or `headers` of the section"), "{found}");
    let sidecar = Running::start(&file, &folder, &[]);
    sidecar.says("401").await;
    folder.write("token", "for-the-document");
    has(&orders, &["a", "b", "own"]).await;
    let text = std::fs::read_to_string(&file).unwrap().replace("/openapi.json", "/v2/openapi.json");
    folder.write("platools.toml", text);
    sidecar.says_times("the file is in use as it is now", 2).await;
    has(&orders, &["a", "b", "own"]).await;
    let counts: usize = sidecar.log().matches("removed=0").count();
    assert_eq!(counts, sidecar.log().matches("removed=").count(), "{}", sidecar.log());
    assert_eq!(sidecar.stop().await, Some(0));

    // Without a platform it is the same.
    let local = platools_sidecar::local(&file).await.unwrap();
    local.ready().await;
    let names = |host: &platools::LocalHost| {
        host.tools().registry().iter().map(|tool| tool.name().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(local.host()), ["a", "b", "own"]);
    *content.lock().unwrap() = Some(("2", vec!["z"]));
    while names(local.host()) != ["own", "z"] {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    local.stop().await;

    // Without its secrets, a check asks nobody.
    std::fs::remove_file(folder.path("token")).unwrap();
    let asked = server.count();
    let report = platools_sidecar::check_without_secrets(&file).await.unwrap();
    assert!(report.missing.iter().any(|missing| missing.to_string().contains("token")), "{report:?}");
    assert_eq!(server.count(), asked);
    folder.write("o.json", json!({"openapi": "3.1.0"}).to_string());
    let found = problems(&format!(
        "[backend.b]\nurl = \"http://127.0.0.1:1\"\n[[openapi]]\nname = \"o\"\nbackend = \"b\"\ndocument = \"{}\"\n\
         bearer = \"0123456789abcdef\"\nrefresh = \"1h\"\nheaders.X-A = \"b\"\n",
        folder.path("o.json").display()
    ))
    .await;
    assert_eq!(
        found.iter().filter(|problem| problem.contains("the document is a file")).count(),
        3,
        "{found:?}"
    );
}
