//! Mistakes in the file: each is found, with its line, its key and what to do.

use crate::sidecar::{Folder, Running, problems};

/// A file whose last line is wrong; the problem has to name that line and say this.
async fn says(text: &str, part: &str) {
    let found = problems(text).await;
    let line = text.trim_end().lines().count();
    let fits = |problem: &String| problem.starts_with(&format!("line {line}: ")) && problem.contains(part);
    assert!(found.iter().any(fits), "line {line} and {part:?} in {found:?} of\n{text}");
}

const TOOL: &str = "[[tool.http]]\nname = \"t\"\nurl = \"http://127.0.0.1:1/a/{id}\"\n";
const COMMAND: &str = "[[tool.command]]\nname = \"c\"\nprogram = \"true\"\n";
const BACKEND: &str = "[backend.b]\nurl = \"http://127.0.0.1:1\"\n";
const MCP: &str = "[[mcp]]\nname = \"m\"\n";

#[tokio::test]
async fn keys_and_sections_that_do_not_exist_come_with_the_nearest_that_do() {
    for (text, part) in [
        ("[[entitty]]", "did you mean `entity`?"),
        ("[banana]", "the keys are `entity`, `tool`"),
        ("[[tool.htp]]", "did you mean `http`?"),
        ("[tool]\nhttp = 3", "`[[tool.http]]`, with two brackets"),
        ("tool = 3", "`[[tool.http]]` or `[[tool.command]]`"),
        ("[entity]", "`[[entity]]`, with two brackets"),
        ("[[backend]]", "`[backend.NAME]`, with one bracket"),
        (&format!("{TOOL}metod = \"GET\""), "did you mean `method`?"),
        (&format!("{COMMAND}argz = []"), "did you mean `args`?"),
        (&format!("{BACKEND}forwards = []"), "did you mean `forward`?"),
        (&format!("{MCP}banana = []"), "the keys are `name`, `command`"),
        ("[log]\nformat = \"xml\"", "write one of `text`, `json`"),
        ("[log]\nlevel = \"debgu\"", "`debgu` is no level: did you mean `debug`?"),
        ("[log]\nlevel = \"a=b=c\"", "this is no filter"),
        ("[sidecar]\nstate_dir = \"\"", "name a directory"),
        (
            "[sidecar]\nstate_dir = \"platools.toml\"",
            "/platools.toml (PLATOOLS_STATE_DIR or `state_dir`) is not a directory",
        ),
        #[cfg(target_os = "linux")]
        ("[sidecar]\nstate_dir = \"/proc/platools\"", "cannot be created"),
        ("[sidecar]\nstate_dri = \"x\"", "did you mean `state_dir`?"),
    ] {
        says(text, part).await;
    }
}

#[tokio::test]
async fn values_of_the_wrong_kind_are_said_with_the_right_one() {
    for (key, part) in [
        ("timeout = 10", "write a time such as \"10s\", in quotes"),
        ("timeout = \"soon\"", "write one up to 24h"),
        ("max_response = \"1 GB\"", "such as \"64 KiB\""),
        ("rate_limit = \"often\"", "60/min"),
        ("concurrency = \"many\"", "write a whole number"),
        ("concurrency = 0", "no call could ever run"),
        ("read_only = \"yes\"", "write true or false"),
        ("auth = \"usr\"", "did you mean `user`?"),
        ("roles = \"admin\"", "write a list, in brackets"),
        ("forward = [\"userid\"]", "did you mean `user_id`?"),
        ("method = \"GETT\"", "did you mean `GET`?"),
        ("response = \"xml\"", "write one of `auto`, `json`, `text`"),
        ("body = \"xml\"", "write `json`, `form`, `none`"),
        ("body = \"json\"", "requests with this method have no body"),
        ("retries = 100", "write 10 at most"),
        ("pick = \"data\"", "no JSON Pointer"),
        ("bearer = 3", "\"env:NAME\""),
        ("bearer = \"env:PLATOOLS_NO_SUCH\"", "`PLATOOLS_NO_SUCH` is not set"),
        ("bearer = \"file:/no/such\"", "`/no/such` cannot be read"),
        ("sign = \"file:/no/such\"", "`/no/such` cannot be read"),
        ("headers.\"x y\" = \"z\"", "no name of a header"),
        ("headers.host = \"z\"", "set by the sidecar"),
        ("headers.X-Platos-User-Id = \"root\"", "set by the sidecar"),
        ("headers.x = \"a\\nb\"", "cannot stand in a header"),
        ("query.a = \"{b\"", "not closed"),
        ("backend = \"b\"", "there is no backend `b`"),
        ("entities = [\"e\"]", "the file has no `[[entity]]`"),
        ("name = \"again\"", "this key stands there already"),
    ] {
        says(&format!("{TOOL}{key}"), part).await;
    }
}

