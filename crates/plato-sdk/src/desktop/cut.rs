//! Shortening long texts.

/// A text of at most `limit` characters, with a notice in the middle if something had to go.
pub(crate) fn cut(text: &str, limit: usize) -> (String, bool) {
    let length = text.chars().count();
    if length <= limit {
        return (text.to_owned(), false);
    }
    let notice = format!("\n… {length} characters, of which the middle is left out …\n");
    let kept = limit.saturating_sub(notice.chars().count());
    let place = |index: usize| text.char_indices().nth(index).map_or(text.len(), |(place, _)| place);
    let (head, tail) = (kept - kept / 2, kept / 2);
    (format!("{}{notice}{}", &text[..place(head)], &text[place(length - tail)..]), true)
}
