//! Texts of others, cut to what fits into a sentence.

use std::borrow::Cow;

/// The beginning of a text, in characters.
pub(crate) fn shortened(text: &str, most: usize) -> Cow<'_, str> {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]).into(),
        None => text.into(),
    }
}
