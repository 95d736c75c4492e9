//! Points in time as verification compares them: microseconds since 1970.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;

/// Microseconds since the start of 1970.
pub(super) type Microseconds = i64;

/// The time that an RFC 3339 text with offset states.
///
/// Stricter than the parser behind it: the text is part of what was signed, and no second spelling with
/// a dot and something behind it may be read as a time.
pub(super) fn parse(text: &str) -> Option<Microseconds> {
    if !has_shape(text.as_bytes()) {
        return None;
    }
    text.parse::<Timestamp>().ok().map(Timestamp::as_microsecond)
}

/// Whether the text is `YYYY-MM-DDThh:mm:ss`, perhaps a fraction, and an offset.
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

/// A clock's reading. Beyond the range of microseconds it is the range's end.
pub(super) fn of(time: SystemTime) -> Microseconds {
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => microseconds(since),
        Err(before) => microseconds(before.duration()).saturating_neg(),
    }
}

/// A duration; too long a one is the longest.
pub(super) fn microseconds(duration: Duration) -> Microseconds {
    Microseconds::try_from(duration.as_micros()).unwrap_or(Microseconds::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn clocks_far_off_are_survived() {
        assert_eq!(of(UNIX_EPOCH), 0);
        assert_eq!(of(UNIX_EPOCH - Duration::from_secs(1)), -1_000_000);
        assert_eq!(microseconds(Duration::MAX), i64::MAX);
    }
}
