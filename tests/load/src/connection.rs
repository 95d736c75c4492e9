//! One connection, as the platform sees it. It blocks, since whoever measures has nothing else to do.

use std::io::{self, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::ops::Range;
use std::sync::LazyLock;
use std::time::Duration;

use memchr::memmem::{self, Finder};
use platools::wire::platform::{RegistrationCounts, heartbeat_ack, tools_registered, welcome};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::{push_frame, scope};

/// Ends a measurement that hangs.
const SILENCE: Duration = Duration::from_secs(60);
/// How much is read at once, in bytes.
const ROOM: usize = 256 << 10;

static HEARTBEAT: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"heartbeat\""));
static REGISTER: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("tool_register"));
/// `"call_000000000017"`, and not `"call_id"`.
static CALL_ID: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"call_0"));

/// A host that is connected and has declared its tools.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    /// The read buffer: the bytes in `received`, and free space behind them.
    buffer: Vec<u8>,
    /// Where what was received and not read begins, and where it ends.
    received: Range<usize>,
    /// The reason in the close frame of the host, once it has closed the connection.
    closed: Option<String>,
}

/// A frame from the host.
#[derive(Debug)]
enum Frame<'a> {
    /// Most of them: answers and heartbeats.
    Text(&'a [u8]),
    /// A ping that wants to be answered.
    Ping(&'a [u8]),
    /// The end, with what the host says.
    Close(&'a [u8]),
    /// Anything else.
    Other,
}

impl Connection {
    /// Takes the next host that connects to `listener`, whoever it says it is, and its declaration.
    ///
    /// # Errors
    /// When it hangs up, or says nothing for a minute.
    pub fn accept(listener: &TcpListener) -> io::Result<Self> {
        Self::over(listener.accept()?.0)
    }

    /// The same for one that was accepted already: of many that come at once, a listener lets only some wait.
    ///
    /// # Errors
    /// When it hangs up, or says nothing for a minute.
    pub fn over(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(SILENCE))?;
        let mut connection = Self { stream, buffer: vec![0; ROOM], received: 0..0, closed: None };
        connection.shake_hands()?;
        Ok(connection)
    }

    fn shake_hands(&mut self) -> io::Result<()> {
        let end = loop {
            if let Some(end) = memmem::find(&self.buffer[..self.received.end], b"\r\n\r\n") {
                break end + 4;
            }
            self.receive()?;
        };
        let head = String::from_utf8_lossy(&self.buffer[..end]).into_owned();
        self.received.start = end;
        let key = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("sec-websocket-key").then(|| value.trim())
        });
        let accept = derive_accept_key(key.ok_or(io::ErrorKind::InvalidData)?.as_bytes());
        let mut answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Accept: {accept}\r\n\r\n"
        )
        .into_bytes();
        push_frame(&mut answer, &welcome("speed", &scope()));
        self.send(&answer)?;
        loop {
            match self.frame() {
                Some(Frame::Text(text)) if memmem::find(text, b"tool_register").is_some() => break,
                Some(_) => {}
                None => self.receive()?,
            }
        }
        let mut answer = Vec::new();
        push_frame(&mut answer, &registered());
        self.send(&answer)
    }

    /// Sends frames as they are.
    ///
    /// # Errors
    /// When the host hung up.
    pub fn send(&mut self, frames: &[u8]) -> io::Result<()> {
        self.stream.write_all(frames)
    }

    /// The sending half, for a thread of its own.
    ///
    /// # Errors
    /// When the socket cannot be shared.
    pub fn sender(&self) -> io::Result<TcpStream> {
        self.stream.try_clone()
    }

    /// Waits for more from the host.
    ///
    /// # Errors
    /// When the host closed or hung up, or says nothing for a minute.
    pub fn receive(&mut self) -> io::Result<()> {
        if let Some(reason) = &self.closed {
            return Err(io::Error::other(format!("the host closed: {reason}")));
        }
        self.buffer.copy_within(self.received.clone(), 0);
        self.received = 0..self.received.len();
        if self.buffer.len() < self.received.end + ROOM / 2 {
            self.buffer.resize(self.received.end + ROOM, 0);
        }
        let read = self.stream.read(&mut self.buffer[self.received.end..])?;
        self.received.end += read;
        if read == 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }

    /// The next whole frame of what was received.
    fn frame(&mut self) -> Option<Frame<'_>> {
        let bytes = &mut self.buffer[self.received.clone()];
        let (opcode, short) = (bytes.first()? & 0x0f, usize::from(bytes.get(1)? & 0x7f));
        let (length, start) = match short {
            126 => (usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?)), 4),
            127 => (u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?) as usize, 10),
            length => (length, 2),
        };
        let (mask, start) = (bytes.get(start..start + 4)?, start + 4);
        let mask: [u8; 4] = mask.try_into().ok()?;
        let payload = bytes.get_mut(start..start + length)?;
        for chunk in payload.chunks_mut(4) {
            chunk.iter_mut().zip(mask).for_each(|(byte, mask)| *byte ^= mask);
        }
        self.received.start += start + length;
        Some(match opcode {
            1 => Frame::Text(payload),
            9 => Frame::Ping(payload),
            8 => Frame::Close(payload),
            _ => Frame::Other,
        })
    }

    /// Hands the answers among the frames that are here to `answer`, and returns what the other ones want to be
    /// answered with: pongs and acknowledgements, as frames.
    pub fn answers(&mut self, mut answer: impl FnMut(&[u8])) -> Vec<u8> {
        let mut replies = Vec::new();
        while let Some(frame) = self.frame() {
            match frame {
                Frame::Text(text) if HEARTBEAT.find(text).is_some() => {
                    push_frame(&mut replies, &heartbeat_ack());
                }
                // A host declares its tools more than once.
                Frame::Text(text) if REGISTER.find(&text[..text.len().min(40)]).is_some() => {
                    push_frame(&mut replies, &registered());
                }
                Frame::Text(text) => answer(text),
                Frame::Ping(payload) => {
                    replies.extend_from_slice(&[0x8a, payload.len() as u8]);
                    replies.extend_from_slice(payload);
                }
                Frame::Close(payload) => {
                    let reason = String::from_utf8_lossy(payload.get(2..).unwrap_or_default());
                    self.closed = Some(reason.into_owned());
                    break;
                }
                Frame::Other => {}
            }
        }
        replies
    }
}

/// The answer to a declaration.
fn registered() -> String {
    let counts = RegistrationCounts { count: 2, new_tools: 2, ..RegistrationCounts::default() };
    tools_registered(&scope(), counts)
}

/// The number of the call that a frame answers.
pub fn call_number(text: &[u8]) -> Option<usize> {
    let at = CALL_ID.find(text)?;
    let digits = text.get(at + 6..at + 18)?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}
