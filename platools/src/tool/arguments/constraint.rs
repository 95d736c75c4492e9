//! Constraints on parameters: the same values are declared in the schema and enforced.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::fmt;

use serde_json::{Map, Value};

/// A number to compare: exact for integers, `f64` otherwise.
#[derive(Debug, Clone, Copy)]
pub enum Number {
    /// An integer.
    Integer(i128),
    /// Any other number.
    Float(f64),
}

impl Number {
    fn as_float(self) -> f64 {
        match self {
            Self::Integer(number) => number as f64,
            Self::Float(number) => number,
        }
    }

    /// Converts a JSON number.
    pub(crate) fn of_json(number: &serde_json::Number) -> Self {
        let whole = number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from));
        whole.map_or_else(|| Self::Float(number.as_f64().unwrap_or(f64::NAN)), Self::Integer)
    }

    /// Returns whether the number has a fractional part.
    fn is_fractional(self) -> bool {
        matches!(self, Self::Float(number) if number.is_finite() && number.fract() != 0.0)
    }

    /// Converts a float without a fractional part to an integer.
    fn as_whole(self) -> Self {
        match self {
            // The conversion saturates, which is harmless: no integer type has a bound beyond 2⁶⁴.
            Self::Float(number) if number.fract() == 0.0 => Self::Integer(number as i128),
            other => other,
        }
    }

    pub(crate) fn to_json(self) -> Value {
        match self {
            Self::Integer(number) => i64::try_from(number)
                .map(Value::from)
                .or_else(|_| u64::try_from(number).map(Value::from))
                .unwrap_or_else(|_| Value::from(number as f64)),
            Self::Float(number) => Value::from(number),
        }
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.partial_cmp(other) == Some(std::cmp::Ordering::Equal)
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        match (self, other) {
            (Self::Integer(left), Self::Integer(right)) => Some(left.cmp(right)),
            _ => self.as_float().partial_cmp(&other.as_float()),
        }
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(number) => number.fmt(f),
            Self::Float(number) => number.fmt(f),
        }
    }
}

/// The values of a numeric type.
#[derive(Debug, Clone, Copy)]
pub struct Domain {
    /// Whether the type holds only integers.
    pub whole: bool,
    /// The type's minimum.
    pub min: Option<Number>,
    /// The type's maximum.
    pub max: Option<Number>,
}

impl Domain {
    const FLOAT: Self = Self { whole: false, min: None, max: None };
}

/// A type that `range` applies to: a number, or an `Option` of one.
#[diagnostic::on_unimplemented(
    message = "`range` applies only to numbers, not to `{Self}`",
    label = "not a number",
    note = "for texts, lists and maps use `length(min = …, max = …)`"
)]
pub trait Ranged {
    /// The values of the type.
    const DOMAIN: Domain;
    /// Returns the number to compare; `None` for an omitted optional number.
    fn number(&self) -> Option<Number>;
}

macro_rules! numbers {
    ($($type:ty)*) => {$(
        impl From<$type> for Number {
            fn from(number: $type) -> Self {
                // A `u128` above `i128::MAX` is greater than any bound.
                i128::try_from(number).map_or(Self::Float(f64::INFINITY), Self::Integer)
            }
        }
        impl Ranged for $type {
            #[allow(clippy::cast_possible_wrap, reason = "a `u128` that an `i128` cannot hold gets no bound")]
            const DOMAIN: Domain = Domain {
                whole: true,
                min: Some(Number::Integer(<$type>::MIN as i128)),
                max: if <$type>::MAX as u128 > i128::MAX as u128 {
                    None
                } else {
                    Some(Number::Integer(<$type>::MAX as i128))
                },
            };
            fn number(&self) -> Option<Number> {
                Some(Number::from(*self))
            }
        }
    )*};
}
numbers!(i8 i16 i32 i64 i128 isize u8 u16 u32 u64 u128 usize);

