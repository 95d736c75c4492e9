//! Timestamps of calls, in microseconds since 1970.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;

/// Microseconds since the start of 1970.
pub(super) type Microseconds = i64;

/// Parses an RFC 3339 text with an offset.
///
/// Stricter than `jiff`'s parser: the text is part of the signed bytes and is followed by a dot, so no text with a
/// dot and more behind it may parse as another valid time.
pub(super) fn parse(text: &str) -> Option<Microseconds> {
    if !has_shape(text.as_bytes()) {
        return None;
    }
    in_utc(text.as_bytes()).or_else(|| text.parse::<Timestamp>().ok().map(Timestamp::as_microsecond))
}

/// Fast path for the platform's own format: UTC with three fractional digits and no leap second.
fn in_utc(text: &[u8]) -> Option<Microseconds> {
    let [moment @ .., b'.', a, b, c, b'Z'] = text else { return None };
    let number = |digits: &[u8]| digits.iter().fold(0, |number, digit| number * 10 + i16::from(digit - b'0'));
    let [month, day, hour, minute, second] = [5, 8, 11, 14, 17].map(|at| number(&moment[at..at + 2]) as i8);
    let nanoseconds = i32::from(number(&[*a, *b, *c])) * 1_000_000;
    let moment = DateTime::new(number(&moment[..4]), month, day, hour, minute, second, nanoseconds).ok()?;
    Offset::UTC.to_timestamp(moment).ok().map(Timestamp::as_microsecond)
}

/// Returns whether the text is `YYYY-MM-DDThh:mm:ss`, an optional fraction, and an offset.
fn has_shape(text: &[u8]) -> bool {
    const PATTERN: &[u8] = b"dddd-dd-ddTdd:dd:dd";
    if text.len() <= PATTERN.len() {
        return false;
    }
    let (moment, rest) = text.split_at(PATTERN.len());
    let fits = moment.iter().zip(PATTERN).all(|(byte, pattern)| match pattern {
        b'd' => byte.is_ascii_digit(),
        b'T' => matches!(byte, b'T' | b't' | b' '),
        _ => byte == pattern,
    });
    let offset = match rest {
        [b'.', fraction @ ..] => {
            let digits = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
            if digits == 0 {
                return false;
            }
            &fraction[digits..]
        }
        _ => rest,
    };
    fits && match offset {
        [b'Z' | b'z'] => true,
        [b'+' | b'-', a, b, b':', c, d] => [a, b, c, d].iter().all(|byte| byte.is_ascii_digit()),
        _ => false,
    }
}

/// Converts a system time; saturates.
pub(super) fn of(time: SystemTime) -> Microseconds {
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => microseconds(since),
        Err(before) => microseconds(before.duration()).saturating_neg(),
    }
}

/// Converts a duration; saturates.
pub(super) fn microseconds(duration: Duration) -> Microseconds {
    Microseconds::try_from(duration.as_micros()).unwrap_or(Microseconds::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// The fast path agrees with `jiff`, also about invalid dates.
        #[test]
        fn the_fast_path_agrees_with_jiff(
            year in 1960_u16..2200, month in 0_u8..14, day in 0_u8..33, hour in 0_u8..26, minute in 0_u8..62,
            second in 0_u8..62, thousandths in 0_u16..1000,
        ) {
            let text =
                format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{thousandths:03}Z");
            let read = text.parse::<Timestamp>().ok().map(Timestamp::as_microsecond);
            prop_assert_eq!(parse(&text), read, "{}", text);
        }
    }

    #[test]
    fn every_day_of_a_leap_century_agrees_with_jiff() {
        for year in [1970, 1999, 2000, 2024, 2026, 2100, 2400] {
            for (month, day) in (1..=12).flat_map(|month| (28..=31).map(move |day| (month, day))) {
                let text = format!("{year}-{month:02}-{day:02}T23:59:59.999Z");
                let read = text.parse::<Timestamp>().ok().map(Timestamp::as_microsecond);
                assert_eq!(in_utc(text.as_bytes()), read, "{text}");
            }
        }
    }

    #[test]
    fn rfc_3339_with_offset_and_nothing_else() {
        let noon = 1_795_262_400_000_000;
        for (text, expected) in [
            ("2026-11-21T12:00:00.000Z", Some(noon)),
            ("2026-11-21T12:00:00Z", Some(noon)),
            ("2026-11-21t13:00:00.5+01:00", Some(noon + 500_000)),
            ("2026-11-21 06:30:00-05:30", Some(noon)),
            ("2026-11-21T12:00:00.123456789Z", Some(noon + 123_456)),
            ("2026-11-21T12:00:00", None),
            ("2026-11-21T12:00:00.Z", None),
            ("2026-11-21T12:00:00.0", None),
            ("2026-11-21T12:00:00Z.5", None),
            ("2026-11-21T12:00:00Z[UTC]", None),
            ("2026-11-21T12:00:00+0100", None),
            ("2026-11-21T12:00:00+01:00:30", None),
            ("2026-13-21T12:00:00Z", None),
            ("2026-11-21T25:00:00Z", None),
            ("20261121T120000Z", None),
            (" 2026-11-21T12:00:00Z", None),
            ("yesterday", None),
            ("1795262400", None),
            ("", None),
        ] {
            assert_eq!(parse(text), expected, "{text}");
        }
    }

    #[test]
    fn out_of_range_clocks_saturate() {
        assert_eq!(of(UNIX_EPOCH), 0);
        assert_eq!(of(UNIX_EPOCH - Duration::from_secs(1)), -1_000_000);
        assert_eq!(microseconds(Duration::MAX), i64::MAX);
    }
}
