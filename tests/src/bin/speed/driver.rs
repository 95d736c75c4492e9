//! The platform's side of one connection: as little work as possible for each call, and every answer checked.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use memchr::memmem;
use platools::protocol::platform::{RegistrationCounts, tools_registered, welcome};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::calls::{Calls, push_frame, scope};
use super::process::{Kind, Process};

/// Ends a run that hangs.
const SILENCE: Duration = Duration::from_secs(30);

/// A host, connected.
pub(crate) struct Driver {
    process: Process,
    connection: TcpStream,
    /// What was received and not read yet.
    received: Vec<u8>,
    /// The number of the next call.
    next: usize,
}

/// What a round came to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Round {
    pub(crate) per_second: f64,
    /// Of the host, a call.
    pub(crate) cpu_micros: f64,
}

impl Round {
    /// How many calls fill that time.
    pub(crate) fn calls_in(&self, time: Duration) -> usize {
        Duration::from_secs_f64(self.per_second * time.as_secs_f64() / 1e6).as_micros() as usize
    }

    pub(crate) fn median(rounds: &mut [Self]) -> Self {
        let middle = |mut figures: Vec<f64>| {
            figures.sort_by(f64::total_cmp);
            figures[figures.len() / 2]
        };
        Self {
            per_second: middle(rounds.iter().map(|round| round.per_second).collect()),
            cpu_micros: middle(rounds.iter().map(|round| round.cpu_micros).collect()),
        }
    }
}

/// A frame from the host.
enum Frame {
    Text(Vec<u8>),
    Ping(Vec<u8>),
    Other,
}

impl Driver {
    pub(crate) fn start(kind: Kind) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let process = Process::start(kind, listener.local_addr().unwrap());
        let (connection, _) = listener.accept().unwrap();
        connection.set_nodelay(true).unwrap();
        connection.set_read_timeout(Some(SILENCE)).unwrap();
        let mut driver = Self { process, connection, received: Vec::new(), next: 0 };
        driver.shake_hands();
        driver
    }

    fn shake_hands(&mut self) {
        let end = loop {
            if let Some(end) = memmem::find(&self.received, b"\r\n\r\n") {
                break end + 4;
            }
            self.receive();
        };
        let head = String::from_utf8(self.received.drain(..end).collect()).unwrap();
        let key = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("sec-websocket-key").then(|| value.trim())
        });
        let accept = derive_accept_key(key.expect("a WebSocket client").as_bytes());
        let mut answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Accept: {accept}\r\n\r\n"
        )
        .into_bytes();
        push_frame(&mut answer, &welcome("speed", &scope()));
        self.connection.write_all(&answer).unwrap();
        loop {
            match self.frame() {
                Some(Frame::Text(text)) if memmem::find(&text, b"tool_register").is_some() => break,
                Some(_) => {}
                None => self.receive(),
            }
        }
        let counts = RegistrationCounts { count: 2, new_tools: 2, ..RegistrationCounts::default() };
        let mut answer = Vec::new();
        push_frame(&mut answer, &tools_registered(&scope(), counts));
        self.connection.write_all(&answer).unwrap();
    }

    /// Makes `count` calls, `window` of them in flight.
    ///
    /// # Panics
    /// When an answer is not 3, comes twice, or does not come.
    pub(crate) fn round(&mut self, tool: &str, window: usize, count: usize) -> Round {
        let calls = Calls::new(tool, count, self.next);
        let first = self.next;
        self.next += count;
        let mut is_answered = vec![false; count];
        let (mut sent, mut done) = (window.min(calls.len()), 0);
        let (cpu, started) = (self.process.cpu(), Instant::now());
        self.connection.write_all(calls.frames(0, sent)).unwrap();
        while done < count {
            self.receive();
            let before = done;
            let mut pongs = Vec::new();
            while let Some(frame) = self.frame() {
                match frame {
                    Frame::Text(text) => {
                        if let Some(index) = answered(&text) {
                            let slot = &mut is_answered[index - first];
                            assert!(!*slot, "call {index} is answered twice");
                            *slot = true;
                            done += 1;
                        } else if memmem::find(&text, b"\"heartbeat\"").is_some() {
                            push_frame(&mut pongs, r#"{"type":"heartbeat_ack"}"#);
                        }
                    }
                    Frame::Ping(payload) => {
                        pongs.extend_from_slice(&[0x8a, payload.len() as u8]);
                        pongs.extend_from_slice(&payload);
                    }
                    Frame::Other => {}
                }
            }
            let more = (sent + done - before).min(count);
            if pongs.is_empty() {
                self.connection.write_all(calls.frames(sent, more)).unwrap();
            } else {
                pongs.extend_from_slice(calls.frames(sent, more));
                self.connection.write_all(&pongs).unwrap();
            }
            sent = more;
        }
        let (elapsed, cpu) = (started.elapsed(), self.process.cpu().saturating_sub(cpu));
        Round {
            per_second: count as f64 / elapsed.as_secs_f64(),
            cpu_micros: cpu.as_secs_f64() * 1e6 / count as f64,
        }
    }

    fn receive(&mut self) {
        let old = self.received.len();
        self.received.resize(old + (256 << 10), 0);
        let read = self.connection.read(&mut self.received[old..]).expect("an answer in time");
        assert!(read > 0, "the host hung up");
        self.received.truncate(old + read);
    }

    /// The next whole frame of what was received.
    fn frame(&mut self) -> Option<Frame> {
        let bytes = &self.received;
        let (opcode, short) = (bytes.first()? & 0x0f, usize::from(bytes.get(1)? & 0x7f));
        let (length, start) = match short {
            126 => (usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?)), 4),
            127 => (u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?) as usize, 10),
            length => (length, 2),
        };
        let (mask, start) = (bytes.get(start..start + 4)?, start + 4);
        let mask: [u8; 4] = mask.try_into().ok()?;
        let mut payload = bytes.get(start..start + length)?.to_vec();
        for chunk in payload.chunks_mut(4) {
            chunk.iter_mut().zip(mask).for_each(|(byte, mask)| *byte ^= mask);
        }
        self.received.drain(..start + length);
        Some(match opcode {
            1 => Frame::Text(payload),
            9 => Frame::Ping(payload),
            8 => panic!("the host closed: {}", String::from_utf8_lossy(&payload)),
            _ => Frame::Other,
        })
    }
}

/// The number of the call that is answered, with a result of 3.
fn answered(text: &[u8]) -> Option<usize> {
    // `"call_000000000017"`, and not `"call_id"`.
    let at = memmem::find(text, b"\"call_0")?;
    let digits = text.get(at + 6..at + 18)?;
    let index = std::str::from_utf8(digits).ok()?.parse().ok()?;
    let is_three = memmem::find(text, b"\"result\":3").or_else(|| memmem::find(text, b"\"result\": 3"));
    assert!(is_three.is_some(), "not the answer: {}", String::from_utf8_lossy(text));
    Some(index)
}
