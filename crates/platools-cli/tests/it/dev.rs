//! `dev`, and what all commands share.

use platools::{Platools, tools};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::{Dev, Scratch, add, run};

#[tokio::test]
async fn it_tells_how_to_connect_and_then_what_happens() {
    let mut dev = Dev::start(&[]).await;
    assert_eq!(dev.banner["api"], format!("{}/api/v1", dev.url));
    let link = dev.banner["playground"].as_str().unwrap();
    assert!(link.starts_with(&format!("{}/#key=", dev.url)), "{link}");
    assert_eq!(dev.banner["entities"].as_array().unwrap().len(), 1);
    let host = dev.connect("local").await;
    dev.run(&["call", "refuse"]).await.failed(1, "not today");
    let told = dev.tells("called").await;
    assert!(told["text"].as_str().unwrap().starts_with("refuse  "), "{told}");
    assert!(told["text"].as_str().unwrap().ends_with("not today"), "{told}");
    host.stop().await;
    let told = dev.tells("disconnected").await;
    assert_eq!((&told["entity"], &told["environment"]), (&"local".into(), &"dev".into()));
    dev.stop().await;
}

#[tokio::test]
async fn it_is_as_unkind_as_the_real_server_if_asked_to() {
    run(&["dev", "--port", "0", "--allow-local-callbacks"], &[]).await.failed(2, "--as-real-server");
    let callback = "http://127.0.0.1:9/calls";
    for (more, part) in [
        (&[][..], "entity callback failed: "),
        (&["--as-real-server"], "entity callback URL blocked: is not encrypted"),
        (&["--as-real-server", "--allow-local-callbacks"], "entity callback failed: "),
    ] {
        let mut dev = Dev::start(more).await;
        let (url, secret) = dev.entity("local");
        let host = Platools::builder().url(url).secret(secret).tools(tools![add]);
        let host = host.allow_insecure(true).callback_url(callback).build().unwrap();
        let handle = host.handle();
        tokio::spawn(host.run_until(std::future::pending()));
        assert_eq!(dev.tells("visibility").await["text"], "agents see its tools");
        handle.shutdown().await;
        dev.tells("disconnected").await;
        dev.run(&["call", "add", "--params", r#"{"a": 1, "b": 2}"#]).await.failed(1, part);
        let told = dev.tells("called").await;
        assert!(told["text"].as_str().unwrap().starts_with("add  over HTTP  "), "{told}");
        dev.stop().await;
    }
}

#[tokio::test]
async fn a_taken_port_is_an_error_with_advice() {
    let dev = Dev::start(&[]).await;
    let port = dev.url.rsplit(':').next().unwrap().to_owned();
    let ran = run(&["dev", "--port", &port], &[]).await;
    ran.failed(2, &format!("cannot listen on 127.0.0.1:{port}"));
    ran.failed(2, "or choose another port (0 takes a free one)");
    let (_, offered) = ran.errors.rsplit_once("is free: --port ").unwrap_or_else(|| panic!("{ran:?}"));
    let offered: u16 = offered.trim().parse().unwrap();
    assert!(offered > port.parse().unwrap());
    dev.stop().await;
}

#[tokio::test]
async fn another_name_is_in_the_lines_and_opens_the_page() {
    let dev = Dev::start(&["--host-name", "dev.test"]).await;
    let (_, port) = dev.url.rsplit_once(':').unwrap();
    assert_eq!(dev.url, format!("http://dev.test:{port}"));
    assert_eq!(dev.entity("local").0, format!("ws://dev.test:{port}/tools/sync?entity=local&env=dev"));
    for (host, expected) in [("dev.test", "HTTP/1.1 200"), ("other.test", "HTTP/1.1 403")] {
        let mut stream = TcpStream::connect(format!("127.0.0.1:{port}")).await.unwrap();
        let request = format!("GET / HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with(expected), "{host}: {answer}");
    }
    dev.stop().await;
    for name in ["", "http://dev.test", "dev.test:80", "a b"] {
        run(&["dev", "--port", "0", "--host-name", name], &[]).await.failed(2, "such as dev.example");
    }
}

#[tokio::test]
async fn entities_come_from_the_command_line_or_from_a_file() {
    let scratch = Scratch::new();
    let file = scratch.file(
        "entities.toml",
        "[[entity]]\nname = \"zoo\"\nsecret = \"env:ZOO_SECRET\"\n[[entity]]\nname = \"art\"\n",
    );
    let secret = "zoo-secret-0123456789";
    let dev = Dev::start_with(&["--entities", &file], &[("ZOO_SECRET", secret)]).await;
    assert_eq!(dev.entity("zoo").1, secret);
    assert_eq!(dev.banner["entities"][0]["entity"], "zoo", "the first of the file is the default one");
    assert_eq!(dev.entity("art").1.len(), 64);
    dev.stop().await;

    let dev = Dev::start_with(&["--entity", "one"], &[("PLATOOLS_DEV_TOKEN", "my-own-token-0123")]).await;
    assert_eq!(dev.token, "my-own-token-0123");
    dev.stop().await;
}

#[tokio::test]
async fn entities_that_cannot_be_are_refused_with_their_place() {
    let scratch = Scratch::new();
    let file = |text| scratch.file("entities.toml", text);
    for (text, message) in [
        ("[[entity]]\nname = \"a\"\nsecret = 's3cret-s3cret-s3cret\n", "entities.toml`: line 3, column "),
        ("[[entity]]\nname = \"a b\"\n", "the name \"a b\" is not one: names have 1 to 64 characters"),
        ("[[entity]]\nname = \"a\"\nsecret = \"env:NO_SUCH\"\n", "entity `a`: "),
        ("", "names no entity"),
    ] {
        let ran = run(&["dev", "--port", "0", "--entities", &file(text)], &[]).await;
        ran.failed(2, message);
        assert!(!ran.errors.contains("s3cret-s3cret"), "{ran:?}");
    }
    for (arguments, message) in [
        (&["--entities", "/no/such.toml"][..], "the file `/no/such.toml` cannot be read"),
        (&["--entity", "a b"], "'a b' for '--entity <NAME>': names have 1 to 64 characters"),
        (&["--entity", ""], "names have 1 to 64 characters"),
        (&["--entity", "a", "--entity", "a"], "--entity names `a` twice"),
        (&["--entity", "a", "--entities", "b"], "cannot be used with"),
        (&["--token", "short"], "--token needs 16 characters"),
        (&["--bind", "192.0.2.1"], "choose an address of this machine"),
    ] {
        run(&[&["dev", "--port", "0"], arguments].concat(), &[]).await.failed(2, message);
    }
}

#[tokio::test]
async fn completions_are_printed_for_every_shell() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let ran = run(&["completions", shell], &[]).await;
        assert_eq!(ran.code, 0);
        for word in ["platools", "dev", "doctor", "--authenticate"] {
            let word = if shell == "fish" { word.trim_start_matches('-') } else { word };
            assert!(ran.out.contains(word), "{word} for {shell}");
        }
    }
    run(&["completions", "nosh"], &[]).await.failed(2, "possible values: bash");
    run(&["docter"], &[]).await.failed(2, "a similar subcommand exists: 'doctor'");
    let ran = run(&["--help"], &[]).await;
    assert!(ran.code == 0 && ran.out.contains("Exit codes: 0 done"), "{ran:?}");
}

/// A terminal in which `dev` is started: a folder, and where the user's files are.
struct Project {
    folder: Scratch,
    state: Scratch,
}

impl Project {
    fn new() -> Self {
        let project = Self { folder: Scratch::new(), state: Scratch::new() };
        std::fs::create_dir_all(&project.folder.0).unwrap();
        project
    }

    async fn dev(&self, more: &[&str]) -> Dev {
        Dev::start_in(&self.folder, more, &[("XDG_STATE_HOME", self.state.as_str())]).await
    }
}

/// What a host and a terminal were given.
fn given(dev: &Dev) -> (Value, String) {
    let seats = dev.banner["entities"].as_array().unwrap().iter();
    (seats.map(|seat| json!([seat["entity"], seat["secret"]])).collect(), dev.token.clone())
}

#[tokio::test]
async fn a_restart_breaks_no_terminal_unless_it_is_asked_to() {
    let project = Project::new();
    let dev = project.dev(&["--entity", "orders", "--entity", "stock"]).await;
    let first = given(&dev);
    let file = dev.banner["kept_in"].as_str().unwrap().to_owned();
    assert!(file.starts_with(project.state.as_str()), "{file}");
    dev.stop().await;

    let dev = project.dev(&[]).await;
    assert_eq!(given(&dev), first, "entities, secrets and the token are those of the last start");
    dev.stop().await;
    let dev = project.dev(&["--ephemeral"]).await;
    assert_eq!(
        (&dev.banner["entities"][0]["entity"], &dev.banner["kept_in"]),
        (&json!("local"), &Value::Null)
    );
    assert_ne!(dev.token, first.1);
    dev.stop().await;
    let dev = project.dev(&["--entity", "stock", "--token", "a-token-of-24-characters"]).await;
    assert_eq!(given(&dev), (json!([["stock", first.0[1][1]]]), "a-token-of-24-characters".to_owned()));
    dev.stop().await;
    let dev = project.dev(&["--entity", "orders"]).await;
    assert_eq!(
        given(&dev),
        (json!([["orders", first.0[0][1]]]), first.1.clone()),
        "a named token is not kept"
    );
    dev.stop().await;

    let other = Project { folder: Project::new().folder, state: Scratch::new() };
    std::fs::create_dir_all(&other.folder.0).unwrap();
    let dev = Dev::start_in(&other.folder, &[], &[("XDG_STATE_HOME", project.state.as_str())]).await;
    assert_ne!(dev.token, first.1, "another folder is another project");
    dev.stop().await;
}

#[cfg(unix)]
#[tokio::test]
async fn the_file_is_for_its_user_alone_and_follows_a_rotation() {
    use std::os::unix::fs::PermissionsExt as _;

    let project = Project::new();
    let dev = project.dev(&[]).await;
    let (first, file) = (given(&dev), dev.banner["kept_in"].as_str().unwrap().to_owned());
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let path = std::path::Path::new(&file);
    assert_eq!((mode(path), mode(path.parent().unwrap())), (0o600, 0o700));
    let _ = rustls::crypto::ring::default_provider().install_default();
    let rotate = reqwest::Client::new().post(format!("{}/api/v1/entities/local/secret", dev.url));
    let rotate = rotate.bearer_auth(&dev.token).header("content-type", "application/json").body("{}");
    rotate.send().await.unwrap().error_for_status().unwrap();
    dev.stop().await;
    let dev = project.dev(&[]).await;
    let rotated = given(&dev);
    assert!(rotated.0 != first.0 && rotated.1 == first.1, "the secret is the new one");
    dev.stop().await;

    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let dev = project.dev(&[]).await;
    assert!(given(&dev).1 != first.1 && mode(path) == 0o600, "what others could read is of no more use");
    dev.stop().await;
    std::fs::write(path, "{").unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let dev = project.dev(&[]).await;
    assert_eq!(dev.banner["kept_in"], Value::Null, "it starts all the same");
    dev.stop().await;
}

#[tokio::test]
async fn mint_works_with_what_it_prints() {
    let dev = Dev::start(&[]).await;
    let (url, secret) = dev.entity("local");
    let scope = |name: &str| dev.banner["scope"][name].as_str().unwrap().to_owned();
    let (organization, project) = (scope("organization_id"), scope("project_id"));
    let environment = scope("environment_id");
    let variables = [
        ("PLATOS_URL", &*url),
        ("PLATOS_SECRET", &*secret),
        ("PLATOS_ORGANIZATION_ID", &organization),
        ("PLATOS_PROJECT_ID", &project),
        ("PLATOS_ENVIRONMENT_ID", &environment),
    ];
    let ran = run(&["mint", "--user", "ada"], &variables).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    let _ = rustls::crypto::ring::default_provider().install_default();
    let session = reqwest::Client::new().get(format!("{}/api/v1/session", dev.url));
    let session = session.header("X-Platos-Session-Token", ran.out.trim()).send().await.unwrap();
    let checked = session.error_for_status().unwrap().text().await.unwrap();
    assert!(checked.contains("ada"), "the platform takes the token: {checked}");

    let shown = Dev::shown(&["--ephemeral"]).await;
    for line in [
        "export PLATOS_ORGANIZATION_ID=org_dev",
        "export PLATOS_ENVIRONMENT_ID=env_dev",
        "platools mint --user ID",
    ] {
        assert!(shown.contains(line), "{line}: {shown}");
    }
    dev.stop().await;
}

#[tokio::test]
async fn a_call_is_one_line() {
    let mut dev = Dev::start(&[]).await;
    let host = dev.connect("local").await;
    for _ in 0..3 {
        dev.run(&["call", "add", "--params", r#"{"a": 1, "b": 2}"#]).await;
        let told = dev.tells("called").await;
        let text = told["text"].as_str().unwrap();
        assert!(text.starts_with("add  ") && text.ends_with(" ms  ok") && !text.contains('\n'), "{text}");
    }
    host.stop().await;
    dev.stop().await;
}
