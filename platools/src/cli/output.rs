//! What commands print: for people on a terminal with colour and its width, for programs without.
//!
//! The standalone `platools` program prints the same way, so this is public.

use std::borrow::Cow;
use std::io::{IsTerminal as _, Read as _, Write as _};

use anstyle::{AnsiColor, Style};
use serde::Serialize;
use serde_json::Value;

use crate::layout::{LINES, Layout, printable};
use crate::tool::arguments::nearest;

/// The width of a terminal that does not say.
const WIDTH: usize = 100;
/// Names longer than this do not push the descriptions of all others to the right.
const LONGEST_NAME: usize = 32;

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const RED: Style = AnsiColor::Red.on_default().bold();
const CYAN: Style = AnsiColor::Cyan.on_default();
const GREEN: Style = AnsiColor::Green.on_default();
const YELLOW: Style = AnsiColor::Yellow.on_default();

/// Standard output and standard error, with colours where they are terminals that want them.
#[derive(Debug)]
pub struct Output {
    /// The width to fit lines into, when somebody looks at them.
    width: Option<usize>,
}

/// One tool in a list.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct ToolLine<'a> {
    /// Its name.
    pub name: &'a str,
    /// `none`, `user` or `admin`.
    pub auth: &'a str,
    /// The roles of which a caller needs one.
    pub roles: &'a [String],
    /// What it does; the first line is shown.
    pub description: &'a str,
}

impl<'a> ToolLine<'a> {
    /// A tool that anybody may call.
    pub fn new(name: &'a str, description: &'a str) -> Self {
        Self { name, auth: "none", roles: &[], description }
    }

    /// Who may call it.
    pub fn access(self, auth: &'a str, roles: &'a [String]) -> Self {
        Self { auth, roles, ..self }
    }

    fn rules(&self) -> String {
        match (self.auth, self.roles) {
            ("none", []) => String::new(),
            ("none", roles) => format!("[{}]", roles.join(", ")),
            (auth, []) => format!("[{auth}]"),
            (auth, roles) => format!("[{auth}: {}]", roles.join(", ")),
        }
    }
}

impl Output {
    /// The output of this process. `COLUMNS` says how wide a terminal is that does not know.
    #[expect(clippy::new_without_default, reason = "it looks at the process")]
    pub fn new() -> Self {
        let width = std::io::stdout().is_terminal().then(|| {
            let told = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
            told.or_else(|| terminal_size::terminal_size().map(|(width, _)| usize::from(width.0)))
                .unwrap_or(WIDTH)
        });
        Self { width }
    }

    /// Prints text as it is. A reader that went away, such as `head`, is no error.
    pub fn print(&self, text: &str) {
        let mut out = anstream::stdout().lock();
        let _ = out.write_all(text.as_bytes());
        let _ = out.flush();
    }

    /// Prints text as it is on standard error, without its colours where they mean nothing.
    pub fn print_aside(&self, text: &str) {
        let _ = write!(anstream::stderr(), "{text}");
    }

    /// Prints JSON: indented on a terminal, on one line otherwise.
    pub fn json(&self, value: &impl Serialize) {
        let text = if self.width.is_some() {
            serde_json::to_string_pretty(value)
        } else {
            serde_json::to_string(value)
        };
        self.foreign(&text.unwrap_or_default());
    }

    /// Prints a result: a text as it is, anything else as indented JSON.
    pub fn value(&self, value: &Value) {
        match value {
            Value::String(text) => self.foreign(text),
            value => self.foreign(&serde_json::to_string_pretty(value).unwrap_or_default()),
        }
    }

    /// Prints a text of somebody else's, and ends its line: to a program as it is, to a terminal without what could
    /// command it.
    pub fn foreign(&self, text: &str) {
        let shown = if self.width.is_some() { printable(text, LINES) } else { Cow::Borrowed(text) };
        self.print(&format!("{shown}\n"));
    }

