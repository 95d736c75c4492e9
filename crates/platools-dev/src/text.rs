//! Texts, cut where a character ends.

/// As much of the beginning of `text` as fits into this many bytes.
pub(crate) fn beginning(text: &str, bytes: usize) -> &str {
    let end = (0..=bytes.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_character_is_cut_in_two() {
        for (bytes, expected) in [(0, ""), (1, "a"), (2, "a"), (3, "aé"), (4, "aé"), (9, "aé")] {
            assert_eq!(beginning("aé", bytes), expected, "{bytes}");
        }
    }
}
