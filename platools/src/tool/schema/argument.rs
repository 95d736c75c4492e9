//! The default and the constraints of one parameter, checked against its type and each other. Contradictions are
//! reported when the host starts.

use std::marker::PhantomData;

use regex::Regex;
use serde::Serialize;
use serde_json::{Value, json};

use super::InputSchema;
use crate::tool::arguments::constraint::{Length, Measured, Number, Range, Ranged, Textual, Unit};

/// Builder for the default and the constraints of the parameter that was just added.
#[derive(Debug)]
pub struct Argument<'a, T> {
    input: &'a mut InputSchema,
    name: &'static str,
    of: PhantomData<fn() -> T>,
}

/// The default and the constraints of one parameter.
#[derive(Debug)]
pub(super) struct Constraints {
    name: &'static str,
    default: Option<Value>,
    range: Option<Range>,
    length: Option<(Length, Unit)>,
    pattern: Option<String>,
}

impl<'a, T> Argument<'a, T> {
    pub(super) fn new(input: &'a mut InputSchema, name: &'static str) -> Self {
        input.constraints.push(Constraints { name, default: None, range: None, length: None, pattern: None });
        Self { input, name, of: PhantomData }
    }

    fn set(&mut self, key: &str, value: Value) {
        let Some(property) = self.input.properties.get_mut(self.name) else { return };
        // The schema `true`, which allows anything, cannot hold keywords.
        if !property.is_object() {
            *property = json!({});
        }
        property[key] = value;
    }

    fn constrain(&mut self, change: impl FnOnce(&mut Constraints)) {
        // The last entry belongs to this parameter: it holds the only borrow of the schema.
        self.input.constraints.last_mut().map(change);
    }

    /// Sets the value used if the caller sends none.
    #[must_use]
    pub fn default_value(mut self, value: &T) -> Self
    where
        T: Serialize,
    {
        self.input.required.retain(|name| name != self.name);
        match serde_json::to_value(value) {
            Ok(value) => {
                self.set("default", value.clone());
                self.constrain(|constraints| constraints.default = Some(value));
            }
            Err(error) => self
                .input
                .problems
                .push(format!("the default of `{}` cannot be serialized as JSON: {error}", self.name)),
        }
        self
    }

    /// Sets the bounds of a number.
    #[must_use]
    pub fn range(mut self, range: Range) -> Self
    where
        T: Ranged,
    {
        match range.declared(T::DOMAIN) {
            Ok(keywords) => {
                for (key, bound) in keywords {
                    self.set(key, bound.to_json());
                }
                self.constrain(|constraints| constraints.range = Some(range));
            }
            Err(problem) => self.input.problems.push(format!("the range of `{}` {problem}", self.name)),
        }
        self
    }

    /// Sets the bounds of a length: characters of a text, items of a list, members of a map.
    #[must_use]
    pub fn length(mut self, length: Length) -> Self
    where
        T: Measured,
    {
        for (key, bound) in length.keywords(T::UNIT) {
            self.set(&key, bound.into());
        }
        self.constrain(|constraints| constraints.length = Some((length, T::UNIT)));
        self
    }

    /// Sets a regular expression that a text must match, not anchored.
    #[must_use]
    pub fn pattern(mut self, pattern: &str) -> Self
    where
        T: Textual,
    {
        self.set("pattern", pattern.into());
        self.constrain(|constraints| constraints.pattern = Some(pattern.to_owned()));
        self
    }

    /// Sets whether a person can know the value, for the doctor.
    #[must_use]
    pub fn user_providable(mut self, can: bool) -> Self {
        self.set("x-user-providable", can.into());
        self
    }
}

