//! Texts of others inside our own sentences. It must not know what the sentences are about.

use std::borrow::Cow;
use std::time::Duration;

/// Returns the first `most` characters of a text, with "…" when something was cut off.
///
/// ```
/// use platools::tool::shortened;
///
/// assert_eq!(shortened("éclair", 6), "éclair");
/// assert_eq!(shortened("éclairs", 6), "éclair…");
/// ```
pub fn shortened(text: &str, most: usize) -> Cow<'_, str> {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]).into(),
        None => text.into(),
    }
}

/// Formats a duration for people, in milliseconds below a second.
///
/// ```
/// use platools::tool::format_duration;
/// use std::time::Duration;
///
/// let texts = [250, 1_500, 28_000].map(|time| format_duration(Duration::from_millis(time)));
/// assert_eq!(texts, ["250 ms", "1.5 s", "28 s"]);
/// ```
pub fn format_duration(duration: Duration) -> String {
    let milliseconds = duration.as_millis();
    match (milliseconds / 1000, milliseconds % 1000) {
        (0, rest) => format!("{rest} ms"),
        (seconds, 0) => format!("{seconds} s"),
        (seconds, rest) => {
            let fraction = format!("{rest:03}");
            format!("{seconds}.{} s", fraction.trim_end_matches('0'))
        }
    }
}
