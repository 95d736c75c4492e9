//! Determines the value of a missing argument by decoding its type from "no value".
//!
//! Follows serde's rule for missing fields: a type is optional if it accepts `None`, as `Option` does under any
//! alias. The schema uses the same check, so `required` always agrees with decoding.

use serde::de::value::Error as ValueError;
use serde::de::{Deserializer, Visitor};
use serde::{Deserialize, forward_to_deserialize_any};

/// Returns the value for a missing argument, if `T` is optional.
pub(crate) fn value<'de, T: Deserialize<'de>>() -> Option<T> {
    T::deserialize(Missing).ok()
}

/// Returns whether an argument of type `T` may be omitted.
pub(crate) fn is_optional<'de, T: Deserialize<'de>>() -> bool {
    value::<T>().is_some()
}

struct Missing;

impl<'de> Deserializer<'de> for Missing {
    type Error = ValueError;

    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, ValueError> {
        Err(serde::de::Error::custom("no value"))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        visitor.visit_none()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    type Maybe<T> = Option<T>;

    #[test]
    fn only_types_that_accept_none_are_optional() {
        assert!(is_optional::<Maybe<u8>>());
        assert!(is_optional::<Option<Option<String>>>());
        assert!(!is_optional::<u8>());
        assert!(!is_optional::<Vec<u8>>());
        assert!(!is_optional::<Value>());
        assert!(!is_optional::<()>());
        assert_eq!(value::<Maybe<u8>>(), Some(None));
    }
}