impl From<f32> for Number {
    fn from(number: f32) -> Self {
        Self::Float(number.into())
    }
}
impl From<f64> for Number {
    fn from(number: f64) -> Self {
        Self::Float(number)
    }
}
impl Ranged for f32 {
    const DOMAIN: Domain = Domain::FLOAT;
    fn number(&self) -> Option<Number> {
        Some(Number::from(*self))
    }
}
impl Ranged for f64 {
    const DOMAIN: Domain = Domain::FLOAT;
    fn number(&self) -> Option<Number> {
        Some(Number::from(*self))
    }
}
impl<T: Ranged> Ranged for Option<T> {
    const DOMAIN: Domain = T::DOMAIN;
    fn number(&self) -> Option<Number> {
        self.as_ref().and_then(Ranged::number)
    }
}

/// Bounds of a number.
#[derive(Debug, Clone, Copy, Default)]
pub struct Range {
    /// The minimum, inclusive.
    pub min: Option<Number>,
    /// The maximum, inclusive.
    pub max: Option<Number>,
    /// The minimum, exclusive.
    pub exclusive_min: Option<Number>,
    /// The maximum, exclusive.
    pub exclusive_max: Option<Number>,
}

impl Range {
    /// Returns the schema keywords and their bounds, the tighter of the range's and the type's. `Err` is the rest of
    /// the sentence "the range of `name` …".
    pub(crate) fn declared(self, of: Domain) -> Result<Vec<(&'static str, Number)>, String> {
        for bound in [self.min, self.max, self.exclusive_min, self.exclusive_max].into_iter().flatten() {
            if matches!(bound, Number::Float(number) if number.is_nan()) {
                return Err("has the bound NaN, which no number satisfies".to_owned());
            }
            if of.whole && bound.is_fractional() {
                return Err(format!("has the bound {bound}, but the type holds only integers"));
            }
        }
        let whole =
            |bound: Option<Number>| bound.map(|bound| if of.whole { bound.as_whole() } else { bound });
        let range = Self {
            min: whole(self.min),
            max: whole(self.max),
            exclusive_min: whole(self.exclusive_min),
            exclusive_max: whole(self.exclusive_max),
        };
        range.check_not_empty(of)?;
        let keywords = [
            tighter("minimum", range.min, of.min, ("minimum", PartialOrd::ge)),
            tighter("maximum", range.max, of.max, ("maximum", PartialOrd::le)),
            tighter("exclusiveMinimum", range.exclusive_min, of.min, ("minimum", PartialOrd::ge)),
            tighter("exclusiveMaximum", range.exclusive_max, of.max, ("maximum", PartialOrd::le)),
        ];
        let mut declared: Vec<(&'static str, Number)> = Vec::new();
        for (keyword, bound) in keywords.into_iter().flatten() {
            // The first entry for a keyword wins: the range's bound precedes the type's limit.
            if declared.iter().all(|(known, _)| *known != keyword) {
                declared.push((keyword, bound));
            }
        }
        Ok(declared)
    }

    /// Checks that at least one value of the type satisfies the range.
    fn check_not_empty(self, of: Domain) -> Result<(), String> {
        let next = |bound: Option<Number>, step: i128| match bound {
            Some(Number::Integer(number)) if of.whole => Some(Number::Integer(number.saturating_add(step))),
            _ => None,
        };
        let greater = |left: Option<Number>, right: Option<Number>| {
            if left.zip(right).is_none_or(|(left, right)| left >= right) { left.or(right) } else { right }
        };
        let less = |left: Option<Number>, right: Option<Number>| {
            if left.zip(right).is_none_or(|(left, right)| left <= right) { left.or(right) } else { right }
        };
        let begin = greater(self.min, next(self.exclusive_min, 1));
        let end = less(self.max, next(self.exclusive_max, -1));
        if let (Some(begin), Some(last)) = (begin, of.max)
            && begin > last
        {
            return Err(format!("allows no value: its minimum is {begin}, the type's maximum is {last}"));
        }
        if let (Some(end), Some(first)) = (end, of.min)
            && end < first
        {
            return Err(format!("allows no value: its maximum is {end}, the type's minimum is {first}"));
        }
        if let (Some(begin), Some(end)) = (begin, end)
            && begin > end
        {
            return Err(format!("allows no value: its minimum is {begin}, its maximum is {end}"));
        }
        if of.whole {
            return Ok(());
        }
        let (above, below) = (self.exclusive_min, self.exclusive_max);
        match (above, below.or(self.max), below, above.or(self.min)) {
            (Some(above), Some(end), ..) if above >= end => {
                let exclusive = if below.is_some() { "exclusive " } else { "" };
                Err(format!(
                    "allows no value: its exclusive minimum is {above}, its {exclusive}maximum is {end}"
                ))
            }
            (_, _, Some(below), Some(begin)) if below <= begin => {
                Err(format!("allows no value: its minimum is {begin}, its exclusive maximum is {below}"))
            }
            _ => Ok(()),
        }
    }

    /// Returns the rest of the sentence "`name` …" if `number` violates the range.
    pub(crate) fn check(self, number: Number) -> Option<String> {
        let wrong = |expected: &str, bound: Number| Some(format!("must be {expected} {bound}, got {number}"));
        // Negated conditions, so that NaN, for which every comparison is false, fails.
        let holds = |condition: bool| !condition;
        match self {
            Self { min: Some(bound), .. } if holds(number >= bound) => wrong("at least", bound),
            Self { max: Some(bound), .. } if holds(number <= bound) => wrong("at most", bound),
            Self { exclusive_min: Some(bound), .. } if holds(number > bound) => wrong("greater than", bound),
            Self { exclusive_max: Some(bound), .. } if holds(number < bound) => wrong("less than", bound),
            _ => None,
        }
    }
}

/// Returns the keyword of a bound, or that of the type's limit if the limit is at least as tight.
fn tighter(
    keyword: &'static str,
    bound: Option<Number>,
    limit: Option<Number>,
    (limit_keyword, is_tighter): (&'static str, fn(&Number, &Number) -> bool),
) -> Option<(&'static str, Number)> {
    let bound = bound?;
    match limit {
        Some(limit) if is_tighter(&limit, &bound) && (keyword == limit_keyword || limit != bound) => {
            Some((limit_keyword, limit))
        }
        _ => Some((keyword, bound)),
    }
}

/// The unit of a length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Unicode characters of a text.
    Characters,
    /// Items of a list or set.
    Items,
    /// Members of a map.
    Members,
}

impl Unit {
    fn keyword(self) -> &'static str {
        match self {
            Self::Characters => "Length",
            Self::Items => "Items",
            Self::Members => "Properties",
        }
    }