impl Constraints {
    /// Returns the constraints that the default violates, which would make every call without the argument fail.
    pub(super) fn problems_of_default(&self) -> Vec<String> {
        // `null` means an omitted option, to which no constraint applies.
        let Some(default) = self.default.as_ref().filter(|default| !default.is_null()) else {
            return Vec::new();
        };
        let number = match default {
            Value::Number(number) => Some(Number::of_json(number)),
            _ => None,
        };
        let length = match default {
            Value::String(text) => Some(text.chars().count()),
            Value::Array(items) => Some(items.len()),
            Value::Object(members) => Some(members.len()),
            _ => None,
        };
        let range = self.range.zip(number).and_then(|(range, number)| range.check(number));
        let length = self.length.zip(length).and_then(|((bounds, unit), length)| bounds.check(length, unit));
        let pattern = self.pattern.as_deref().zip(default.as_str()).and_then(|(pattern, text)| {
            // Invalid regular expressions are reported elsewhere.
            let matches = Regex::new(pattern).map_or(true, |pattern| pattern.is_match(text));
            (!matches).then(|| format!("must match the pattern `{pattern}`, got {default}"))
        });
        [range, length, pattern]
            .into_iter()
            .flatten()
            .map(|problem| {
                format!(
                    "the default of `{}` breaks its own constraint: {problem}; \
                     every call without it would be rejected",
                    self.name
                )
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::tool::arguments::tool_argument::ToolArgument;

    fn range(min: impl Into<Option<Number>>, max: impl Into<Option<Number>>) -> Range {
        Range { min: min.into(), max: max.into(), ..Range::default() }
    }

    fn beyond(exclusive_min: impl Into<Option<Number>>, exclusive_max: impl Into<Option<Number>>) -> Range {
        Range { exclusive_min: exclusive_min.into(), exclusive_max: exclusive_max.into(), ..Range::default() }
    }

    fn whole(number: i128) -> Number {
        Number::Integer(number)
    }

    /// Returns the problems of a parameter `value`.
    fn problems<T: ToolArgument>(add: impl FnOnce(Argument<'_, T>)) -> Vec<String> {
        let mut input = InputSchema::new();
        add(input.argument::<T>("value", None));
        input.finish().1
    }

    #[test]
    fn a_default_must_satisfy_its_constraints() {
        let broken = |problem: &str| {
            vec![format!(
                "the default of `value` breaks its own constraint: {problem}; \
                 every call without it would be rejected"
            )]
        };
        let ten = range(None, whole(10));
        let two = Length { min: Some(2), max: None };
        let cases = [
            (
                problems::<u32>(|it| drop(it.default_value(&50).range(ten))),
                broken("must be at most 10, got 50"),
            ),
            (
                problems::<u32>(|it| drop(it.range(ten).default_value(&50))),
                broken("must be at most 10, got 50"),
            ),
            (
                problems::<f32>(|it| drop(it.default_value(&0.1).range(beyond(Number::Float(0.5), None)))),
                broken("must be greater than 0.5, got 0.10000000149011612"),
            ),
            (
                problems::<String>(|it| drop(it.length(two).default_value(&"é".to_owned()))),
                broken("must have at least 2 characters, got 1"),
            ),
            (
                problems::<Vec<u8>>(|it| drop(it.default_value(&vec![1]).length(two))),
                broken("must have at least 2 items, got 1"),
            ),
            (
                problems::<BTreeMap<String, u8>>(|it| drop(it.default_value(&BTreeMap::new()).length(two))),
                broken("must have at least 2 members, got 0"),
            ),
            (
                problems::<Option<String>>(|it| {
                    drop(it.default_value(&Some("A".into())).pattern("^[a-z]+$"));
                }),
                broken("must match the pattern `^[a-z]+$`, got \"A\""),
            ),
            (problems::<Option<u32>>(|it| drop(it.default_value(&None).range(ten))), vec![]),
            (problems::<u64>(|it| drop(it.default_value(&10).range(ten))), vec![]),
        ];
        for (problems, expected) in cases {
            assert_eq!(problems, expected);
        }
    }

    #[test]
    fn a_declared_range_stays_within_the_type() {
        fn declared<T: ToolArgument + Ranged>(range: Range) -> Value {
            let mut input = InputSchema::new();
            let _ = input.argument::<T>("value", None).range(range);
            let (schema, problems) = input.finish();
            assert_eq!(problems, Vec::<String>::new());
            schema["properties"]["value"].clone()
        }
        let cases = [
            (
                declared::<u8>(range(None, whole(300))),
                json!({"type": "integer", "minimum": 0, "maximum": 255}),
            ),
            (
                declared::<u8>(range(whole(-5), whole(9))),
                json!({"type": "integer", "minimum": 0, "maximum": 9}),
            ),
            (
                declared::<Option<u32>>(range(whole(-5), whole(5_000_000_000))),
                json!({"type": ["integer", "null"], "minimum": 0, "maximum": u32::MAX}),
            ),
            (
                declared::<i32>(beyond(whole(-5_000_000_000), whole(7))),
                json!({"type": "integer", "minimum": i32::MIN, "exclusiveMaximum": 7}),
            ),
            (
                declared::<u64>(range(Number::Float(1.0), Number::Float(1e30))),
                json!({"type": "integer", "minimum": 1, "maximum": u64::MAX}),
            ),
            (
                declared::<u8>(Range { min: Some(whole(5)), ..beyond(whole(-3), None) }),
                json!({"type": "integer", "minimum": 5, "maximum": 255}),
            ),
            (
                declared::<f64>(range(Number::Float(0.5), whole(2))),
                json!({"type": "number", "minimum": 0.5, "maximum": 2}),
            ),
        ];
        for (declared, expected) in cases {
            assert_eq!(declared, expected);
        }
    }

    #[test]
    fn a_range_without_values_is_a_problem() {
        let cases = [
            (
                problems::<u8>(|it| drop(it.range(range(whole(256), None)))),
                "the range of `value` allows no value: its minimum is 256, the type's maximum is 255",
            ),
            (
                problems::<u32>(|it| drop(it.range(beyond(None, whole(0))))),
                "the range of `value` allows no value: its maximum is -1, the type's minimum is 0",
            ),
            (
                problems::<i64>(|it| drop(it.range(range(whole(7), whole(6))))),
                "the range of `value` allows no value: its minimum is 7, its maximum is 6",
            ),
            (
                problems::<i64>(|it| drop(it.range(beyond(whole(7), whole(8))))),
                "the range of `value` allows no value: its minimum is 8, its maximum is 7",
            ),
            (
                problems::<f64>(|it| drop(it.range(beyond(whole(1), Number::Float(1.0))))),
                "the range of `value` allows no value: its exclusive minimum is 1, its exclusive maximum is 1",
            ),
            (
                problems::<Option<i8>>(|it| drop(it.range(range(None, Number::Float(1.5))))),
                "the range of `value` has the bound 1.5, but the type holds only integers",
            ),
            (
                problems::<f64>(|it| drop(it.range(range(None, Number::Float(f64::NAN))))),
                "the range of `value` has the bound NaN, which no number satisfies",
            ),
        ];
        for (problems, expected) in cases {
            assert_eq!(problems, [expected]);
        }
    }
}
