//! Parses a doc comment: the description of a tool and of its arguments.
//!
//! The description excludes the sections for readers of the code (`# Arguments`, `# Errors`, `# Panics`,
//! `# Safety`, `# Examples`). An entry of `# Arguments` is a list item: a name, a separator (`-`, `:`, `–` or `—`)
//! and text, which may continue on the following lines.

use proc_macro2::Span;
use syn::spanned::Spanned as _;
use syn::{Attribute, Expr, Meta};

use crate::attributes::values::literal_string;

/// Sections for readers of the code, which are not sent to the model.
const LEFT_OUT: [&str; 6] = ["arguments", "errors", "panics", "safety", "examples", "example"];

/// A line of a doc comment and its span.
struct Line {
    text: String,
    span: Span,
}

/// A parsed doc comment.
#[derive(Default)]
pub(crate) struct Docs {
    /// The description; empty if there is none.
    pub(crate) description: String,
    /// The entries of `# Arguments`.
    pub(crate) arguments: Vec<Entry>,
    /// The value of a `#[doc = …]` that is not a literal and cannot be read here.
    pub(crate) unreadable: Option<Expr>,
}

/// One list item of `# Arguments`.
pub(crate) struct Entry {
    pub(crate) span: Span,
    /// The name and text; `Err` holds the line if it has no name.
    pub(crate) content: Result<(String, String), String>,
}

impl Docs {
    /// Parses all `#[doc]` attributes of an item.
    pub(crate) fn read(attributes: &[Attribute]) -> Self {
        let (lines, unreadable) = lines(attributes);
        let mut description = Vec::new();
        let mut argument_lines = Vec::new();
        // The excluded section that the line is in: its heading's level, and its title.
        let mut section: Option<(usize, String)> = None;
        let mut fence: Option<String> = None;
        for line in lines {
            let fenced = fence.is_some();
            track_fence(&mut fence, &line.text);
            if let Some((level, title)) = heading(&line.text).filter(|_| !fenced) {
                let inside = section.as_ref().is_some_and(|(outer, _)| level > *outer);
                if !inside {
                    let title = title.to_lowercase();
                    section = LEFT_OUT.contains(&title.as_str()).then_some((level, title));
                    if section.is_some() {
                        continue;
                    }
                }
            }
            match &section {
                None => description.push(line.text),
                Some((_, title)) if title == "arguments" => argument_lines.push(line),
                Some(_) => {}
            }
        }
        let arguments = entries(&argument_lines);
        Docs { description: description.join("\n").trim().to_owned(), arguments, unreadable }
    }
}

/// Returns the level and title of a Markdown heading.
fn heading(line: &str) -> Option<(usize, &str)> {
    let line = line.trim_start();
    let title = line.trim_start_matches('#');
    let level = line.len() - title.len();
    ((1..=6).contains(&level) && title.starts_with(' '))
        .then(|| (level, title.trim().trim_end_matches('#').trim_end().trim_end_matches(':')))
}

/// Tracks code fences, inside which `#` does not start a heading.
fn track_fence(fence: &mut Option<String>, line: &str) {
    let line = line.trim_start();
    match fence {
        Some(open) if line.starts_with(open.as_str()) => *fence = None,
        Some(_) => {}
        None => {
            let mark = if line.starts_with('~') { '~' } else { '`' };
            let length = line.chars().take_while(|c| *c == mark).count();
            if length >= 3 {
                *fence = Some(line.chars().take(length).collect());
            }
        }
    }
}

/// Returns the lines of all doc attributes without their common indentation.
fn lines(attributes: &[Attribute]) -> (Vec<Line>, Option<Expr>) {
    let mut lines = Vec::new();
    let mut unreadable = None;
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("doc")) {
        let Meta::NameValue(pair) = &attribute.meta else { continue };
        match literal_string(&pair.value) {
            Some(text) => {
                let (value, span) = (text.value(), attribute.span());
                let starred = is_starred(&value);
                lines.extend(value.split('\n').map(|line| {
                    let text = line.trim_start().strip_prefix('*').filter(|_| starred).unwrap_or(line);
                    Line { text: text.trim_end().to_owned(), span }
                }));
            }
            None if matches!(pair.value, Expr::Lit(_)) => {}
            None => unreadable = unreadable.or_else(|| Some(pair.value.clone())),
        }
    }
    let indents = lines.iter().filter(|line| !line.text.is_empty());
    let indent = indents.map(|line| indentation(&line.text)).min().unwrap_or(0);
    for line in &mut lines {
        line.text = line.text.chars().skip(indent).collect();
    }
    (lines, unreadable)
}

/// Returns whether this is a `/** … */` comment with a star before every line but the first.
fn is_starred(text: &str) -> bool {
    let mut rest = text.lines().skip(1).map(str::trim_start).filter(|line| !line.is_empty()).peekable();
    rest.peek().is_some() && rest.all(|line| line.starts_with('*'))
}

fn indentation(line: &str) -> usize {
    line.chars().take_while(|c| *c == ' ').count()
}

