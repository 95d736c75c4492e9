//! The last answers on a connection that another process has taken over.
//!
//! The platform takes answers from a superseded connection until the close handshake ends, and waits up to 30 s for it
//! (protocol §2). So the handshake is answered only when the running calls are: a rolling update loses none of them.
//!
//! After a Close, the WebSocket library refuses to write, and sends its reply with the next read or flush. Answers are
//! therefore written to the stream directly, between what the library had yet to write and its reply, and nothing is
//! read meanwhile.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_util::StreamExt as _;
use platools_net::transport::unwritten;
use tokio::io::AsyncWriteExt as _;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use super::Session;
use crate::host::driver::drain_due;
use crate::host::machine::Event;
use crate::host::{FAREWELL, WhenSuperseded};
use crate::wire::close;

/// Maximum time for the running calls, within the 30 s that the platform waits.
const FINISH_WITHIN: Duration = Duration::from_secs(28);

impl Session<'_> {
    /// Returns whether running calls are still answered here. Not before the welcome, nor if the host takes the connection
    /// back or a successor in this process has it, which serves their answers too.
    pub(super) fn may_finish_superseded(&self) -> bool {
        let shared = self.shared;
        self.welcomed
            && (shared.config.when_superseded != WhenSuperseded::TakeOver || shared.coordinator.is_some())
            && !shared.succession.has_successor()
    }

    /// Answers the running calls, then the close.
    pub(super) async fn finish_superseded(&mut self) {
        self.status.on(Event::Superseded);
        self.outgoing.keep_only_answers();
        let running = self.shared.intake.running();
        if running > 0 {
            tracing::info!(running, "another process took the connection over, finishing the running calls");
        }
        match timeout_at(Instant::now() + FINISH_WITHIN, self.write_last_answers()).await {
            Ok(Ok(())) => {
                let hang_up = async {
                    loop {
                        match self.socket.next().await {
                            Some(Ok(_)) => {}
                            Some(Err(_)) => return false,
                            None => return true,
                        }
                    }
                };
                if timeout(FAREWELL, hang_up).await == Ok(true) {
                    self.outgoing.on_all_read();
                }
            }
            Ok(Err(error)) => tracing::debug!("the superseded connection broke: {error}"),
            Err(_elapsed) => {
                let running = self.shared.intake.running();
                tracing::warn!(running, "the time for calls of the superseded connection is over");
            }
        }
    }

    async fn write_last_answers(&mut self) -> io::Result<()> {
        let shared = Arc::clone(self.shared);
        let close = CloseFrame { code: CloseCode::Normal, reason: Utf8Bytes::from_static(close::SUPERSEDED) };
        let unwritten = unwritten(&mut self.socket, close).await.map_err(io::Error::other)?;
        self.write(&unwritten.messages).await?;
        loop {
            // Read before the outbox: a call stores its answer there before it counts as answered.
            let idle = shared.intake.running() == 0;
            while let Some(message) = self.outgoing.next(&shared.outbox, Instant::now()) {
                // Nobody would answer a ping any more.
                if let Message::Text(text) = message {
                    self.write(&text_frame(text)?).await?;
                }
            }
            if idle && shared.outbox.is_empty() {
                return self.write(&unwritten.reply).await;
            }
            let outgoing = &mut self.outgoing;
            let more = poll_fn(|context| {
                outgoing.refill(&shared.outbox, context);
                if outgoing.unsent() > 0 { Poll::Ready(()) } else { Poll::Pending }
            });
            tokio::select! {
                biased;
                () = more => {}
                () = shared.intake.answered(), if !idle => {}
                () = shared.shutdown.cancelled(), if !self.status.is_draining() => self.status.begin_drain(&shared),
                () = drain_due(self.status), if self.status.is_draining() => {
                    if self.status.on_drain_time(&shared, Instant::now()).is_some() {
                        return self.write(&unwritten.reply).await;
                    }
                }
            }
        }
    }

    /// Writes around the library.
    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.shared.fence.is_closed() {
            return Err(io::Error::other("the process was suspended, and another one has the lead"));
        }
        self.socket.get_mut().write_all(bytes).await?;
        self.socket.get_mut().flush().await
    }
}

/// The bytes of a text frame from a client.
fn text_frame(text: Utf8Bytes) -> io::Result<Vec<u8>> {
    let mut frame = Frame::message(text, OpCode::Data(Data::Text), true);
    frame.header_mut().mask = Some(fastrand::u32(..).to_ne_bytes());
    let mut bytes = Vec::with_capacity(frame.len());
    frame.format(&mut bytes).map_err(io::Error::other)?;
    Ok(bytes)
}
