//! Calls over HTTP while the connection is away: the keys of the file, and the listener.

use std::net::SocketAddr;

use platools_dev::{DevPlatform, Transport};
use rustix::process::Signal;
use serde_json::json;
use tokio::net::TcpListener;

use crate::backend::{Backend, client};
use crate::sidecar::{Folder, Running, entity, outcome, problems};

async fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

const ENTITY: &str = "[[entity]]\nname = \"orders\"\nurl = \"wss://platos.example/tools/sync\"\nsecret = \"s3cret-s3cret-s3cret\"\n";

#[tokio::test]
async fn a_callback_is_checked_as_the_platform_would_and_shown() {
    for (keys, part) in [
        ("callback_url = \"http://tools.example/calls\"", "write `allow_insecure = true`"),
        ("callback_url = \"https://user:hunter2@tools.example\"", "contains a user name"),
        ("callback_url = \"https://tools.example:5432\"", "has port 5432"),
        ("callback_url = \"env:PLATOOLS_NO_SUCH\"", "`PLATOOLS_NO_SUCH` is not set"),
        ("callback_listen = \"127.0.0.1:1\"", "write `callback_url`"),
        ("callback_url = \"https://a.example\"\ncallback_listen = \"8702\"", "such as"),
        (
            "callback_url = \"https://a.example\"\ncallback_listen = \"127.0.0.1:1\"\n[admin]\nlisten = \"127.0.0.1:1\"",
            "something else of this file listens on 127.0.0.1:1",
        ),
    ] {
        let found = problems(&format!("{ENTITY}{keys}\n")).await;
        assert!(found.iter().any(|problem| problem.contains(part)), "{keys}: {found:?}");
        assert!(!format!("{found:?}").contains("hunter2"), "{found:?}");
    }
    let folder = Folder::new();
    let check = async |keys: &str| {
        let file = folder.write("platools.toml", format!("{ENTITY}{keys}"));
        platools_sidecar::check(&file).await.unwrap()
    };
    let report = check("callback_url = \"https://10.1.2.3/calls?key=hunter2\"\n").await;
    let callback = &report.callbacks[0];
    assert_eq!((callback.entity.as_str(), callback.url.as_str()), ("orders", "https://10.1.2.3/calls"));
    let warned = |part: &str| report.warnings.iter().any(|warning| warning.message.contains(part));
    assert!(warned("is not public") && warned("write `callback_listen`"), "{report:?}");
    assert!(!format!("{report:?}").contains("hunter2"), "{report:?}");
    let keys = "callback_url = \"https://tools.example/calls\"\ncallback_listen = \"127.0.0.1:8702\"\n";
    let report = check(keys).await;
    assert_eq!(report.callbacks[0].listen, Some("127.0.0.1:8702".parse().unwrap()));
    assert!(!format!("{:?}", report.warnings).contains("callback"), "{report:?}");
}

#[tokio::test]
async fn calls_are_taken_while_the_platform_is_away_and_after_a_reload() {
    let platform = DevPlatform::options().entity_with_random_secret("orders").start().await.unwrap();
    let backend = Backend::echo().await;
    let (first, second) = (free_address().await, free_address().await);
    let folder = Folder::new();
    let text = |address: SocketAddr, path: &str| {
        format!(
            "{}allow_insecure = true\ncallback_url = \"http://{address}{path}\"\ncallback_listen = \"{address}\"\n\
             [[tool.http]]\nname = \"look\"\ndescription = \"d\"\nurl = \"{}/{{id}}\"\n",
            entity(&platform, "orders"),
            backend.url
        )
    };
    let file = folder.write("platools.toml", text(first, "/platos/calls"));
    let sidecar = Running::start(&file, &folder, &[]);
    sidecar.says("the platform has the tools").await;
    let orders = platform.entity_in("orders", "dev").unwrap();
    let url = format!("http://{first}/platos/calls");
    assert_eq!(orders.callback_url(), Some(url.clone()));
    let call = async || orders.call("look", json!({"id": "7"})).await.unwrap();
    assert_eq!(call().await.transport, Transport::WebSocket);

    platform.crash().await;
    let report = call().await;
    assert_eq!(report.transport, Transport::Http { url, status: Some(200) });
    outcome(report).unwrap();
    assert!(orders.is_visible());
    // What is not signed is not answered, and nothing is there beside the path.
    for (path, status) in [("/platos/calls", 401), ("/platos/calls/", 404), ("/", 404)] {
        let answer = client().post(format!("http://{first}{path}")).body("{}").send().await.unwrap();
        assert_eq!(answer.status().as_u16(), status, "{path}");
    }

    platform.resume().await.unwrap();
    orders.wait_connected().await.unwrap();
    let registered = orders.registrations();
    folder.write("platools.toml", text(second, "/"));
    sidecar.signal(Signal::HUP);
    sidecar.says("calls are no longer taken").await;
    for more in 1.. {
        orders.wait_for_registrations(registered + more).await.unwrap();
        if orders.callback_url() == Some(format!("http://{second}/")) {
            break;
        }
    }
    platform.crash().await;
    outcome(call().await).unwrap();
    assert_eq!(sidecar.stop().await, Some(0));
}