/// Parses the list items of `# Arguments`. Text before the first item is ignored.
fn entries(lines: &[Line]) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut list_indent = None;
    for line in lines {
        let item = list_item(&line.text);
        let indent = indentation(&line.text);
        match item {
            Some(item) if indent <= *list_indent.get_or_insert(indent) => {
                let content = name_and_text(item)
                    .map(|(name, text)| (name.to_owned(), text.to_owned()))
                    .ok_or_else(|| item.to_owned());
                entries.push(Entry { span: line.span, content });
            }
            _ => {
                if let Some(Entry { content: Ok((_, text)), .. }) = entries.last_mut() {
                    push_line(text, line.text.trim());
                }
            }
        }
    }
    for entry in &mut entries {
        if let Ok((_, text)) = &mut entry.content {
            *text = text.trim_end().to_owned();
        }
    }
    entries
}

/// Appends a line to an entry's text: lines are joined, an empty line starts a paragraph.
fn push_line(text: &mut String, line: &str) {
    if line.is_empty() {
        text.push_str("\n\n");
    } else {
        if !text.is_empty() && !text.ends_with('\n') {
            text.push(' ');
        }
        text.push_str(line);
    }
}

/// Returns the text after the bullet of a list item.
fn list_item(line: &str) -> Option<&str> {
    let line = line.trim_start();
    ["* ", "- ", "+ "].iter().find_map(|bullet| line.strip_prefix(bullet)).map(str::trim)
}

/// Splits `` `name` - text ``, `name: text` and similar.
fn name_and_text(item: &str) -> Option<(&str, &str)> {
    let (name, rest) = match item.strip_prefix("**").unwrap_or(item).strip_prefix('`') {
        Some(quoted) => quoted.split_once('`')?,
        None => item.split_at(item.find(|c: char| !c.is_alphanumeric() && c != '_')?),
    };
    let rest = rest.strip_prefix("**").unwrap_or(rest).trim_start();
    let text = ["-", ":", "–", "—"].iter().find_map(|separator| rest.strip_prefix(separator))?;
    (!name.is_empty()).then_some((name, text.trim_start()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use syn::parse::Parser as _;

    fn read(source: &str) -> Docs {
        let source = format!("{source}\nstruct Marker;");
        let item: syn::ItemStruct = syn::parse_str(&source).unwrap();
        Docs::read(&item.attrs)
    }

    fn arguments(docs: &Docs) -> Vec<(&str, &str)> {
        docs.arguments
            .iter()
            .map(|entry| match &entry.content {
                Ok((name, text)) => (name.as_str(), text.as_str()),
                Err(line) => ("!", line.as_str()),
            })
            .collect()
    }

    #[test]
    fn the_description_keeps_its_paragraphs_and_leaves_out_sections_for_readers() {
        let docs = read(
            "/// Look up one order.\n///\n/// Slow for old ones.\n///\n/// # Errors\n/// When it is gone.\n///\n\
             /// ## Details\n/// More.\n/// # Notes\n/// Kept.\n/// # Examples\n/// ```\n/// # use x;\n/// ```\n/// x",
        );
        assert_eq!(docs.description, "Look up one order.\n\nSlow for old ones.\n\n# Notes\nKept.");
        assert!(docs.arguments.is_empty());
    }

    #[test]
    fn a_hash_in_a_code_fence_is_not_a_heading() {
        let docs = read("/// Run.\n/// ```text\n/// # Errors\n/// ```\n/// After.");
        assert_eq!(docs.description, "Run.\n```text\n# Errors\n```\nAfter.");
    }

    #[test]
    fn block_comments_and_indentation_are_understood() {
        let starred = read("/** Look up.\n * Twice.\n *\n *   indented\n */");
        assert_eq!(starred.description, "Look up.\nTwice.\n\n  indented");
        let plain = read("/**\n    Look up.\n      indented\n*/");
        assert_eq!(plain.description, "Look up.\n  indented");
        assert_eq!(read("#[doc = \" a\"]\n#[doc(hidden)]\n#[doc = \" b\"]").description, "a\nb");
    }

    #[test]
    fn all_spellings_of_an_argument_are_parsed() {
        let docs = read(
            "/// Do.\n///\n/// # Arguments\n///\n/// These go in:\n/// * `a` - one\n///   goes on\n/// - b: two\n\
             /// + `c` – three\n/// * **`d`** — four\n///\n///   with a paragraph\n///   * and a list\n\
             /// * `e`: five\n///\n/// # Panics\n/// * `f` - no",
        );
        assert_eq!(docs.description, "Do.");
        assert_eq!(
            arguments(&docs),
            [
                ("a", "one goes on"),
                ("b", "two"),
                ("c", "three"),
                ("d", "four\n\nwith a paragraph * and a list"),
                ("e", "five"),
            ]
        );
    }

    #[test]
    fn an_entry_without_a_name_is_kept_for_a_message() {
        let docs = read("/// # Arguments\n/// * the order to look up\n/// * `a`, `b` - both\n/// * `c` -");
        assert_eq!(arguments(&docs), [("!", "the order to look up"), ("!", "`a`, `b` - both"), ("c", "")]);
    }

    #[test]
    fn a_text_from_a_macro_call_is_unreadable() {
        let attributes = Attribute::parse_outer
            .parse2(quote::quote!(#[doc = "Read."] #[doc = include_str!("x.md")]))
            .unwrap();
        let docs = Docs::read(&attributes);
        assert_eq!(docs.description, "Read.");
        assert!(docs.unreadable.is_some());
    }
}
