//! Text for people: colours and line breaks. It must not know the terminal; whoever prints passes its abilities.

use std::borrow::Cow;

/// Colour and width of a report for people.
///
/// ```
/// use platools_toolkit::Layout;
///
/// let plain = Layout::default();
/// assert_eq!((plain.colour, plain.width), (false, None));
/// let terminal = Layout { colour: true, width: Some(100) };
/// # let _ = terminal;
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Layout {
    /// Whether to write ANSI colours.
    pub colour: bool,
    /// The number of columns; longer lines are broken between words. `None` breaks no line.
    pub width: Option<usize>,
}

/// The colours that reports use.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Paint {
    Red,
    Yellow,
    Blue,
    #[cfg(feature = "testing")]
    Green,
    Dim,
    Bold,
}

/// The smallest width that lines are broken to, in columns.
const NARROWEST: usize = 20;

impl Layout {
    /// Returns the text in a colour, if colours are on.
    pub(crate) fn paint(self, paint: Paint, text: &str) -> String {
        if !self.colour {
            return text.to_owned();
        }
        let code = match paint {
            Paint::Red => 31,
            Paint::Yellow => 33,
            Paint::Blue => 34,
            #[cfg(feature = "testing")]
            Paint::Green => 32,
            Paint::Dim => 2,
            Paint::Bold => 1,
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }

    /// Breaks a text into lines, each to be indented by `indent` columns. Words longer than a line stay whole.
    pub(crate) fn wrap(self, text: &str, indent: usize) -> Vec<String> {
        let room = self.width.map_or(usize::MAX, |width| width.max(NARROWEST).saturating_sub(indent).max(1));
        let mut lines = Vec::new();
        for paragraph in text.lines() {
            let (mut line, mut length) = (String::new(), 0);
            for word in paragraph.split_whitespace() {
                let added = word.chars().count();
                if length > 0 && length + 1 + added > room {
                    lines.push(std::mem::take(&mut line));
                    length = 0;
                }
                if length > 0 {
                    line.push(' ');
                    length += 1;
                }
                line.push_str(word);
                length += added;
            }
            lines.push(line);
        }
        lines
    }
}

/// The control characters to keep in a text of several lines.
#[cfg(feature = "cli")]
pub(crate) const LINES: &[char] = &['\n', '\t'];

/// Escapes the control characters of an untrusted text, except those in `kept`, so that it cannot command a terminal.
pub(crate) fn printable<'a>(text: &'a str, kept: &[char]) -> Cow<'a, str> {
    let commands = |character: char| character.is_control() && !kept.contains(&character);
    if !text.contains(commands) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if commands(character) {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_between_words_only() {
        let layout = Layout { colour: false, width: Some(24) };
        assert_eq!(layout.wrap("one two three four five", 4), ["one two three four", "five"]);
        assert_eq!(
            layout.wrap("a_word_that_is_longer_than_the_line b", 4),
            ["a_word_that_is_longer_than_the_line", "b"]
        );
        assert_eq!(layout.wrap("", 4), [""; 0]);
        assert_eq!(Layout::default().wrap("one  two\nthree", 90), ["one two", "three"]);
        assert_eq!(Layout { width: Some(0), ..layout }.wrap("a b", 90), ["a", "b"]);
    }

    #[test]
    fn a_text_cannot_paint_by_itself() {
        assert_eq!(printable("a\u{1b}[31mb\r\n", &[]), "a\\u{1b}[31mb\\r\\n");
        assert_eq!(printable("a\u{9b}2Jb\n\tc", &['\n', '\t']), "a\\u{9b}2Jb\n\tc");
        assert!(matches!(printable("日本", &[]), Cow::Borrowed("日本")));
    }
}