/// Where others are known, the nearest is the answer; the section is shown where there is none of its kind.
#[tokio::test]
async fn a_backend_that_is_not_there_comes_with_the_nearest_or_with_its_section() {
    let tool = "[[tool.http]]\nname = \"t\"\nurl = \"/a\"\nbackend = \"ordrs\"";
    assert_eq!(
        problems(&format!("[backend.orders]\nurl = \"http://127.0.0.1:1\"\n{tool}")).await,
        ["line 6: `backend` of [[tool.http]] `t`: there is no backend `ordrs`, did you mean `orders`?"]
    );
    assert_eq!(
        problems(tool).await,
        [
            "line 4: `backend` of [[tool.http]] `t`: there is no backend `ordrs`, nor any other: add it, as `[backend.ordrs]`"
        ]
    );
}

#[tokio::test]
async fn urls_stay_where_the_file_puts_them() {
    for (url, part) in [
        ("/orders", "not a whole URL"),
        ("http://{host}/x", "may not choose the scheme, the host or the port"),
        ("http://h:{port}/x", "may not choose"),
        ("ftp://h/x", "only http:// and https://"),
        ("http://u:s3cret@h/x", "user name or a password"),
        ("http://169.254.169.254/latest/meta-data", "link-local or metadata address"),
        ("http://[::ffff:169.254.169.254]/", "link-local or metadata address"),
        ("http://2852039166/", "link-local or metadata address"),
        ("http://h/../x", "no steps of a path"),
        ("http://h/{a b}", "no placeholder"),
        ("http://h/{call.password}", "`{call.password}` is unknown"),
    ] {
        let text = format!("[[tool.http]]\nname = \"t\"\nurl = \"{url}\"");
        says(&text, part).await;
        assert!(!problems(&text).await.join("").contains("s3cret"));
    }
    let named = "[egress]\nallow = [\"169.254.169.254\"]\n[[tool.http]]\nname = \"t\"\nurl = \"http://169.254.169.254/x\"";
    assert_eq!(problems(named).await, [""; 0]);
    says(
        "[egress]\ndeny_private = true\n[[tool.http]]\nname = \"t\"\nurl = \"http://10.0.0.1/x\"",
        "private or reserved address",
    )
    .await;
}

#[tokio::test]
async fn arguments_and_placeholders_have_to_fit_each_other() {
    for (keys, part) in [
        ("arguments.idd = { type = \"string\" }", "did you mean `{idd}`?"),
        ("arguments.other = { type = \"string\" }", "`{id}` is no argument: add `arguments.id"),
        ("schema = '{\"properties\": {\"x\": {}}}'", "`{id}` is no argument"),
        ("schema = '{'", "not JSON"),
        ("schema = '[]'", "has to be an object"),
        ("schema = { type = \"string\" }", "arguments have names"),
        ("schema_file = \"/no/such.json\"", "cannot be read"),
        ("arguments.id = { type = \"strng\" }", "did you mean \"string\"?"),
        ("arguments.id = { \"$ref\" = \"https://schemas.example/id\" }", "nothing is fetched"),
        ("arguments.id = { type = \"string\", pattern = \"(\" }", "not a JSON Schema"),
        ("output_schema = { type = \"strng\" }", "not a JSON Schema"),
    ] {
        let found = problems(&format!("{TOOL}{keys}")).await;
        assert!(found.iter().any(|problem| problem.contains(part)), "{part:?} in {found:?}");
        assert!(found.iter().all(|problem| problem.starts_with("line ")), "{found:?}");
    }
    let optional = format!("{TOOL}arguments.id = {{ type = \"string\", optional = true }}");
    assert!(problems(&optional).await[0].contains("do not leave it optional"));
    let both = format!("{TOOL}arguments.id = {{ type = \"string\" }}\nschema = {{ type = \"object\" }}");
    says(&both, "keep one of the two").await;
    assert_eq!(problems(TOOL).await, [""; 0], "without any, placeholders are texts");
}

