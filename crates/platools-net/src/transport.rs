//! The stream below a WebSocket, which knows since when its peer takes nothing, and whose last bytes can be held back.
//!
//! After a Close from its peer, the WebSocket library writes nothing but its reply, right behind the messages that it has
//! yet to write. Whoever still has messages for that peer lets the library write into a buffer, and sends them in between.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::SinkExt as _;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Error as WebSocketError;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;

use crate::dial::{Connection, WebSocket};

/// The first byte of a Close.
const CLOSE: u8 = 0x88;
/// The bit of the second byte that says that a mask follows.
const MASKED: u8 = 0x80;
/// The bytes of a client's Close before its payload, with the mask.
const HEAD_BYTES: usize = 6;

/// The stream below a [`WebSocket`].
pub struct Transport {
    connection: Connection,
    /// Takes what is written instead of the connection.
    held: Option<Vec<u8>>,
    blocked_since: Option<Instant>,
}

impl Transport {
    /// Makes a transport of a connection.
    pub fn new(connection: Connection) -> Self {
        Self { connection, held: None, blocked_since: None }
    }

    /// Returns since when there are bytes to write and the connection takes none.
    pub fn blocked_since(&self) -> Option<Instant> {
        self.blocked_since
    }
}

/// The bytes that the WebSocket library has not written yet when a Close has arrived: messages, and its reply.
pub struct Unwritten {
    /// The messages that were sent before. It may start in the middle of one.
    pub messages: Vec<u8>,
    /// The reply to the Close.
    pub reply: Vec<u8>,
}

/// Returns what a WebSocket has yet to write after it read `close` and did nothing else since. The caller writes it, with
/// other frames in between.
///
/// # Errors
/// When the library has another reply to this Close.
pub async fn unwritten(socket: &mut WebSocket, close: CloseFrame) -> Result<Unwritten, WebSocketError> {
    let payload = Frame::close(Some(close)).into_payload();
    let mut written = Vec::new();
    // Where the reply does not fit behind the messages, the library keeps it for the next time.
    for _ in 0..2 {
        socket.get_mut().held = Some(written);
        let flushed = socket.flush().await;
        written = socket.get_mut().held.take().unwrap_or_default();
        flushed?;
        if let Some(start) = written.len().checked_sub(HEAD_BYTES + payload.len())
            && is_close(&written[start..], &payload)
        {
            return Ok(Unwritten { reply: written.split_off(start), messages: written });
        }
    }
    Err(io::Error::other("the WebSocket has another reply to the close").into())
}

/// Returns whether `frame` is a client's Close with this payload.
fn is_close(frame: &[u8], payload: &[u8]) -> bool {
    let Some((&[first, length, ref mask @ ..], masked)) = frame.split_first_chunk::<HEAD_BYTES>() else {
        return false;
    };
    first == CLOSE
        && usize::from(length) == usize::from(MASKED) + payload.len()
        && masked.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).eq(payload.iter().copied())
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport").field("held", &self.held.as_ref().map(Vec::len)).finish_non_exhaustive()
    }
}

/// Shows how much it is, and not what.
impl fmt::Debug for Unwritten {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unwritten")
            .field("messages", &self.messages.len())
            .field("reply", &self.reply.len())
            .finish()
    }
}

impl AsyncRead for Transport {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_read(context, buffer)
    }
}

impl AsyncWrite for Transport {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.held {
            None => {
                let written = Pin::new(&mut self.connection).poll_write(context, bytes);
                if written.is_ready() {
                    self.blocked_since = None;
                } else {
                    self.blocked_since.get_or_insert_with(Instant::now);
                }
                written
            }
            Some(held) => {
                held.extend_from_slice(bytes);
                Poll::Ready(Ok(bytes.len()))
            }
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.held {
            None => Pin::new(&mut self.connection).poll_flush(context),
            Some(_) => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt as _, StreamExt as _};
    use tokio::io::{AsyncWriteExt as _, duplex};
    use tokio_tungstenite::WebSocketStream;
    use tokio_tungstenite::tungstenite::Message;
    use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
    use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

    use super::*;

    /// The pipe takes a part of the message; the smaller buffer has no room for the reply behind the rest.
    #[tokio::test]
    async fn what_waits_is_told_from_the_reply() {
        const MESSAGE: usize = 100_000;
        for (pipe, buffer) in [(16 * 1024, 2 * MESSAGE), (4, MESSAGE + 16)] {
            let (near, mut far) = duplex(pipe);
            let near = Transport::new(Box::new(near));
            let config = WebSocketConfig::default().write_buffer_size(0).max_write_buffer_size(buffer);
            let mut socket = WebSocketStream::from_raw_socket(near, Role::Client, Some(config)).await;
            let text = "x".repeat(MESSAGE);
            let sent = socket.send(Message::text(text.clone())).now_or_never();
            assert!(sent.is_none(), "the rest waits");
            let close = CloseFrame { code: CloseCode::Normal, reason: "enough".into() };
            let payload = Frame::close(Some(close.clone())).into_payload();
            let frame = [&[CLOSE, payload.len() as u8], &payload[..]].concat();
            let (read, sent) = tokio::join!(socket.next(), far.write_all(&frame));
            sent.unwrap();
            assert_eq!(read.unwrap().unwrap(), Message::Close(Some(close.clone())));

            let unwritten = unwritten(&mut socket, close.clone()).await.unwrap();
            let between = [0x81, 0x81, 0, 0, 0, 0, b'!'];
            let bytes = [&unwritten.messages[..], &between, &unwritten.reply].concat();
            let mut peer = WebSocketStream::from_raw_socket(far, Role::Server, None).await;
            let read = async {
                let mut read = Vec::new();
                while let Some(Ok(message)) = peer.next().await {
                    read.push(message);
                }
                read
            };
            let write = async {
                socket.get_mut().write_all(&bytes).await.unwrap();
                drop(socket);
            };
            let (read, ()) = tokio::join!(read, write);
            assert_eq!(read, [Message::text(text.clone()), Message::text("!"), Message::Close(Some(close))]);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_takes_nothing_is_noticed() {
        let (near, mut far) = duplex(4);
        let mut near = Transport::new(Box::new(near));
        near.write_all(b"1234").await.unwrap();
        assert_eq!(near.blocked_since(), None);
        let began = Instant::now();
        for _ in 0..2 {
            assert!(near.write_all(b"5").now_or_never().is_none());
            tokio::time::advance(std::time::Duration::from_secs(1)).await;
            assert_eq!(near.blocked_since(), Some(began));
        }
        tokio::io::AsyncReadExt::read_exact(&mut far, &mut [0; 4]).await.unwrap();
        near.write_all(b"5").await.unwrap();
        assert_eq!(near.blocked_since(), None);
    }
}
