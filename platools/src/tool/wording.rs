//! Texts of others inside our own sentences. It must not know what the sentences are about.

use std::borrow::Cow;

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
