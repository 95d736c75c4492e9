//! `sidecar` and `serve`.

use std::collections::BTreeMap;
use std::process::Stdio;

use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::time::timeout;

use crate::support::{Dev, GUARD, Scratch, program, run};

/// GitHub's document gives 1 223 tools. Their memory is bounded, and reloads of what did not change, or did, leave nothing
/// behind. The program's own pages count nothing here, since those of a debug build are many.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_large_document_takes_little_memory_and_fifty_reloads_take_no_more() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/interop/openapi");
    let document = format!("{root}/node_modules/@octokit/openapi/generated/api.github.com.json");
    let Ok(document) = std::fs::read_to_string(document) else {
        let hint = "the interop set `openapi` is not installed: run tests/interop/install openapi";
        assert!(std::env::var_os("PLATOOLS_INTEROP").is_none_or(|value| value != "required"), "{hint}");
        eprintln!("SKIPPED: {hint}");
        return;
    };
    let dev = Dev::start(&["--entity", "hub"]).await;
    let (url, secret) = dev.entity("hub");
    let scratch = Scratch::new();
    scratch.file("github.json", &document);
    let text = format!(
        "[[entity]]\nname = \"hub\"\nurl = \"{url}\"\nsecret = \"{secret}\"\n[backend.b]\nurl = \"http://127.0.0.1:1\"\n\
         [[openapi]]\nname = \"github\"\nbackend = \"b\"\ndocument = \"github.json\"\n[sidecar]\nwatch = false\n"
    );
    let file = scratch.file("platools.toml", &text);
    let mut sidecar = program(&["sidecar", "run", &file], &[("RUST_LOG", "info")]).spawn().unwrap();
    let mut lines = BufReader::new(sidecar.stderr.take().unwrap()).lines();
    let mut says = async |part: &str| {
        let said = async { while !lines.next_line().await.unwrap().expect("it runs").contains(part) {} };
        timeout(GUARD, said).await.unwrap_or_else(|_| panic!("{part}"));
    };
    let pid = sidecar.id().unwrap();
    let mebibytes = || {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let own = status.lines().find_map(|line| line.strip_prefix("RssAnon:")?.trim().strip_suffix(" kB"));
        own.unwrap().trim().parse::<f64>().unwrap() / 1024.0
    };
    // What is not used any more is given back after a moment, which is longer on a loaded machine.
    let below = async |bound: f64| {
        let settles = async {
            while mebibytes() >= bound {
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        };
        let settled = timeout(GUARD, settles).await;
        assert!(settled.is_ok(), "{} MiB, and not below {bound} MiB", mebibytes());
        mebibytes()
    };
    let reload = || {
        let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::HUP).unwrap();
    };
    says("the platform has the tools entity=\"hub\" tools=1223").await;
    let fresh = below(72.0).await;
    for _ in 0..50 {
        reload();
        says("the file is in use as it is now").await;
    }
    let reloaded = below(fresh * 1.1).await;
    for number in 0..3 {
        scratch.file("github.json", &document.replacen('{', &format!("{{\"x-number\": {number}, "), 1));
        reload();
        says("the file is in use as it is now").await;
    }
    // What a thread that read another document has left is used by the next one.
    let changed = below(fresh * 2.0).await;
    println!("MiB: {fresh:.1} fresh, {reloaded:.1} after 50 reloads, {changed:.1} after 3 other documents");
    sidecar.kill().await.unwrap();
}

/// Where programs are found; the variable is one of those that these tests take away.
const PATH: &str = "/usr/bin:/bin";

#[tokio::test]
async fn a_file_is_begun_checked_and_left_alone() {
    let scratch = Scratch::new();
    scratch.file("other", "");
    let file = format!("{}/tools.toml", scratch.as_str());
    let ran = run(&["sidecar", "init", &file], &[]).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    run(&["sidecar", "init", &file], &[]).await.failed(2, "is there already, and is left alone");
    let ran = run(&["sidecar", "check", &file], &[("PATH", PATH)]).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(
        ran.errors.contains("still to be set before it runs:") && ran.errors.contains("set PLATOS_URL"),
        "{ran:?}"
    );
    let variables = [
        ("PATH", PATH),
        ("PLATOS_URL", "wss://platos.example/x"),
        ("PLATOS_ENTITY", "orders-prod"),
        ("PLATOS_SECRET", "s3cret-s3cret-s3cret"),
        ("HTTPS_PROXY", "http://name:s3cret@proxy.example:3128"),
    ];
    let ran = run(&["sidecar", "check", &file, "--json"], &variables).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    let report = ran.json();
    assert_eq!(report["entities"], serde_json::json!(["orders-prod"]));
    assert_eq!(report["tools"][0]["name"], "cancel_order");
    let proxy = "http://proxy.example:3128, with credentials; for unencrypted connections: none";
    assert_eq!((&report["proxy"], &report["missing"]), (&json!(proxy), &json!([])));
    assert!(!format!("{ran:?}").contains("s3cret"));
}

