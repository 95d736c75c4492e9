//! Many tools, and many calls at once.

use std::fmt::Write as _;

use platools_dev::DevPlatform;
use serde_json::json;

use crate::backend::Backend;
use crate::sidecar::{Folder, Running, entity, outcome};

#[tokio::test]
async fn a_thousand_tools_are_declared_and_256_calls_run_at_once() {
    let platform = DevPlatform::options().entity_with_random_secret("orders").start().await.unwrap();
    let backend = Backend::echo().await;
    let mut text = entity(&platform, "orders");
    let _ = writeln!(text, "[backend.b]\nurl = \"{}\"", backend.url);
    for number in 0..1_000 {
        let _ = writeln!(
            text,
            "[[tool.http]]\nname = \"tool_{number}\"\ndescription = \"Number {number}.\"\nbackend = \"b\"\n\
             url = \"/{number}/{{id}}\"\narguments.id = {{ type = \"integer\", minimum = 0 }}"
        );
    }
    let folder = Folder::new();
    let file = folder.write("platools.toml", text);
    let sidecar = Running::start(&file, &folder, &[]);
    sidecar.says("the platform has the tools").await;
    let entity = platform.entity_in("orders", "dev").unwrap();
    assert_eq!(entity.tools().len(), 1_000);
    let calls = (0..256).map(|number| {
        let entity = &entity;
        async move {
            let report = entity.calling(&format!("tool_{number}")).arguments(json!({"id": number})).send();
            let answer = outcome(report.await.unwrap()).unwrap();
            assert_eq!(answer["target"], format!("/{number}/{number}"));
        }
    });
    futures_util::future::join_all(calls).await;
    assert_eq!(sidecar.stop().await, Some(0));
}
