//! `list` and `call`.

use serde_json::json;

use crate::support::{Dev, Scratch, run};

#[tokio::test]
async fn tools_are_listed_for_people_and_for_programs() {
    let mut dev = Dev::start(&[]).await;
    let host = dev.connect("local").await;
    let ran = dev.run(&["list"]).await;
    assert_eq!(ran.code, 0);
    let lines: Vec<&str> = ran.out.lines().collect();
    assert_eq!(lines.len(), 5, "{ran:?}");
    assert!(lines[0].starts_with("add ") && lines[0].contains("Add two whole numbers."), "{ran:?}");
    assert!(lines[4].starts_with("whoami") && lines[4].contains("[user: support]"), "{ran:?}");

    let tools = dev.run(&["list", "--json"]).await.json();
    assert_eq!(tools[0]["name"], "add");
    assert_eq!(tools[0]["input_schema"]["required"], json!(["a", "b"]));
    assert_eq!(dev.run(&["list", "today", "--json"]).await.json(), json!([]));
    assert_eq!(dev.run(&["list", "WHOLE", "--json"]).await.json()[0]["name"], "add");
    let ran = dev.run(&["list", "today"]).await;
    assert_eq!((ran.code, ran.out.as_str()), (0, ""));
    assert!(ran.errors.contains("no tool has these words"));
    host.stop().await;
    dev.stop().await;
}

