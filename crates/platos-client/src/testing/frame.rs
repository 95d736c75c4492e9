//! Frames that somebody recorded.

use crate::event::AgentEvent;
use crate::socket::{EnginePacket, Packet};

/// The event of the agent that a client reads from one frame; `None` where it is another frame, or none at all.
///
/// ```
/// use platos_client::AgentEvent;
/// use platos_client::testing::event_of_frame;
///
/// let event = event_of_frame(r#"42/agent,["agent_event",{"type":"token","text":"Hello"}]"#);
/// assert!(matches!(event, Some(AgentEvent::Token(token)) if token.text == "Hello"));
/// assert_eq!(event_of_frame("2"), None);
/// ```
pub fn event_of_frame(frame: &str) -> Option<AgentEvent> {
    let Ok(EnginePacket::Message(packet)) = EnginePacket::decode(frame) else { return None };
    let Ok(Packet::Event { arguments, .. }) = Packet::decode(packet) else { return None };
    let data = arguments.data.filter(|_| arguments.name == "agent_event")?;
    serde_json::from_str(data.get()).ok().map(AgentEvent::from_json)
}
