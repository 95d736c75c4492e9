//! Cuts texts to a length. It must not know what they are for.

use std::borrow::Cow;

/// Returns the first `most` characters of a text, with "…" when something was cut off.
pub(crate) fn shortened(text: &str, most: usize) -> Cow<'_, str> {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]).into(),
        None => text.into(),
    }
}

/// Trims a text and cuts it to `most` characters, at a word boundary where there is one.
pub(crate) fn cut(text: &str, most: usize) -> String {
    let text = text.trim();
    let Some((end, _)) = text.char_indices().nth(most) else { return text.to_owned() };
    let kept = &text[..end];
    let kept = match kept.rfind(char::is_whitespace) {
        Some(space) if space > end / 2 => &kept[..space],
        _ => kept,
    };
    format!("{}…", kept.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_at_words() {
        assert_eq!(cut("  one two  ", 10), "one two");
        assert_eq!(cut("one two three", 9), "one two…");
        assert_eq!(cut("éééééé", 3), "ééé…");
    }
}
