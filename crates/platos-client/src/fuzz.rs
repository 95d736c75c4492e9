//! For the project's own fuzz targets: the parsers of packets by themselves.

use serde_json::Value;

use crate::socket::{EnginePacket, Packet, event};

/// Reads a frame; an event that was read is written and read again. Returns whether it was an event.
///
/// # Panics
/// If the event is another one then.
pub fn packet(frame: &str) -> bool {
    let Ok(EnginePacket::Message(text)) = EnginePacket::decode(frame) else { return false };
    match Packet::decode(text) {
        Ok(Packet::Event { namespace, arguments, .. }) => {
            let Some(data) = arguments.data else { return false };
            let Ok(data) = serde_json::from_str::<Value>(data.get()) else { return false };
            let written = event(namespace, &arguments.name, &data);
            let Ok(EnginePacket::Message(again)) = EnginePacket::decode(&written) else {
                panic!("{written:?} is no message")
            };
            let Ok(Packet::Event { namespace: place, arguments: again, .. }) = Packet::decode(again) else {
                panic!("{written:?} is no event")
            };
            assert_eq!((place, &again.name), (namespace, &arguments.name));
            let again: Option<Value> = again.data.and_then(|data| serde_json::from_str(data.get()).ok());
            assert_eq!(again, Some(data));
            true
        }
        Ok(other) => {
            let _ = format!("{other:?}");
            false
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            false
        }
    }
}
