//! Reads JSON in which no object has a name twice: the one thing that `serde_json` lets pass, and on which two
//! readers of one token could disagree.

use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// What an object is that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// It is not a JSON object.
    NotAnObject,
    /// A name occurs twice, at whatever depth.
    Duplicate,
}

/// The members of the object that `json` is.
pub(crate) fn object(json: &[u8]) -> Result<Map<String, Value>, Unreadable> {
    match serde_json::from_slice(json) {
        Ok(Unique(Value::Object(members))) => Ok(members),
        // The only data error that the visitor below makes; all others are of syntax.
        Err(error) if error.is_data() => Err(Unreadable::Duplicate),
        Ok(_) | Err(_) => Err(Unreadable::NotAnObject),
    }
}

struct Unique(Value);

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UniqueVisitor).map(Self)
    }
}

struct UniqueVisitor;

impl<'de> Visitor<'de> for UniqueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(Unique(value)) = list.next_element()? {
            values.push(value);
        }
        Ok(values.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some((name, Unique(value))) = object.next_entry::<String, Unique>()? {
            if members.insert(name, value).is_some() {
                return Err(de::Error::custom("a name occurs twice"));
            }
        }
        Ok(members.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_occurs_twice_is_found_at_every_depth_and_in_every_spelling() {
        for json in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"b":2,"\u0061":3}"#,
            r#"{"x":[{"y":{"a":1,"a":2}}]}"#,
            r#"{"a":null,"a":null}"#,
        ] {
            assert_eq!(object(json.as_bytes()), Err(Unreadable::Duplicate), "{json}");
        }
        let members = object(br#"{"a":{"a":[1,-1,1.5,true,null,"t\n"]},"b":{"a":1}}"#).unwrap();
        assert_eq!(Value::from(members).to_string(), r#"{"a":{"a":[1,-1,1.5,true,null,"t\n"]},"b":{"a":1}}"#);
    }

    #[test]
    fn what_is_no_object_is_refused() {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(5_000), "]".repeat(5_000));
        for json in ["", "[]", "1", "{", "{}{}", "null", "{\"a\":\"\\ud800\"}", "{\"a\":01}", &deep] {
            assert_eq!(object(json.as_bytes()), Err(Unreadable::NotAnObject), "{json}");
        }
        assert_eq!(object(b"{\"a\":\"\xff\"}"), Err(Unreadable::NotAnObject));
    }
}
