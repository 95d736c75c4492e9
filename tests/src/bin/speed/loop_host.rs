//! A host that is one loop: read, answer at once, flush when nothing more is there to read.

use futures_util::{FutureExt as _, SinkExt as _, StreamExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

/// What becomes of one call.
pub(crate) trait Answer {
    /// The answer to a frame, if it is a call.
    fn answer(&mut self, frame: &str) -> Option<String>;
}

pub(crate) fn run(address: &str, mut host: impl Answer) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (mut socket, _) = client_async(format!("ws://{address}/ws/sdk"), stream).await.unwrap();
        let declaration = r#"{"type":"tool_register","tools":[]}"#;
        socket.send(Message::text(declaration)).await.unwrap();
        while let Some(Ok(message)) = socket.next().await {
            let mut next = Some(message);
            while let Some(message) = next {
                if let Message::Text(frame) = &message
                    && let Some(answer) = host.answer(frame)
                {
                    socket.feed(Message::Text(Utf8Bytes::from(answer))).await.unwrap();
                }
                next = socket.next().now_or_never().flatten().and_then(Result::ok);
            }
            socket.flush().await.unwrap();
        }
    });
}
