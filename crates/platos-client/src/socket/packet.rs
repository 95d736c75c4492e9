//! Socket.IO packets: a digit, a namespace unless it is the first one, an id where an answer is wanted, and
//! JSON.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::{SeqAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use super::FrameError;

/// A Socket.IO packet from a server, with its namespace.
#[derive(Debug)]
pub(crate) enum Packet<'a> {
    /// The namespace is connected.
    Connect {
        namespace: &'a str,
        /// What the server remembers this session by, where it remembers sessions.
        session: Option<String>,
    },
    Disconnect {
        namespace: &'a str,
    },
    Event {
        namespace: &'a str,
        /// Where the server wants to know that it came.
        id: Option<u64>,
        arguments: EventArguments<'a>,
    },
    Ack,
    ConnectError {
        namespace: &'a str,
        message: String,
        data: Value,
    },
}

/// What an event carries.
#[derive(Debug)]
pub(crate) struct EventArguments<'a> {
    pub(crate) name: Cow<'a, str>,
    /// The first argument, as it came.
    pub(crate) data: Option<&'a RawValue>,
    /// The last argument, where there are several and it is a text: the event's place in a session that the
    /// server remembers.
    pub(crate) offset: Option<String>,
}

impl<'a> Packet<'a> {
    /// Reads what a `message` packet of Engine.IO holds.
    pub(crate) fn decode(text: &'a str) -> Result<Self, FrameError> {
        let Some(digit) = text.chars().next() else { return Err(FrameError::Empty) };
        let rest = &text[digit.len_utf8()..];
        if matches!(digit, '5' | '6') {
            return Err(FrameError::Binary);
        }
        let (namespace, rest) = namespace(rest);
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (id, json) = rest.split_at(digits);
        match digit {
            '0' => Ok(Self::Connect { namespace, session: session(json)? }),
            '1' => Ok(Self::Disconnect { namespace }),
            '2' => Ok(Self::Event { namespace, id: id.parse().ok(), arguments: serde_json::from_str(json)? }),
            '3' => Ok(Self::Ack),
            '4' => {
                let (message, data) = refusal(json)?;
                Ok(Self::ConnectError { namespace, message, data })
            }
            _ => Err(FrameError::UnknownPacket),
        }
    }
}

/// The namespace at the front, without the query that it may have, and the rest.
fn namespace(text: &str) -> (&str, &str) {
    if !text.starts_with('/') {
        return ("/", text);
    }
    let (namespace, rest) = text.split_once(',').unwrap_or((text, ""));
    (namespace.split('?').next().unwrap_or(namespace), rest)
}

fn session(json: &str) -> Result<Option<String>, FrameError> {
    if json.is_empty() {
        return Ok(None);
    }
    let data: Value = serde_json::from_str(json)?;
    Ok(data["pid"].as_str().map(ToOwned::to_owned))
}

/// What a connect error says; older servers send a text alone.
fn refusal(json: &str) -> Result<(String, Value), FrameError> {
    let mut body: Value = if json.is_empty() { Value::Null } else { serde_json::from_str(json)? };
    let message = body.as_str().or_else(|| body["message"].as_str());
    let message = message.unwrap_or("the server gives no reason").to_owned();
    let data = body.get_mut("data").map(Value::take).unwrap_or_default();
    Ok((message, data))
}

impl<'de: 'a, 'a> Deserialize<'de> for EventArguments<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_seq(ArgumentsVisitor)
    }
}

struct ArgumentsVisitor;

/// A text that borrows where it can.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de> Visitor<'de> for ArgumentsVisitor {
    type Value = EventArguments<'de>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a list that begins with the event's name")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        use serde::de::Error as _;

        let name = list.next_element::<Name<'de>>()?;
        let Name(name) = name.ok_or_else(|| A::Error::custom(FrameError::NamelessEvent))?;
        let data = list.next_element::<&'de RawValue>()?;
        let mut latest = None;
        while let Some(argument) = list.next_element::<&'de RawValue>()? {
            latest = Some(argument);
        }
        let offset = latest.and_then(|text| serde_json::from_str(text.get()).ok());
        Ok(EventArguments { name, data, offset })
    }
}

/// `40/agent,` with what the server may remember this client by.
pub(crate) fn connect(namespace: &str, auth: Option<&Value>) -> String {
    let auth = auth.map(ToString::to_string).unwrap_or_default();
    format!("40{}{auth}", prefix(namespace))
}

/// `41/agent,`
pub(crate) fn disconnect(namespace: &str) -> String {
    format!("41{}", prefix(namespace))
}

/// `42/agent,["name",data]`
pub(crate) fn event(namespace: &str, name: &str, data: &Value) -> String {
    format!("42{}{}", prefix(namespace), Value::from(vec![Value::from(name), data.clone()]))
}

/// `43/agent,12[]`
pub(crate) fn ack(namespace: &str, id: u64) -> String {
    format!("43{}{id}[]", prefix(namespace))
}