#[tokio::test]
async fn a_file_is_found_by_the_variable_checked_without_secrets_and_begun_anew_by_force() {
    let scratch = Scratch::new();
    let text = "[[entity]]\nname = \"e\"\nurl = \"env:NO_URL\"\nsecret = \"env:NO_SECRET\"\n\
                [[tool.http]]\nname = \"t\"\nurl = \"http://127.0.0.1:1/\"\nbearer = \"file:token\"\n";
    let file = scratch.file("other.toml", text);
    let variables = [("PATH", PATH), ("PLATOOLS_CONFIG", file.as_str())];
    let ran = run(&["sidecar", "check", "--json"], &variables).await;
    assert_eq!((ran.code, ran.json()["problems"].as_array().map(Vec::len)), (2, Some(3)), "{ran:?}");
    run(&["sidecar", "run"], &variables).await.failed(2, "`NO_SECRET` is not set");

    let ran = run(&["sidecar", "check", "--no-secrets"], &variables).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    for part in
        ["the file is right", "`NO_URL` is not set", "`NO_SECRET` is not set", "token` cannot be read"]
    {
        assert!(format!("{ran:?}").contains(part), "{part}: {ran:?}");
    }
    let report = run(&["sidecar", "check", "--no-secrets", "--json"], &variables).await.json();
    assert_eq!(report["missing"][0]["line"], 3);
    assert_eq!(report["entities"], json!(["e"]));
    let worse = scratch.file("worse.toml", &text.replace("http://127", "ftp://127"));
    let ran = run(&["sidecar", "check", "--no-secrets", &worse], &variables).await;
    ran.failed(2, "only http:// and https://");

    let ran = run(&["sidecar", "init", "--force", &file], &[]).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(std::fs::read_to_string(&file).unwrap().starts_with("# The tools of one or more entities"));
}

#[tokio::test]
async fn only_a_sidecar_is_told_to_take_over() {
    let own = std::process::id().to_string();
    run(&["sidecar", "take-over", &own], &[]).await.failed(1, "is no `platools sidecar`");
    run(&["sidecar", "take-over", "0"], &[]).await.failed(1, "cannot be told");
}

#[tokio::test]
async fn changes_are_accepted_of_servers_that_are_pinned() {
    let scratch = Scratch::new();
    let accept = async |text: &str, more: &[&str]| {
        let file = scratch.file("tools.toml", text);
        run(&[&["sidecar", "accept", &file], more].concat(), &[]).await
    };
    let server = "[[mcp]]\nname = \"m\"\ncommand = \"true\"\n";
    accept(server, &[]).await.failed(2, "write `pin = true` in its section");
    accept(&format!("{server}pni = true\n"), &[]).await.failed(2, "did you mean `pin`?");
    let pinned = format!("{server}pin = true\n[sidecar]\nstate_dir = \"state\"\n");
    accept(&pinned, &[]).await.failed(2, "start the sidecar first");
    std::fs::create_dir(format!("{}/state", scratch.as_str())).unwrap();
    accept(&pinned, &["n"]).await.failed(2, "no pinned MCP server is called `n`; there are `m`");
    accept(&pinned, &["m", "t"]).await.failed(1, "the tool `t` does not wait to be accepted");
    let ran = accept(&pinned, &[]).await;
    assert_eq!(ran.code, 0, "{ran:?}");
}

