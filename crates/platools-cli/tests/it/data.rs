//! `dev --data`: what is there after a restart.

use serde_json::json;

use crate::support::{Dev, Scratch, run};

/// The history, as the API has it.
async fn calls(dev: &Dev) -> serde_json::Value {
    let client = reqwest::Client::new();
    let request = client.get(format!("{}/api/v1/history", dev.url)).bearer_auth(&dev.token);
    let text = request.send().await.unwrap().error_for_status().unwrap().text().await.unwrap();
    serde_json::from_str(&text).unwrap()
}

/// The HTTP client takes the process's provider.
fn choose_provider() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

#[tokio::test]
async fn entities_secrets_and_calls_are_there_after_a_restart_and_after_a_crash() {
    choose_provider();
    let folder = Scratch::new();
    let data = ["--data", folder.as_str()];
    let mut dev = Dev::start(&[&data[..], &["--entity", "zoo", "--entity", "art"]].concat()).await;
    let secrets = [dev.entity("zoo").1, dev.entity("art").1];
    let host = dev.connect("zoo").await;
    assert_eq!(dev.run(&["call", "add", "--params", r#"{"a": 1, "b": 2}"#]).await.out, "3\n");
    host.stop().await;
    let before = calls(&dev).await;
    dev.stop().await;

    let mut dev = Dev::start(&data).await;
    assert_eq!(dev.banner["entities"][0]["entity"], "zoo");
    assert_eq!([dev.entity("zoo").1, dev.entity("art").1], secrets);
    assert_eq!(calls(&dev).await["calls"], before["calls"]);
    let host = dev.connect("zoo").await;
    let client = reqwest::Client::new();
    let rotate = client.post(format!("{}/api/v1/entities/art/secret", dev.url)).bearer_auth(&dev.token);
    let rotated = rotate.header("content-type", "application/json").body("{}").send().await.unwrap();
    let rotated: serde_json::Value = serde_json::from_str(&rotated.text().await.unwrap()).unwrap();
    assert_eq!(dev.run(&["call", "add", "--params", r#"{"a": 2, "b": 2}"#]).await.out, "4\n");
    host.stop().await;
    folder.holds(calls(&dev).await["calls"][0]["call_id"].as_str().unwrap()).await;
    dev.kill().await;

    let more = [&data[..], &["--entity", "new"]].concat();
    let dev = Dev::start(&more).await;
    let names: Vec<_> =
        dev.banner["entities"].as_array().unwrap().iter().map(|entity| entity["entity"].clone()).collect();
    assert_eq!(json!(names), json!(["new", "art", "zoo"]), "what is named comes first, and the others stay");
    assert_eq!(dev.entity("zoo").1, secrets[0]);
    assert_eq!(rotated["secret"], dev.entity("art").1, "a rotated secret stays");
    let after = calls(&dev).await;
    assert_eq!((&after["calls"][0]["id"], &after["calls"][1]), (&json!(2), &before["calls"][0]));

    let again = [&["dev", "--port", "0"], &data[..]].concat();
    run(&again, &[]).await.failed(2, "another platform uses it; stop that one, or use another folder");
    dev.stop().await;
}

#[tokio::test]
async fn a_file_of_entities_wins_over_kept_ones() {
    let folder = Scratch::new();
    let data = ["--data", folder.as_str()];
    Dev::start(&[&data[..], &["--entity", "zoo"]].concat()).await.stop().await;
    let scratch = Scratch::new();
    let file =
        scratch.file("entities.toml", "[[entity]]\nname = \"zoo\"\nsecret = \"zoo-secret-0123456789\"\n");
    Dev::start(&[&data[..], &["--entities", &file]].concat()).await.stop().await;
    let dev = Dev::start(&data).await;
    assert_eq!(dev.entity("zoo").1, "zoo-secret-0123456789");
    dev.stop().await;
}

#[tokio::test]
async fn a_folder_that_cannot_be_used_is_an_error_with_advice() {
    let broken = Scratch::new();
    broken.file("platools-dev.sqlite3", &"not a database ".repeat(100));
    for (folder, message) in [
        (broken.as_str(), "move it away to start anew, with new secrets"),
        ("/dev/null/x", "use another folder"),
    ] {
        let ran = run(&["dev", "--port", "0", "--data", folder], &[]).await;
        ran.failed(2, &format!("the file `{folder}/platools-dev.sqlite3` cannot be used"));
        ran.failed(2, message);
    }
}
