//! What every command owes a terminal and a script: results that are written or an error, colours where they are wanted,
//! help, versions, and messages in plain words.

use std::fs::File;
use std::process::Stdio;

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::time::timeout;

use crate::support::{Dev, GUARD, Scratch, program, run};

/// The variables that a terminal has for one that calls.
fn variables(dev: &Dev) -> [(&str, &str); 2] {
    [("PLATOOLS_DEV_URL", &dev.url), ("PLATOOLS_DEV_TOKEN", &dev.token)]
}

/// Runs the program with this as its standard output; the exit code and its errors.
async fn run_into(output: Stdio, arguments: &[&str], variables: &[(&str, &str)]) -> (Option<i32>, String) {
    let mut command = program(arguments, variables);
    command.env_remove("RUST_LOG").stdout(output);
    let child = command.spawn().unwrap();
    let output = timeout(GUARD, child.wait_with_output()).await.unwrap().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_result_that_cannot_be_written_is_an_error_and_a_closed_pipe_is_none() {
    let mut dev = Dev::start(&[]).await;
    let host = dev.connect("local").await;
    let (url, secret) = dev.entity("local");
    let scratch = Scratch::new();
    let file = scratch.file(
        "tools.toml",
        "[[entity]]\nname = \"a\"\nurl = \"wss://platos.example\"\nsecret = \"s3cret-s3cret-s3cret\"\n\
         [[tool.command]]\nname = \"t\"\ndescription = \"d\"\nprogram = \"true\"\n",
    );
    let call = ["call", "add", "--params", r#"{"a": 1, "b": 2}"#];
    let commands: [&[&str]; 12] = [
        &["--help"],
        &["list", "--help"],
        &["--version"],
        &["list"],
        &["list", "--json"],
        &call,
        &[&call[..], &["--json"]].concat(),
        &["mint", "--user", "ada"],
        &["doctor"],
        &["completions", "bash"],
        &["sidecar", "schema"],
        &["sidecar", "check", &file],
    ];
    let scope = [
        ("PLATOS_ORGANIZATION_ID", "o"),
        ("PLATOS_PROJECT_ID", "p"),
        ("PLATOS_ENVIRONMENT_ID", "e"),
        ("PATH", "/usr/bin:/bin"),
        ("PLATOS_URL", &*url),
        ("PLATOS_SECRET", &*secret),
    ];
    for arguments in commands {
        let of_file = arguments.contains(&"check");
        let variables =
            [&variables(&dev)[..], if of_file { &[("PATH", "/usr/bin:/bin")] } else { &scope }].concat();
        let full = File::options().write(true).open("/dev/full").unwrap();
        let (code, errors) = run_into(full.into(), arguments, &variables).await;
        assert!(
            errors.contains("standard output cannot be written: No space left"),
            "{arguments:?}: {errors}"
        );
        assert_eq!(code, Some(1), "{arguments:?}: {errors}");

        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let (code, errors) = run_into(writer.into(), arguments, &variables).await;
        assert!(!errors.contains("cannot be written"), "{arguments:?}: {errors}");
        assert_eq!(code, Some(0), "{arguments:?}: {errors}");
    }
    let full = File::options().write(true).open("/dev/full").unwrap();
    let (code, errors) = run_into(full.into(), &["dev", "--port", "0"], &[]).await;
    assert_eq!(code, Some(1), "{errors}");
    assert!(errors.contains("standard output cannot be written"), "{errors}");
    host.stop().await;
    dev.stop().await;
}

#[tokio::test]
async fn colours_are_those_that_the_variables_ask_for() {
    let mut dev = Dev::start(&[]).await;
    let host = dev.connect("local").await;
    let scratch = Scratch::new();
    let empty = scratch
        .file("empty.toml", "[[tool.command]]\nname = \"t\"\ndescription = \"d\"\nprogram = \"true\"\n");
    for (more, coloured) in [
        (&[][..], false),
        (&[("CLICOLOR_FORCE", "1")], true),
        (&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], false),
    ] {
        let variables = [&variables(&dev)[..], &[("PATH", "/usr/bin:/bin")], more].concat();
        let listed = run(&["list"], &variables).await;
        assert_eq!(listed.out.contains('\u{1b}'), coloured, "{more:?}: {listed:?}");
        assert_eq!(listed.errors.contains('\u{1b}'), coloured, "the log, {more:?}: {}", listed.errors);
        let served = run(&["serve", "--config", &empty], &variables).await;
        assert_eq!(served.errors.contains('\u{1b}'), coloured, "the log, {more:?}: {}", served.errors);
        let failed = run(&["call", "refuse"], &[&variables[..], &[("RUST_LOG", "off")]].concat()).await;
        assert_eq!(failed.errors.contains('\u{1b}'), coloured, "{more:?}: {failed:?}");
        let wrong = run(&["lst"], more).await;
        assert_eq!(wrong.errors.contains('\u{1b}'), coloured, "{more:?}: {wrong:?}");
    }
    host.stop().await;
    dev.stop().await;
}

/// The options of a section of a help text, by their long names.
fn options_under(help: &str, heading: &str) -> Vec<String> {
    let lines = help.lines().skip_while(|line| *line != format!("{heading}:")).skip(1);
    let section = lines.take_while(|line| line.is_empty() || line.starts_with(' '));
    let long = section.filter_map(|line| line.split_whitespace().find(|word| word.starts_with("--")));
    long.map(|option| option.trim_end_matches(['.', ',']).to_owned()).collect()
}

#[tokio::test]
async fn options_are_under_their_heading_and_every_command_knows_its_version() {
    let help = run(&["call", "--help"], &[]).await.out;
    let options = options_under(&help, "Options");
    assert_eq!(options, ["--params", "--json", "--timeout", "--help", "--version"], "{help}");
    let caller = options_under(&help, "Who is calling");
    let expected = ["--user", "--user-token", "--entity-token", "--role", "--agent", "--thread", "--context"];
    assert_eq!(caller, expected, "{help}");
    assert_eq!(options_under(&help, "Where"), ["--url", "--token", "--entity", "--env"], "{help}");
    for command in ["dev", "mint", "doctor", "list", "call", "sidecar", "serve", "completions"] {
        let ran = run(&[command, "--version"], &[]).await;
        assert_eq!((ran.code, ran.out.contains(env!("CARGO_PKG_VERSION"))), (0, true), "{command}: {ran:?}");
    }
    let ran = run(&["sidecar", "check", "--version"], &[]).await;
    assert!(ran.code == 0 && ran.out.contains(env!("CARGO_PKG_VERSION")), "{ran:?}");
}

#[tokio::test]
async fn durations_are_explained() {
    for arguments in [
        &["call", "add", "--timeout", "abc"][..],
        &["call", "add", "--timeout", "5"],
        &["mint", "--user", "ada", "--lifetime", "soon"],
    ] {
        let ran = run(arguments, &[]).await;
        ran.failed(2, "write a number and a unit, such as 500ms, 30s or 5m");
        assert!(!ran.errors.contains("at 0"), "{ran:?}");
    }
}

#[tokio::test]
async fn what_is_not_there_is_1_and_says_so_without_the_words_of_libraries() {
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let token =
        [("PLATOOLS_DEV_TOKEN", "some-token-or-other"), ("PLATOOLS_SERVE_TOKEN", "some-token-or-other")];
    for (url, message) in [
        (format!("http://{nobody}"), format!("there is no platform at http://{nobody}")),
        (format!("http://{nobody}/mcp"), "cannot be reached".to_owned()),
    ] {
        let ran = run(&["list", "--url", &url], &token).await;
        ran.failed(1, &message);
        assert!(!ran.errors.contains("rmcp") && !ran.errors.contains("worker"), "{ran:?}");
    }
    let scratch = Scratch::new();
    let file = scratch
        .file("tools.toml", "[[tool.command]]\nname = \"t\"\ndescription = \"d\"\nprogram = \"true\"\n");
    let serve = ["serve", "--config", &file, "--http", "--host", "no.such.host.invalid"];
    let ran = run(&serve, &[&token[..], &[("PATH", "/usr/bin:/bin")]].concat()).await;
    ran.failed(2, "cannot listen on no.such.host.invalid:3200");
    assert!(!ran.errors.contains("(\"no.such"), "{ran:?}");
}

/// It reads the request of a call, and is gone.
#[tokio::test]
async fn a_platform_that_goes_away_during_a_call_was_there() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 8192];
            let read = stream.read(&mut request).await.unwrap();
            let request = String::from_utf8_lossy(&request[..read]).into_owned();
            let seat = json!({"environment": "dev", "connected": true, "callback_url": null});
            let body = if request.starts_with("GET /api/v1/entities ") {
                json!({"entities": [{"entity": "local", "environments": [seat]}]})
            } else if request.starts_with("GET ") {
                json!({"name": "add"})
            } else {
                continue;
            };
            let body = body.to_string();
            let answer = format!(
                "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    let ran = run(&["call", "add", "--url", &url], &[("PLATOOLS_DEV_TOKEN", "some-token-or-other")]).await;
    ran.failed(1, &format!("the platform at {url} went away before it answered"));
    assert!(!ran.errors.contains("there is no platform"), "{ran:?}");
}

