//! Which of two builds is newer.

use std::cmp::Ordering;
use std::iter::Peekable;
use std::str::Chars;

/// Compares two names of builds, runs of digits by their value: `1.10.0` is newer than `1.9.2`, and a later time of
/// RFC 3339 newer than an earlier one.
pub(crate) fn compare(left: &str, right: &str) -> Ordering {
    let (mut a, mut b) = (left.chars().peekable(), right.chars().peekable());
    loop {
        match (a.peek().copied(), b.peek().copied()) {
            (None, None) => return left.cmp(right),
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(x), Some(y)) if x.is_ascii_digit() && y.is_ascii_digit() => {
                let (x, y) = (number(&mut a), number(&mut b));
                let order = x.len().cmp(&y.len()).then_with(|| x.cmp(&y));
                if order.is_ne() {
                    return order;
                }
            }
            (Some(x), Some(y)) if x == y => {
                a.next();
                b.next();
            }
            (Some(x), Some(y)) => return x.cmp(&y),
        }
    }
}

/// Takes a run of digits, without leading zeros.
fn number(text: &mut Peekable<Chars<'_>>) -> String {
    let mut digits = String::new();
    while let Some(digit) = text.next_if(char::is_ascii_digit) {
        if !(digits.is_empty() && digit == '0') {
            digits.push(digit);
        }
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_count_by_their_value() {
        let rising =
            ["", "1.9.2", "1.10.0", "1.10.1", "2026-11-30T09:00:00Z", "2026-11-30T10:00:00Z", "v2", "v10"];
        for (index, older) in rising.iter().enumerate() {
            for newer in &rising[index + 1..] {
                assert_eq!(compare(older, newer), Ordering::Less, "{older} {newer}");
                assert_eq!(compare(newer, older), Ordering::Greater);
            }
            assert_eq!(compare(older, older), Ordering::Equal);
        }
    }
}
