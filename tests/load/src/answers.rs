//! The answers to calls whose results are runs of `x`: each call has one, and it is its own.

use std::io;

use memchr::{memchr, memrchr};

use super::{Connection, call_number};

/// What became of calls that are numbered from 0.
#[derive(Debug, Default)]
pub struct Answers {
    /// How long the result of each call is, in bytes; `None` once it is answered.
    awaited: Vec<Option<usize>>,
    results: usize,
    errors: Vec<String>,
    bytes: usize,
}

impl Answers {
    /// Awaits the answers of as many calls, each with a result of `bytes` bytes.
    pub fn of(count: usize, bytes: usize) -> Self {
        Self { awaited: vec![Some(bytes); count], ..Self::default() }
    }

    /// Awaits the answer of one more call, with a result of `bytes` bytes.
    pub fn expect(&mut self, bytes: usize) {
        self.awaited.push(Some(bytes));
    }

    /// Waits for more from the host, and replies to what wants a reply.
    ///
    /// # Errors
    /// When the host closed or hung up, or says nothing for a minute.
    ///
    /// # Panics
    /// When a call is answered twice, or with the result of another one.
    pub fn read(&mut self, connection: &mut Connection) -> io::Result<()> {
        connection.receive()?;
        let replies = connection.answers(|text| self.take(text));
        if replies.is_empty() { Ok(()) } else { connection.send(&replies) }
    }

    /// Waits until all calls are answered.
    ///
    /// # Errors
    /// When the host closed or hung up, or says nothing for a minute.
    ///
    /// # Panics
    /// When a call is answered twice, or with the result of another one.
    pub fn read_all(&mut self, connection: &mut Connection) -> io::Result<()> {
        while self.unanswered() > 0 {
            self.read(connection)?;
        }
        Ok(())
    }

    fn take(&mut self, text: &[u8]) {
        let shown = || String::from_utf8_lossy(&text[..text.len().min(300)]).into_owned();
        let number =
            call_number(&text[..text.len().min(200)]).unwrap_or_else(|| panic!("no call: {}", shown()));
        let awaited = self.awaited.get_mut(number).unwrap_or_else(|| panic!("no such call: {}", shown()));
        let Some(bytes) = awaited.take() else { panic!("call {number} is answered twice: {}", shown()) };
        if !text.starts_with(b"{\"type\":\"tool_result\"") {
            self.errors.push(String::from_utf8_lossy(text).into_owned());
            return;
        }
        let run = memchr(b'x', text).zip(memrchr(b'x', text)).map_or(0, |(first, last)| last + 1 - first);
        assert_eq!(run, bytes, "call {number} has the result of another one: {}", shown());
        self.results += 1;
        self.bytes += bytes;
    }

    /// The number of calls that were made.
    pub fn calls(&self) -> usize {
        self.awaited.len()
    }

    /// The number of calls that are not answered.
    pub fn unanswered(&self) -> usize {
        self.calls() - self.results - self.errors.len()
    }

    /// The number of calls with a result.
    pub fn results(&self) -> usize {
        self.results
    }

    /// The bytes of all results.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The frames of the other answers.
    pub fn errors(&self) -> &[String] {
        &self.errors
    }
}