#[tokio::test]
async fn programs_have_to_be_there_and_shells_get_no_script_of_an_agent() {
    let folder = Folder::new();
    let plain = folder.write("plain", "no program");
    for (text, part) in [
        ("[[tool.command]]\nname = \"c\"\nprogram = \"no-such-program\"", "no program `no-such-program`"),
        (&format!("[[tool.command]]\nname = \"c\"\nprogram = \"{}\"", plain.display()), "is not executable"),
        ("[[tool.command]]\nname = \"c\"\nprogram = \"/no/such\"", "does not exist"),
        (&format!("{COMMAND}cwd = \"/no/such\""), "is no folder"),
        (&format!("{COMMAND}args = [\"{{x\"]"), "not closed"),
        (&format!("{COMMAND}exit.many = \"x\""), "numbers from 0 to 255"),
        (&format!("{COMMAND}exit.300 = \"x\""), "numbers from 0 to 255"),
        (&format!("{COMMAND}env.\"A=B\" = \"x\""), "no name of a variable"),
        (&format!("{COMMAND}env.A = \"env:PLATOOLS_NO_SUCH\""), "is not set"),
        (&format!("{COMMAND}stdin = \"yaml\""), "write one of `none`, `json`"),
        (
            "[[tool.command]]\nname = \"c\"\nprogram = \"sh\"\nargs = [\"-c\", \"ls {dir}\"]",
            "lets agents run anything",
        ),
    ] {
        says(text, part).await;
    }
}

#[tokio::test]
async fn entities_listeners_and_authenticators_are_complete() {
    let entity = "[[entity]]\nname = \"e\"\nsecret = \"0123456789abcdef0\"\n";
    for (text, part) in [
        (
            "[[entity]]\nname = \"a b\"\nurl = \"wss://h\"\nsecret = \"0123456789abcdef0\"",
            "1 to 64 characters",
        ),
        (&format!("{entity}url = \"http://h/x\""), "ws"),
        (&format!("{entity}url = \"ws://10.0.0.1/x\""), "encrypted"),
        (&format!("{entity}url = \"env:PLATOOLS_NO_SUCH\""), "is not set"),
        ("[[entity]]\nname = \"e\"\nurl = \"wss://h\"\nsecret = \"short\"", "at least 16"),
        ("[[entity]]\nname = \"e\"\nurl = \"wss://h\"\nsecret = \"env:PLATOOLS_NO_SUCH\"", "is not set"),
        ("[admin]\nlisten = \"0.0.0.0:8700\"", "allow_remote"),
        ("[admin]\nlisten = \"somewhere\"", "write an address with a port"),
        ("[authenticator]\njwks_url = \"http://10.0.0.1/jwks\"", "https"),
        ("[authenticator]\nsecret = \"short\"", "16"),
    ] {
        let found = problems(text).await;
        assert!(found.iter().any(|problem| problem.contains(part)), "{part:?} in {found:?} of\n{text}");
    }
    for (text, part) in [
        ("[authenticator]\nissuer = \"x\"", "one of `secret`, `public_key_file` and `jwks_url`"),
        (
            "[session_tokens]\nlisten = \"127.0.0.1:0\"\norganization_id = \"o\"\nproject_id = \"p\"\nenvironment_id = \"e\"",
            "add an `[[entity]]`",
        ),
    ] {
        let found = problems(text).await;
        assert!(found.iter().any(|problem| problem.contains(part)), "{part:?} in {found:?}");
    }
}

#[tokio::test]
async fn settings_of_the_endpoint_for_tokens_are_judged_before_it_is_started() {
    let head = "[[entity]]\nname = \"e\"\nurl = \"ws://127.0.0.1:1\"\nsecret = \"0123456789abcdef0\"\n\
                [admin]\nlisten = \"127.0.0.1:8700\"\n\
                [session_tokens]\norganization_id = \"o\"\nproject_id = \"p\"\nenvironment_id = \"e\"\n\
                shared_secret = \"0123456789abcdef0\"\n";
    let free = format!("{head}listen = \"127.0.0.1:8701\"\n");
    for (key, part) in [
        ("allow_origins = [\"wss://app.example\"]", "`wss://app.example` is not an origin"),
        ("allow_origins = [\"https://app.example\", \"https://app.example/\"]", "not an origin"),
        ("path = \"/:token\"", "is not a path"),
        ("path = \"/{token}\"", "is not a path"),
        ("path = \"token\"", "begin it with a slash"),
        ("trusted_proxies = [\"10.0.0.0/33\"]", "`10.0.0.0/33` is not a network"),
        ("per_user = \"often\"", "60/min"),
        ("per_address = \"60/min, per user\"", "leave out `per user`"),
    ] {
        says(&format!("{free}{key}"), part).await;
    }
    for listen in ["127.0.0.1:8700", "0.0.0.0:8700"] {
        says(&format!("{head}listen = \"{listen}\""), "`[admin]` listens on 127.0.0.1:8700 already").await;
    }
}

