//! `check`, the start and a reload have to agree about every file.

use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::report;
use crate::run::reader::checked;

/// A key, the values that are right, and those that are wrong.
type Key = (&'static str, &'static [&'static str], &'static [&'static str]);

const ENTITY: &[Key] = &[
    ("environment", &["'prod'"], &["''", "3"]),
    ("when_superseded", &["'exit'", "'take-over'"], &["'never'"]),
    ("heartbeat_interval", &["'10ms'", "'1h'"], &["'1ms'", "'2h'", "'0s'"]),
    ("max_running", &["1", "9223372036854775807"], &["0", "-1"]),
    ("max_waiting", &["0", "9223372036854775807"], &["-1"]),
    ("max_unsent_bytes", &["1", "9223372036854775807"], &["0"]),
    ("max_kept_bytes", &["0", "9223372036854775807"], &["1.5"]),
    ("ca_file", &[], &["'/no/such'", "'/dev/zero'", "'/dev/null'"]),
];

const SESSION_TOKENS: &[Key] = &[
    (
        "allow_origins",
        &["[]", "['https://app.example', 'http://localhost:3000']"],
        &[
            "['wss://app.example']",
            "['https://app.example/']",
            "['*']",
            "['null']",
            "['file:///x']",
            "['https://App.example']",
            "['https://ä.example']",
        ],
    ),
    (
        "path",
        &["'/'", "'/a/b'", "'/a/'", "'/a:b'", "'/%7Ba%7D'"],
        &["''", "'a'", "'/{a}'", "'/:a'", "'/*a'", "'/a b'"],
    ),
    ("trusted_proxies", &["['10.0.0.0/8', '::1']"], &["['proxy']", "['10.0.0.0/33']"]),
    (
        "per_user",
        &["'1/min'", "'4294967295/1ms'", "'1/d, burst 4294967295'"],
        &["'0/min'", "'1/min, per user'"],
    ),
    ("per_address", &["'1/1000d'", "'1/1000000000000s'"], &["'1/0s'", "'1/min, per user'"]),
    ("entity", &["'e'"], &["'f'"]),
];

const TOOL: &[Key] = &[
    ("method", &["'POST'"], &["'GETT'", "'CONNECT'"]),
    ("timeout", &["'1ms'", "'24h'"], &["'25h'"]),
    ("concurrency", &["1", "9223372036854775807"], &["0"]),
    (
        "rate_limit",
        &["'4294967295/1ms'", "'1/1000000000000s'", "'1/d, burst 4294967295, per user'"],
        &["'1/0s'"],
    ),
    ("retries", &["0", "10"], &["11"]),
    ("max_response", &["'1 B'", "'1024 MiB'"], &["'0 B'", "'1025 MiB'"]),
    ("pick", &["''", "'/a'"], &["'a'"]),
    ("headers", &["{ x = 'a' }"], &["{ 'x y' = 'a' }", "{ host = 'a' }", "{ x = \"a\\nb\" }"]),
    (
        "arguments",
        &["{ a = { type = 'string' } }"],
        &["{ a = { type = 'strng' } }", "{ a = { pattern = '(' } }"],
    ),
    ("entities", &["['e']", "[]"], &["['f']"]),
];

const AUTHENTICATOR: &[Key] = &[
    ("issuer", &["'i'", "''"], &["3"]),
    ("subject_claim", &["'sub'", "''"], &[]),
    ("roles_claim", &["'roles'"], &["[]"]),
];

const PLATO: &[Key] = &[
    ("max_sessions", &["1", "9223372036854775807"], &["0"]),
    ("idle_timeout", &["'1ms'", "'24h'"], &["'0s'"]),
    ("screen", &["'1x1'", "'4294967295x4294967295'"], &["'0x1'", "'1'"]),
    ("max_result", &["'1 B'", "'1024 MiB'"], &["'1 GiB'"]),
    ("prefix", &["'a'"], &["' '", "'a/'"]),
    ("base_url", &["'http://127.0.0.1:1'"], &["'ftp://127.0.0.1'", "'x'"]),
];

const REST: &[Key] = &[
    ("log.level", &["'info'", "'warn,platools=debug'"], &["'inof'", "'a=b=c'"]),
    ("log.format", &["'json'"], &["'xml'"]),
    ("sidecar.shutdown_grace", &["'1ms'", "'24h'"], &["'25h'"]),
    ("egress.deny_private", &["false"], &["1"]),
    ("egress.allow", &["['169.254.169.254']"], &["['metadata']"]),
];

/// Lines of a section, each key there or not; most values are right, so that a whole file is now and then.
fn lines(keys: &'static [Key]) -> impl Strategy<Value = String> {
    let line = |&(key, right, wrong): &Key| {
        let of = |values: &'static [&'static str]| match values {
            [] => Just(String::new()).boxed(),
            values => select(values).prop_map(move |value| format!("{key} = {value}\n")).boxed(),
        };
        prop_oneof![48 => Just(String::new()), 15 => of(right), 1 => of(wrong)]
    };
    keys.iter().map(line).collect::<Vec<_>>().prop_map(|lines| lines.concat())
}

fn section(head: &'static str, keys: &'static [Key]) -> impl Strategy<Value = String> {
    prop_oneof![1 => Just(String::new()), 1 => lines(keys).prop_map(move |lines| format!("{head}{lines}"))]
}

fn files() -> impl Strategy<Value = String> {
    let url = select(
        &["ws://127.0.0.1:1/x", "wss://h.example", "wss://h.example", "http://h.example", "ws://10.0.0.1"][..],
    );
    let secret = select(&["0123456789abcdef0", "another-secret-of-it", "short"][..]);
    let entity = (url, secret, lines(ENTITY)).prop_map(|(url, secret, lines)| {
        format!("[[entity]]\nname = 'e'\nurl = '{url}'\nsecret = '{secret}'\n{lines}")
    });
    let head = "[session_tokens]\nlisten = '127.0.0.1:0'\norganization_id = 'o'\nproject_id = 'p'\nenvironment_id = 'e'\n\
                shared_secret = '0123456789abcdef0'\n";
    (
        lines(REST),
        entity,
        section(head, SESSION_TOKENS),
        section("[[tool.http]]\nname = 't'\nurl = 'http://127.0.0.1:1/'\n", TOOL),
        section("[authenticator]\nsecret = '0123456789abcdef0123456789abcdef0'\n", AUTHENTICATOR),
        section("[[plato]]\napi_key = 'k'\nsimulator = 's'\n", PLATO),
        section("[admin]\nlisten = '127.0.0.1:0'\n", &[]),
    )
        .prop_map(|(rest, entity, tokens, tool, authenticator, plato, admin)| {
            [rest, entity, tokens, tool, authenticator, plato, admin].concat()
        })
}

/// Reads the file of a daemon again, and goes over to it as it would by itself.
async fn reload(daemon: &mut Daemon) -> Option<String> {
    daemon.reload();
    let Read::Plan(plan, anew) = daemon.file.next().await else { panic!("nobody looks here") };
    daemon.go_over(*plan, anew).await;
    daemon.view.state()["last_reload"]["problem"].as_str().map(str::to_owned)
}

#[test]
fn whatever_check_accepts_starts_and_whatever_starts_passes_check() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let path = std::env::temp_dir().join(format!("platools-sidecar-agree-{}.toml", std::process::id()));
    let start = async || -> Result<Daemon, String> {
        let mut file = ConfigFile::new(&path);
        let plan = checked(&mut file).await.map_err(|error| error.to_string())?;
        Daemon::start(Reader::new(file), plan).await.map_err(|error| error.to_string())
    };
    let simple = "[[entity]]\nname = 'e'\nurl = 'ws://127.0.0.1:1'\nsecret = '0123456789abcdef0'\n";
    std::fs::write(&path, simple).unwrap();
    let running = std::cell::Cell::new(Some(runtime.block_on(start()).unwrap()));
    let mut outcomes = [0, 0];
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 40,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let agreed = {
        let outcomes = std::cell::RefCell::new(&mut outcomes);
        runner.run(&files(), |text| {
            std::fs::write(&path, &text).unwrap();
            runtime.block_on(async {
                let accepted = report::check(&path).await.map(drop).map_err(|error| error.to_string());
                let started = match start().await {
                    Ok(mut daemon) => {
                        daemon.fleet.stop().await;
                        daemon.stop.cancel();
                        Ok(())
                    }
                    Err(problem) => Err(problem),
                };
                prop_assert_eq!(&started, &accepted, "{}", text);
                let mut daemon = running.take().unwrap();
                let reloaded = reload(&mut daemon).await;
                running.set(Some(daemon));
                prop_assert_eq!(&reloaded, &accepted.clone().err(), "{}", text);
                outcomes.borrow_mut()[usize::from(accepted.is_ok())] += 1;
                Ok(())
            })
        })
    };
    agreed.unwrap();
    assert!(outcomes[0] > 4 && outcomes[1] > 4, "refused and accepted: {outcomes:?}");
    std::fs::write(&path, simple).unwrap();
    assert_eq!(runtime.block_on(reload(&mut running.take().unwrap())), None);
    std::fs::remove_file(&path).unwrap();
}
