//! Output of commands: coloured and cut to the width on a terminal, plain for programs.
//!
//! It is public because the standalone program `platools` prints the same way.

use std::borrow::Cow;
use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use platools::tool::nearest_name;
use serde::Serialize;
use serde_json::Value;

use crate::layout::{LINES, Layout, printable};

/// The width of a terminal that does not report one, in columns.
const WIDTH: usize = 100;
/// The widest column of names, so that one long name does not push all descriptions to the right.
const LONGEST_NAME: usize = 32;

/// Shown instead of a description that a tool does not have: agents rarely choose such a tool.
const NO_DESCRIPTION: &str = "(no description)";
/// As many tools are named where none is called nearly like the one that was wanted.
const MANY_NAMES: usize = 8;

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const RED: Style = AnsiColor::Red.on_default().bold();
const CYAN: Style = AnsiColor::Cyan.on_default();
const GREEN: Style = AnsiColor::Green.on_default();
const YELLOW: Style = AnsiColor::Yellow.on_default();

/// Standard output cannot be written, for example on a full disk. A pipe that its reader closed is no error.
#[derive(Debug, thiserror::Error)]
#[error("standard output cannot be written: {0}")]
pub struct WriteError(#[source] io::Error);

/// Standard output and standard error, coloured where they are terminals that show colours and the variables `NO_COLOR`,
/// `CLICOLOR_FORCE` and `TERM` allow it.
///
/// Every method that prints a result writes it out at once and returns whether that succeeded.
#[derive(Debug)]
pub struct Output {
    /// The width to fit lines into, if standard output is a terminal.
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
    /// Its description; the first line is shown.
    pub description: &'a str,
}

impl<'a> ToolLine<'a> {
    /// Creates the line of a tool without access rules.
    pub fn new(name: &'a str, description: &'a str) -> Self {
        Self { name, auth: "none", roles: &[], description }
    }

    /// Sets the access rules.
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
    /// Creates the output of this process. The variable `COLUMNS` overrides the width of the terminal.
    #[expect(clippy::new_without_default, reason = "it looks at the process")]
    pub fn new() -> Self {
        let width = std::io::stdout().is_terminal().then(|| {
            let told = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
            told.or_else(|| terminal_size::terminal_size().map(|(width, _)| usize::from(width.0)))
                .unwrap_or(WIDTH)
        });
        Self { width }
    }

    /// Prints text as it is. A closed pipe, as with `head`, is ignored.
    ///
    /// # Errors
    /// When standard output cannot be written. The same holds for the other methods that print results.
    pub fn print(&self, text: &str) -> Result<(), WriteError> {
        let mut out = anstream::stdout().lock();
        written(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
    }

    /// Prints text on standard error, without its colours if that is no terminal.
    pub fn print_aside(&self, text: &str) {
        let _ = write!(anstream::stderr(), "{text}");
    }

    /// Prints JSON: indented on a terminal, on one line otherwise.
    ///
    /// # Errors
    /// See [`print`](Self::print).
    pub fn json(&self, value: &impl Serialize) -> Result<(), WriteError> {
        let text = if self.width.is_some() {
            serde_json::to_string_pretty(value)
        } else {
            serde_json::to_string(value)
        };
        self.foreign(&text.unwrap_or_default())
    }

    /// Prints a result: a string as plain text, anything else as indented JSON.
    ///
    /// # Errors
    /// See [`print`](Self::print).
    pub fn value(&self, value: &Value) -> Result<(), WriteError> {
        match value {
            Value::String(text) => self.foreign(text),
            value => self.foreign(&serde_json::to_string_pretty(value).unwrap_or_default()),
        }
    }

    /// Prints an untrusted text and a line break. On a terminal, control characters are escaped.
    ///
    /// # Errors
    /// See [`print`](Self::print).
    pub fn foreign(&self, text: &str) -> Result<(), WriteError> {
        let shown = if self.width.is_some() { printable(text, LINES) } else { Cow::Borrowed(text) };
        self.print(&format!("{shown}\n"))
    }

    /// Prints tools, one per line, cut to the terminal's width.
    ///
    /// # Errors
    /// See [`print`](Self::print).
    pub fn tools(&self, tools: &[ToolLine<'_>]) -> Result<(), WriteError> {
        self.print(&lines(tools, self.width))
    }

    /// Prints an error on standard error.
    pub fn error(&self, problem: &str) {
        let _ = writeln!(anstream::stderr(), "{RED}error:{RED:#} {}", printable(problem, LINES));
    }

    /// Prints a warning on standard error.
    pub fn warning(&self, problem: &str) {
        let _ = writeln!(anstream::stderr(), "{YELLOW}warning:{YELLOW:#} {}", printable(problem, LINES));
    }

    /// Prints a success message on standard error.
    pub fn success(&self, text: &str) {
        let _ = writeln!(anstream::stderr(), "{GREEN}{}{GREEN:#}", printable(text, LINES));
    }

    /// Prints a dimmed note on standard error.
    pub fn note(&self, text: &str) {
        let _ = writeln!(anstream::stderr(), "{DIM}{}{DIM:#}", printable(text, LINES));
    }

    /// Returns the layout of reports for this output.
    pub fn layout(&self) -> Layout {
        // Where standard output is no terminal, the colours are taken out again.
        Layout { colour: true, width: self.width }
    }

    /// Returns the width in columns if standard output is a terminal.
    pub fn width(&self) -> Option<usize> {
        self.width
    }
}

/// Returns whether something was written; a closed pipe counts as success, since its reader has seen enough.
fn written(result: io::Result<()>) -> Result<(), WriteError> {
    match result {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(WriteError(error)),
        _ => Ok(()),
    }
}

/// Prints what the parser of the command line answers itself: help and the version on standard output, mistakes on
/// standard error. Returns the exit code: 0, 1 if it cannot be written, or 2 for a mistake.
pub fn parser_answer(answer: &clap::Error) -> ExitCode {
    let printed = written(answer.print());
    match printed {
        Err(error) if !answer.use_stderr() => {
            Output::new().error(&error.to_string());
            ExitCode::from(1)
        }
        _ => ExitCode::from(u8::try_from(answer.exit_code()).unwrap_or(2)),
    }
}

/// Formats tools, one per line, cut to this many columns. Their texts are untrusted.
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
        let first = tool.description.lines().map(str::trim).find(|line| !line.is_empty());
        let (style, description) = match first {
            Some(first) => (Style::new(), one_line(first)),
            None => (DIM, Cow::Borrowed(NO_DESCRIPTION)),
        };
        let description = match columns {
            Some(columns) => fit(&description, columns.saturating_sub(used)),
            None => description.into_owned(),
        };
        let line =
            format!("{BOLD}{name}{BOLD:#}{gap}{CYAN}{rules}{CYAN:#}{space}{style}{description}{style:#}\n");
        text.push_str(&line);
    }
    text
}

/// Escapes line breaks and all other control characters of an untrusted text, to print it within a line.
pub fn one_line(text: &str) -> Cow<'_, str> {
    printable(text, &[])
}

