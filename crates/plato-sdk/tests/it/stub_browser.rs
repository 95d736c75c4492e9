//! A browser that is none: it answers `DevTools` commands with as little as does.

use std::sync::{Arc, Mutex};

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;

/// The commands that came, with their parameters.
pub(crate) type Commands = Arc<Mutex<Vec<Value>>>;

/// Starts one, and says where it listens.
pub(crate) async fn start() -> String {
    start_recording().await.0
}

/// Starts one, and says where it listens and what it was told.
pub(crate) async fn start_recording() -> (String, Commands) {
    let commands = Commands::default();
    let told = Arc::clone(&commands);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let own = address.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, own.clone(), Arc::clone(&told)));
        }
    });
    (address, commands)
}

async fn serve(mut stream: TcpStream, address: String, told: Commands) {
    let mut start = [0; 16];
    let length = stream.peek(&mut start).await.unwrap();
    if !start[..length].starts_with(b"GET /devtools") {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        let body = json!({"webSocketDebuggerUrl": format!("ws://{address}/devtools/browser/1")}).to_string();
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        stream.write_all(answer.as_bytes()).await.unwrap();
        return;
    }
    let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
    while let Some(Ok(message)) = socket.next().await {
        let Message::Text(text) = message else { continue };
        let command: Value = serde_json::from_str(&text).unwrap();
        told.lock().unwrap().push(command.clone());
        let result = match command["method"].as_str().unwrap() {
            "Target.getTargets" => {
                json!({"targetInfos": [{"type": "page", "url": "about:blank", "targetId": "T"}]})
            }
            "Target.createTarget" => json!({"targetId": "T2"}),
            "Target.attachToTarget" => json!({"sessionId": "S"}),
            "Runtime.evaluate" => json!({"result": {"value": "complete"}}),
            _ => json!({}),
        };
        let answer = json!({"id": command["id"], "result": result}).to_string();
        if socket.send(Message::text(answer)).await.is_err() {
            return;
        }
    }
}
