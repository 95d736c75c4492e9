//! Taking typed fields out of an object, and putting them back.

use serde_json::{Map, Number, Value};

/// A type that a field of an event can have.
pub(super) trait Field: Sized {
    /// Whether the field can be taken. One that may be missing always can.
    fn fits(fields: &Map<String, Value>, key: &str) -> bool;

    /// Takes it out of the object. What is of another type stays there.
    fn take(fields: &mut Map<String, Value>, key: &str) -> Self;

    /// Puts it back.
    fn put(&self, fields: &mut Map<String, Value>, key: &str);
}

impl Field for String {
    fn fits(fields: &Map<String, Value>, key: &str) -> bool {
        matches!(fields.get(key), Some(Value::String(_)))
    }

    fn take(fields: &mut Map<String, Value>, key: &str) -> Self {
        match fields.shift_remove(key) {
            Some(Value::String(text)) => text,
            _ => Self::new(),
        }
    }

    fn put(&self, fields: &mut Map<String, Value>, key: &str) {
        fields.insert(key.to_owned(), self.as_str().into());
    }
}

/// Fields that may be missing: they are taken where they are of the type.
macro_rules! optional {
    ($($type:ty: $pattern:pat => $value:expr;)+) => {
        $(impl Field for Option<$type> {
            fn fits(_: &Map<String, Value>, _: &str) -> bool {
                true
            }

            fn take(fields: &mut Map<String, Value>, key: &str) -> Self {
                match fields.get_mut(key)? {
                    $pattern => {
                        let taken = $value;
                        if taken.is_some() {
                            fields.shift_remove(key);
                        }
                        taken
                    }
                    #[allow(unreachable_patterns, reason = "any value is a `Value`")]
                    _ => None,
                }
            }

            fn put(&self, fields: &mut Map<String, Value>, key: &str) {
                if let Some(value) = self {
                    fields.insert(key.to_owned(), value.clone().into());
                }
            }
        })+
    };
}

optional! {
    String: Value::String(text) => Some(std::mem::take(text));
    bool: Value::Bool(flag) => Some(*flag);
    u64: Value::Number(number) => number.as_u64();
    Number: Value::Number(number) => Some(number.clone());
    Value: value => Some(value.take());
}
