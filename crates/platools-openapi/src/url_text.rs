//! Encodes texts for a URL and rejects those that would leave their path segment. It must not know where the texts come
//! from.

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, PercentEncode, percent_decode_str, utf8_percent_encode};

/// All but the characters that mean nothing anywhere in a URL (RFC 3986 §2.3).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Percent-encodes everything but the unreserved characters of RFC 3986.
///
/// ```
/// assert_eq!(platools_openapi::url_text::encoded("a/b c").to_string(), "a%2Fb%20c");
/// ```
pub fn encoded(text: &str) -> PercentEncode<'_> {
    utf8_percent_encode(text, RESERVED)
}

/// Why a text may not be part of a path segment. Its `Display` continues a sentence: "may not be empty".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum BadSegment {
    /// It is empty.
    Empty,
    /// It contains `.` or `..` as a path step, possibly percent-encoded.
    Dots,
    /// It contains control characters, possibly percent-encoded.
    Control,
}

impl fmt::Display for BadSegment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "may not be empty",
            Self::Dots => "may not hold `.` or `..` as a step",
            Self::Control => "may not hold control characters",
        })
    }
}

/// Checks that a text can be part of one path segment once it is encoded.
///
/// # Errors
/// Returns why not: it is empty, has control characters, or would leave the path if a server decoded it repeatedly.
pub fn check_segment(text: &str) -> Result<(), BadSegment> {
    if text.is_empty() {
        return Err(BadSegment::Empty);
    }
    check_decoded(text, 2)
}

/// Checks an encoded path for what its parts make together: `%2` beside `e` is a dot once a server decodes it twice.
///
/// ```
/// use platools_openapi::url_text::{check_path, encoded};
///
/// let path = |a, b| format!("/orders/{}{}/lines", encoded(a), encoded(b));
/// assert!(check_path(&path("x", ".y")).is_ok());
/// assert!(check_path(&path("%2", "e%2e")).is_err());
/// ```
///
/// # Errors
/// Returns why not: it has control characters, or `.` or `..` as a step, as it is or if a server decoded it repeatedly.
pub fn check_path(path: &str) -> Result<(), BadSegment> {
    check_decoded(path, 3)
}

/// Checks a text as it is, and decoded up to so many times.
fn check_decoded(text: &str, times: usize) -> Result<(), BadSegment> {
    let mut decoded = text.to_owned();
    // Proxies in front of a backend may decode once more than they should.
    for _ in 0..=times {
        if has_dot_step(&decoded) {
            return Err(BadSegment::Dots);
        }
        if decoded.chars().any(char::is_control) {
            return Err(BadSegment::Control);
        }
        let next = percent_decode_str(&decoded).decode_utf8_lossy().into_owned();
        if next == decoded {
            break;
        }
        decoded = next;
    }
    Ok(())
}

/// Returns whether a path contains `.` or `..` as a step.
pub fn has_dot_step(path: &str) -> bool {
    // Some servers drop what follows a semicolon.
    path.split(['/', '\\']).any(|step| matches!(step.split(';').next(), Some("." | "..")))
}
