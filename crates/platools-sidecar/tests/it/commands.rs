//! `[[tool.command]]`: programs that behave, and programs that do not.

use std::os::unix::fs::PermissionsExt as _;

use platools_dev::DevPlatform;
use serde_json::json;

use crate::sidecar::{Folder, Running, call, entity, local};

fn script(folder: &Folder, text: &str) -> String {
    let path = folder.write("program", format!("#!/bin/sh\n{text}\n"));
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path.display().to_string()
}

fn tool(program: &str, keys: &str) -> String {
    format!("[[tool.command]]\nname = \"t\"\ndescription = \"d\"\nprogram = \"{program}\"\n{keys}\n")
}

#[tokio::test]
async fn arguments_are_words_and_standard_input_is_json() {
    let folder = Folder::new();
    let program = script(&folder, "for word in \"$@\"; do echo \"<$word>\"; done; cat");
    let keys = "stdin = \"json\"\nargs = [\"--\", [\"-n\", \"{n}\"], \"{name}\", \"{list}\"]\n\
                arguments.name = { type = \"string\" }\narguments.n = { type = \"integer\", optional = true }\n\
                arguments.list = { type = \"array\", items = { type = \"string\" }, default = [] }";
    let host = local(&tool(&program, keys)).await;
    let name = "$(id); `id` && rm -rf / | \"x\" '*'";
    let answer = call(&host, "t", json!({"name": name, "list": ["a b", "-c"]})).await.unwrap();
    let expected = format!("<-->\n<{name}>\n<a b>\n<-c>\n");
    let text = answer.as_str().unwrap();
    assert!(text.starts_with(&expected), "{text}");
    let given: serde_json::Value = serde_json::from_str(&text[expected.len()..]).unwrap();
    assert_eq!(given["name"], name);
}

#[tokio::test]
async fn an_option_in_disguise_is_refused() {
    let host = local(&tool("echo", "args = [\"{x}\"]")).await;
    let error = call(&host, "t", json!({"x": "-n"})).await.unwrap_err();
    assert_eq!(
        error,
        "invalid arguments: `x`: may not begin with a dash: the program would take it for an option"
    );
    assert_eq!(call(&host, "t", json!({"x": "n-"})).await.unwrap(), json!("n-"));
}

#[tokio::test]
async fn exit_codes_mean_what_the_file_says() {
    let folder = Folder::new();
    let program = script(&folder, "echo '{\"n\": 1}'; echo gone >&2; exit $1");
    let keys = "args = [\"{code}\"]\nexit.2 = \"ok\"\nexit.3 = \"no such thing: {stderr}\"";
    let host = local(&tool(&program, keys)).await;
    let code = async |code: &str| call(&host, "t", json!({"code": code})).await;
    assert_eq!(code("0").await.unwrap(), json!({"n": 1}));
    assert_eq!(code("2").await.unwrap(), json!({"n": 1}));
    assert_eq!(code("3").await.unwrap_err(), "no such thing: gone");
    assert_eq!(code("4").await.unwrap_err(), "the program failed with exit code 4");
}

#[tokio::test]
async fn a_program_gets_the_variables_that_the_file_names_and_no_other() {
    let folder = Folder::new();
    let secret = folder.write("secret", "s3cret\n");
    let program = script(&folder, "env");
    let keys =
        format!("inherit_env = []\nenv.GREETING = \"hello\"\nenv.TOKEN = \"file:{}\"", secret.display());
    let host = local(&tool(&program, &keys)).await;
    let answer = call(&host, "t", json!({})).await.unwrap();
    let mut lines: Vec<&str> = answer.as_str().unwrap().lines().collect();
    // A shell sets these by itself.
    lines.retain(|line| !["PWD=", "_=", "SHLVL=", "OLDPWD="].iter().any(|name| line.starts_with(name)));
    lines.sort_unstable();
    assert_eq!(lines, ["GREETING=hello", "TOKEN=s3cret"]);
}

#[tokio::test]
async fn a_flood_a_fork_and_one_that_does_not_listen_end_with_the_call() {
    let folder = Folder::new();
    let pids = folder.path("pids");
    let program = script(
        &folder,
        &format!(
            "trap '' TERM\ncase $1 in\nflood) while :; do echo yyyyyyyyyyyyyyyyyyyyyyyy; done;;\n\
             fork) (trap '' TERM; sleep 1000; sleep 1000) & echo $$ $! > {}; sleep 1000; sleep 1000;;\nesac",
            pids.display()
        ),
    );
    let keys = "args = [\"{what}\"]\ntimeout = \"500ms\"\nkill_after = \"100ms\"\nmax_output = \"10 KiB\"";
    let host = local(&tool(&program, keys)).await;
    let error = call(&host, "t", json!({"what": "flood"})).await.unwrap_err();
    assert_eq!(error, "the program wrote more than 10240 bytes: ask for less at once");
    let error = call(&host, "t", json!({"what": "fork"})).await.unwrap_err();
    assert_eq!(error, "timed out after 500 ms");
    for pid in std::fs::read_to_string(pids).unwrap().split_whitespace() {
        let path = format!("/proc/{pid}/stat");
        let gone = async {
            while std::fs::read_to_string(&path).is_ok_and(|stat| !stat.contains(") Z ")) {
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(crate::sidecar::GUARD, gone).await.expect("it is gone");
    }
}

#[tokio::test]
async fn arguments_that_no_command_line_takes_are_said_to_be_too_long() {
    let host = local(&tool("echo", "args = [\"{x}\"]")).await;
    let error = call(&host, "t", json!({"x": "x".repeat(4 << 20)})).await.unwrap_err();
    assert_eq!(error, "invalid arguments: they are longer than a command line may be: give less");
}

#[tokio::test]
async fn a_json_text_stands_for_what_it_says() {
    let keys = "stdin = \"json\"\narguments.n = { type = \"integer\" }\n\
                arguments.list = { type = \"array\", items = { type = \"string\" } }";
    let host = local(&tool("cat", keys)).await;
    let answer = call(&host, "t", json!({"n": "3", "list": "[\"4\"]"})).await;
    assert_eq!(answer, Ok(json!({"n": 3, "list": ["4"]})));
    let error = call(&host, "t", json!({"n": "three", "list": []})).await.unwrap_err();
    assert!(error.contains("`n`: expected an integer, got the string \"three\""), "{error}");
}

#[tokio::test]
async fn a_description_says_what_the_arguments_are_where_the_file_wants_it() {
    let platform = DevPlatform::options().entity_with_random_secret("orders").start().await.unwrap();
    let folder = Folder::new();
    let tool = |name: &str, key: &str| {
        format!(
            "[[tool.command]]\nname = \"{name}\"\ndescription = \"List orders.\"\nprogram = \"true\"\n{key}\n\
             arguments.limit = {{ type = \"integer\", default = 3, description = \"How many. Few.\" }}\n"
        )
    };
    let tools = [tool("told", ""), tool("untold", "describe_parameters = false")].concat();
    let file = format!("{}describe_parameters = true\n{tools}", entity(&platform, "orders"));
    let sidecar = Running::start(&folder.write("platools.toml", file), &folder, &[]);
    sidecar.says("the platform has the tools").await;
    let orders = platform.entity_in("orders", "dev").unwrap();
    let descriptions = ["told", "untold"].map(|name| orders.tool(name).unwrap().description);
    assert_eq!(
        descriptions,
        ["List orders.\n\nParameters:\n- limit (integer, default 3): How many.", "List orders."]
    );
    assert_eq!(sidecar.stop().await, Some(0));
}
