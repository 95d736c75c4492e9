//! Plato desktops as tools over the real wire: pictures within the limits, and who shares a desktop.

use plato_sdk::testing::FakePlato;
use plato_sdk::tools::DesktopTools;
use plato_sdk::{Env, Size};
use platools::Platools;
use platools::wire::MAX_RESULT_BYTES;
use platools_dev::DevPlatform;
use serde_json::{Value, json};

use super::support::Running;

fn desktops(fake: &FakePlato) -> DesktopTools {
    DesktopTools::per_conversation(&fake.client(), |plato| {
        plato.session().env(Env::simulator("ubuntu-vm").alias("desktop"))
    })
}

async fn connected(tools: DesktopTools) -> (DevPlatform, Running) {
    let platform = DevPlatform::start().await.unwrap();
    let host = Platools::builder().url(platform.url()).secret(platform.secret().expose());
    let host = Running::start(host.tools(tools.build()).build().unwrap());
    platform.wait_for_tool("computer").await.unwrap();
    (platform, host)
}

#[tokio::test]
async fn pictures_arrive_as_images_and_conversations_are_kept_apart() {
    let fake = FakePlato::start();
    let (platform, host) = connected(desktops(&fake)).await;
    let call = |thread: &str, tool: &str, arguments: Value| {
        platform.calling(tool).user("usr_7").thread(thread).arguments(arguments)
    };
    let screenshot = json!({"action": "screenshot"});
    let shot = call("t1", "computer", screenshot.clone()).send().await.unwrap().into_result().unwrap();
    assert_eq!((&shot["type"], &shot["mimeType"]), (&json!("image"), &json!("image/png")));
    assert!(shot["data"].as_str().unwrap().starts_with("iVBORw0KGgo"));
    call("t2", "bash", json!({"command": "true"})).send().await.unwrap().into_result().unwrap();
    assert_eq!(fake.open_sessions().len(), 2);

    // A call that does not say all of who is calling could be anybody's.
    let half = call("t1", "computer", screenshot).envelope(|envelope| envelope.agent_id = None);
    let report = half.send().await.unwrap();
    assert!(report.error().is_some_and(|error| error.starts_with("denied")), "{report:?}");
    assert_eq!(fake.sessions().len(), 2);
    // The tools go with the host, and the desktops with the tools.
    host.handle.shutdown().await;
    host.ended().await.unwrap();
    fake.all_closed().await;
}

#[tokio::test]
async fn a_screen_that_is_too_much_for_the_wire_arrives_within_its_limit() {
    let fake = FakePlato::builder().screen(Size::new(1920, 1080)).start();
    let (platform, _host) = connected(desktops(&fake).result_budget(9_000)).await;
    let shot = platform.call("computer", json!({"action": "screenshot"})).await.unwrap();
    let shot = shot.into_result().unwrap();
    assert!(shot.to_string().len() <= 9_000, "{}", shot.to_string().len());
    const { assert!(9_000 < MAX_RESULT_BYTES) };
    assert_eq!(shot["content"][1]["mimeType"], "image/jpeg");
    assert!(shot["content"][0]["text"].as_str().unwrap().contains("to fit into the result"));
}