#[tokio::test]
async fn everything_wrong_is_said_at_once_in_the_order_of_the_lines() {
    let text = format!("[log]\nx = 1\n{TOOL}y = 2\n{COMMAND}z = 3\n[admin]\nlisten = \"0.0.0.0:1\"\n");
    let found = problems(&text).await;
    let lines: Vec<&str> = found.iter().map(|problem| problem.split(':').next().unwrap()).collect();
    assert_eq!(lines, ["line 2", "line 6", "line 10", "line 12"], "{found:?}");
}

/// Lines, of which those that end in `# !` and a text are wrong; the text is part of what is said.
#[tokio::test]
async fn a_file_with_a_mistake_in_every_second_line_needs_one_round() {
    let text = r#"
[log]
level = "inof,wran"  # ! did you mean `info`?
format = "yaml"  # ! write one of `text`, `json`

[[entity]]
name = "a b"  # ! 1 to 64 characters
url = "ftp://h"  # ! does not start with wss://
secret = "env:PLATOOLS_NO_SUCH"  # ! is not set
max_running = 0  # ! no call could ever run
ca_file = "/no/such.pem"  # ! cannot be read
callback_listen = "127.0.0.1:1"  # ! write `callback_url`

[backend.b]
url = "http://u:p@127.0.0.1"  # ! user name or a password
headerz.a = "b"  # ! did you mean `headers`?

[[tool.http]]
name = "one"
backend = "b"
url = "/a/{id}"
metod = "GET"  # ! did you mean `method`?
timeout = 10  # ! write a time
concurrency = "many"  # ! write a whole number
roles = ["a", 1, "b", 2]  # ! a text, in quotes
retries = "no"  # ! write a whole number

[[tool.http]]
name = "two two"  # ! two two
url = "orders/{id}"  # ! not a whole URL
bearer = "env:PLATOOLS_NO_SUCH"  # ! is not set
retries = 100  # ! write 10 at most
concurrency = 0  # ! no call could ever run
arguments.id = { type = "strng" }  # ! did you mean "string"?
output_schema = { type = "strng" }  # ! not a JSON Schema
entities = ["nobody"]  # ! there is no entity `nobody`
pick = "data"  # ! no JSON Pointer

[[tool.command]]
name = "three"
program = "no-such-program"  # ! there is no program
args = ["{x"]  # ! not closed
cwd = "/no/such"  # ! is no folder
exit.many = "x"  # ! numbers from 0 to 255
env.A = "env:PLATOOLS_NO_SUCH"  # ! is not set
output_schema = { type = "strng" }  # ! not a JSON Schema

[[mcp]]
name = "m"
command = "no-such-program"  # ! there is no program
bearer = "env:PLATH"  # ! give programs their secrets with `env`
cwd = "/no/such"  # ! is no folder
env.A = "env:PLATOOLS_NO_SUCH"  # ! is not set
concurrency = 0  # ! no call could ever run

[[mcp]]
name = "n"
url = "ftp://h"  # ! only http:// and https://
bearer = "env:PLATOOLS_NO_SUCH"  # ! is not set
args = ["x"]  # ! this is for a `command`

[[openapi]]
name = "o"
document = "/no/such.yaml"  # ! cannot be read
backend = "d"  # ! there is no backend `d`
entities = ["nobody"]  # ! there is no entity `nobody`

[[plato]]
api_key = "env:PLATOOLS_NO_SUCH"  # ! is not set
simulator = "s"
screen = "wide"  # ! write width and height
max_sessions = 0  # ! no desktop could ever start

[session_tokens]
listen = "127.0.0.1:8700"  # ! listens on 127.0.0.1:8700 already
entity = "nobody"  # ! there is no entity `nobody`
organization_id = "o"
project_id = "p"
environment_id = "e"
shared_secret = "env:PLATOOLS_NO_SUCH"  # ! is not set
path = "token"  # ! begin it with a slash
allow_origins = ["wss://a"]  # ! is not an origin
per_user = "60/min, per user"  # ! leave out `per user`

[authenticator]
secret = "short"  # ! 16

[admin]
listen = "127.0.0.1:8700"
allow_remot = true  # ! did you mean `allow_remote`?

[sidecar]
state_dir = "/proc/none"  # ! cannot be created
mcp_wait = "soon"  # ! write one up to 24h

[banana]  # ! the keys are `entity`
"#;
    let found = problems(text).await;
    for (index, line) in text.lines().enumerate() {
        let begin = format!("line {}: ", index + 1);
        let here: Vec<&String> = found.iter().filter(|problem| problem.starts_with(&begin)).collect();
        match line.split_once("# ! ") {
            Some((_, part)) => {
                assert!(here.iter().any(|problem| problem.contains(part)), "{line}: {here:#?} of {found:#?}");
            }
            None => assert!(here.is_empty(), "{line}: {here:#?}"),
        }
    }
}

