//! Texts in a URL: encoded, they mean nothing there, and those that would climb out of a path are found. Pure; it must
//! not know where the texts come from.

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, PercentEncode, percent_decode_str, utf8_percent_encode};

/// All but the characters that mean nothing anywhere in a URL (RFC 3986 §2.3).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A text in which nothing has a meaning any more.
pub(crate) fn encoded(text: &str) -> PercentEncode<'_> {
    utf8_percent_encode(text, RESERVED)
}

/// Why a text may not stand in a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BadSegment {
    Empty,
    Dots,
    Control,
}

impl fmt::Display for BadSegment {
    /// What it may not, to go on after where it stands.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "may not be empty",
            Self::Dots => "may not hold `.` or `..` as a step",
            Self::Control => "may not hold control characters",
        })
    }
}

/// Whether a text may be a piece of one segment of a path, once it is encoded: what would climb out of the path when a
/// careless server decodes it may not.
pub(crate) fn check_segment(text: &str) -> Result<(), BadSegment> {
    if text.is_empty() {
        return Err(BadSegment::Empty);
    }
    let mut decoded = text.to_owned();
    // Proxies in front of a backend may decode once more than they should.
    for _ in 0..3 {
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

/// Whether a piece of a path is a step to itself or upwards; also once it stands beside fixed text.
pub(crate) fn has_dot_step(path: &str) -> bool {
    // Some servers drop what follows a semicolon.
    path.split(['/', '\\']).any(|step| matches!(step.split(';').next(), Some("." | "..")))
}
