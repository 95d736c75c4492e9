//! `[[plato]]`: desktops as tools of an entity, which a reload leaves alone and an end closes.

use plato_sdk::testing::{FakePlato, FakeTestcase};
use platools::CallContext;
use platools_dev::DevPlatform;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::sidecar::{Folder, Running, entity, local, problems};

fn section(fake: &FakePlato) -> String {
    format!(
        "[[plato]]\napi_key = \"file:key\"\nbase_url = \"{}\"\ndesktop_url = \"{}\"\nsimulator = \"ubuntu-vm\"\n\
         prefix = \"desk_\"\nlifecycle = true\n",
        fake.base_url(),
        fake.desktop_url()
    )
}

#[tokio::test]
async fn each_conversation_has_a_desktop_that_outlives_a_reload_and_no_end() {
    let fake = FakePlato::start();
    let platform = DevPlatform::options().entity_with_random_secret("desks").start().await.unwrap();
    let folder = Folder::new();
    folder.write("key", fake.api_key());
    let whole = format!("{}{}", entity(&platform, "desks"), section(&fake));
    let file = folder.write("platools.toml", &whole);
    let sidecar = Running::start(&file, &folder, &[]);
    sidecar.says("the platform has the tools").await;

    let desks = platform.entity_in("desks", "dev").unwrap();
    let call = async |thread: &str, tool: &str, arguments: Value| {
        let call = desks.calling(tool).user("usr_7").thread(thread).arguments(arguments);
        call.send().await.unwrap().into_result().unwrap()
    };
    let shot = call("t1", "desk_computer", json!({"action": "screenshot"})).await;
    assert_eq!((&shot["type"], &shot["mimeType"]), (&json!("image"), &json!("image/png")));
    let create = json!({"command": "create", "path": "/tmp/note", "file_text": "hello"});
    call("t2", "desk_edit", create).await;
    assert_eq!(fake.open_sessions().len(), 2);

    // Another tool comes; the desktops are the same ones.
    let own = "[[tool.command]]\nname = \"own\"\ndescription = \"d\"\nprogram = \"true\"\n";
    folder.write("platools.toml", format!("{whole}{own}"));
    sidecar.signal(Signal::HUP);
    sidecar.says("the file is in use as it is now").await;
    let note = call("t2", "desk_bash", json!({"command": "cat /tmp/note"})).await;
    assert!(note.to_string().contains("hello"), "{note}");
    assert_eq!(fake.sessions().len(), 2);
    let log = sidecar.log();
    assert!(!log.contains(&fake.api_key()), "{log}");
    assert_eq!(sidecar.stop().await, Some(0));
    fake.all_closed().await;
}

#[tokio::test]
async fn a_desktop_is_logged_in_before_its_first_call() {
    let testcase = FakeTestcase::new("tc_1", "Sell.").simulator("ubuntu-vm").simulator("espocrm");
    let fake = FakePlato::builder().testcase(testcase).start();
    let text = |rest: &str| {
        let (base, desktop) = (fake.base_url(), fake.desktop_url());
        format!(
            "[[plato]]\napi_key = \"{}\"\nbase_url = \"{base}\"\ndesktop_url = \"{desktop}\"\n\
             login = true\nsharing = \"everyone\"\n{rest}",
            fake.api_key()
        )
    };
    let host = local(&text("testcase = \"tc_1\"\n")).await;
    let arguments = json!({"command": "true"}).try_into().unwrap();
    // The double has no browser for it: nobody works on a desktop that is logged in nowhere.
    let error = host.call("bash", arguments, CallContext::builder().build()).await.unwrap_err();
    assert!(error.to_string().contains("no desktop could be started"), "{error}");
    let asked =
        |method: &str, path: &str| fake.requests().iter().position(|request| request.is(method, path));
    let (reset, browser) = (asked("POST", "/sessions/*/reset"), asked("GET", "/json/version"));
    assert!(reset.is_some() && reset < browser, "{reset:?} {browser:?}");
    fake.all_closed().await;

    let folder = Folder::new();
    let file = folder.write("platools.toml", text("simulator = \"ubuntu-vm\"\n"));
    let warnings = platools_sidecar::check(&file).await.unwrap().warnings;
    assert!(warnings.iter().any(|warning| warning.message.contains("no apps to log in to")), "{warnings:?}");
}

#[tokio::test]
async fn mistakes_in_a_section_have_their_line() {
    let key = "api_key = \"a-key-in-the-file\"\n";
    for (keys, part) in [
        ("simulator = \"a\"", "api_key"),
        (key, "write one of `simulator`, `artifact` and `testcase`"),
        (&format!("{key}simulator = \"a\"\nartifact = \"b\""), "write one of `simulator`"),
        ("api_key = \"env:PLATOOLS_NO_SUCH\"\nsimulator = \"a\"", "`PLATOOLS_NO_SUCH` is not set"),
        (&format!("{key}simulator = \"a\"\nscreen = \"wide\""), "such as \"1280x800\""),
        (&format!("{key}simulator = \"a\"\nscreen = \"0x10\""), "such as \"1280x800\""),
        (&format!("{key}simulator = \"a\"\nshape = \"round\""), "write one of `computer`, `split`"),
        (&format!("{key}simulator = \"a\"\nmax_sessions = 0"), "no desktop could ever start"),
        (&format!("{key}simulator = \"a\"\nprefix = \"a:\""), "is not a tool name"),
        (&format!("{key}simulator = \"a\"\nbase_url = \"nowhere\""), "URL"),
        (&format!("{key}simulator = \"a\"\nentity = \"x\""), "there is no entity `x`"),
    ] {
        let found = problems(&format!("[[plato]]\n{keys}")).await;
        let fits = |problem: &String| problem.starts_with("line ") && problem.contains(part);
        assert!(found.iter().any(fits), "{part:?} in {found:?}");
    }
    let entities = "[[entity]]\nname = \"a\"\nurl = \"ws://127.0.0.1:1\"\nsecret = \"0123456789abcdef\"\n\
                    [[entity]]\nname = \"b\"\nurl = \"ws://127.0.0.1:1\"\nsecret = \"0123456789abcdef\"\n";
    let found = problems(&format!("{entities}[[plato]]\n{key}simulator = \"s\"")).await;
    assert!(found.iter().any(|problem| problem.contains("say with `entity`")), "{found:?}");
    let twice = format!("[[plato]]\n{key}simulator = \"a\"\n");
    assert!(problems(&twice.repeat(2)).await.iter().any(|problem| problem.contains("stands there twice")));
}