/// The first namespace is not named.
fn prefix(namespace: &str) -> String {
    if namespace == "/" { String::new() } else { format!("{namespace},") }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::socket::EnginePacket;

    fn read(frame: &str) -> String {
        match EnginePacket::decode(frame) {
            Ok(EnginePacket::Message(text)) => match Packet::decode(text) {
                Ok(Packet::Event { namespace, id, arguments }) => format!(
                    "event {namespace} {id:?} {} {} {:?}",
                    arguments.name,
                    arguments.data.map_or("-", RawValue::get),
                    arguments.offset
                ),
                Ok(Packet::Connect { namespace, session }) => format!("connect {namespace} {session:?}"),
                Ok(Packet::ConnectError { namespace, message, data }) => {
                    format!("refused {namespace} {message} {data}")
                }
                Ok(Packet::Disconnect { namespace }) => format!("disconnect {namespace}"),
                Ok(Packet::Ack) => "ack".to_owned(),
                Err(error) => error.to_string(),
            },
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn packets_are_read_in_every_shape_that_servers_write() {
        for (frame, expected) in [
            (r#"40/agent,{"sid":"a"}"#, "connect /agent None"),
            (r#"40{"sid":"a","pid":"p"}"#, r#"connect / Some("p")"#),
            ("40/agent", "connect /agent None"),
            ("41/agent,", "disconnect /agent"),
            ("41", "disconnect /"),
            (
                r#"42/agent,["agent_event",{"type":"token"}]"#,
                r#"event /agent None agent_event {"type":"token"} None"#,
            ),
            (r#"42["x"]"#, "event / None x - None"),
            (r#"42/a?token=1,17["x",1,{},"off"]"#, r#"event /a Some(17) x 1 Some("off")"#),
            (r#"42/agent,["x",1,2]"#, "event /agent None x 1 None"),
            (r#"42/agent,["na\u00efve",",]"]"#, r#"event /agent None naïve ",]" None"#),
            (r#"43/agent,1["ok"]"#, "ack"),
            (r#"44/agent,{"message":"no","data":{"status":401}}"#, r#"refused /agent no {"status":401}"#),
            (r#"44"old""#, "refused / old null"),
            ("44/agent,", "refused /agent the server gives no reason null"),
            (
                r#"451-/agent,["x",{"_placeholder":true,"num":0}]"#,
                "a binary packet, which this protocol does not have",
            ),
            ("46", "a binary packet, which this protocol does not have"),
            ("49", "a Socket.IO packet of a type that does not exist"),
            ("4", "an empty frame"),
            (r"42/agent,[]", "a frame whose JSON cannot be read: an event without a name"),
            (
                r"42/agent,{}",
                "a frame whose JSON cannot be read: invalid type: map, expected a list that begins with the event's name",
            ),
        ] {
            assert_eq!(read(frame), expected, "{frame}");
        }
        assert!(read(r#"42/agent,["x","#).starts_with("a frame whose JSON cannot be read: EOF"));
    }

    #[test]
    fn the_first_namespace_is_not_named() {
        assert_eq!((connect("/", None), disconnect("/")), ("40".to_owned(), "41".to_owned()));
        assert_eq!(connect("/agent", Some(&json!({"pid": "p"}))), r#"40/agent,{"pid":"p"}"#);
        assert_eq!(event("/agent", "message", &json!({"a": 1})), r#"42/agent,["message",{"a":1}]"#);
        assert_eq!(ack("/agent", 7), "43/agent,7[]");
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::vec((any::<String>(), inner), 0..6)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn whatever_is_written_is_read_again(
            namespace in "/[a-z0-9_/-]{0,12}",
            name in any::<String>(),
            data in any_json(),
        ) {
            let frame = event(&namespace, &name, &data);
            let EnginePacket::Message(text) = EnginePacket::decode(&frame).unwrap() else { panic!("no message") };
            let Packet::Event { namespace: read, id, arguments } = Packet::decode(text).unwrap() else {
                panic!("no event")
            };
            prop_assert_eq!((read, id), (namespace.as_str(), None));
            prop_assert_eq!(arguments.name.as_ref(), name);
            let read: Value = serde_json::from_str(arguments.data.unwrap().get()).unwrap();
            prop_assert_eq!(read, data);
        }

        #[test]
        fn no_text_makes_it_panic(frame in any::<String>(), digits in "[0-9]{1,3}") {
            for text in [frame.clone(), format!("{digits}{frame}"), format!("4{digits}/agent,{frame}")] {
                let _ = read(&text);
            }
        }

        #[test]
        fn no_cut_makes_it_panic(data in any_json(), cut in any::<prop::sample::Index>()) {
            let frame = event("/agent", "agent_event", &data);
            let ends: Vec<_> = frame.char_indices().map(|(at, _)| at).collect();
            let _ = read(&frame[..*cut.get(&ends)]);
        }
    }
}
