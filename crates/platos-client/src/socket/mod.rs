//! Engine.IO 4 and Socket.IO 4 as they stand on one WebSocket: text in, values out, and back.
//!
//! This room is pure. It must not know connections, time, or what an event means. A WebSocket message is one
//! Engine.IO packet; a `message` packet holds one Socket.IO packet. Binary packets are refused: nothing of this
//! protocol is binary.

mod engine;
mod error;
mod packet;

pub(crate) use engine::{EnginePacket, Handshake, PONG};
pub(crate) use error::FrameError;
pub(crate) use packet::{EventArguments, Packet, ack, connect, disconnect, event};