#[tokio::test]
async fn mistakes_have_their_line_and_the_right_exit_code() {
    let scratch = Scratch::new();
    let file = scratch.file("tools.toml", "[log]\nformat = \"xml\"\n[[tool.http]]\nnam = \"x\"\n");
    let ran = run(&["sidecar", "check", &file], &[]).await;
    ran.failed(2, "line 2: `log.format`: `xml` is not possible here; write one of `text`, `json`");
    ran.failed(
        2,
        "line 4: `nam` of [[tool.http]] number 1: there is no key `nam` here, did you mean `name`?",
    );
    let found = run(&["sidecar", "check", &file, "--json"], &[]).await.json();
    let lines: Vec<_> =
        found["problems"].as_array().unwrap().iter().map(|problem| problem["line"].as_u64()).collect();
    assert_eq!(lines, [Some(2), Some(3), Some(4)], "{found}");
    run(&["sidecar", "--config", &file], &[]).await.failed(2, "line 2: ");
    run(&["serve", "--config", &file], &[]).await.failed(2, "line 2: ");
    let empty = scratch.file("empty.toml", "");
    run(&["sidecar", "--config", &empty], &[]).await.failed(2, "add an `[[entity]]`");
    run(&["serve", "--config", &empty], &[])
        .await
        .failed(2, "there are no tools to serve: add a `[[tool.http]]`");
    let schema = run(&["sidecar", "schema"], &[]).await.json();
    assert_eq!(schema["properties"]["tool"]["description"], "Tools: `[[tool.http]]` and `[[tool.command]]`.");
}

#[tokio::test]
async fn a_program_is_called_through_the_platform() {
    let mut dev = Dev::start(&["--entity", "orders"]).await;
    let scratch = Scratch::new();
    let (url, secret) = dev.entity("orders");
    let secret = scratch.file("secret", &secret);
    let file = scratch.file(
        "tools.toml",
        &format!(
            "[[entity]]\nname = \"orders\"\nurl = \"{url}\"\nsecret = \"file:{secret}\"\n[[tool.command]]\n\
             name = \"greet\"\ndescription = \"Say hello.\"\nprogram = \"echo\"\nargs = [\"hello\", \"{{name}}\"]\n"
        ),
    );
    let arguments = ["sidecar".to_owned(), "--config".to_owned(), file];
    let sidecar = tokio::spawn(async move {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        run(&arguments, &[("PATH", PATH)]).await
    });
    dev.tells("registered").await;
    let ran = dev.run(&["call", "greet", "-p", "{\"name\": \"Ada\"}"]).await;
    assert_eq!((ran.code, ran.out.trim()), (0, "hello Ada"), "{ran:?}");
    sidecar.abort();
    dev.stop().await;
}

#[tokio::test]
async fn an_mcp_server_of_one_file_is_bridged_by_another() {
    let mut dev = Dev::start(&["--entity", "orders"]).await;
    let scratch = Scratch::new();
    let inner = scratch.file(
        "inner.toml",
        "[[tool.command]]\nname = \"greet\"\ndescription = \"d\"\nprogram = \"echo\"\nargs = [\"hello\", \"{name}\"]\n",
    );
    let (url, secret) = dev.entity("orders");
    let secret = scratch.file("secret", &secret);
    let program = env!("CARGO_BIN_EXE_platools");
    let file = scratch.file(
        "tools.toml",
        &format!(
            "[[entity]]\nname = \"orders\"\nurl = \"{url}\"\nsecret = \"file:{secret}\"\n[[mcp]]\nname = \"inner\"\n\
             command = \"{program}\"\nargs = [\"serve\", \"--config\", \"{inner}\"]\nprefix = \"inner_\"\n"
        ),
    );
    let arguments = ["sidecar".to_owned(), "--config".to_owned(), file];
    let sidecar = tokio::spawn(async move {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        run(&arguments, &[("PATH", PATH)]).await
    });
    // Registered once without tools, and once with those of the server.
    while !dev.tells("registered").await["text"].as_str().unwrap().starts_with("1 tool ") {}
    let ran = dev.run(&["call", "inner_greet", "-p", "{\"name\": \"Ada\"}"]).await;
    assert_eq!((ran.code, ran.out.trim()), (0, "hello Ada"), "{ran:?}");
    sidecar.abort();
    dev.stop().await;
}

