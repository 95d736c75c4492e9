//! Lines that a client of MCP writes to the server's standard input.

use std::time::Duration;

use platools::{CancellationToken, Platools, Tool, ToolOutput, ToolSpec};
use platools_mcp::McpServer;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

/// No exchange takes as long.
const HANG: Duration = Duration::from_secs(20);

/// Lines, and the end of input. Whatever they are, every line of the answer is a JSON-RPC message, and the server ends.
pub fn stdio_lines(bytes: &[u8]) -> bool {
    let echo =
        Tool::new(ToolSpec::new("echo").description("Says so."), |_| async { Ok(ToolOutput::text("so")) });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let output = runtime.block_on(async {
        let local = Platools::builder().tools([echo]).build_local().expect("a host");
        let (near, far) = tokio::io::duplex(64 << 10);
        let (reader, writer) = tokio::io::split(far);
        let serving = McpServer::new(local.door()).serve_io(reader, writer, CancellationToken::new());
        let (mut reader, mut writer) = tokio::io::split(near);
        let speaking = async {
            // The server may be gone already.
            let _ = writer.write_all(bytes).await;
            let _ = writer.shutdown().await;
        };
        let mut output = Vec::new();
        let hearing = async {
            let _ = reader.read_to_end(&mut output).await;
        };
        let served = async {
            // A client that breaks the protocol is an error of the server, too.
            let _ = serving.await;
        };
        let all = async { tokio::join!(served, speaking, hearing) };
        timeout(HANG, Box::pin(all)).await.expect("the server ends with its input");
        output
    });
    let output = String::from_utf8(output).expect("answers are UTF-8");
    let mut results = 0;
    for line in output.lines() {
        let message: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert_eq!(message["jsonrpc"], "2.0", "{line}");
        results += usize::from(message.get("result").is_some());
    }
    results > 1
}