#[tokio::test]
async fn two_tools_of_one_name_are_found_with_both_lines() {
    let found = problems(&format!("{TOOL}{TOOL}")).await;
    assert_eq!(found.len(), 1);
    assert!(found[0].starts_with("line 5: ") && found[0].contains("first in line 2"), "{found:?}");
}

#[tokio::test]
async fn what_is_no_file_of_this_kind_is_said() {
    for (text, part) in [("a = [1", "not TOML"), ("= 3", "not TOML"), ("a = \"\u{7}\"", "not TOML")] {
        let found = problems(text).await;
        assert!(
            found.iter().any(|problem| problem.starts_with("line 1: ") && problem.contains(part)),
            "{found:?}"
        );
    }
    let folder = Folder::new();
    for file in [folder.path("absent.toml"), folder.path("")] {
        assert!(platools_sidecar::check(&file).await.is_err());
    }
    let binary = folder.write("binary.toml", [0xff, 0xfe]);
    assert!(platools_sidecar::check(&binary).await.unwrap_err().to_string().contains("not UTF-8"));
}

#[tokio::test]
async fn secrets_in_the_file_are_remarked_upon_and_never_shown() {
    let folder = Folder::new();
    let text = "[[tool.http]]\nname = \"t\"\nurl = \"http://10.0.0.1/\"\nbearer = \"s3cret-s3cret\"\n\
                headers.x-api-key = \"s3cret-s3cret\"\nauth = \"user\"\n";
    let report = platools_sidecar::check(&folder.write("platools.toml", text)).await.unwrap();
    let warnings: Vec<String> = report.warnings.iter().map(ToString::to_string).collect();
    for part in [
        "line 4: `bearer` of [[tool.http]] `t`: the secret itself stands in the file",
        "line 4: `bearer` of [[tool.http]] `t`: the bearer token crosses the network in the clear",
        "line 5: `headers.x-api-key` of [[tool.http]] `t`: the secret itself stands in the file",
        "line 1: [[tool.http]] `t`: the tool has no `description`",
        "nothing enforces `auth` and `roles` of `t`",
    ] {
        assert!(warnings.iter().any(|warning| warning.contains(part)), "{part} in {warnings:#?}");
    }
    assert!(!warnings.concat().contains("s3cret"));
    let service = "[[entity]]\nname = \"e\"\nurl = \"wss://h.example/x\"\nsecret = \"s3cret-s3cret-s3cret\"\n\
                   [[tool.http]]\nname = \"t\"\nurl = \"http://127.0.0.1/\"\nsign = \"s3cret-s3cret-s3cret\"";
    let found = problems(service).await;
    assert!(found[0].contains("this is the service secret") && !found[0].contains("s3cret-"), "{found:?}");
}

#[tokio::test]
async fn the_starter_file_is_right_and_so_is_the_schema_of_it() {
    assert_eq!(problems(platools_sidecar::STARTER).await, [""; 0]);
    let with_entity: String = platools_sidecar::STARTER
        .lines()
        .map(|line| {
            let is_of_entity = ["[[entity]]", "name = \"orders", "url = \"wss", "environment ="]
                .iter()
                .any(|begin| line.strip_prefix("# ").is_some_and(|line| line.starts_with(begin)));
            let secret = "# secret = \"file:/run/secrets/platos\"";
            let line = line.replace(secret, "secret = \"0123456789abcdef0\"");
            if is_of_entity { format!("{}\n", &line[2..]) } else { format!("{line}\n") }
        })
        .collect();
    let report = platools_sidecar::check(&Folder::new().write("platools.toml", &with_entity)).await;
    assert_eq!(report.unwrap().entities, ["orders-prod"]);
    let schema = platools_sidecar::schema();
    let parsed: serde_json::Value = toml::from_str(platools_sidecar::STARTER).unwrap();
    let validator = jsonschema::options().build(&schema).unwrap();
    let errors: Vec<String> = validator.iter_errors(&parsed).map(|error| error.to_string()).collect();
    assert_eq!(errors, [""; 0]);
    let wrong: serde_json::Value = toml::from_str("[[tool.http]]\nnam = \"x\"").unwrap();
    assert!(!validator.is_valid(&wrong));
}