/// Returns the number of columns that a text takes on a terminal.
fn width(text: &str) -> usize {
    unicode_width::UnicodeWidthStr::width(text)
}

/// Cuts a text to `columns`; an ellipsis marks the cut.
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

/// Returns the error text for a tool that does not exist, with the nearest name.
pub fn unknown_tool(name: &str, names: &[&str]) -> String {
    let near = nearest_name(name, names.iter().copied());
    match near {
        Some(near) => format!("there is no tool `{name}`; did you mean `{near}`?"),
        None if names.is_empty() => format!("there is no tool `{name}`: no tools are registered"),
        None if names.len() <= MANY_NAMES => {
            let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
            format!("there is no tool `{name}`; choose one of {}", names.join(", "))
        }
        None => format!("there is no tool `{name}`; `list` shows the {} that there are", names.len()),
    }
}

/// Reads the arguments of a call: a JSON object, `@FILE`, or `-` for standard input. Returns the object's text.
///
/// # Errors
/// If the source cannot be read or is not a JSON object.
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
    fn a_tool_without_a_description_is_visible_as_such() {
        for description in ["", " \n "] {
            let listed = lines(&[ToolLine::new("mute", description)], Some(80));
            let plain = anstream::adapter::strip_str(&listed).to_string();
            assert_eq!(plain, "mute  (no description)\n");
        }
        let listed = lines(&[ToolLine::new("late", "\n  Says it below.")], None);
        assert!(anstream::adapter::strip_str(&listed).to_string().ends_with("Says it below.\n"));
    }

    #[test]
    fn the_nearest_tool_is_named() {
        let names = ["lookup_order", "cancel_order"];
        assert!(unknown_tool("lookup_ordr", &names).contains("`lookup_order`?"));
        let listed = "there is no tool `zzz`; choose one of `lookup_order`, `cancel_order`";
        assert_eq!(unknown_tool("zzz", &names), listed);
        let many: Vec<_> = (0..9).map(|number| format!("tool_{number}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert!(unknown_tool("zzz", &many).contains("`list` shows the 9"));
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