    fn plural(self, count: usize) -> &'static str {
        match (self, count) {
            (Self::Characters, 1) => "character",
            (Self::Characters, _) => "characters",
            (Self::Items, 1) => "item",
            (Self::Items, _) => "items",
            (Self::Members, 1) => "member",
            (Self::Members, _) => "members",
        }
    }
}

/// A type that `length` applies to: a text, list, set or map, or an `Option` of one.
#[diagnostic::on_unimplemented(
    message = "`length` applies only to texts, lists, sets and maps, not to `{Self}`",
    label = "has no length",
    note = "for numbers use `range(min = …, max = …)`"
)]
pub trait Measured {
    /// The unit of the length.
    const UNIT: Unit;
    /// Returns the length; `None` for an omitted optional value.
    fn measure(&self) -> Option<usize>;
}

macro_rules! measured {
    ($($unit:ident: $([$($generics:tt)*] $type:ty)*;)*) => {$($(
        impl<$($generics)*> Measured for $type {
            const UNIT: Unit = Unit::$unit;
            fn measure(&self) -> Option<usize> {
                Some(self.len())
            }
        }
    )*)*};
}
measured! {
    Items: [T] Vec<T> [T] Box<[T]> [T] VecDeque<T> [T] BTreeSet<T> [T, S] HashSet<T, S>;
    Members: [K, V] BTreeMap<K, V> [K, V, S] HashMap<K, V, S> [] Map<String, Value>;
}

