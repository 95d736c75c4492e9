//! The tools as an MCP client sees them.

use plato_sdk::testing::FakePlato;
use plato_sdk::{Screenshot, Size};
use platools::CancellationToken;
use platools_mcp::McpServer;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

use super::{desktops, host};

#[tokio::test]
async fn a_client_of_mcp_gets_pictures_as_image_content() {
    let fake = FakePlato::start();
    let local = host(desktops(&fake.client()).screen(Size::new(640, 640)));
    let (client, server) = tokio::io::duplex(1 << 20);
    let (reader, writer) = tokio::io::split(server);
    let stop = CancellationToken::new();
    let serving = tokio::spawn(McpServer::new(local.door()).serve_io(reader, writer, stop.clone()));
    let (answers, mut requests) = tokio::io::split(client);
    let mut answers = BufReader::new(answers).lines();
    let mut ask = async |id: u32, method: &str, params: Value| {
        let request = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        requests.write_all(format!("{request}\n").as_bytes()).await.unwrap();
        let answer: Value = serde_json::from_str(&answers.next_line().await.unwrap().unwrap()).unwrap();
        answer["result"].clone()
    };
    let hello = json!({"protocolVersion": "2025-06-18", "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"}});
    ask(1, "initialize", hello).await;
    let names = ask(2, "tools/list", json!({})).await;
    let names: Vec<_> = names["tools"].as_array().unwrap().iter().map(|tool| tool["name"].clone()).collect();
    assert_eq!(names, ["bash", "computer", "edit"]);
    let look = json!({"name": "computer", "arguments": {"action": "screenshot"}});
    let shot = ask(3, "tools/call", look).await;
    let [words, image] = &shot["content"].as_array().unwrap()[..] else { panic!("{shot}") };
    assert!(words["text"].as_str().unwrap().contains("640x360, of a screen of 1280x720"), "{words}");
    assert_eq!((&image["type"], &image["mimeType"]), (&json!("image"), &json!("image/png")));
    let png = base64::Engine::decode(
        &base64::engine::general_purpose::STANDARD,
        image["data"].as_str().unwrap_or_default(),
    );
    assert_eq!(Screenshot::from_png(png.unwrap()).unwrap().size(), Size::new(640, 360));
    let outside = json!({"name": "computer", "arguments": {"action": "left_click", "coordinate": [640, 0]}});
    let refused = ask(4, "tools/call", outside).await;
    assert_eq!(refused["isError"], true);
    assert!(refused["content"][0]["text"].as_str().unwrap().contains("640x360"), "{refused}");
    stop.cancel();
    serving.await.unwrap().unwrap();
}