#[tokio::test]
async fn what_would_only_be_found_out_while_it_runs_is_found_before() {
    for (text, part) in [
        ("[log]\nlevel = \"inof\"".to_owned(), "did you mean `info`?"),
        ("[log]\nlevel = \"warn,platools=loud=3\"".to_owned(), "this is no filter"),
        ("[admin]\nlisten = \"8700\"".to_owned(), "such as \"127.0.0.1:8700\""),
        ("[admin]\nlisten = 8700".to_owned(), "such as \"127.0.0.1:8700\""),
        ("[egress]\nallow = [\"metadata\"]".to_owned(), "`egress.allow`: write an address"),
        (format!("{TOOL}arguments.id = 3"), "write a table"),
        (format!("{TOOL}method = \"GET\"\nmethod = \"GET\""), "this key stands there already"),
        (format!("{TOOL}query.api_key = \"env:PLATOOLS_NO_SUCH\""), "`PLATOOLS_NO_SUCH` is not set"),
        (
            format!("{TOOL}forward = [\"user_token\"]\nheaders.Authorization = \"Basic abc\""),
            "`user_token` of `forward` goes into `Authorization`, too",
        ),
        (
            format!("{TOOL}forward = [\"user_token\"]\nheaders.Authorization = \"Bearer {{id}}\""),
            "`user_token` of `forward` goes into `Authorization`, too",
        ),
        (format!("{MCP}bearer = \"a-token-of-sixteen\"\nurl = \"http://10.0.0.1/mcp\""), "is not encrypted"),
    ] {
        says(&text, part).await;
    }
    let unused = problems("[backend.b]\nurl = \"ftp://127.0.0.1\"\n").await;
    assert!(unused[0].contains("only http:// and https://"), "{unused:?}");
    let absent = platools_sidecar::check("/no/such/platools.toml".as_ref()).await.unwrap_err().to_string();
    assert!(absent.contains("`platools sidecar init`"), "{absent}");
}

#[tokio::test]
async fn a_placeholder_in_a_script_is_found_however_the_shell_is_called() {
    for line in [
        "program = \"sh\"\nargs = [\"-c\", \"echo {x}\"]",
        "program = \"/bin/bash\"\nargs = [\"-lc\", \"echo {x}\"]",
        "program = \"sh\"\nargs = [[\"-ec\", \"{x}\"]]",
        "program = \"env\"\nargs = [\"A=1\", \"/bin/sh\", \"-c\", \"{x}\"]",
        "program = \"nice\"\nargs = [\"bash\", \"-c\", \"{x}\"]",
    ] {
        let found = problems(&format!("[[tool.command]]\nname = \"c\"\n{line}")).await;
        assert!(
            found.iter().any(|problem| problem.contains("lets agents run anything")),
            "{line}: {found:?}"
        );
    }
    let safe = "[[tool.command]]\nname = \"c\"\nprogram = \"sh\"\nargs = [\"-c\", \"echo \\\"$1\\\"\", \"sh\", \"{x}\"]";
    assert_eq!(problems(safe).await, [""; 0]);
}

#[tokio::test]
async fn secrets_that_stand_in_the_file_are_remarked_upon_wherever_they_are() {
    let folder = Folder::new();
    for section in [
        format!("{TOOL}headers.X-Auth-Token = \"abc\""),
        format!("{TOOL}query.api_key = \"abc\""),
        format!("{COMMAND}env.DB_PASSWORD = \"abc\""),
        format!("{MCP}command = \"true\"\nenv.GITHUB_TOKEN = \"abc\""),
    ] {
        let file = folder.write("platools.toml", &section);
        let warnings = platools_sidecar::check(&file).await.unwrap().warnings;
        let remarked = warnings.iter().any(|warning| warning.message.contains("the secret itself stands"));
        assert!(remarked && !format!("{warnings:?}").contains("abc"), "{section}: {warnings:?}");
    }
    let file = folder.write("platools.toml", format!("{COMMAND}env.LANG = \"C\"\n"));
    let warnings = platools_sidecar::check(&file).await.unwrap().warnings;
    assert!(!warnings.iter().any(|warning| warning.message.contains("secret")), "{warnings:?}");
}