#[tokio::test]
async fn serve_lists_the_tools_of_a_server_that_is_slow_to_start() {
    let scratch = Scratch::new();
    let inner = scratch.file(
        "inner.toml",
        "[[tool.command]]\nname = \"late\"\ndescription = \"Say hello.\"\nprogram = \"echo\"\nargs = [\"hello\"]\n",
    );
    let script = format!("sleep 1; exec {} serve --config {inner}", env!("CARGO_BIN_EXE_platools"));
    let outer = format!("[[mcp]]\nname = \"inner\"\ncommand = \"sh\"\nargs = [\"-c\", {script:?}]\n");
    let outer = scratch.file("outer.toml", &outer);
    let mut child = program(&["serve", "--config", &outer], &[("PATH", PATH)]);
    let mut child = child.stdin(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let (mut input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    // The client asks for everything at once, and calls the tool that it knows from last time.
    let requests = [
        json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
            "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"},
        }}),
        json!({"jsonrpc": "2.0", "method": "notifications/initialized"}),
        json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "late", "arguments": {}}}),
        json!({"jsonrpc": "2.0", "id": 3, "method": "tools/list"}),
    ];
    for request in requests {
        input.write_all(format!("{request}\n").as_bytes()).await.unwrap();
    }
    let mut lines = BufReader::new(output).lines();
    let mut answers = BTreeMap::new();
    while answers.len() < 3 {
        let line = timeout(GUARD, lines.next_line()).await.unwrap().unwrap().unwrap();
        let message: serde_json::Value = serde_json::from_str(&line).unwrap();
        if let Some(id) = message["id"].as_u64() {
            answers.insert(id, message);
        }
    }
    assert_eq!(answers[&3]["result"]["tools"][0]["name"], "late", "{answers:?}");
    assert_eq!(answers[&2]["result"]["content"][0]["text"], "hello", "{answers:?}");
    drop(input);
    assert_eq!(timeout(GUARD, child.wait()).await.unwrap().unwrap().code(), Some(0));
}

/// The example as its README starts it: a backend in Python, a platform and a sidecar by one command.
#[cfg(unix)]
#[tokio::test]
async fn the_example_starts_by_one_command_and_its_tools_can_be_called() {
    if std::process::Command::new("python3").arg("--version").output().is_err() {
        eprintln!("skipped: there is no python3");
        return;
    }
    let free =
        || std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let (port, backend, token) = (free(), free(), "a-token-of-24-characters");
    // A copy, with a port of its own for the backend.
    let (scratch, example) = (Scratch::new(), concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/sidecar"));
    for file in std::fs::read_dir(example).unwrap().map(Result::unwrap) {
        let text = std::fs::read_to_string(file.path()).unwrap();
        scratch.file(file.file_name().to_str().unwrap(), &text.replace("8000", &backend));
    }
    let mut command = tokio::process::Command::new("sh");
    command.arg(scratch.0.join("start")).env("PLATOOLS", env!("CARGO_BIN_EXE_platools")).env("PORT", &port);
    command.env("PLATOOLS_DEV_TOKEN", token).env("XDG_STATE_HOME", scratch.as_str());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
    let mut example = command.spawn().unwrap();
    let mut lines = BufReader::new(example.stdout.take().unwrap()).lines();
    let registered =
        async { while !lines.next_line().await.unwrap().expect("it runs").contains("3 tools (") {} };
    timeout(GUARD, registered).await.unwrap();

    let url = format!("http://127.0.0.1:{port}");
    let variables = [("PLATOOLS_DEV_URL", url.as_str()), ("PLATOOLS_DEV_TOKEN", token)];
    let listed = run(&["list"], &variables).await;
    assert_eq!(listed.out.lines().count(), 3, "{listed:?}");
    let call = async |tool: &str, params: &str| run(&["call", tool, "--params", params], &variables).await;
    let open = call("list_tickets", r#"{"status": "open"}"#).await.json();
    assert_eq!((open.as_array().unwrap().len(), &open[0]["id"]), (2, &json!(1)), "{open}");
    let made = call("create_ticket", r#"{"title": "The bell rings twice"}"#).await.json();
    assert_eq!((&made["id"], &made["priority"]), (&json!(4), &json!("low")), "{made}");
    assert_eq!(call("close_ticket", r#"{"number": 4}"#).await.json()["status"], "closed");
    call("close_ticket", r#"{"number": 3}"#).await.failed(1, "ticket 3 is closed already");
    call("create_ticket", r#"{"title": "No"}"#).await.failed(1, "`title`");

    let id = example.id().unwrap().to_string();
    assert!(tokio::process::Command::new("kill").args(["-TERM", &id]).status().await.unwrap().success());
    assert_eq!(timeout(GUARD, example.wait()).await.unwrap().unwrap().code(), Some(0));
    assert!(
        std::net::TcpStream::connect(format!("127.0.0.1:{backend}")).is_err(),
        "the backend is gone, too"
    );
}
