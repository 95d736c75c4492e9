//! Constraints on parameters: written into the schema and enforced by the same values.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::fmt;

use serde_json::{Map, Value};

/// A bound or a value of a range: exact for whole numbers, a double for the rest.
#[derive(Debug, Clone, Copy)]
pub enum Number {
    /// A whole number.
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

    /// A number of JSON.
    pub(crate) fn of_json(number: &serde_json::Number) -> Self {
        let whole = number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from));
        whole.map_or_else(|| Self::Float(number.as_f64().unwrap_or(f64::NAN)), Self::Integer)
    }

    /// Whether there is something behind the decimal point.
    fn is_fractional(self) -> bool {
        matches!(self, Self::Float(number) if number.is_finite() && number.fract() != 0.0)
    }

    /// The same number, as an integer where it is one.
    fn as_whole(self) -> Self {
        match self {
            // Beyond 2⁶⁴ no type of JSON has a bound, and the conversion saturates.
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

/// What a numeric type can hold, as far as a bound can say it.
#[derive(Debug, Clone, Copy)]
pub struct Domain {
    /// Whether all of its values are whole.
    pub whole: bool,
    /// Its least value.
    pub min: Option<Number>,
    /// Its greatest value.
    pub max: Option<Number>,
}

impl Domain {
    const FLOAT: Self = Self { whole: false, min: None, max: None };
}

/// A number, or `None` where an optional number is left out.
#[diagnostic::on_unimplemented(
    message = "`range` applies to numbers, and `{Self}` is none",
    label = "not a number",
    note = "for texts, lists and maps use `length(min = …, max = …)`"
)]
pub trait Ranged {
    /// What the type can hold.
    const DOMAIN: Domain;
    /// The number to compare.
    fn number(&self) -> Option<Number>;
}

macro_rules! numbers {
    ($($type:ty)*) => {$(
        impl From<$type> for Number {
            fn from(number: $type) -> Self {
                // A `u128` beyond every `i128` is beyond every bound that can be written.
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
    /// The least value allowed.
    pub min: Option<Number>,
    /// The greatest value allowed.
    pub max: Option<Number>,
    /// Every value must be greater than this.
    pub exclusive_min: Option<Number>,
    /// Every value must be less than this.
    pub exclusive_max: Option<Number>,
}

impl Range {
    /// The schema keywords and their bounds: the tighter of the range's and the type's. Else what is wrong
    /// with the range, as the end of a sentence about it.
    pub(crate) fn declared(self, of: Domain) -> Result<Vec<(&'static str, Number)>, String> {
        for bound in [self.min, self.max, self.exclusive_min, self.exclusive_max].into_iter().flatten() {
            if matches!(bound, Number::Float(number) if number.is_nan()) {
                return Err("has the bound NaN, which no number keeps".to_owned());
            }
            if of.whole && bound.is_fractional() {
                return Err(format!("has the bound {bound}, and the type takes whole numbers only"));
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
            // An inclusive bound stands before the type's own limit.
            if declared.iter().all(|(known, _)| *known != keyword) {
                declared.push((keyword, bound));
            }
        }
        Ok(declared)
    }

    /// Whether a value of the type is left.
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
            return Err(format!("allows no value: it begins at {begin}, and the type ends at {last}"));
        }
        if let (Some(end), Some(first)) = (end, of.min)
            && end < first
        {
            return Err(format!("allows no value: it ends at {end}, and the type begins at {first}"));
        }
        if let (Some(begin), Some(end)) = (begin, end)
            && begin > end
        {
            return Err(format!("allows no value: it begins at {begin} and ends at {end}"));
        }
        if of.whole {
            return Ok(());
        }
        let (above, below) = (self.exclusive_min, self.exclusive_max);
        match (above, below.or(self.max), below, above.or(self.min)) {
            (Some(above), Some(end), ..) if above >= end => {
                let ends = if below.is_some() { "ends below" } else { "ends at" };
                Err(format!("allows no value: it begins above {above} and {ends} {end}"))
            }
            (_, _, Some(below), Some(begin)) if below <= begin => {
                Err(format!("allows no value: it begins at {begin} and ends below {below}"))
            }
            _ => Ok(()),
        }
    }

    /// What is wrong with `number`, if anything.
    pub(crate) fn check(self, number: Number) -> Option<String> {
        let wrong = |expected: &str, bound: Number| Some(format!("must be {expected} {bound}, got {number}"));
        // Written so that NaN, which compares with nothing, fails.
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

/// The keyword of a bound, or that of the type's own limit when the limit is at least as tight.
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

/// What a length counts.
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

/// Something with a length.
#[diagnostic::on_unimplemented(
    message = "`length` applies to texts, lists, sets and maps, and `{Self}` is none",
    label = "has no length",
    note = "for numbers use `range(min = …, max = …)`"
)]
pub trait Measured {
    /// What the length counts.
    const UNIT: Unit;
    /// The length, or `None` where an optional value is left out.
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
    /// The least length allowed.
    pub min: Option<usize>,
    /// The greatest length allowed.
    pub max: Option<usize>,
}

impl Length {
    /// The schema keywords for what `unit` counts.
    pub(crate) fn keywords(self, unit: Unit) -> impl Iterator<Item = (String, usize)> {
        [("min", self.min), ("max", self.max)]
            .into_iter()
            .filter_map(move |(bound, length)| Some((format!("{bound}{}", unit.keyword()), length?)))
    }

    /// What is wrong with `length`, if anything.
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

/// A text that a pattern can be matched against.
#[diagnostic::on_unimplemented(
    message = "`pattern` applies to texts, and `{Self}` is none",
    label = "not a text",
    note = "texts are `String`, `&str`, `Cow<str>`, `Box<str>` and options of them"
)]
pub trait Textual {
    /// The text, or `None` where an optional text is left out.
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
    fn lengths_count_what_the_schema_counts() {
        assert_eq!("né🚀".to_owned().measure(), Some(3));
        assert_eq!(Some(vec![1, 2]).measure(), Some(2));
        assert_eq!(None::<String>.measure(), None);
        let exact = Length { min: Some(2), max: Some(2) };
        assert_eq!(exact.check(3, Unit::Items).unwrap(), "must have exactly 2 items, got 3");
        let least = Length { min: Some(1), max: None };
        assert_eq!(least.check(0, Unit::Characters).unwrap(), "must have at least 1 character, got 0");
    }
}