/// Runs the program on a terminal of its own, which Python makes; what it shows, or nothing where there is no Python.
async fn on_terminal(arguments: &[&str], variables: &[(&str, &str)]) -> Option<String> {
    let mut command = tokio::process::Command::new("python3");
    let spawn = "import pty, sys; pty.spawn(sys.argv[1:])";
    command.args(["-c", spawn, env!("CARGO_BIN_EXE_platools")]).args(arguments).env("TERM", "xterm");
    // Where `CI` is set, every terminal counts as one with colours.
    for variable in ["CI", "NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "RUST_LOG"] {
        command.env_remove(variable);
    }
    command.envs(variables.iter().copied()).kill_on_drop(true);
    let mut terminal = match command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn() {
        Ok(terminal) => terminal,
        Err(error) => {
            eprintln!("skipped: python3 does not start: {error}");
            return None;
        }
    };
    // Ctrl-D, for a command that reads.
    let mut keyboard = terminal.stdin.take().unwrap();
    keyboard.write_all(b"\x04").await.unwrap();
    let output = timeout(GUARD, terminal.wait_with_output()).await.unwrap().unwrap();
    drop(keyboard);
    Some(String::from_utf8(output.stdout).unwrap())
}

#[tokio::test]
async fn a_terminal_has_colours_unless_it_shows_none() {
    let mut dev = Dev::start(&[]).await;
    let host = dev.connect("local").await;
    for (more, coloured) in [
        (&[][..], true),
        (&[("TERM", "dumb")], false),
        (&[("NO_COLOR", "1")], false),
        (&[("TERM", "dumb"), ("CLICOLOR_FORCE", "1")], true),
    ] {
        let variables = [&variables(&dev)[..], &[("RUST_LOG", "debug")], more].concat();
        let Some(shown) = on_terminal(&["list"], &variables).await else { return };
        let (log, tools): (Vec<_>, Vec<_>) = shown.lines().partition(|line| line.contains("DEBUG"));
        assert!(tools.iter().any(|line| line.contains("Add two whole numbers.")), "{more:?}: {shown}");
        assert!(!log.is_empty(), "{more:?}: {shown}");
        for lines in [log, tools] {
            assert_eq!(lines.concat().contains('\u{1b}'), coloured, "{more:?}: {lines:?}");
        }
    }
    host.stop().await;
    dev.stop().await;
}

#[tokio::test]
async fn serve_on_a_terminal_says_that_it_waits_for_a_client() {
    let scratch = Scratch::new();
    let file = scratch
        .file("tools.toml", "[[tool.command]]\nname = \"t\"\ndescription = \"d\"\nprogram = \"true\"\n");
    let serve = ["serve", "--config", &file];
    let Some(shown) = on_terminal(&serve, &[]).await else { return };
    assert!(shown.contains("waiting for an MCP client on this terminal's input"), "{shown}");
    let piped = run(&serve, &[("PATH", "/usr/bin:/bin"), ("RUST_LOG", "info")]).await;
    assert!(piped.code == 0 && !piped.errors.contains("waiting for an MCP client"), "{piped:?}");
}