    /// Prints tools, one a line, cut to the terminal's width.
    pub fn tools(&self, tools: &[ToolLine<'_>]) {
        self.print(&lines(tools, self.width));
    }

    /// Says on standard error what is wrong.
    pub fn error(&self, problem: &str) {
        let _ = writeln!(anstream::stderr(), "{RED}error:{RED:#} {}", printable(problem, LINES));
    }

    /// Says on standard error what may be a mistake.
    pub fn warning(&self, problem: &str) {
        let _ = writeln!(anstream::stderr(), "{YELLOW}warning:{YELLOW:#} {}", printable(problem, LINES));
    }

    /// Says on standard error what is good.
    pub fn success(&self, text: &str) {
        let _ = writeln!(anstream::stderr(), "{GREEN}{}{GREEN:#}", printable(text, LINES));
    }

    /// Says something beside the point on standard error.
    pub fn note(&self, text: &str) {
        let _ = writeln!(anstream::stderr(), "{DIM}{}{DIM:#}", printable(text, LINES));
    }

    /// How reports for people look here.
    pub fn layout(&self) -> Layout {
        // Where standard output is no terminal, the colours are taken out again.
        Layout { colour: true, width: self.width }
    }

    /// The width to fit lines into, when standard output is a terminal.
    pub fn width(&self) -> Option<usize> {
        self.width
    }
}

/// Tools, one a line, cut to this many columns. All of it is the host's own words.
fn lines(tools: &[ToolLine<'_>], columns: Option<usize>) -> String {
    let names: Vec<_> = tools.iter().map(|tool| one_line(tool.name)).collect();
    let widest = names.iter().map(|name| width(name)).max().unwrap_or_default().min(LONGEST_NAME);
    let mut text = String::new();
    for (tool, name) in tools.iter().zip(names) {
        let rules = tool.rules();
        let rules = one_line(&rules);
        let gap = " ".repeat(widest.saturating_sub(width(&name)) + 2);
        let space = if rules.is_empty() { "" } else { " " };
        let used = width(&name) + gap.len() + width(&rules) + space.len();
        let description = one_line(tool.description.lines().next().unwrap_or_default());
        let description = match columns {
            Some(columns) => fit(&description, columns.saturating_sub(used)),
            None => description.into_owned(),
        };
        let line = format!("{BOLD}{name}{BOLD:#}{gap}{CYAN}{rules}{CYAN:#}{space}{description}\n");
        text.push_str(&line);
    }
    text
}

/// A text of somebody else's as part of a line: line breaks and all else that commands a terminal is shown, not
/// obeyed.
pub fn one_line(text: &str) -> Cow<'_, str> {
    printable(text, &[])
}

/// How many columns a text takes on a terminal.
fn width(text: &str) -> usize {
    unicode_width::UnicodeWidthStr::width(text)
}

/// As much of a text as fits into `columns`, with an ellipsis if that is not all.
fn fit(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut fitting = String::new();
    for character in text.chars() {
        let next = unicode_width::UnicodeWidthChar::width(character).unwrap_or_default();
        if width(&fitting) + next >= columns {
            break;
        }
        fitting.push(character);
    }
    fitting.truncate(fitting.trim_end().len());
    if columns > 0 {
        fitting.push('…');
    }
    fitting
}

/// What to say when there is no tool of that name, with the nearest one.
pub fn unknown_tool(name: &str, names: &[&str]) -> String {
    let near = nearest(name, names.iter().copied());
    match near {
        Some(near) => format!("there is no tool `{name}`; did you mean `{near}`?"),
        None if names.is_empty() => format!("there is no tool `{name}`: no tools are registered"),
        None => format!("there is no tool `{name}`; `list` shows what there is"),
    }
}

/// The arguments of a call: a JSON object as it stands there, `@FILE`, or `-` for standard input. What comes
/// back is the object's text.
///
/// # Errors
/// When there is no object.
pub fn read_params(params: &str) -> Result<String, String> {
    let (text, origin) = match params.strip_prefix('@') {
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .map_err(|error| format!("--params: the file `{path}` cannot be read: {error}"))?;
            (text, format!("the file `{path}`"))
        }
        None if params == "-" => {
            let mut text = String::new();
            std::io::stdin()
                .read_to_string(&mut text)
                .map_err(|error| format!("--params: standard input cannot be read: {error}"))?;
            (text, "standard input".to_owned())
        }
        None => (params.to_owned(), "what stands there".to_owned()),
    };
    match serde_json::from_str::<Value>(&text) {
        Ok(Value::Object(_)) => Ok(text.trim().to_owned()),
        Ok(_) => Err(format!("--params: {origin} is not a JSON object, such as '{{\"a\": 1}}'")),
        Err(error) => Err(format!(
            "--params: {origin} is not JSON: {error}; write an object in single quotes, such as '{{\"a\": 1}}', or @FILE"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_to_columns_and_not_to_bytes() {
        assert_eq!(fit("a short one", 20), "a short one");
        assert_eq!(fit("a longer one", 8), "a longe…");
        assert_eq!(fit("日本語日本語", 5), "日本…");
        assert_eq!(fit("a", 0), "");
    }

    #[test]
    fn no_tool_commands_the_terminal_that_it_is_listed_on() {
        let evil = "a\u{1b}[2J\u{9b}31m\r\nb\u{7}";
        let roles = [evil.to_owned()];
        let listed = lines(&[ToolLine::new(evil, evil).access("user", &roles)], Some(80));
        let plain = anstream::adapter::strip_str(&listed).to_string();
        assert_eq!(plain.lines().count(), 1, "{plain:?}");
        assert!(!plain.trim_end().contains(char::is_control), "{plain:?}");
        assert!(plain.contains("a\\u{1b}[2J\\u{9b}31m"), "{plain:?}");
        assert_eq!(listed.matches('\u{1b}').count(), 4, "bold and cyan, on and off: {listed:?}");
    }

    #[test]
    fn the_nearest_tool_is_named() {
        let names = ["lookup_order", "cancel_order"];
        assert!(unknown_tool("lookup_ordr", &names).contains("`lookup_order`?"));
        assert!(unknown_tool("zzz", &names).contains("`list`"));
        assert!(unknown_tool("zzz", &[]).contains("no tools are registered"));
    }

    #[test]
    fn params_are_an_object_from_wherever() {
        assert_eq!(read_params(" {\"a\":1} ").unwrap(), "{\"a\":1}");
        for (params, part) in [
            ("[1]", "is not a JSON object"),
            ("{a:1}", "is not JSON"),
            ("", "is not JSON"),
            ("@/no/such/file", "cannot be read"),
        ] {
            let error = read_params(params).unwrap_err();
            assert!(error.starts_with("--params: ") && error.contains(part), "{error}");
        }
        let path = std::env::temp_dir().join(format!("platools-params-{}.json", std::process::id()));
        std::fs::write(&path, "{\"a\": 2}\n").unwrap();
        assert_eq!(read_params(&format!("@{}", path.display())).unwrap(), "{\"a\": 2}");
        std::fs::remove_file(path).unwrap();
    }
}
