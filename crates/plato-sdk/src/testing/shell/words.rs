//! What words become: variables, and what commands write.

use super::parse::{Part, Word};
use super::run::Running;

impl Running<'_> {
    /// The fields that words become: a variable may be none, or several.
    pub(super) fn fields(&mut self, words: &[Word]) -> Vec<String> {
        let mut fields = Vec::new();
        for word in words {
            let mut field: Option<String> = None;
            for part in word {
                let (value, split) = self.value(part);
                if !split {
                    field.get_or_insert_default().push_str(&value);
                    continue;
                }
                if value.starts_with(char::is_whitespace) {
                    fields.extend(field.take());
                }
                let mut pieces = value.split_whitespace().peekable();
                while let Some(piece) = pieces.next() {
                    field.get_or_insert_default().push_str(piece);
                    if pieces.peek().is_some() {
                        fields.extend(field.take());
                    }
                }
                if value.ends_with(char::is_whitespace) {
                    fields.extend(field.take());
                }
            }
            fields.extend(field);
        }
        fields
    }

    /// The one text that a word becomes, as a file's name and a variable's value are.
    pub(super) fn text(&mut self, word: &Word) -> String {
        word.iter().map(|part| self.value(part).0).collect()
    }

    fn value(&mut self, part: &Part) -> (String, bool) {
        match part {
            Part::Text(text) => (text.clone(), false),
            Part::Variable { name, default, split } => {
                let value = if name == "?" {
                    self.shell.last.to_string()
                } else {
                    self.shell.variables.get(name).cloned().unwrap_or_default()
                };
                let value = match default {
                    Some(default) if value.is_empty() => default.clone(),
                    _ => value,
                };
                (value, *split)
            }
            Part::Output { line, split } => (self.output_of(line).trim_end_matches('\n').to_owned(), *split),
        }
    }
}
