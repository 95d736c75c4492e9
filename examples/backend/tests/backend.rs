//! The command line of a backend's own program, as a person and as a program use it.

#![allow(clippy::unwrap_used, reason = "helpers of tests are not inside of a test function")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

fn backend(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_backend"));
    let other = ["NO_COLOR", "CLICOLOR_FORCE", "RUST_LOG"];
    for variable in
        ["PLATOS_URL", "PLATOS_SECRET", "PLATOS_SECRET_FILE", "ORDERS_JWT_SECRET"].iter().chain(&other)
    {
        command.env_remove(variable);
    }
    command.args(arguments).stdin(Stdio::null());
    command
}

/// The exit code, standard output and standard error.
fn said(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

fn run(arguments: &[&str]) -> (i32, String, String) {
    said(&backend(arguments).output().unwrap())
}

/// What a command that succeeds prints as JSON.
fn printed(arguments: &[&str]) -> Value {
    let (code, out, err) = run(arguments);
    assert_eq!(code, 0, "{err}");
    serde_json::from_str(&out).unwrap()
}

#[test]
fn tools_are_listed_for_people_and_for_programs() {
    let (code, out, err) = run(&["list"]);
    assert_eq!((code, err.as_str()), (0, ""));
    let lines: Vec<_> = out.lines().collect();
    assert_eq!(lines.len(), 5, "{out}");
    assert_eq!(lines[1], "cancel_order    [user: support, admin] Cancel an order that has not shipped.");
    assert_eq!(run(&["list", "SHIPMENT"]).1.lines().count(), 1);
    assert_eq!(run(&["list", "no such thing"]).1, "");
    assert_eq!(run(&["list", "order SHIPMENT"]).1.lines().count(), 1);

    let tools = printed(&["list", "--json"]);
    let lookup = tools.as_array().unwrap().iter().find(|tool| tool["name"] == "lookup_order").unwrap();
    assert_eq!((&lookup["auth"], &lookup["timeout_ms"]), (&json!("none"), &json!(5_000)));
    assert!(lookup["location"].as_str().unwrap().contains("src/main.rs:"));
}

#[test]
fn a_schema_is_what_the_platform_gets() {
    let declared = printed(&["schema", "my_orders"]);
    let members: Vec<_> = declared.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        members,
        ["name", "description", "input_schema", "output_schema", "auth", "roles", "annotations"]
    );
    assert_eq!(printed(&["schema", "my_orders", "--input"]), declared["input_schema"]);
    assert_eq!(printed(&["schema", "my_orders", "--output"]), declared["output_schema"]);
    let (code, out, err) = run(&["schema", "my_order"]);
    assert_eq!((code, out.as_str()), (2, ""));
    assert_eq!(err, "error: there is no tool `my_order`; did you mean `my_orders`?\n");
    let (code, _, err) = run(&["schema", "nope"]);
    let names = "`await_shipment`, `cancel_order`, `export_orders`, `lookup_order`, `my_orders`";
    assert_eq!((code, err), (2, format!("error: there is no tool `nope`; choose one of {names}\n")));
}