#[tokio::test]
async fn a_call_prints_its_result_and_nothing_else() {
    let mut dev = Dev::start(&[]).await;
    let host = dev.connect("local").await;
    let ran = dev.run(&["call", "add", "--params", r#"{"a": 2, "b": 40}"#]).await;
    assert_eq!((ran.code, ran.out.as_str()), (0, "42\n"), "{ran:?}");
    let call = dev.run(&["call", "add", "--params", r#"{"a": 2, "b": 40}"#, "--json"]).await.json();
    assert_eq!((&call["outcome"], &call["result"]), (&json!("result"), &json!(42)));
    assert_eq!(call["signature"]["valid"], true);
    let scratch = Scratch::new();
    let file = format!("@{}", scratch.file("params.json", r#"{"a": -1, "b": 1}"#));
    assert_eq!(dev.run(&["call", "add", "-p", &file]).await.out, "0\n");

    let variables =
        [("PLATOOLS_DEV_URL", &*dev.url), ("PLATOOLS_DEV_TOKEN", &dev.token), ("USER_TOKEN", "tok-ada")];
    let caller = ["--user", "ada", "--agent", "ag", "--thread", "th", "--user-token", "env:USER_TOKEN"];
    let context = ["--context", "plan=pro", "--context", "size=3", "--entity", "local", "--env", "dev"];
    let ran = run(&[&["call", "whoami"], &caller[..], &context].concat(), &variables).await;
    assert_eq!(ran.json(), json!(["ada", "ag", "th", "tok-ada", {"plan": "pro", "size": 3}]));
    // As the playground copies it: each option one word, so that a value may begin with anything.
    let copied = ["call", "whoami", "--user=-ada", "--agent=ag", "--context=three=\"3\"", "--context=a=b=c"];
    assert_eq!(dev.run(&copied).await.json(), json!(["-ada", "ag", "", null, {"three": "3", "a": "b=c"}]));
    let params = "--params={\"a\": 1,\n \"b\": 2\n}\n";
    assert_eq!(dev.run(&["call", "add", "--entity=local", "--env=dev", params]).await.out, "3\n");
    assert_eq!(dev.tells("called").await["entity"], "local");
    host.stop().await;
    dev.stop().await;
}

#[tokio::test]
async fn what_the_tool_says_no_to_is_1_and_what_the_user_got_wrong_is_2() {
    let mut dev = Dev::start(&[]).await;
    let host = dev.connect("local").await;
    dev.run(&["call", "refuse"]).await.failed(1, "not today");
    dev.run(&["call", "add", "--params", r#"{"a": 1}"#]).await.failed(1, "`b` is missing");
    dev.run(&["call", "hang", "--timeout", "50ms"]).await.failed(1, "the host did not answer in time");
    let ran = dev.run(&["call", "hang", "--timeout", "50ms", "--json"]).await;
    assert_eq!((ran.code, &ran.json()["outcome"]), (1, &json!("timed_out")));

    for (arguments, message) in [
        (&["call", "ad"][..], "there is no tool `ad`; did you mean `add`?"),
        (&["call", "add", "--params", "[1]"], "is not a JSON object"),
        (&["call", "add", "--params", "{"], "is not JSON"),
        (&["call", "add", "--params", "@/no/such"], "/no/such"),
        (&["call", "add", "--timeout", "0s"], "choose a time from 1ms to 10m"),
        (&["call", "add", "--timeout", "11m"], "choose a time from 1ms to 10m"),
        (&["call", "add", "--role", "admin"], "give a --user-token"),
        (&["call", "add", "--user-token", "env:NO_SUCH"], "`NO_SUCH` is not set"),
        (&["call", "add", "--context", "plan"], "KEY=VALUE"),
        (&["list", "--entity", "nope"], "the platform has no entity `nope`; choose one of local"),
        (&["list", "--env", "nope"], "no environment `nope`; choose one of dev, staging, preview, prod"),
        (&["list", "--url", "ftp://127.0.0.1"], "write http://HOST:PORT"),
        (&["list", "--token", "wrong-wrong-wrong-wrong"], "does not take this API token"),
    ] {
        dev.run(arguments).await.failed(2, message);
    }
    for (arguments, message) in [
        (&["list", "--env", "prod"][..], "no host is connected in environment `prod`"),
        (&["list", "--entity", "local", "--env", "prod"], "as entity `local` in environment `prod`; start"),
    ] {
        dev.run(arguments).await.failed(1, message);
    }
    host.abandon();
    dev.stop().await;
}

#[tokio::test]
async fn json_that_no_value_holds_is_shown_as_it_came() {
    let mut dev = Dev::start(&[]).await;
    let host = dev.connect("local").await;
    for result in ["1e999", r#""\ud800""#] {
        let params = json!({ "text": result }).to_string();
        let ran = dev.run(&["call", "verbatim", "--params", &params]).await;
        assert_eq!((ran.code, ran.out.trim_end()), (0, result), "{ran:?}");
        let ran = dev.run(&["call", "verbatim", "--json", "--params", &params]).await;
        assert!(ran.code == 0 && ran.out.contains(&format!(r#""result":{result},"#)), "{ran:?}");
    }
    host.stop().await;
    dev.stop().await;
}

#[tokio::test]
async fn an_error_of_a_tool_commands_no_terminal() {
    let mut dev = Dev::start(&[]).await;
    let host = dev.connect("local").await;
    let params = json!({"why": "line\n\u{1b}[2Jnext"}).to_string();
    dev.run(&["call", "refuse", "--params", &params]).await.failed(1, "error: line\n\\u{1b}[2Jnext");
    host.stop().await;
    dev.stop().await;
}

#[tokio::test]
async fn several_hosts_have_to_be_told_apart() {
    let mut dev = Dev::start(&["--entity", "art", "--entity", "zoo"]).await;
    let no_host = "no host is connected; start one with the lines that `platools dev` printed";
    dev.run(&["list"]).await.failed(1, no_host);
    let art = dev.connect("art").await;
    assert_eq!(dev.run(&["list"]).await.code, 0, "the only one is meant");
    let zoo = dev.connect("zoo").await;
    let choices = "several hosts are connected, say which: --entity art --env dev, or --entity zoo --env dev";
    dev.run(&["list"]).await.failed(2, choices);
    dev.run(&["call", "add"]).await.failed(2, choices);
    let params = r#"{"a": 1, "b": 1}"#;
    assert_eq!(dev.run(&["call", "add", "--params", params, "--entity", "zoo"]).await.out, "2\n");
    art.stop().await;
    zoo.stop().await;
    dev.stop().await;
}

#[tokio::test]
async fn without_a_platform_or_its_token_it_says_what_to_do() {
    let token = [("PLATOOLS_DEV_TOKEN", "some-token-or-other")];
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let ran = run(&["list", "--url", &format!("http://{nobody}")], &token).await;
    ran.failed(1, &format!("there is no platform at http://{nobody} ("));
    ran.failed(1, "start one with `platools dev`");
    for variables in [&[][..], &[("PLATOOLS_DEV_TOKEN", "")]] {
        run(&["list"], variables).await.failed(2, "set PLATOOLS_DEV_TOKEN to what `platools dev` printed");
    }
    let unset = [("PLATOOLS_DEV_URL", ""), ("PLATOOLS_DEV_TOKEN", "")];
    run(&["list"], &unset).await.failed(2, "no API token");
}