#[tokio::test]
async fn a_program_that_would_inherit_the_service_secret_is_remarked_upon() {
    let folder = Folder::new();
    for section in [
        format!("{COMMAND}inherit_env = [\"PATH\", \"PLATOS_SECRET\"]"),
        format!("{MCP}command = \"true\"\ninherit_env = [\"PLATOS_SECRET\"]"),
    ] {
        let file = folder.write("platools.toml", &section);
        let warnings = platools_sidecar::check(&file).await.unwrap().warnings;
        let remarked = warnings.iter().any(|warning| warning.message.contains("is the service secret"));
        assert!(remarked, "{section}: {warnings:?}");
    }
}

/// The warnings of a file.
async fn warnings(file: &std::path::Path) -> Vec<String> {
    let report = platools_sidecar::check(file).await.unwrap();
    report.warnings.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn a_program_that_would_inherit_another_secret_is_remarked_upon() {
    let folder = Folder::new();
    for section in [
        format!("{COMMAND}inherit_env = [\"PATH\"]\nenv.P = \"env:PATH\""),
        format!("{MCP}command = \"true\"\ninherit_env = [\"PATH\"]\n{TOOL}headers.x = \"env:PATH\""),
    ] {
        let found = warnings(&folder.write("platools.toml", &section)).await;
        let remarked = found.iter().any(|warning| {
            warning.contains("`inherit_env`") && warning.contains("`PATH` is a secret of this file")
        });
        assert!(remarked, "{section}: {found:?}");
    }
    let found = warnings(&folder.write("platools.toml", format!("{COMMAND}inherit_env = [\"PATH\"]"))).await;
    assert!(!found.iter().any(|warning| warning.contains("inherit_env")), "{found:?}");
}

#[tokio::test]
async fn code_that_an_agent_would_write_is_refused_unless_it_is_meant() {
    for line in [
        "program = \"env\"\nargs = [\"sh\", \"-c\", \"{x}\"]",
        "program = \"env\"\nargs = [\"{x}\"]",
        "program = \"xargs\"\nargs = [\"sh\", \"-c\", \"{x}\"]",
        "program = \"sh\"\nstdin = \"json\"",
        "program = \"sh\"\nargs = [\"{x}\"]",
        "program = \"sed\"\nargs = [\"-e\", \"{x}\"]",
    ] {
        let text = format!("[[tool.command]]\nname = \"c\"\n{line}");
        let found = problems(&text).await;
        assert!(
            found.iter().any(|problem| problem.contains("write `allow_code = true`")),
            "{line}: {found:?}"
        );
        assert_eq!(problems(&format!("{text}\nallow_code = true")).await, [""; 0]);
    }
    let listed = "[[tool.command]]\nname = \"c\"\nprogram = \"env\"\nargs = [\"{x}\"]\n\
                  arguments.x = { enum = [\"true\", \"false\"] }";
    assert_eq!(problems(listed).await, [""; 0]);
}

#[tokio::test]
async fn files_that_others_may_change_or_secrets_that_they_may_read_are_remarked_upon() {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = Folder::new();
    let set = |name: &str, mode: u32| {
        std::fs::set_permissions(folder.path(name), std::fs::Permissions::from_mode(mode)).unwrap();
    };
    folder.write("key", "s3cret");
    folder.write("schema.json", "{\"properties\": {\"id\": {}}, \"required\": [\"id\"]}");
    std::fs::create_dir(folder.path("open")).unwrap();
    let text = format!("{TOOL}bearer = \"file:key\"\nschema_file = \"schema.json\"\n");
    let file = folder.write("platools.toml", &text);
    for (name, mode, part) in [
        ("platools.toml", 0o664, "platools.toml`: its group may change it: `chmod g-w,o-w "),
        ("platools.toml", 0o646, "platools.toml`: everybody on this machine may change it"),
        ("key", 0o620, "line 4: `bearer` of [[tool.http]] `t`: `"),
        ("key", 0o620, "key`: its group may change it: `chmod g-w,o-rwx "),
        ("key", 0o604, "key`: everybody on this machine may read it: `chmod"),
        (
            "key",
            0o606,
            "key`: everybody on this machine may change it, and everybody on this machine may read it",
        ),
        ("schema.json", 0o666, "schema.json`: everybody on this machine may change it"),
    ] {
        for closed in ["platools.toml", "schema.json"] {
            set(closed, 0o644);
        }
        set("key", 0o640);
        let found = warnings(&file).await;
        assert!(!found.iter().any(|warning| warning.contains("may")), "{found:?}");
        set(name, mode);
        let found = warnings(&file).await;
        assert!(found.iter().any(|warning| warning.contains(part)), "{name} {mode:o}: {found:?}");
    }
    set("schema.json", 0o644);
    let inline = folder.write("platools.toml", text.replace("file:key", "s3cret"));
    set("platools.toml", 0o644);
    let found = warnings(&inline).await;
    assert!(
        found.iter().any(|warning| warning.contains("everybody on this machine may read it")),
        "{found:?}"
    );

    std::fs::rename(folder.path("key"), folder.path("open/key")).unwrap();
    let file = folder.write("platools.toml", text.replace("file:key", "file:open/key"));
    set("open/key", 0o600);
    for (mode, is_remarked) in [(0o777, true), (0o1777, false), (0o755, false)] {
        set("open", mode);
        let found = warnings(&file).await;
        assert_eq!(found.iter().any(|warning| warning.contains("may replace")), is_remarked, "{found:?}");
    }
}

#[tokio::test]
async fn pins_need_a_directory_and_overrides_a_tool_that_is_taken() {
    let section = format!("{MCP}command = \"true\"\npin = true");
    if std::env::var_os("PLATOOLS_STATE_DIR").is_none() {
        says(&section, "write `state_dir` under `[sidecar]`").await;
    }
    assert_eq!(problems(&format!("{section}\n[sidecar]\nstate_dir = \"state\"")).await, [""; 0]);
    let folder = Folder::new();
    let text = format!("{MCP}command = \"true\"\ntools = [\"a\"]\noverrides.b = {{ read_only = true }}");
    let found = warnings(&folder.write("platools.toml", text)).await;
    assert!(found.iter().any(|warning| warning.contains("`b` is not one of the `tools`")), "{found:?}");
    says(
        &format!("{MCP}command = \"true\"\noverrides.b = {{ readonly = true }}"),
        "did you mean `read_only`?",
    )
    .await;
}

#[tokio::test]
async fn variables_that_name_another_entity_or_environment_than_the_file_are_an_error() {
    let entity = |name: &str, more: &str| {
        format!(
            "[[entity]]\nname = \"{name}\"\nurl = \"ws://127.0.0.1:1\"\nsecret = \"s3cret-s3cret-s3cret\"\n{more}\n"
        )
    };
    let in_prod = "environment = \"prod\"";
    let one = entity("orders", in_prod);
    let two = format!("{one}{}", entity("stock", ""));
    for (text, variables, part) in [
        (
            &one,
            vec![("PLATOS_ENTITY", "local")],
            "line 2: `name` of [[entity]] `orders`: PLATOS_ENTITY names the entity `local`, and the file `orders`",
        ),
        (&two, vec![("PLATOS_ENTITY", "local")], "and the file `orders`, `stock`"),
        (
            &one,
            vec![("PLATOS_ENV", "dev")],
            "line 5: `environment` of [[entity]] `orders`: PLATOS_ENV names the environment `dev`, and the entity `orders` is in `prod`",
        ),
        (&one, vec![("PLATOS_ENV_ID", "env_1")], "PLATOS_ENV_ID names the environment `env_1`"),
        (
            &two,
            vec![("PLATOS_ENTITY", "stock"), ("PLATOS_ENV", "prod")],
            "the entity `stock` is in `dev`, since nothing in the file names another one",
        ),
    ] {
        let folder = Folder::new();
        let sidecar = Running::start(&folder.write("platools.toml", text), &folder, &variables);
        sidecar.says(part).await;
        assert!(!sidecar.log().contains("s3cret"), "{}", sidecar.log());
    }
    for variables in [
        vec![("PLATOS_ENTITY", "stock")],
        vec![("PLATOS_ENTITY", "orders"), ("PLATOS_ENV", "production")],
        vec![("PLATOS_ENV", "development"), ("PLATOS_ENTITY", "")],
    ] {
        let folder = Folder::new();
        let sidecar = Running::start(&folder.write("platools.toml", &two), &folder, &variables);
        sidecar.says("not connected: cannot connect to 127.0.0.1:1").await;
        assert_eq!(sidecar.stop().await, Some(0), "{variables:?}");
    }
}
