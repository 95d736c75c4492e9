//! Engine.IO packets: a digit, and what belongs to it.

use std::time::Duration;

use serde::Deserialize;

use super::FrameError;

/// The answer to a ping.
pub(crate) const PONG: &str = "3";

/// What the server says when the transport opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Handshake {
    pub(crate) ping_interval: Duration,
    pub(crate) ping_timeout: Duration,
    /// The most bytes that the server takes in one packet.
    pub(crate) max_payload: Option<usize>,
}

/// An Engine.IO packet from a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum EnginePacket<'a> {
    Open(Handshake),
    Close,
    /// To be answered, with what it carries.
    Ping(&'a str),
    Pong,
    /// A Socket.IO packet.
    Message(&'a str),
    /// `upgrade` and `noop`, which mean nothing on a WebSocket.
    Nothing,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Open {
    ping_interval: Option<u64>,
    ping_timeout: Option<u64>,
    max_payload: Option<usize>,
}

/// What servers use that do not say: the defaults of Socket.IO.
const PING_INTERVAL_MS: u64 = 25_000;
const PING_TIMEOUT_MS: u64 = 20_000;

/// Longer than any server pings; beyond it, the clock's arithmetic would have to be watched.
const LONGEST_MS: u64 = 24 * 3_600_000;

impl<'a> EnginePacket<'a> {
    /// Reads the text of a WebSocket message.
    pub(crate) fn decode(text: &'a str) -> Result<Self, FrameError> {
        let Some(digit) = text.chars().next() else { return Err(FrameError::Empty) };
        let rest = &text[digit.len_utf8()..];
        Ok(match digit {
            '0' => Self::Open(Handshake::decode(rest)?),
            '1' => Self::Close,
            '2' => Self::Ping(rest),
            '3' => Self::Pong,
            '4' => Self::Message(rest),
            '5' | '6' => Self::Nothing,
            // Where a transport has no binary, binary is `b` and base64.
            'b' => return Err(FrameError::Binary),
            _ => return Err(FrameError::UnknownEnginePacket),
        })
    }
}

impl Handshake {
    fn decode(json: &str) -> Result<Self, FrameError> {
        let open: Open = serde_json::from_str(json)?;
        let time = |ms: Option<u64>, default: u64| {
            Duration::from_millis(ms.filter(|ms| *ms > 0).unwrap_or(default).min(LONGEST_MS))
        };
        Ok(Self {
            ping_interval: time(open.ping_interval, PING_INTERVAL_MS),
            ping_timeout: time(open.ping_timeout, PING_TIMEOUT_MS),
            max_payload: open.max_payload,
        })
    }

    /// How long nothing may come before the connection counts as dead.
    pub(crate) fn patience(&self) -> Duration {
        self.ping_interval + self.ping_timeout
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_told_by_their_digit() {
        for (text, expected) in [
            ("1", Ok(EnginePacket::Close)),
            ("2", Ok(EnginePacket::Ping(""))),
            ("2probe", Ok(EnginePacket::Ping("probe"))),
            ("3", Ok(EnginePacket::Pong)),
            ("42[\"a\"]", Ok(EnginePacket::Message("2[\"a\"]"))),
            ("5", Ok(EnginePacket::Nothing)),
            ("6", Ok(EnginePacket::Nothing)),
            ("", Err(FrameError::Empty)),
            ("bAAEC", Err(FrameError::Binary)),
            ("7", Err(FrameError::UnknownEnginePacket)),
            ("é", Err(FrameError::UnknownEnginePacket)),
            ("<html>", Err(FrameError::UnknownEnginePacket)),
        ] {
            assert_eq!(EnginePacket::decode(text), expected, "{text}");
        }
    }

    #[test]
    fn a_handshake_has_defaults_for_what_it_does_not_say() {
        let full = r#"0{"sid":"x","upgrades":[],"pingInterval":300,"pingTimeout":200,"maxPayload":1000000}"#;
        let Ok(EnginePacket::Open(handshake)) = EnginePacket::decode(full) else { panic!("no handshake") };
        assert_eq!(handshake.patience(), Duration::from_millis(500));
        assert_eq!(handshake.max_payload, Some(1_000_000));
        let Ok(EnginePacket::Open(handshake)) = EnginePacket::decode(r#"0{"pingInterval":0}"#) else {
            panic!("no handshake")
        };
        assert_eq!(handshake.patience(), Duration::from_secs(45));
        let endless = format!(r#"0{{"pingInterval":{0},"pingTimeout":{0}}}"#, u64::MAX);
        let Ok(EnginePacket::Open(handshake)) = EnginePacket::decode(&endless) else {
            panic!("no handshake")
        };
        assert_eq!(handshake.patience(), Duration::from_secs(48 * 3_600));
        for text in ["0", "0[]", "0{", r#"0{"pingInterval":"often"}"#] {
            assert!(matches!(EnginePacket::decode(text), Err(FrameError::Json(_))), "{text}");
        }
    }
}
