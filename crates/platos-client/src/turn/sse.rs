//! A turn whose events are the answer to one request.

use std::time::Duration;

use platools_net::Streamed;
use tokio::time::Instant;

use super::driver::{Driver, End, Gone, turn_failed};
use super::message::Outgoing;
use super::pass::Step;
use super::refusal::{Failure, refused};
use crate::error::{Error, NetworkError, NetworkErrorKind, ProtocolError, RefreshOutcome};
use crate::event::AgentEvent;
use crate::http::{Call, Opened, is_unsent};

/// How long a stream may be silent: a platform says something every 15 s.
const PATIENCE: Duration = Duration::from_secs(45);

/// How long a reply is looked for that the platform was to give up with the connection: it may not have noticed at once.
const ABORTED: Duration = Duration::from_secs(30);

impl Driver {
    /// Sends the message and reads its turn.
    pub(super) async fn sse(&mut self, outgoing: Outgoing) -> Result<End, Gone> {
        self.inbox.close();
        let mut fields = outgoing.fields;
        fields.shift_remove("threadId");
        let thread_id = self.thread_id.clone();
        let call = Call::keyed(&["threads", &thread_id, "stream"], outgoing.key)?.body(fields.into());
        let name = call.name();
        let Some(stream) = self.opened(&call, &name).await? else { return Ok(End::Unread) };
        let Some(room) = self.outlet.room(1).await else { return Ok(End::Unread) };
        room.fill(Ok(AgentEvent::Connected));
        match self.read(stream).await {
            Ok(end) => Ok(end),
            Err(Failure::Unheard(reason)) => Err(self.gone(ProtocolError::new(name, reason).into(), true)),
            Err(Failure::Fatal(error)) => Err(self.gone(named(*error, &name), false)),
            Err(Failure::Arrived) => {
                self.arrived_before();
                let error = ProtocolError::new(name, "the message had arrived before");
                Err(self.gone(error.into(), true))
            }
            Err(Failure::Lost { reason, .. }) => {
                if let Some(failed) = self.failed.take() {
                    return Err(turn_failed(failed).into());
                }
                let Some(room) = self.outlet.room(1).await else { return Ok(End::Unread) };
                room.fill(Ok(AgentEvent::Disconnected { reason: reason.clone() }));
                if !self.durable {
                    self.recovery = self.recovery.min(ABORTED);
                }
                Err(self.gone(NetworkError::new(name, NetworkErrorKind::Lost, reason).into(), true))
            }
            Err(other) => Err(self.gone(ProtocolError::new(name, format!("{other:?}")).into(), true)),
        }
    }

    /// Sends the request until it is answered with a stream. `None` when nobody reads any more.
    async fn opened(&mut self, call: &Call, name: &str) -> Result<Option<Streamed>, Gone> {
        let (mut issued, mut renewed, mut attempts) = (self.client.issue_lasting(name).await?, false, 0);
        loop {
            self.is_sent();
            let (error, wait) = match self.client.open(call, &issued).await {
                Ok(Opened::Stream(stream)) => return Ok(Some(stream)),
                Ok(Opened::Refused(response)) => match (response.status, response.incurable()) {
                    (_, Some(outcome)) => return Err(response.into_error(outcome).into()),
                    (Some(status @ (401 | 403)), None) if !renewed => {
                        match self.client.shared.credentials.renew(&issued, status).await {
                            Ok(fresh) => (issued, renewed) = (fresh, true),
                            Err(outcome) => return Err(refused(response, outcome).into()),
                        }
                        continue;
                    }
                    // It was not looked at, or is known again by its key.
                    (Some(429 | 502..=504), None) => {
                        let wait = response.retry_after;
                        (response.into_error(RefreshOutcome::RefusedAgain), wait)
                    }
                    _ => return Err(response.into_error(RefreshOutcome::RefusedAgain).into()),
                },
                Err(error) if is_unsent(&error) => (error, None),
                Err(error @ Error::Network(_)) => return Err(self.gone(error, true)),
                Err(error) => return Err(error.into()),
            };
            let (policy, longest) =
                (self.client.shared.config.reconnect, self.client.shared.config.retry.longest_retry_after);
            if attempts >= policy.attempts || wait.is_some_and(|wait| wait > longest) {
                return Err(error.into());
            }
            attempts += 1;
            let Some(room) = self.outlet.room(1).await else { return Ok(None) };
            room.fill(Ok(AgentEvent::Reconnecting { attempt: attempts }));
            tokio::time::sleep(wait.unwrap_or_else(|| policy.backoff.wait(attempts - 1))).await;
        }
    }