macro_rules! texts {
    ($($type:ty)*) => {$(
        impl Measured for $type {
            const UNIT: Unit = Unit::Characters;
            fn measure(&self) -> Option<usize> {
                Some(self.chars().count())
            }
        }
        impl Textual for $type {
            fn text(&self) -> Option<&str> {
                Some(self)
            }
        }
    )*};
}
texts!(String Box<str> Cow<'_, str>);

impl<T: Measured> Measured for Option<T> {
    const UNIT: Unit = T::UNIT;
    fn measure(&self) -> Option<usize> {
        self.as_ref().and_then(Measured::measure)
    }
}

/// Bounds of a length.
#[derive(Debug, Clone, Copy, Default)]
pub struct Length {
    /// The minimum, inclusive.
    pub min: Option<usize>,
    /// The maximum, inclusive.
    pub max: Option<usize>,
}

impl Length {
    /// Returns the schema keywords for `unit`.
    pub(crate) fn keywords(self, unit: Unit) -> impl Iterator<Item = (String, usize)> {
        [("min", self.min), ("max", self.max)]
            .into_iter()
            .filter_map(move |(bound, length)| Some((format!("{bound}{}", unit.keyword()), length?)))
    }

    /// Returns the rest of the sentence "`name` …" if `length` violates the bounds.
    pub(crate) fn check(self, length: usize, unit: Unit) -> Option<String> {
        let wrong = |expected: &str, bound: usize| {
            Some(format!("must have {expected} {bound} {}, got {length}", unit.plural(bound)))
        };
        match self {
            Self { min: Some(min), max: Some(max) } if min == max && length != min => wrong("exactly", min),
            Self { min: Some(min), .. } if length < min => wrong("at least", min),
            Self { max: Some(max), .. } if length > max => wrong("at most", max),
            _ => None,
        }
    }
}

/// A type that `pattern` applies to: a text, or an `Option` of one.
#[diagnostic::on_unimplemented(
    message = "`pattern` applies only to texts, not to `{Self}`",
    label = "not a text",
    note = "texts are `String`, `&str`, `Cow<str>`, `Box<str>` and `Option`s of them"
)]
pub trait Textual {
    /// Returns the text; `None` for an omitted optional text.
    fn text(&self) -> Option<&str>;
}

impl<T: Textual> Textual for Option<T> {
    fn text(&self) -> Option<&str> {
        self.as_ref().and_then(Textual::text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_exact_for_whole_numbers() {
        let range = Range { max: Some(Number::from(u64::MAX - 1)), ..Range::default() };
        assert_eq!(range.check(Number::from(u64::MAX - 1)), None);
        assert_eq!(
            range.check(Number::from(u64::MAX)).unwrap(),
            format!("must be at most {}, got {}", u64::MAX - 1, u64::MAX)
        );
        let range = Range { exclusive_min: Some(Number::from(0.5)), ..Range::default() };
        assert_eq!(range.check(Number::from(1)), None);
        assert_eq!(range.check(Number::from(0.5)).unwrap(), "must be greater than 0.5, got 0.5");
        assert!(range.check(Number::from(f64::NAN)).is_some());
    }

    #[test]
    fn lengths_count_in_the_units_of_json_schema() {
        assert_eq!("né🚀".to_owned().measure(), Some(3));
        assert_eq!(Some(vec![1, 2]).measure(), Some(2));
        assert_eq!(None::<String>.measure(), None);
        let exact = Length { min: Some(2), max: Some(2) };
        assert_eq!(exact.check(3, Unit::Items).unwrap(), "must have exactly 2 items, got 3");
        let least = Length { min: Some(1), max: None };
        assert_eq!(least.check(0, Unit::Characters).unwrap(), "must have at least 1 character, got 0");
    }
}