#[cfg(target_os = "linux")]
#[test]
fn a_result_that_cannot_be_written_is_an_error_and_a_closed_pipe_is_none() {
    let call = ["call", "lookup_order", "-p", r#"{"order_id":"ord-1042"}"#];
    let test = ["test", "lookup_order", "-p", r#"{"order_id":"ord-1042"}"#];
    for arguments in [
        &["--help"][..],
        &["--version"],
        &["list"],
        &["list", "--json"],
        &["schema", "lookup_order"],
        &["schema", "lookup_order", "--input"],
        &call,
        &[&call[..], &["--json"]].concat(),
        &test,
        &[&test[..], &["--json"]].concat(),
        &["doctor"],
        &["doctor", "--json"],
        &["serve", "--list"],
        &["serve", "--print-config"],
        &["completions", "zsh"],
    ] {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let (code, _, err) = said(&backend(arguments).stdout(full).output().unwrap());
        assert!(
            err.contains("error: standard output cannot be written: No space left"),
            "{arguments:?}: {err}"
        );
        assert_eq!(code, 1, "{arguments:?}: {err}");
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let (code, _, err) = said(&backend(arguments).stdout(writer).output().unwrap());
        assert_eq!((code, err.as_str()), (0, ""), "{arguments:?}");
    }
    let (code, _, err) = run(&[&call[..], &["--output", "/dev/full"]].concat());
    assert!(code == 1 && err.contains("`/dev/full` cannot be written"), "{code} {err}");
}

#[test]
fn a_wrong_configuration_is_2_for_every_command_and_help_needs_none() {
    let wrong = |arguments: &[&str]| {
        said(&backend(arguments).env("PLATOOLS_HEARTBEAT_INTERVAL", "abc").output().unwrap())
    };
    for arguments in [&[][..], &["connect"], &["list"], &["call", "my_orders"], &["doctor"], &["serve"]] {
        let (code, out, err) = wrong(arguments);
        assert_eq!((code, out.as_str()), (2, ""), "{arguments:?}: {err}");
        assert!(err.starts_with("error: PLATOOLS_HEARTBEAT_INTERVAL is `abc`: write a duration"), "{err}");
    }
    for arguments in [&["--help"][..], &["--version"], &["list", "--help"], &["completions", "bash"]] {
        assert_eq!(wrong(arguments).0, 0, "{arguments:?}");
    }
}

#[test]
fn every_command_knows_the_versions_and_options_are_under_their_heading() {
    let version = env!("CARGO_PKG_VERSION");
    for arguments in [&["--version"][..], &["list", "--version"], &["serve", "-V"]] {
        let (code, out, _) = run(arguments);
        let expected = format!(" {version} (platools {version})\n");
        assert!(code == 0 && out.ends_with(&expected) && out.starts_with("backend"), "{arguments:?}: {out}");
    }
    for command in ["call", "test", "serve"] {
        let help = run(&[command, "--help"]).1;
        let (_, caller) = help.split_once("Who is calling:").unwrap();
        let caller = caller.split("Exit codes").next().unwrap().split("Over HTTP").next().unwrap();
        let words = caller.split_whitespace().filter(|word| word.starts_with("--"));
        let options: Vec<_> = words.collect();
        let expected =
            ["--user", "--user-token", "--entity-token", "--role", "--agent", "--thread", "--context"];
        assert_eq!(options, expected, "{command}: {help}");
    }
}

#[test]
fn latencies_are_true_and_durations_explained() {
    let call = ["call", "lookup_order", "-p", r#"{"order_id":"ord-1042"}"#, "--json"];
    let took = printed(&call)["latency_ms"].as_f64().unwrap();
    assert!(took > 0.0 && took < 10_000.0, "{took}");
    let (code, _, err) = run(&["test", "my_orders", "--max-latency", "abc"]);
    assert!(code == 2 && err.contains("write a number and a unit, such as 500ms, 30s or 5m"), "{err}");
}

#[test]
fn colours_are_those_that_the_variables_ask_for() {
    for (variables, coloured) in [
        (&[][..], false),
        (&[("CLICOLOR_FORCE", "1")], true),
        (&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], false),
    ] {
        let with =
            |arguments: &[&str]| said(&backend(arguments).envs(variables.iter().copied()).output().unwrap());
        for arguments in [&["list"][..], &["doctor"], &["test", "my_orders"]] {
            assert_eq!(with(arguments).1.contains('\u{1b}'), coloured, "{arguments:?} {variables:?}");
        }
        // Standard input is at its end.
        for arguments in [&["serve"][..], &["connect"], &["call", "nope"], &["lst"]] {
            let err = with(arguments).2;
            assert_eq!(err.contains('\u{1b}'), coloured, "{arguments:?} {variables:?}: {err}");
        }
    }
}

#[test]
fn a_call_runs_here_with_arguments_from_wherever() {
    let order = printed(&["call", "lookup_order", "--params", r#"{"order_id":"ord-1042"}"#]);
    assert_eq!(order["status"], "open");
    let mine = printed(&["call", "my_orders", "--user", "usr_2"]);
    assert_eq!(mine[0]["id"], "ord-1043");

    let path = std::env::temp_dir().join(format!("platools-backend-{}.json", std::process::id()));
    std::fs::write(&path, r#"{"order_id":"ord-1043"}"#).unwrap();
    let from_file = printed(&["call", "lookup_order", "-p", &format!("@{}", path.display())]);
    std::fs::remove_file(path).unwrap();
    assert_eq!(from_file["id"], "ord-1043");

    let mut child = backend(&["call", "lookup_order", "-p", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(br#"{"order_id":"ord-1042"}"#).unwrap();
    assert_eq!(said(&child.wait_with_output().unwrap()).0, 0);
}

#[test]
fn failures_have_a_code_and_a_text() {
    let failing = ["call", "lookup_order", "--params", r#"{"order_id":"x"}"#];
    let text = "there is no order `x`; order ids look like ord-1042";
    assert_eq!(run(&failing), (1, String::new(), format!("error: {text}\n")));
    let (code, out, err) = run(&[&failing[..], &["--json"]].concat());
    let answer: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, err.as_str(), &answer["ok"], &answer["error"]), (1, "", &json!(false), &json!(text)));
    for (arguments, part) in [
        (&["call", "lookup_order", "-p", "[]"][..], "is not a JSON object"),
        (&["call", "lookup_order", "-p", "@/no/such/file"], "cannot be read"),
        (&["call", "lookup_ordr"], "did you mean `lookup_order`?"),
        (&["call", "my_orders", "--user-token", "env:NO_SUCH_VARIABLE"], "`NO_SUCH_VARIABLE` is not set"),
        (&["call", "my_orders", "--context", "x"], "KEY=VALUE"),
        (&["cal"], "similar subcommand exists: 'call'"),
        (&["connect"], "set PLATOS_URL"),
        (&[], "set PLATOS_URL"),
    ] {
        let (code, out, err) = run(arguments);
        assert_eq!((code, out.as_str()), (2, ""), "{arguments:?}");
        assert!(err.contains(part), "{arguments:?}: {err}");
    }
}

#[test]
fn access_rules_hold_on_the_command_line_too() {
    let guarded = |arguments: &[&str]| {
        said(&backend(arguments).env("ORDERS_JWT_SECRET", "a secret of the shop's login").output().unwrap())
    };
    let (code, _, err) = guarded(&["call", "export_orders"]);
    assert_eq!(code, 1);
    assert_eq!(err, "error: denied: needs a verified user, and the call carries no user token\n");
    assert_eq!(guarded(&["call", "export_orders", "--role", "admin"]).0, 0);
    let (_, _, err) = guarded(&["call", "export_orders", "--role", "support"]);
    assert_eq!(err, "error: denied: needs an admin, which the user is not\n");
    let (_, _, err) = guarded(&["call", "export_orders", "--user-token", "s3cret"]);
    assert_eq!(err, "error: denied: the user token was refused: it is not a JSON Web Token\n");
}

#[test]
fn cases_of_a_file_are_run_and_counted() {
    let folder = std::env::temp_dir().join(format!("platools-cases-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let (cases, junit) = (folder.join("cases.yaml"), folder.join("junit.xml"));
    let (cases, junit) = (cases.to_str().unwrap(), junit.to_str().unwrap());
    let text = "tests:
  - {tool: lookup_order, params: {order_id: ord-1042}, expect: {status: open}}
  - {tool: lookup_order, params: {order_id: x}, expect_error: there is no order}
  - {tool: my_orders, context: {user_id: usr_2}, expect: [{id: ord-1042}]}
";
    std::fs::write(cases, text).unwrap();
    let (code, out, _) = run(&["test", "--file", cases, "--junit", junit]);
    assert_eq!(code, 1, "{out}");
    assert!(out.starts_with("Tests: 2 passed, 1 failed\n"), "{out}");
    assert!(out.contains("`[0].id`: expected \"ord-1042\", got \"ord-1043\""), "{out}");
    assert!(std::fs::read_to_string(junit).unwrap().contains("failures=\"1\""));
    let (_, report, _) = run(&["test", "--file", cases, "--json"]);
    let report: Value = serde_json::from_str(&report).unwrap();
    assert_eq!((&report["passed"], &report["failed"]), (&json!(2), &json!(1)));
    assert!(run(&["test", "--file", cases, "--coverage"]).1.starts_with("Coverage: 2/5 tools"));
    std::fs::write(cases, "tests:\n  - tol: lookup_order\n").unwrap();
    let (code, _, err) = run(&["test", "--file", cases]);
    assert!(code == 2 && err.contains("line 2"), "{code} {err}");
    std::fs::remove_dir_all(folder).unwrap();

    let one = ["test", "lookup_order", "-p", r#"{"order_id":"x"}"#];
    assert_eq!(run(&one).0, 1);
    assert_eq!(run(&[&one[..], &["--expect-error", "there is no order"]].concat()).0, 0);
    assert_eq!(run(&["test", "--file", "/no/such.yaml"]).0, 2);
}

#[test]
fn the_doctor_finds_nothing_that_keeps_an_agent_away() {
    let (code, out, err) = run(&["doctor"]);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    assert!(out.starts_with("Tools: 5 registered, 5 healthy\n"), "{out}");
    let report = printed(&["doctor", "--json"]);
    assert_eq!(report["tool_count"], 5);
    for findings in ["errors", "warnings", "info"] {
        assert_eq!(report[findings], json!([]), "an example is clean");
    }
    let strict = ["doctor", "--role", "admin"];
    let (code, out, _) = run(&strict);
    assert!(code == 0 && out.contains("[permission_gap]"), "{out}");
    let quiet = run(&[&strict[..], &["--allow", "permission_gap"]].concat()).1;
    assert!(!quiet.contains("permission_gap"), "{quiet}");
    assert_eq!(run(&["doctor", "--allow", "nonsense"]).0, 2);
}

#[test]
fn shells_complete_it() {
    for shell in ["bash", "zsh", "fish"] {
        let (code, script, _) = run(&["completions", shell]);
        assert!(code == 0 && script.contains("backend") && script.contains("schema"), "{shell}");
    }
}

/// A server on pipes, with the messages in, and all that it says until its end.
fn served(messages: &[Value], arguments: &[&str]) -> (i32, Vec<Value>, String) {
    let mut command = backend(&[&["serve"], arguments].concat());
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    for message in messages {
        writeln!(input, "{message}").unwrap();
    }
    drop(input);
    let (code, out, err) = said(&child.wait_with_output().unwrap());
    (code, out.lines().map(|line| serde_json::from_str(line).unwrap()).collect(), err)
}

fn begin() -> [Value; 2] {
    let client = json!({"name": "test", "version": "1"});
    let params = json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client});
    [
        json!({"jsonrpc": "2.0", "id": "init", "method": "initialize", "params": params}),
        json!({"jsonrpc": "2.0", "method": "notifications/initialized"}),
    ]
}

fn call(id: u32, tool: &str, arguments: &Value) -> Value {
    let params = json!({"name": tool, "arguments": arguments});
    json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params})
}

#[test]
fn serve_answers_all_that_came_before_the_end_of_input() {
    let mut messages = begin().to_vec();
    messages.extend((0..20).map(|id| call(id, "lookup_order", &json!({"order_id": "ord-1042"}))));
    let (code, answers, err) = served(&messages, &[]);
    assert_eq!(code, 0, "{err}");
    assert_eq!(answers[0]["result"]["serverInfo"]["name"], "backend");
    let mut ids: Vec<_> = answers[1..].iter().map(|answer| answer["id"].as_u64().unwrap()).collect();
    ids.sort_unstable();
    assert_eq!(ids, (0..20).collect::<Vec<_>>());
    for answer in &answers[1..] {
        assert_eq!(answer["result"]["isError"], false, "{answer}");
    }
}

#[test]
fn serve_takes_the_tools_and_the_caller_that_the_command_line_names() {
    let messages = [&begin()[..], &[json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"})]].concat();
    let (_, answers, _) = served(&messages, &["--tool", "my_orders"]);
    let tools = answers[1]["result"]["tools"].as_array().unwrap().clone();
    assert_eq!(tools.iter().map(|tool| &tool["name"]).collect::<Vec<_>>(), ["my_orders"]);

    let (code, out, _) = run(&["serve", "--list", "--tool", "my_orders"]);
    assert_eq!((code, out.lines().count()), (0, 1));
    let (code, _, err) = run(&["serve", "--tool", "my_order"]);
    assert_eq!(code, 2);
    assert!(err.contains("`my_orders`"), "{err}");
}

#[test]
fn serve_over_http_needs_a_token_and_prints_what_to_paste_without_it() {
    let (code, _, err) =
        said(&backend(&["serve", "--http"]).env_remove("PLATOOLS_SERVE_TOKEN").output().unwrap());
    assert_eq!(code, 2);
    assert!(err.contains("PLATOOLS_SERVE_TOKEN"), "{err}");
    let (code, _, err) = run(&["serve", "--http", "--auth-token", "short"]);
    assert_eq!(code, 2);
    assert!(err.contains("at least 16"), "{err}");
    assert_eq!(run(&["serve", "--port", "3002"]).0, 2, "the port is for --http");

    let (code, out, _) = run(&["serve", "--print-config"]);
    assert_eq!(code, 0);
    assert!(out.contains("claude mcp add backend -- ") && out.contains("\"mcpServers\""), "{out}");
    let (_, out, _) = run(&["serve", "--print-config", "--http", "--auth-token", "a-token-of-24-characters"]);
    assert!(out.contains("http://127.0.0.1:3001/mcp") && !out.contains("a-token-of-24-characters"), "{out}");

    for (options, url) in [
        (&["--host", "::1"][..], "http://[::1]:3001/mcp"),
        (&["--host", "0.0.0.0", "--port", "4000"], "http://127.0.0.1:4000/mcp"),
        (&["--host", "::", "--allow-host", "tools.internal"], "http://tools.internal:3001/mcp"),
        (&["--host", "0.0.0.0", "--allow-host", "tools.internal:80"], "http://tools.internal:80/mcp"),
    ] {
        let (_, out, _) = run(&[&["serve", "--print-config", "--http"], options].concat());
        assert!(out.contains(&format!("\"url\": \"{url}\"")), "{options:?}: {out}");
    }
    let (code, _, err) = run(&["serve", "--print-config", "--http", "--port", "0"]);
    assert!(code == 2 && err.contains("--port"), "{err}");
}

#[test]
fn what_is_pasted_says_who_is_calling_and_no_token() {
    let who =
        ["--user", "usr_1", "--role", "support", "--context", "user.plan=a b", "--user-token", "env:MINE"];
    let (code, out, _) = run(&[&["serve", "--print-config"], &who[..]].concat());
    assert_eq!(code, 0);
    let line = "serve --user=usr_1 --user-token=env:MINE --role=support '--context=user.plan=\"a b\"'";
    assert!(out.contains(line) && out.contains("\"--role=support\""), "{out}");
    let (code, out, err) = run(&["serve", "--print-config", "--user-token", "hunter2"]);
    assert_eq!((code, out.as_str()), (2, ""));
    assert!(err.contains("env:NAME") && !err.contains("hunter2"), "{err}");
}

/// The names of a dependency's features.
fn features(dependency: &toml::Value) -> Vec<&str> {
    let features = dependency.get("features").and_then(toml::Value::as_array);
    features.into_iter().flatten().filter_map(toml::Value::as_str).collect()
}

#[test]
fn the_dependencies_that_the_readme_names_are_those_of_this_program() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| std::fs::read_to_string(folder.join(path)).unwrap();
    let readme = read("../../README.md");
    let (_, block) = readme.split_once("```toml\n").unwrap();
    let block: toml::Value = toml::from_str(block.split("```").next().unwrap()).unwrap();
    let own: toml::Value = toml::from_str(&read("Cargo.toml")).unwrap();
    let workspace: toml::Value = toml::from_str(&read("../../Cargo.toml")).unwrap();
    let named = block["dependencies"].as_table().unwrap();
    for (name, dependency) in own["dependencies"].as_table().unwrap() {
        let shown = named.get(name).unwrap_or_else(|| panic!("the README does not name `{name}`"));
        let shared = &workspace["workspace"]["dependencies"][name];
        for feature in features(dependency) {
            assert!(
                features(shown).contains(&feature),
                "`{name}` lacks its feature `{feature}` in the README"
            );
        }
        let version = |dependency: &toml::Value| {
            dependency.as_str().or_else(|| dependency.get("version")?.as_str()).map(str::to_owned)
        };
        match shown.get("path").and_then(toml::Value::as_str) {
            Some(path) => {
                let path = folder.join("../..").join(path.strip_prefix("../platools-rs/").unwrap());
                assert!(path.join("Cargo.toml").is_file(), "{}", path.display());
            }
            None => assert_eq!(version(shown), version(shared), "`{name}`"),
        }
    }
    assert!(features(&named["serde"]).contains(&"derive"), "the program derives with it");
}

/// A tool that waits is called, and the program is told to end twice.
#[cfg(unix)]
#[tokio::test]
async fn a_shutdown_says_what_it_waits_for_and_counts_down() {
    let platform = platools_dev::DevPlatform::start().await.unwrap();
    let (url, secret) = (platform.url(), platform.secret());
    let mut host = backend(&["connect"]);
    host.env("PLATOS_URL", url).env("PLATOS_SECRET", secret.expose()).stderr(Stdio::piped());
    let mut host = host.spawn().unwrap();
    platform.wait_for_tool("await_shipment").await.unwrap();
    let mut lines = BufReader::new(host.stderr.take().unwrap()).lines().map(Result::unwrap);
    let interrupt = || {
        let id = host.id().to_string();
        assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    };
    let order = || json!({"order_id": "ord-1042"});
    let ended = async {
        // Calls arrive in order, so the one that waits is running.
        platform.call("lookup_order", order()).await.unwrap().into_result().unwrap();
        interrupt();
        let lines = tokio::task::spawn_blocking(move || {
            let expected =
                "shutting down: 1 call is running and may take 25 s at most; a second Ctrl-C stops at once";
            lines.find(|line| line.contains(expected)).expect("it says how many, how long and what stops it");
            lines.find(|line| line.contains("1 call still runs, 20 s left")).expect("it counts down");
            lines
        });
        let mut lines = lines.await.unwrap();
        interrupt();
        tokio::task::spawn_blocking(move || {
            lines
                .find(|line| line.starts_with("error: stopped at once by a second signal"))
                .expect("it says so");
        })
        .await
        .unwrap();
    };
    tokio::select! {
        biased;
        report = platform.call("await_shipment", order()) => panic!("{report:?}"),
        () = ended => {}
    }
    assert_eq!(host.wait().unwrap().code(), Some(1));
}

/// What a host says that does not get to the platform.
fn refused(url: &str, variables: &[(&str, &str)], until: &str) -> Vec<String> {
    let mut host = backend(&["connect"]);
    host.env("PLATOS_URL", url).envs(variables.iter().copied()).stderr(Stdio::piped());
    let mut host = host.spawn().unwrap();
    let mut said = Vec::new();
    for line in BufReader::new(host.stderr.take().unwrap()).lines().map(Result::unwrap) {
        let is_last = line.contains(until);
        said.push(line);
        if is_last {
            break;
        }
    }
    host.kill().unwrap();
    host.wait().unwrap();
    said
}

#[tokio::test]
async fn what_keeps_it_from_the_platform_is_one_line_in_plain_words() {
    let secret = [("PLATOS_SECRET", "a-secret-of-24-characters")];
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let said = refused(&format!("ws://{nobody}/?entity=local"), &secret, "connect");
    let line = said.last().unwrap();
    assert!(
        line.contains("not connected: cannot connect to ") && line.contains("; next attempt in "),
        "{said:?}"
    );
    assert!(!line.contains("disconnected") && line.contains("entity=\"local\""), "{said:?}");

    let platform = platools_dev::DevPlatform::start().await.unwrap();
    let plain = platform.url().replace("ws://", "wss://");
    let said = tokio::task::spawn_blocking(move || refused(&plain, &secret, "connected"));
    let said = said.await.unwrap();
    assert!(said.last().unwrap().contains("begin the URL with `ws://`"), "{said:?}");

    let path = std::env::temp_dir().join(format!("platools-backend-secret-{}", std::process::id()));
    std::fs::write(&path, "not-the-secret-of-the-entity").unwrap();
    let (url, shown) = (platform.url(), path.display().to_string());
    let file = shown.clone();
    let said =
        tokio::task::spawn_blocking(move || refused(&url, &[("PLATOS_SECRET_FILE", &file)], "refused"));
    let said = said.await.unwrap();
    std::fs::remove_file(path).unwrap();
    let expected =
        format!("error: the platform refused the service secret in file `{shown}` for entity `local`");
    assert!(said.last().unwrap().starts_with(&expected), "{said:?}");
    assert!(!said.last().unwrap().contains("PLATOS_SECRET "), "it came from the file: {said:?}");
    assert_eq!(said.iter().filter(|line| line.contains("refused")).count(), 1, "{said:?}");
}