    async fn read(&mut self, mut stream: Streamed) -> Result<End, Failure> {
        let mut events = Events::new(self.client.shared.config.limits.event_bytes);
        self.heard = Instant::now();
        loop {
            let idle = self.idle_limit();
            let left = idle.map(|idle| (self.heard + idle).saturating_duration_since(Instant::now()));
            let time = left.unwrap_or(PATIENCE).min(PATIENCE);
            let chunk = match tokio::time::timeout(time, stream.chunk()).await {
                Ok(Ok(Some(chunk))) => chunk,
                Ok(Ok(None)) => return Err(Failure::lost("the stream ended before the turn did")),
                Ok(Err(error)) => return Err(Failure::lost(error.to_string())),
                Err(_elapsed) => match idle.filter(|idle| self.heard.elapsed() >= *idle) {
                    Some(idle) => return Err(Failure::fatal(self.idle(idle))),
                    None => return Err(Failure::lost("the platform gave no sign of life for 45 s")),
                },
            };
            events.add(&chunk);
            while let Some(text) = events.next()? {
                if let Step::Over(end) = self.take(&text, None).await? {
                    return Ok(end);
                }
            }
            // Its sender may say only that it lives.
            if let Some(idle) = idle.filter(|idle| self.heard.elapsed() >= *idle) {
                return Err(Failure::fatal(self.idle(idle)));
            }
        }
    }
}

/// The error under the name of the request that the turn is the answer to.
pub(super) fn named(mut error: Error, name: &str) -> Error {
    let request = match &mut error {
        Error::Protocol(error) => &mut error.request,
        Error::Network(error) => &mut error.request,
        _ => return error,
    };
    name.clone_into(request);
    error
}

/// The events in a stream of bytes, as the WHATWG's standard has them. By hand, for the limit on one event.
struct Events {
    buffer: Vec<u8>,
    /// How much of the buffer was read.
    read: usize,
    /// The lines of data so far of an event that is not whole.
    data: Option<String>,
    limit: usize,
}

impl Events {
    fn new(limit: usize) -> Self {
        Self { buffer: Vec::new(), read: 0, data: None, limit }
    }

    fn add(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.read);
        self.read = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The data of the next event, if it is there.
    fn next(&mut self) -> Result<Option<String>, Failure> {
        loop {
            let rest = &self.buffer[self.read..];
            let Some(end) = rest.iter().position(|byte| *byte == b'\n') else {
                self.check(rest.len())?;
                return Ok(None);
            };
            let line = rest[..end].strip_suffix(b"\r").unwrap_or(&rest[..end]);
            let line =
                std::str::from_utf8(line).map_err(|_| Failure::unreadable("a line that is not UTF-8"))?;
            let whole = line.is_empty();
            if let Some(data) = line.strip_prefix("data:") {
                let data = data.strip_prefix(' ').unwrap_or(data);
                match &mut self.data {
                    Some(before) => {
                        before.push('\n');
                        before.push_str(data);
                    }
                    None => self.data = Some(data.to_owned()),
                }
            }
            self.read += end + 1;
            self.check(0)?;
            if whole && let Some(data) = self.data.take() {
                return Ok(Some(data));
            }
        }
    }

    fn check(&self, more: usize) -> Result<(), Failure> {
        if self.data.as_ref().map_or(0, String::len) + more <= self.limit {
            return Ok(());
        }
        let limit = self.limit;
        Err(Failure::protocol(format!(
            "an event is larger than {limit} bytes: raise `StreamLimits::event_bytes` if that is meant"
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_however_they_are_cut() {
        let text = "id: 1\ndata: {\"a\":\"naïve\"}\n\n: alive\r\n\r\ndata:one\ndata: two\r\n\r\nevent: x\n\ndata: cut";
        for size in 1..text.len() {
            let mut events = Events::new(1_000);
            let mut read = Vec::new();
            for chunk in text.as_bytes().chunks(size) {
                events.add(chunk);
                while let Some(event) = events.next().unwrap() {
                    read.push(event);
                }
            }
            assert_eq!(read, ["{\"a\":\"naïve\"}", "one\ntwo"], "{size}");
        }
    }

    #[test]
    fn an_event_has_a_limit() {
        for text in ["data: 0123456789", "data: 01234567\n", "data: 0123\ndata: 4567\n"] {
            let mut events = Events::new(7);
            events.add(text.as_bytes());
            assert!(matches!(events.next(), Err(Failure::Fatal(_))), "{text}");
        }
    }
}
